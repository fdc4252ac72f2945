"""cocotb benches, and the one runner that builds a simulation once and plays many jobs in it."""

"""cocotb in a simulator: the bench that plays a job, and the simulators that it plays in."""

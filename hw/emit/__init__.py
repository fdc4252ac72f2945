"""A core as text: Verilog, its manifest, its C header."""

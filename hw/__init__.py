"""The delta core in Amaranth: one idea a file, Verilog at the end.

From golden/ it takes parameters and file formats, never arithmetic: what a block computes is
written here a second time, and the tests hold the two against each other.
"""

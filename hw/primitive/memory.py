"""What memories have in common."""

# For Yosys, on a memory: nobody uses what is read from an address in the cycle in which it is
# written, so that it need not be what the simulators say, which would take a bypass to keep.
UNCHECKED = {"no_rw_check": 1}

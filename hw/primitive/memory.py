"""What memories have in common."""

from amaranth.hdl import Const, Value

# For Yosys, on a memory: nobody uses what is read from an address in the cycle in which it is
# written, so that it need not be what the simulators say, which would take a bypass to keep.
UNCHECKED = {"no_rw_check": 1}


def reads(asked: Value, read_latency: int) -> Value:
    """When a port reads whose data are looked at only where it was ``asked``: only then.

    Where the data want a register of their own, in every cycle: a family may take that register
    into its memory, and the enable of the one may hold the other.
    """
    return asked if read_latency == 1 else Const(1)

"""The memory of the accumulators, as a family has it."""

from amaranth.lib import memory


class Accumulators(memory.Memory):
    """Rows of which in each cycle one is read and another one written. They are there at power-up.

    Attributes
    ----------
    interval : int
        Cycles from a slot to the next one, at least: 1, or 2 where one port reads and writes.
    loads : bool
        What rows begin with has to be loaded: there is nothing in them at power-up.
    """

    interval = 1
    loads = False

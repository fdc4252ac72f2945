"""State machines of the link."""

from amaranth.hdl import Signal


def one_hot(state: Signal) -> None:
    """Gives each of its states a bit: on an iCE40 comparisons would be the longest paths."""
    state.attrs["fsm_encoding"] = "one-hot"

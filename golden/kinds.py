"""The kinds of layers: the one registry of what sets them apart.

A kind called ``x`` is an entry here, a module golden/x.py, which holds its ``Weights``, ``Delta``
and ``Dense`` (golden.recurrent, golden.linear), and, if it is recurrent, a module hw/unit/x.py,
which holds its ``Cell`` (hw.unit.cell). Nothing else lists kinds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from golden.errors import refusal

ROWS = 4  # of accumulators in a block, at most: a kind with fewer takes the last ones


@dataclass(frozen=True)
class Kind:
    """What the layers of a kind have for each of their units.

    Attributes
    ----------
    gates
        Weight rows.
    accumulators
        What is summed up apart from each other, a row of accumulators each: as many as there are
        gates, or one more where the last of several gates has one for x and one for h.
    state
        Name of the format of what a neuron keeps between frames; None where it keeps nothing.

    Raises
    ------
    ValueError
        Where gates and accumulators do not go together.
    """

    gates: tuple[str, ...]
    accumulators: tuple[str, ...]
    state: str | None = None

    def __post_init__(self) -> None:
        if self.splits and len(self.accumulators) != len(self.gates) + 1:
            raise refusal("accumulators", len(self.accumulators), f"{len(self.gates)} or one more")
        # A split gate comes after one that is not: by itself it would not have to be split.
        low = 1 + self.recurrent + self.splits
        if not low <= len(self.accumulators) <= ROWS:
            raise refusal("accumulators", len(self.accumulators), f"{low} to {ROWS}")

    @property
    def recurrent(self) -> bool:
        return self.state is not None

    @property
    def splits(self) -> bool:
        """The last gate has an accumulator for each vector: they meet before they are looked up."""
        return len(self.accumulators) != len(self.gates)

    @property
    def indexes(self) -> tuple[bool, ...]:
        """For each accumulator: whether a table is looked up with what is read out of it alone."""
        alone = len(self.gates) - self.splits if self.recurrent else 0
        return tuple(n < alone for n in range(len(self.accumulators)))

    @property
    def first_row(self) -> int:
        """The row of a block that its first accumulator lies in; its last one lies in the last."""
        return ROWS - len(self.accumulators)


KINDS = {
    "gru": Kind(("r", "u", "c"), ("r", "u", "xc", "hc"), "state"),
    "lstm": Kind(("i", "f", "g", "o"), ("i", "f", "g", "o"), "cell"),
    "linear": Kind(("m",), ("m",)),
}
KIND_NAMES = " or ".join(repr(kind) for kind in KINDS)


def arithmetic(kind: str) -> ModuleType:
    """The module of golden/ that holds the ``Weights``, ``Delta`` and ``Dense`` of a kind."""
    return import_module(f"golden.{kind}")


def format_names(kinds: Iterable[object]) -> tuple[str, ...]:
    """The formats that a network with layers of these kinds says: "cell" only with an LSTM.

    Every network says all others, "state" among them.
    """
    names = ("activation", "state", "gate", "readout", "preactivation")
    states = {KINDS[kind].state for kind in kinds if isinstance(kind, str) and kind in KINDS}
    return (*names, *sorted(state for state in states - {*names} if state is not None))

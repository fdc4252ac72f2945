"""What readers are given, what they make of it, and the recurrent parts that a file has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from golden.errors import refusal
from train.importers.suspicion import LINE, listed, one_line, quoted
from train.quantised.float_network import FloatNetwork


@dataclass(frozen=True)
class Given:
    """A file to read.

    Attributes
    ----------
    content
        All of it.
    source
        What errors begin with.
    path
        Where it lies: a graph may have its tensors in a file beside it.
    nodes
        The parts to take alone, from the frames on; none: the whole network.
    """

    content: bytes
    source: str
    path: Path
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """A network, and what of the file is not in it.

    Attributes
    ----------
    left
        Operations behind the network, which are left to the host.
    fed
        What feeds a part that was cut out, where the file names it.
    states
        Inputs of the file that are states, which are 0 at reset.
    """

    network: FloatNetwork
    left: tuple[str, ...] = ()
    fed: str | None = None
    states: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A recurrent part of a file.

    Attributes
    ----------
    name
        What --node takes.
    kind
        GRU, LSTM, or whatever else it is called.
    inputs, units
        Of its first and of its last layer; None where the file does not say.
    layers
        How many lie one above the other.
    direction
        forward, reverse or bidirectional.
    problem
        Why it cannot be imported; None where it can.
    """

    name: str
    kind: str
    inputs: int | None
    units: int | None
    layers: int
    direction: str
    problem: str | None


def problem_of(make: Callable[[], object], name: str) -> str | None:
    """Why ``make`` refuses the part ``name``, without that name."""
    try:
        make()
    except ValueError as error:
        return one_line(str(error).removeprefix(name).lstrip(":, "), LINE)
    return None


def require_known(
    nodes: Sequence[str], known: Sequence[str], source: str, listing: Sequence[str] | None = None
) -> None:
    """Refuses names of which there is not exactly one in the file, and one given twice.

    ``listing`` are those worth naming, where they are not all of ``known``.
    """
    for n, node in enumerate(nodes):
        if node in nodes[:n]:
            raise refusal(source, f"node {quoted(node)} named twice", "each once")
        if known.count(node) != 1:
            found = "several nodes" if node in known else "no node"
            there = dict.fromkeys(known if listing is None else listing)
            raise refusal(source, f"{found} {quoted(node)}", f"one of {listed(there, 4)}")


def require_order(nodes: Sequence[str], order: Sequence[str], source: str) -> None:
    """Refuses names in another order than the network's, which is from the frames on."""
    if list(nodes) != list(order):
        found, expected = (listed(names, 4) for names in (nodes, order))
        raise refusal(source, f"nodes in the order {found}", f"that of the network: {expected}")

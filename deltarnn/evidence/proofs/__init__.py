"""Proofs of the parts of a core, each with faults planted in the part, which it has to find."""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from deltarnn.evidence.proofs.registry import PROOFS, Proof
from deltarnn.evidence.proofs.solver import Answer, ask
from deltarnn.markdown import lines

FULL = 1.0


def measure(say: Callable[[str], None], share: float = FULL) -> dict:
    """Every proof as far as it goes, or, for a ``share`` below 1, as far as the tests go.

    A result is ``proofs``, by name, each with its twins; and ``seconds``. Raises RuntimeError where
    a solver finds no answer.
    """
    began = time.monotonic()
    found = {}
    for name, proof in PROOFS.items():
        depth = proof.deep if share >= FULL else proof.depth
        found[name] = _measured(proof, depth)
        say(f"{name}: {found[name]['seconds']} s")
    return {"proofs": found, "seconds": round(time.monotonic() - began)}


def short(result: dict) -> str | None:
    """The proofs that do not hold, or of which a twin does."""
    proofs = result["proofs"].items()
    wrong = [name for name, each in proofs if not each["holds"] or None in each["twins"].values()]
    return ", ".join(wrong) or None


def _measured(proof: Proof, depth: int | None) -> dict:
    answer = _asked(proof.claim, depth)
    twins = {fault: _asked(claim, proof.fault) for fault, claim in proof.twins.items()}
    return {
        "part": proof.part,
        "states": proof.states,
        "cycles": depth,
        "holds": answer.holds,
        "seconds": round(answer.seconds, 1),
        "twins": {fault: None if each.holds else each.cycles for fault, each in twins.items()},
    }


def _asked(claim: Callable, depth: int | None) -> Answer:
    with TemporaryDirectory() as folder:
        return ask(claim(), Path(folder), depth)


def found(result: dict) -> str:
    """What was found, in a line."""
    proofs = result["proofs"].values()
    hold = sum(each["holds"] for each in proofs)
    always = sum(each["cycles"] is None for each in proofs)
    return f"{hold} of {len(proofs)} proofs about parts of the core hold, {always} for all time"


def section(result: dict) -> str:
    """The proofs as a table, with what they leave out and what they have found."""
    proofs = result["proofs"]
    always = sum(each["cycles"] is None for each in proofs.values())
    twins = [cycle for each in proofs.values() for cycle in each["twins"].values()]
    table = lines(
        ("part", "what holds", "how far", "seconds", "faults found"),
        [
            (
                f"`{each['part']}`",
                each["states"].replace("|", "\\|"),
                "always" if each["cycles"] is None else f"{each['cycles']} cycles",
                str(each["seconds"]),
                f"{sum(c is not None for c in each['twins'].values())} of {len(each['twins'])}",
            )
            for each in proofs.values()
        ],
    )
    return f"""\
## Proofs

A solver chooses every input of a part in every cycle, within what the part's neighbours promise,
and looks for a way to break an assertion. {always} of {len(proofs)} proofs hold for all time: the
solver found an invariant (property-directed reachability). The others hold in so many cycles after
reset. Each has twins: the same part with one line of its source, or one parameter, changed. The
solver broke {sum(cycle is not None for cycle in twins)} of {len(twins)} of them. So the assertions
can fail, and what is assumed leaves room for that.

{table}

All took {result["seconds"]} s.

What they leave out: parts are small instances, with few bits, units and columns. The engine's
proofs leave the sums and the cells open, so that they hold for whatever these make, as late as they
make it; they say nothing of values. The gate may take back what it has offered, between two frames.
The solver is the ABC inside Yosys; in the tests z3 judges two of its proofs and their twins.

What they have found: no fault in the present source. An engine of two recurrent layers, several
units a cycle and thresholds that differ by layer once waited for ever, because all vectors of an
event path shared one half. That fault is among the twins of the event path and of the engine. The
engine's proof also finds it in the source of then: with commit ceefa95, the one before the fix, a
frame does not end within 100 cycles, which shows after 224 cycles and took 21 s to find. With
db63a64, the fix, the same search finds nothing in 240 cycles. Both took what comes after a rest as
the same in every cycle.
"""

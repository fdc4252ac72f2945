"""What the parts of a core promise is proved, and each proof finds the faults planted for it."""

import pytest

from deltarnn.evidence.proofs.claim import variant
from deltarnn.evidence.proofs.registry import PROOFS
from deltarnn.evidence.proofs.solver import ask
from hw.bus.skid import Skid

SLOW = {"every frame ends", "every frame ends, after a rest", "accumulators", "event path"}
TWINS = [(name, fault) for name, proof in PROOFS.items() for fault in proof.twins]


def marked(name):
    return (pytest.mark.slow,) if name in SLOW else ()


@pytest.mark.parametrize("name", [pytest.param(n, marks=marked(n), id=n) for n in PROOFS])
def test_it_holds(name, tmp_path):
    proof = PROOFS[name]
    assert ask(proof.claim(), tmp_path, proof.depth).holds


@pytest.mark.parametrize(
    ("name", "fault"),
    [pytest.param(*pair, marks=marked(pair[0]), id=": ".join(pair)) for pair in TWINS],
)
def test_a_fault_is_found(name, fault, tmp_path):
    proof = PROOFS[name]
    assert not ask(proof.twins[fault](), tmp_path, proof.fault).holds


def test_a_fault_is_one_line_of_the_part():
    with pytest.raises(ValueError, match=r"skid\.py, 'no such line': found 0 times, expected once"):
        variant(Skid, ("no such line", ""))
    with pytest.raises(ValueError, match=r"skid\.py, Memory: found no such name"):
        variant(Skid, Memory=None)

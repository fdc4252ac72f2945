"""What the parts of a core promise is proved, and each proof finds the faults planted for it."""

import json
from pathlib import Path

import numpy as np
import pytest

from deltarnn.evidence.proofs import section, short
from deltarnn.evidence.proofs.claim import variant
from deltarnn.evidence.proofs.registry import PROOFS
from deltarnn.evidence.proofs.solver import ask, ask_again
from golden.fixed import Q
from golden.formats import Formats
from golden.model import WEIGHTS, accumulator_width
from hw.bus.skid import Skid

DOCS = Path(__file__).parents[1] / "docs"
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


@pytest.mark.parametrize("name", ["skid", "event path"])
def test_another_solver_says_the_same(name, tmp_path):
    proof = PROOFS[name]
    assert ask_again(proof.claim(), tmp_path, 10)
    for twin in proof.twins.values():
        assert not ask_again(twin(), tmp_path, 10)


def test_a_bound_on_frames_is_looked_at_beyond_itself():
    """Within fewer cycles than a frame may take no frame could be late."""
    assert PROOFS["every frame ends"].depth > 56 + 20
    assert PROOFS["every frame ends, after a rest"].depth > 80 + 100


def test_what_is_measured_is_what_is_proved():
    result = json.loads((DOCS / "evidence" / "proofs.json").read_text())
    measured = {n: (each["states"], each["cycles"]) for n, each in result["proofs"].items()}
    assert measured == {name: (proof.states, proof.deep) for name, proof in PROOFS.items()}
    twins = {(name, fault) for name, each in result["proofs"].items() for fault in each["twins"]}
    assert twins == set(TWINS)
    assert short(result) is None
    rows = [row for row in section(result).splitlines() if row.startswith(("| `hw/", "| `boards/"))]
    assert len(rows) == len(PROOFS)


def test_the_width_that_is_derived_is_the_one_that_is_proved():
    """|bias| + (|w_0| + |w_1|) 2^(m+f) < 2^(bits-1): as far as that, and not a bit less."""
    formats = Formats(activation=Q(0, 1), cell=Q(0, 1))

    def width(bias: int, w_x: int, w_h: int) -> int:
        column = np.array([[w_x], [0], [0]], dtype=np.int8)
        row = np.array([[w_h], [0], [0]], dtype=np.int8)
        biases = np.array([bias, 0, 0, 0], dtype=np.int32)
        return accumulator_width(formats, (WEIGHTS["gru"](column, row, biases),))

    assert width(3, -3, 3) == 5  # 3 + (3 + 3) * 2 = 15
    assert width(-4, 3, -3) == 6  # 16


def test_a_fault_is_one_line_of_the_part():
    with pytest.raises(ValueError, match=r"skid\.py, 'no such line': found 0 times, expected once"):
        variant(Skid, ("no such line", ""))
    with pytest.raises(ValueError, match=r"skid\.py, Memory: found no such name"):
        variant(Skid, Memory=None)

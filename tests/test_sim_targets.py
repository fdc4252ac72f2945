"""The configurations of test_sim_equality.py again, made of one family's cells or the other's.

In the harness, so that all of them can be had, and wide cores too; in Icarus, where what has no
value stays without one and spreads, a few small ones. Lanes and activations are dealt out to the
configurations in turn.
"""

from dataclasses import replace

import pytest

from boards.family.targets import TARGETS
from sim.fast.harness import Harness
from sim.simulators import SIMULATORS
from tests.test_sim_equality import CONFIGURATIONS, equals_golden

pytestmark = pytest.mark.slow  # minutes of simulations and syntheses


# (lanes, activations). An UP5K has eight multipliers; models of more lanes take long to compile.
SHAPES = {
    "up5k": [(8, 4), (1, 1), (4, 2), (8, 1), (3, 1), (8, 2), (4, 4), (2, 1)],
    "ecp5": [(6, 2), (4, 4), (1, 1), (5, 1), (4, 1), (8, 2), (2, 2), (3, 1)],
}
WIDE = {
    "odd sizes": ("generic", 64, 1),
    "H a multiple of P": ("generic", 64, 4),
    "narrow formats": ("generic", 32, 2),
    "saturating inputs": ("ecp5", 16, 4),
    "left shift of the readout": ("ecp5", 32, 2),
}
SMALL = {
    "one unit, lanes above": ("up5k", 3, 1),
    "results several in a beat": ("up5k", 4, 2),
    "thresholds large": ("ecp5", 2, 2),
}


def case(name, target, lanes, activations):
    changed = replace(CONFIGURATIONS[name], lanes=lanes, activations=activations)
    shape = f"{target}, {lanes} lanes, {activations} at once"
    return pytest.param(changed, TARGETS[target], id=f"{name}, {shape}")


DEALT = [
    case(name, target, *SHAPES[target][n // 2 % len(SHAPES[target])])
    for n, name in enumerate(CONFIGURATIONS)
    for target in [list(SHAPES)[n % 2]]
]


@pytest.mark.parametrize(
    ("configuration", "choice"), [*DEALT, *(case(name, *shape) for name, shape in WIDE.items())]
)
def test_equals_golden_in_the_harness(configuration, choice):
    equals_golden(configuration, Harness(optimised=False), choice)


@pytest.mark.parametrize(
    ("configuration", "choice"), [case(name, *shape) for name, shape in SMALL.items()]
)
def test_equals_golden_in_icarus(configuration, choice):
    equals_golden(configuration, SIMULATORS["icarus"], choice)

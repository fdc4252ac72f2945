"""Every configuration of test_sim_equality.py again, made of each family's cells.

In the harness, so that all of them can be had; in Icarus, where what has no value stays without one
and spreads, a few. Lanes and activations are dealt out to the configurations in turn.
"""

from dataclasses import replace

import pytest

from boards.targets import TARGETS
from sim.harness import Harness
from sim.simulators import SIMULATORS
from tests.test_sim_equality import CONFIGURATIONS, equals_golden

# (lanes, activations): as many lanes as an UP5K has multipliers, and on an ECP5 many more.
SHAPES = {
    "generic": [(4, 2), (16, 4), (64, 1), (2, 2), (32, 2)],
    "up5k": [(8, 4), (1, 1), (4, 2), (8, 1), (3, 1), (8, 2), (4, 4), (2, 1)],
    "ecp5": [(16, 4), (64, 2), (1, 1), (8, 2), (32, 1), (5, 1), (64, 4), (4, 4), (12, 2), (2, 2)],
}


def dealt(target):
    """Name and configuration of each, in the shape whose turn it is."""
    for n, (name, configuration) in enumerate(CONFIGURATIONS.items()):
        lanes, activations = SHAPES[target][n % len(SHAPES[target])]
        shape = f"{target}, {lanes} lanes, {activations} at once"
        changed = replace(configuration, lanes=lanes, activations=activations)
        yield pytest.param(changed, TARGETS[target], id=f"{name}, {shape}")


@pytest.mark.parametrize(
    ("configuration", "choice"), [case for target in ("up5k", "ecp5") for case in dealt(target)]
)
def test_equals_golden_in_the_harness(configuration, choice):
    equals_golden(configuration, Harness(), choice)


@pytest.mark.parametrize(
    ("configuration", "choice"),
    [*list(dealt("generic"))[:10:2], *list(dealt("up5k"))[::6], *list(dealt("ecp5"))[::6]],
)
def test_equals_golden_in_icarus(configuration, choice):
    equals_golden(configuration, SIMULATORS["icarus"], choice)

import pytest

from sim.simulators import SIMULATORS
from sim.sweep import POINTS, WARM_UP, Shape, sweep


@pytest.mark.slow
def test_a_small_sweep_goes_from_all_to_nothing():
    shape = Shape("small", (6, 8), 3, 4)
    rows = sweep(shape, SIMULATORS["icarus"], seed=1, length=WARM_UP + 2)
    assert len(rows) == len(POINTS)
    assert rows[0]["occupancy"] > 0.5
    assert rows[-1]["events"] == 0
    assert rows[-1]["cycles"] < rows[0]["cycles"]
    # Some slots of the first of the two frames that count may lie in a wait of the one before,
    # which is no longer than 24 cycles.
    assert all(row["ideal_cycles"] <= row["cycles"] + 24 / 2 for row in rows)
    assert all(row["utilisation"] >= 0 for row in rows)

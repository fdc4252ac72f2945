import pytest

import boards.family.ecp5
from boards.family.chip import ECP5
from boards.flow.synthesis import synthesise
from golden.parameters import CoreParameters
from sim.outside import emit_outside
from tests.networks import random_model


@pytest.mark.slow
def test_a_core_with_its_weights_outside_is_mapped_in_stages():
    model = random_model((5, 9))
    emission = emit_outside(CoreParameters(model.parameters, 6), model, boards.family.ecp5.ECP5)
    netlist = synthesise(emission, ECP5)
    outside = [kind for _, kind in netlist.cells if "weights_outside" in kind]
    assert len(outside) == 2  # four lanes, and two more
    assert netlist.area["dsp"] == 6 + 2

"""Cores with their weights outside, as they are emitted, beside memories that wait."""

from dataclasses import replace

import pytest

from boards.family.targets import TARGETS
from golden.parameters import CoreParameters
from hw.emit.verilog import TOP, emit
from hw.target import GENERIC
from hw.walk.column_layout import ColumnLayout
from sim.fast.harness import Harness
from sim.memory import Memory
from sim.simulate import simulate
from sim.simulators import SIMULATORS
from tests.networks import random_frames, random_model

QUICK = Harness(optimised=False)
MEMORIES = {
    "a word a cycle": Memory(),
    "far away": Memory(latency=40),
    "slow now and then": Memory(latency=3, stalls=0.7, seed=5),
}


def played(model, core, target, memory, simulator, *, models="", length=24):
    """What came of two sequences; every bit of them is golden's."""
    emission = memory.beside(emit(core, model, target.with_columns()))
    sequences = [random_frames(model, length, seed=n, moving=0.4) for n in range(2)]
    result = simulate(core, model, sequences, simulator, emission=emission, models=models)
    assert result.mismatch is None
    return result


@pytest.mark.parametrize("name", ["icarus", "verilator"])
@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES)
def test_on_both_simulators(name, memory):
    model = random_model((4, 9, 5), 3, kinds=("gru", "lstm"), theta=[(1, 3), (2, 5), (3, 0)])
    core = CoreParameters(model.parameters, 2, 2)
    played(model, core, GENERIC, memory, SIMULATORS[name])


@pytest.mark.parametrize("target", TARGETS)
def test_of_every_target(target):
    model = random_model((5, 7, 6), 2, kinds=("lstm", "gru"), theta=(1, 2), shifts=2)
    core = CoreParameters(model.parameters, 4, 2)
    choice = TARGETS[target]
    memory = MEMORIES["slow now and then"]
    played(model, core, choice.target, memory, QUICK, models=choice.cells.models())


def test_several_streams():
    model = random_model((3, 6, 5), 3, theta=(1, 2))
    core = CoreParameters(model.parameters, 2, 1, 3)
    played(model, core, GENERIC, MEMORIES["slow now and then"], QUICK)


def test_a_memory_that_never_waits_leaves_few_cycles_over():
    """Besides the units of two layers, 2 * 4 * H / P, and the way from one to the other."""
    model = random_model((24, 96, 96), kinds=("gru",), theta=(0, 14), scale=20)
    core = CoreParameters(model.parameters, 2)
    result = played(model, core, GENERIC, MEMORIES["a word a cycle"], QUICK)
    lost = (result.cycles - result.ideal)[result.steady]
    assert lost.min() >= 2 * 4 * 48
    assert lost.max() < 2 * 4 * 48 + 60


def test_the_core_is_in_it_word_by_word():
    model = random_model((3, 4), 2)
    core = CoreParameters(model.parameters, 2)
    emission = emit(core, model, GENERIC.with_columns())
    whole = Memory().beside(emission)
    renamed = emission.verilog.replace(f"module {TOP}(", f"module {TOP}_inside(")
    assert whole.verilog.startswith(renamed)
    assert emission.weights == ColumnLayout(core).weight_words(model).astype("i1").tobytes()
    layer = model.parameters.layers[0]
    assert core.column_bytes == tuple(e["bytes_per_event"] for e in emission.manifest["layers"])
    assert core.column_bytes[0] == layer.gates * layer.units


def test_weights_of_another_model_are_seen():
    """What is compared does come from the memory."""
    model, other = random_model((3, 6), 2, theta=(0, 0)), random_model((3, 6), 2, seed=9)
    core = CoreParameters(model.parameters, 2)
    emission = emit(core, model, GENERIC.with_columns())
    wrong = ColumnLayout(core).weight_words(other).astype("i1").tobytes()
    whole = Memory().beside(replace(emission, weights=wrong))
    sequences = [random_frames(model, 6)]
    assert simulate(core, model, sequences, QUICK, emission=whole).mismatch is not None


def test_what_is_no_memory_is_refused():
    model = random_model((3, 4))
    emission = emit(CoreParameters(model.parameters, 2), model)
    with pytest.raises(ValueError, match="weights: found inside"):
        Memory().beside(emission)
    for name, value in {"latency": -1, "stalls": 1.0, "seed": 0}.items():
        with pytest.raises(ValueError, match=f"{name}: found {value}"):
            Memory(**{name: value})

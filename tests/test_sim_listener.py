"""From a microphone's bits to a word: the Verilog of a whole listener against golden."""

import numpy as np
import pytest

from boards.family.targets import TARGETS
from golden.network import run_sequences
from golden.parameters import CoreParameters
from golden.sound.decision import NOTHING, Decision
from golden.sound.front_end import FrontEnd
from golden.sound.modulator import modulated
from hw.emit.verilog import weight_bytes
from hw.sound.listener import Listener
from hw.sound.path import SoundPath
from sim.fast.listener import frames_of, listen
from tests.networks import random_model

FRONT = FrontEnd(bands=16, floor=12, gains=tuple(range(30, 62, 2)))
LANES = 4


def recording() -> np.ndarray:
    """A quarter of a second of chirps, loud and soft, as a microphone's bits."""
    t = np.arange(4000) / 16000
    sweep = np.sin(2 * np.pi * (200 + 6000 * t) * t) * (1 + np.sin(50 * t)) * 0.3
    noise = np.random.default_rng(1).normal(size=len(t)) * 0.003
    return modulated(np.rint((sweep + noise) * 32768).astype(np.int64), 192)


def test_every_element_of_the_whole_front_end_is_goldens():
    """All 32 bands at their own rates, as fast as a UP5K's 24 MHz are."""
    front, bits = FrontEnd().scaled(np.linspace(0.3, 1.2, 32)), recording()
    found = frames_of(SoundPath(front), front, bits, 8)
    wanted = front.frames(bits)
    np.testing.assert_array_equal(found, wanted[: len(found)])
    assert len(found) == len(wanted) - 1  # the last one leaves while the next would come
    assert (wanted.max(axis=0) > 20).all()  # no band is left out


@pytest.mark.parametrize("name", ["generic", "up5k"])
def test_every_word_is_goldens(name):
    model = random_model((16, 12), 4, seed=3, theta=(3, 2))
    network = model.parameters
    decision = Decision(
        classes=4, background=1, result_width=network.output_width, smoothing=1, pause=1
    )
    core, target = CoreParameters(network, LANES), TARGETS[name].target
    listener = Listener(FRONT, core, model, decision, target)
    bits = recording()
    heard = listen(
        listener,
        bits,
        4,
        weights=weight_bytes(core, model, target) if target.loads else None,
        models=TARGETS[name].cells.models() if target.loads else "",
    )
    (trace,) = run_sequences(model, [FRONT.frames(bits)])
    told = decision.words(trace.outputs)[:-1]  # the last frame has no time to get through
    wanted = [(n, word) for n, word in enumerate(told.tolist()) if word != NOTHING]
    frame = FRONT.decimation * FRONT.hop
    assert [(at // frame - 1, word) for at, word in heard.words] == wanted
    assert len({word for _, word in wanted}) > 1
    assert (heard.dropped, heard.lost) == (0, 0)


def test_what_does_not_fit_is_refused():
    model = random_model((16, 4), 3)
    core = CoreParameters(model.parameters, 2)
    decision = Decision(classes=3, background=0, result_width=model.parameters.output_width)
    with pytest.raises(ValueError, match="bands of a listener: found 32, expected 16"):
        Listener(FrontEnd(), core, model, decision)
    decision = Decision(classes=2, background=0, result_width=model.parameters.output_width)
    with pytest.raises(ValueError, match="classes of a listener: found 2, expected 3"):
        Listener(FRONT, core, model, decision)

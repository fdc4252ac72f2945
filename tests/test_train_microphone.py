"""Recordings as the front end on the chip hears them, many side by side."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("soundfile")

from golden.sound.front_end import FrontEnd
from golden.sound.modulator import FULL, modulated
from train.data import microphone
from train.data.audio import RATE
from train.data.microphone import Microphone


def speech(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    return 0.3 * np.sin(2 * np.pi * rng.uniform(200, 3000) * t) + 0.01 * rng.normal(size=len(t))


def test_each_recording_is_heard_by_itself(monkeypatch):
    """Whatever lies beside it, and however many are heard at once."""
    recordings = [speech(0.02 * n, n) for n in (5, 2, 9, 1, 4)]
    heard = Microphone()
    wanted = [heard.of([recording])[0] for recording in recordings]
    assert [len(frames) for frames in wanted] == [10, 4, 18, 2, 8]
    monkeypatch.setattr(microphone, "BATCH", 2)
    for frames, expected in zip(heard.of(recordings), wanted, strict=True):
        np.testing.assert_array_equal(frames, expected)


def test_they_are_the_logarithms_of_what_a_microphone_hears():
    """Through a modulator's bits, once its first samples are over: within a few hundredths."""
    recording = speech(0.12, 3)
    heard = Microphone()
    bits = modulated(heard.pcm(recording), 96)
    through = heard.front.logarithms(heard.front.envelopes(heard.front.samples(bits)))
    apart = through / 2**heard.front.log_frac - heard.of([recording])[0]
    assert np.abs(apart[2:]).max() < 0.1


def test_full_scale_is_full_scale():
    pcm = Microphone().pcm(np.sin(np.arange(RATE) / 3) * 2)
    assert (pcm.max(), pcm.min()) == (FULL, -FULL)
    with pytest.raises(ValueError, match=r"rate: found 17000\.0, expected a multiple of 8000"):
        Microphone(replace(FrontEnd(), pdm_rate=17_000 * 192), 1).pcm(np.zeros(3))

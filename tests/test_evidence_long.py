"""Long runs and rough input: what they find where there is something to find."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")  # what the generators of malformed files need
pytest.importorskip("h5py")

from boards.link.protocol import Decoder
from deltarnn.evidence import kills, long_run, rough
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from tests.networks import random_frames, random_model

DOCS = Path(__file__).parents[1] / "docs/evidence"
MODEL = random_model((3, 5), 2, kinds=("lstm",), shifts=3, theta=(1, 2))


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_accumulators_are_exact_and_one_that_is_not_is_found(kind):
    network = DeltaNetwork(random_model((3, 5, 4), 2, kinds=(kind,), shifts=2), 2)
    network.run(np.stack([random_frames(network.model, 30, seed=n) for n in (1, 2)]))
    assert long_run._require_exact(network) == 2 * (4 * 5 + 4 * 4 + 2)
    network.layers[1].m[1, -1, 0] += 1
    with pytest.raises(RuntimeError, match="layer 1: M is not"):
        long_run._require_exact(network)


def test_walks_stand_still_and_reach_both_ends():
    frames = long_run.walk(np.random.default_rng(1), 5000, CoreParameters(MODEL.parameters))
    moved = (np.diff(frames.astype(int), axis=0) != 0).any(axis=1)
    assert 0.1 < moved.mean() < 0.9
    assert frames.min() < -120
    assert frames.max() > 120


@pytest.mark.slow
def test_a_difference_is_found_in_a_long_run(monkeypatch):
    found = long_run._measured("small", MODEL, 600, lambda _: None)
    assert found["frames"] == 600 * long_run.RECORDINGS
    assert found["events"] > 1000
    real = long_run._golden

    def wrong(network, recordings):
        for n, trace in enumerate(real(network, recordings)):
            trace.outputs[3, 0, 1] += n == 5
            yield trace

    monkeypatch.setattr(long_run, "_golden", wrong)
    with pytest.raises(RuntimeError, match="recording 3, from frame "):
        long_run._measured("small", MODEL, 600, lambda _: None)


@pytest.mark.parametrize("kind", ["link packets", "model files", "recordings"])
def test_malformed_input_is_read_or_refused(kind):
    found = rough._KINDS[kind](60)
    assert set(found) == {"accepted", "refused"}
    assert found.total() == 60


def test_what_is_no_refusal_is_a_violation(monkeypatch):
    def fails(error):
        raise error

    assert rough._outcome(lambda: fails(ValueError("a: found b, expected c"))) == "refused"
    assert rough._outcome(lambda: fails(ValueError("bad"))) == "said 'bad'"
    assert rough._outcome(lambda: fails(KeyError("x"))).startswith("KeyError")

    class Deaf(Decoder):
        """Takes a packet for another one."""

        def take(self, line):
            return [replace(packet, kind=9) for packet in super().take(line)]

    monkeypatch.setattr(rough, "Decoder", Deaf)
    assert any(what.startswith("heard") for what in rough._KINDS["link packets"](20))


WRITES = """
import sys, time
from pathlib import Path
text = sys.argv[1] * 1000
if sys.argv[2] == "aside":
    Path("part").write_text(text)
    time.sleep(0.1)
    Path("part").replace("out")
else:
    with open("out", "w", buffering=1) as file:
        file.write(text[:500])
        file.flush()
        time.sleep(0.1)
        file.write(text[500:])
"""


@pytest.mark.parametrize("how", ["aside", "in place"])
def test_a_file_that_is_not_whole_is_found(how, tmp_path):
    call = kills.Call(WRITES, ["x", how], (), {"out": kills._other}, lambda _: "writing")
    found = kills._killed(call, tmp_path, 12)
    assert found.kills == {"writing": 12}
    assert bool(found.violations) == (how == "in place")


def test_what_a_tool_did_is_played_back(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    count = "open('calls','a').write('x'); open('out','w').write(open('in').read()*2)"
    tool = kills.Tool(sys.executable, "none", minimum=None)
    object.__setattr__(tool, "command", lambda: [sys.executable, "-c", count])
    kills._shim(tmp_path / "tool", tool, tmp_path / "kept")
    (place / "in").write_text("ab")
    for _ in range(2):
        (place / "calls").unlink(missing_ok=True)
        (place / "out").unlink(missing_ok=True)
        kills.subprocess.run([tmp_path / "tool"], cwd=place, check=True)
        assert (place / "out").read_text() == "abab"
    assert len(list((tmp_path / "kept").iterdir())) == 1


@pytest.mark.parametrize("module", [long_run, rough, kills])
def test_sections_say_what_was_measured(module):
    name = module.__name__.rpartition(".")[2]
    text = module.section(json.loads((DOCS / f"{name}.json").read_text()))
    assert text.startswith("## ")
    assert text.count("\n|") > 3

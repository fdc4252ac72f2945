"""The main job through the front door, as a newcomer would run it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from deltarnn.demo import held_out
from golden.network import DeltaNetwork
from tests.slow import every

COMMAND = [sys.executable, "-c", "from deltarnn.command import main; main()"]


def deltarnn(*words, status=0):
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


def test_demo_shows_equality_and_saves_cycles():
    report = json.loads(deltarnn("demo", "--json"))
    assert report["equal"] is True
    assert report["frames"] == 1153
    assert report["words_compared"] > 100_000
    assert report["accuracy"] == pytest.approx(71 / 74)
    assert report["speedup_over_dense"] > 4.5
    assert report["utilisation"] > 0.75
    assert report["weight_fetches"] * 2 < report["weight_fetches_dense"]
    assert report["cells"]["iCE40 UP5K"]["lut"] > 1000


@pytest.mark.slow
def test_demo_table_ends_in_one_line():
    lines = deltarnn("demo", "--lanes", 16).strip().splitlines()
    assert "all equal" in "".join(lines)
    assert lines[-1].startswith("Every bit equal, ")


@pytest.mark.parametrize("simulator", [pytest.param("icarus", marks=pytest.mark.slow), "verilator"])
def test_simulate_writes_what_the_rtl_did(simulator, tmp_path):
    model, utterances, _ = held_out()
    frames = np.concatenate(utterances[:2])
    np.save(tmp_path / "frames.npy", frames)
    path = model_path()
    out = tmp_path / "out.npz"
    words = ("simulate", path, tmp_path / "frames.npy", "-o", out, "--json")
    report = json.loads(deltarnn(*words, "--simulator", simulator))
    trace = DeltaNetwork(model).run(frames)
    with np.load(out, allow_pickle=False) as arrays:
        assert set(arrays) == {"outputs", "state", "events_x", "events_h", "cycles"}
        assert np.array_equal(arrays["outputs"], trace.outputs)
        assert np.array_equal(arrays["state"], trace.state)
        assert np.array_equal(arrays["events_x"], trace.events_x)
        assert np.array_equal(arrays["events_h"], trace.events_h)
        assert arrays["cycles"].shape == (len(frames),)
        assert arrays["cycles"][1:].mean() == pytest.approx(report["cycles_per_frame"])
    assert report["equal"] is True
    assert report["simulator"] == simulator


@pytest.mark.parametrize(
    ("simulator", "suffix", "begin"),
    every(
        2,
        [("icarus", "vcd", b"$date"), ("icarus", "fst", b"\0"), ("verilator", "vcd", b"$version")],
    ),
)
def test_simulate_writes_waves(simulator, suffix, begin, tmp_path):
    _, utterances, _ = held_out()
    np.save(tmp_path / "frames.npy", utterances[0][:2])
    waves = tmp_path / f"waves.{suffix}"
    words = ("simulate", model_path(), tmp_path / "frames.npy", "--waves", waves)
    deltarnn(*words, "--simulator", simulator)
    assert waves.stat().st_size > 1000
    assert waves.read_bytes().startswith(begin)


def model_path():
    from importlib.resources import files

    return files("models") / "japanese_vowels.safetensors"

"""The page's integer model, golden.js under Node.js, equals golden in every bit."""

from pathlib import Path

import numpy as np
import pytest

from deltarnn.report.data import model_record, packed
from golden.fixed import Q
from golden.formats import Formats
from golden.model import Model
from golden.model_file import load_model
from golden.network import DeltaNetwork
from golden.recordings import load
from tests.javascript import said_by
from tests.networks import provoking_frames, random_formats, random_frames, random_model
from tests.slow import quick

ROOT = Path(__file__).parents[1]

DRIVER = """
for (const { model, bits, frames, thresholds } of given) {
  const ready = decoded(model);
  const words = integers(frames, bits === 8 ? Int8Array : Int16Array);
  const trace = runNetwork(ready, words, thresholds ?? ownThresholds(ready));
  say({ ...trace, wide: arithmeticOf(ready) === BIGINTS });
}
"""

Case = tuple[Model, np.ndarray, list[list[int]] | None]


def traces(cases: list[Case]) -> list[dict]:
    """What golden.js does with frames [T, I] at thresholds, where there are some, else its own."""
    said = [
        {
            "model": model_record(model),
            "bits": 8 * frames.dtype.itemsize,
            "frames": packed(frames, f"<i{frames.dtype.itemsize}"),
            "thresholds": thresholds,
        }
        for model, frames, thresholds in cases
    ]
    return said_by(("golden.js",), DRIVER, said)


def assert_equal(case: Case, found: dict) -> None:
    model, frames, thresholds = case
    network = DeltaNetwork(model)
    for layer, pair in zip(network.layers, thresholds or [], strict=thresholds is not None):
        layer.theta_x = pair[0]
        if hasattr(layer, "theta_h"):
            layer.theta_h = pair[1]
    expected = network.run(frames)

    def same(name: str, text: str, array: np.ndarray) -> None:
        values = np.array(text.split(), dtype=np.int64)
        assert (values == array.ravel()).all(), name

    same("outputs", found["outputs"], expected.outputs)
    for name, arrays in (("states", expected.states), ("deltasX", expected.deltas_x)):
        assert len(found[name]) == len(arrays)
        for k, array in enumerate(arrays):
            same(f"{name} {k}", found[name][k], array)
    for k, array in enumerate(expected.deltas_h):
        same(f"deltasH {k}", found["deltasH"][k], array)


KINDS = {"GRUs": ("gru",), "LSTMs": ("lstm",), "both": ("lstm", "gru")}


def random_cases(kinds: tuple[str, ...], seed: int, count: int) -> list[Case]:
    rng = np.random.default_rng(seed)
    cases: list[Case] = []
    for n in range(count):
        formats = random_formats(rng) if n % 3 else Formats()
        most = 1 << formats.activation.width
        theta = [0, 1, int(rng.integers(most)), most, 10**30][n % 5]
        sizes = tuple(int(size) for size in rng.integers(1, 8, int(rng.integers(2, 5))))
        model = random_model(
            sizes,
            outputs=int(rng.integers(1, 5)) if n % 2 else None,
            kinds=kinds,
            seed=int(rng.integers(1 << 30)),
            formats=formats,
            theta=(theta, int(rng.integers(4))),
            scale=int(rng.integers(1, 129)),
            shifts=n % 4,
        )
        saturating = random_frames(model, 40, seed=n, saturating=True)
        frames = [saturating, *(provoking_frames(model, 80, rng) for _ in range(2))]
        cases.append((model, np.concatenate(frames), None))
        others = [[int(rng.integers(4)), int(rng.integers(4))] for _ in model.weights]
        cases.append((model, frames[1], others))
    return cases


@pytest.mark.parametrize("kinds", quick(KINDS, KINDS))
def test_random_networks_do_the_same_in_javascript(kinds):
    cases = random_cases(kinds, seed=len(kinds), count=14)
    assert sum(len(frames) for _, frames, _ in cases) > 3500
    for case, found in zip(cases, traces(cases), strict=True):
        assert_equal(case, found)


WIDE = {
    "a wide gate": Formats(gate=Q(1, 26), readout=Q(7, 20), state=Q(3, 18), cell=Q(3, 18)),
    "a wide state": Formats(state=Q(20, 30), gate=Q(1, 6), cell=Q(18, 30)),
    "a wide read-out": Formats(readout=Q(22, 25)),
    "16 bits": Formats(activation=Q(5, 10), preactivation=Q(4, 11), gate=Q(1, 14), state=Q(3, 14)),
    "few bits": Formats(
        activation=Q(0, 1), preactivation=Q(0, 1), gate=Q(1, 0), state=Q(0, 0), readout=Q(0, 0)
    ),
}


def test_formats_of_any_width_do_the_same():
    """Where a step has more bits than a Number holds, BigInts take over."""
    cases: list[Case] = []
    for formats in WIDE.values():
        for kinds in KINDS.values():
            model = random_model((3, 5, 4), 2, kinds=kinds, formats=formats, shifts=2)
            low, high = formats.activation.min, formats.activation.max
            rng = np.random.default_rng(2)
            frames = rng.integers(low, high + 1, (60, 3)).astype(np.int16)
            cases.append((model, frames, None))
    found = traces(cases)
    for case, each in zip(cases, found, strict=True):
        assert_equal(case, each)
    wide = [each["wide"] for each in found]
    assert wide == [True] * 9 + [False] * 6


SHIPPED = ("japanese_vowels", "japanese_vowels_eight")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_do_the_same(name):
    model = load_model(ROOT / f"models/{name}.safetensors")
    frames = load(ROOT / f"models/{name}.frames.npz").frames(model)
    cases: list[Case] = [(model, each, None) for each in frames]
    cases += [(model, each, [[0, 0]] * len(model.weights)) for each in frames[::8]]
    cases.append((model, np.concatenate(frames), [[3, 9], [1, 0]]))  # one that is long
    for case, found in zip(cases, traces(cases), strict=True):
        assert_equal(case, found)

"""The C99 reference and the golden model, word for word, on networks of every kind and format."""

from dataclasses import dataclass

import numpy as np

from deltarnn.reference.program import answers, compiled
from golden.files import temporary_folder
from golden.fixed import Integers, Q
from golden.formats import Formats
from golden.model import WEIGHTS, Model, Weights
from golden.network import DeltaNetwork
from golden.parameters import LayerParameters

SEED = 20_251
CONFIGURATIONS = 240
WORDS = 48_000  # of results and states, in each of them


@dataclass(frozen=True)
class Comparison:
    """What one network was compared in.

    Attributes
    ----------
    words
        Results and states that were compared.
    events
        Columns that fired, of ``columns`` that could.
    differences
        What differed, as text; empty where nothing did.
    """

    words: int
    events: int
    columns: int
    distinct: int
    differences: tuple[str, ...]


def compare(model: Model, frames: Integers) -> Comparison:
    """Runs ``model`` by both on int [T, I] frames, every check of C's compiler switched on."""
    trace = DeltaNetwork(model).run(frames)
    with temporary_folder() as folder:
        found = answers(compiled(model, folder), model, frames)
    differences = tuple(
        f"{name}: C has {array[place]}, golden {getattr(trace, name)[place]} at {place}"
        for name, array in found.items()
        for place in map(tuple, np.argwhere(array != getattr(trace, name))[:1])
    )
    return Comparison(
        words=found["outputs"].size + found["state"].size,
        events=int(found["events_x"].sum() + found["events_h"].sum()),
        columns=len(frames) * sum(layer.columns for layer in model.parameters.layers),
        distinct=len(np.unique(found["state"])),
        differences=differences,
    )


def any_model(rng: np.random.Generator) -> Model:
    """A network of any kinds, sizes, formats, row shifts and thresholds that a model file allows.

    Each of them is often at an end of its range, or just inside.
    """
    while True:
        try:
            return _any_model(rng)
        except ValueError:  # formats or accumulators that no model may have
            continue


def _any_model(rng: np.random.Generator) -> Model:
    formats = any_formats(rng)
    inputs = int(rng.integers(1, 25))
    kinds = [str(kind) for kind in rng.choice(["gru", "lstm"], rng.integers(1, 4))]
    if rng.random() < 0.6:
        kinds.append("linear")
    layers, weights = [], []
    for kind in kinds:
        units = int(rng.choice([1, 2, *rng.integers(3, 33, 4)]))
        theta_x, theta_h = _thetas(rng, formats.activation, 2)
        recurrent = kind != "linear"
        layer = LayerParameters(
            kind, inputs, units, _frac(rng), theta_x, theta_h if recurrent else None
        )
        layers.append(layer)
        weights.append(_weights(rng, layer, formats))
        inputs = units
    return Model.of("any", formats, tuple(layers), tuple(weights))


def _weights(rng: np.random.Generator, layer: LayerParameters, formats: Formats) -> Weights:
    rows, sums = layer.gates * layer.units, layer.accumulators * layer.units
    one = 1 << layer.weight_frac  # the weight 1.0, were there room for it
    weight_x = _matrix(rng, rows, layer.inputs, one >> formats.activation.m)
    bias = _bias(rng, sums, one << formats.activation.f)
    if not layer.recurrent:
        return WEIGHTS[layer.kind](weight_x, bias)
    shift = rng.integers(0, 4, sums).astype(np.int8) if rng.random() < 0.4 else None
    return WEIGHTS[layer.kind](weight_x, _matrix(rng, rows, layer.units, one), bias, shift)


def any_formats(rng: np.random.Generator) -> Formats:
    """Formats that a model file may have: usual ones, any, or such as lie at a limit."""

    def q(m: tuple[int, int], f: tuple[int, int]) -> Q:
        return Q(int(rng.integers(m[0], m[1] + 1)), int(rng.integers(f[0], f[1] + 1)))

    def of_width(least: int, most: int) -> Q:
        bits = int(rng.choice([least, most, rng.integers(least, most + 1)])) - 1
        m = int(rng.choice([0, min(bits, 3), rng.integers(0, bits + 1)]))
        return Q(m, bits - m)

    if rng.random() < 0.4:
        return Formats(
            activation=q((0, 4), (3, 11)),
            state=q((0, 4), (3, 14)),
            gate=q((1, 1), (4, 14)),
            readout=q((2, 8), (4, 14)),
            preactivation=q((2, 4), (3, 7)),
            cell=q((1, 6), (4, 16)),
        )
    while True:
        try:
            return Formats(
                activation=of_width(2, 16),
                state=q((0, 30), (0, 30)),
                gate=q((1, int(rng.choice([1, 30]))), (0, 28)),
                readout=q((0, 30), (0, 30)),
                # Tables of 2^16 entries take their time: seldom.
                preactivation=of_width(2, 16 if rng.random() < 0.1 else 11),
                cell=q((0, 30), (0, 30)),
            )
        except ValueError:
            continue


def _frac(rng: np.random.Generator) -> int:
    return int(rng.choice([0, 15, *rng.integers(4, 9, 6), *rng.integers(0, 16, 2)]))


def _thetas(rng: np.random.Generator, activation: Q, count: int) -> list[int]:
    """Thresholds: none, small ones, the greatest that can ever be passed, and beyond all sense."""
    most = (1 << activation.width) - 1
    some = [0] * 8 + [1] * 4 + [most // 64] * 4 + [most // 16] * 2 + [most - 1, most]
    return [some[n] if n < len(some) else 10**20 for n in rng.integers(0, len(some) + 1, count)]


def _matrix(rng: np.random.Generator, rows: int, columns: int, unit: int) -> np.ndarray:
    """Weights whose sums are some units of accumulators, or any weights, or the largest."""
    most = rng.choice([2 * unit / columns**0.5] * 6 + [128, 3])
    values = rng.normal(scale=max(0.3, most), size=(rows, columns))
    return values.round().clip(-128, 127).astype(np.int8)


def _bias(rng: np.random.Generator, count: int, unit: int) -> np.ndarray:
    """Biases of up to two units, or, seldom, such as lie at the ends of int32."""
    end = (1 << 31) - 1
    if rng.random() < 0.06:
        return rng.choice([-end - 1, -end, end], count).astype(np.int32)
    return rng.integers(-2 * unit, 2 * unit + 1, count).clip(-end - 1, end).astype(np.int32)


def any_frames(model: Model, length: int, rng: np.random.Generator) -> np.ndarray:
    """int16 [length, I] of one kind: all over the format, at its ends, or steps around theta_x."""
    activation = model.parameters.formats.activation
    shape = length, model.parameters.inputs
    theta = min(model.parameters.layers[0].theta_x, activation.max)
    walk = np.cumsum(rng.choice([-theta - 1, -theta, -1, 0, 1, theta, theta + 1], shape), axis=0)
    values = (
        rng.integers(activation.min, activation.max + 1, shape),
        rng.choice([activation.min, activation.max], shape),
        walk,
        _held(rng.integers(activation.min, activation.max + 1, shape), rng),
    )[int(rng.integers(4))]
    return values.clip(activation.min, activation.max).astype(np.int16)


def _held(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``values`` of which an element keeps its own for ten frames on average."""
    moves = rng.random(values.shape) < 0.1
    moves[0] = True
    rows = np.maximum.accumulate(np.where(moves, np.arange(len(values))[:, None], 0), axis=0)
    return np.take_along_axis(values, rows, axis=0)

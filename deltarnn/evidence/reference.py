"""The C99 reference and the golden model, word for word, on networks of every kind and format.

Neither was written from the other, only from docs/numerics.md. A part is also held against PyTorch:
how far integers are from the floats of the network that was imported.
"""

import platform
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files

import numpy as np

from deltarnn.markdown import lines
from deltarnn.reference.program import CHECKED, STRICT, answers, compiled
from golden.files import temporary_folder
from golden.fixed import Integers, Q
from golden.formats import Formats
from golden.model import WEIGHTS, Model, Weights
from golden.model_file import load_model
from golden.network import run_sequences
from golden.parameters import LayerParameters
from golden.recordings import load

SEED = 1
CONFIGURATIONS = 260
WORDS, SEQUENCES = 40_000, 8  # of results and states of each of them, in so many sequences
FRACTIONS = (4, 6, 8, 10, 11)  # of the activations that are held against PyTorch
INPUTS, UNITS, FRAMES = 8, 24, 400  # of the networks that are


def measure(say: Callable[[str], None], share: float = 1.0) -> dict:
    """Compares both on ``share`` of the configurations, and with PyTorch on as many networks."""
    begun = time.monotonic()
    found = [_shipped(say)]
    properties: Counter[str] = Counter()
    count = max(1, round(share * CONFIGURATIONS))
    for n in range(count):
        rng = np.random.default_rng([SEED, n])
        model = replace(any_model(rng), name=f"configuration {n}")
        width = model.parameters.outputs + model.parameters.recurrent[-1].units
        length = -(-WORDS // (SEQUENCES * width))
        found.append(compare(model, [any_frames(model, length, rng) for _ in range(SEQUENCES)]))
        properties.update(properties_of(model))
        if (n + 1) % 20 == 0 or found[-1].differences:
            words = sum(each.words for each in found)
            say(f"reference: {n + 1} of {count} configurations, {words:,} words")
    floats = _floats(say, share)
    return {
        "compiler": _compiler(),
        "machine": platform.machine(),
        "configurations": count,
        "shipped_words": found[0].words,
        "words": sum(each.words for each in found),
        "columns": sum(each.columns for each in found),
        "events": sum(each.events for each in found),
        "moving": sum(each.distinct > 16 for each in found[1:]),
        "properties": dict(sorted(properties.items())),
        "differences": [line for each in found for line in each.differences],
        "floats": floats,
        "seconds": round(time.monotonic() - begun),
    }


def short(result: dict) -> str | None:
    """The first difference, if there is one."""
    return next(iter(result["differences"]), None)


def found(result: dict) -> str:
    """What was found, in a line."""
    differ = len(result["differences"]) or "none"
    networks = f"{result['words']:,} words of {result['configurations']} networks"
    return f"{networks} in C, {differ} other than golden's"


def section(result: dict) -> str:
    """The section of docs/evidence.md."""
    rows = [
        ["random configurations", f"{result['configurations']:,}"],
        ["words compared (results and states)", f"{result['words']:,}"],
        ["of those, of the shipped model", f"{result['shipped_words']:,}"],
        ["words that differ in any way", f"{len(result['differences']):,}"],
        [
            "columns that fired, of those that could",
            f"{result['events']:,} of {result['columns']:,}",
        ],
        ["configurations whose state takes more than 16 values", f"{result['moving']:,}"],
    ]
    properties = [[name, f"{count:,}"] for name, count in result["properties"].items()]
    floats = [
        [
            f"{row['kind']}, {row['weights']}",
            f"Q3.{row['fraction']}",
            f"{row['worst']:.2e}",
            f"{row['of_bound']:.2f}",
            f"{row['error']:.3%}",
        ]
        for row in result["floats"]
    ]
    return f"""\
## A second opinion in C

`deltarnn reference` writes a network as one C99 file ([reference.md](reference.md)). It was written
from [numerics.md](numerics.md) alone and shares no arithmetic with `golden/`: its tables come from
intervals of integers, its shifts and its layers are its own. Every result, every state and every
count of events of both is compared. The C is compiled with
`{" ".join((*STRICT, CHECKED[0]))}`.

{lines(["what", "count"], rows)}

Formats, sizes, weights, biases, thresholds and row shifts are random, and often at the end of what
a model file may hold. So many of the configurations have

{lines(["property", "configurations"], properties)}

**Against PyTorch.** Networks are saved, imported and compiled to C. "One frame" is the largest
error of what a unit keeps after a frame that begins from the integers' own state; its bound is what
the roundings of numerics.md and the rounding of the weights may add up to. "Recording" is the RMS
of the results' error over {FRAMES} frames, over the RMS of the float results; errors feed back
there, and no useful bound is known. Weights of 8 bits are rounded before PyTorch gets them, so only
the formats are left, and the error shrinks with each bit; any others leave their own rounding.

{lines(["network", "activation", "one frame", "of its bound", "recording"], floats)}

What this does not show: that numerics.md is what a user wants, or that a compiler other than
{result["compiler"]} on {result["machine"]} agrees.
It took {result["seconds"]:,} seconds on one core.
"""


def properties_of(model: Model) -> Iterable[str]:
    """What is remarkable in a network, in words."""
    network, formats = model.parameters, model.parameters.formats
    kinds = [layer.kind for layer in network.layers]
    thresholds = [
        theta for layer in network.layers for theta in (layer.theta_x, layer.theta_h or 0)
    ]
    shifted = any(w.shifts.any() for w in model.weights)
    yield from (
        name
        for name, there in {
            "GRU layers": "gru" in kinds,
            "LSTM layers": "lstm" in kinds,
            "layers of both": {"gru", "lstm"} <= set(kinds),
            "more than one recurrent layer": len(network.recurrent) > 1,
            "a read-out": kinds[-1] == "linear",
            "no read-out": kinds[-1] != "linear",
            "row shifts": shifted,
            "activations of more than 8 bits": formats.activation.width > 8,
            "activations of 2 bits": formats.activation.width == 2,
            "activations of 16 bits": formats.activation.width == 16,
            "tables of 2^16 entries": formats.preactivation.width == 16,
            "accumulators of more than 32 bits": network.accumulator_width > 32,
            "states of more than 32 bits": network.state_width > 32,
            "biases at an end of int32": any(
                abs(int(end)) >= (1 << 31) - 1 for w in model.weights for end in _ends(w.bias)
            ),
            "every threshold 0": not any(thresholds),
            "a threshold that nothing passes": max(thresholds)
            >= (1 << formats.activation.width) - 1,
            "a readout finer than its accumulators": any(
                formats.readout.f > formats.activation.f + layer.weight_frac
                for layer in network.layers
            ),
        }.items()
        if there
    )


def _ends(values: np.ndarray) -> tuple[int, int]:
    return values.min(), values.max()


def _compiler() -> str:
    done = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]


def _shipped(say: Callable[[str], None]) -> "Comparison":
    with as_file(files("models")) as folder:
        model = load_model(folder / "japanese_vowels.safetensors")
        recordings = load(folder / "japanese_vowels.frames.npz").frames(model)
    found = compare(model, recordings)
    say(f"reference: the shipped model, {found.words:,} words")
    return found


def _floats(say: Callable[[str], None], share: float) -> list[dict]:
    from deltarnn.reference.against_torch import distance, module_of, recording_of

    fractions = FRACTIONS[: max(1, round(share * len(FRACTIONS)))]
    recording = recording_of(INPUTS, FRAMES, SEED)
    rows = []
    for kind in ("gru", "lstm"):
        for weights, steps in (("weights of 8 bits", 64), ("any weights", None)):
            module = module_of(kind, INPUTS, UNITS, SEED, steps)
            for fraction in fractions:
                with temporary_folder() as folder:
                    found = distance(module, fraction, recording, folder)
                names = {"kind": kind, "weights": weights, "fraction": fraction}
                rows.append(names | vars(found))
        say(f"reference: {kind} against PyTorch")
    return rows


@dataclass(frozen=True)
class Comparison:
    """What one network was compared in.

    Attributes
    ----------
    words
        Results and states that were compared.
    events, columns
        Columns that fired, and all that could.
    distinct
        Values that the last recurrent layer's state took.
    differences
        The first word that differs of each kind, as text; empty where none does.
    """

    words: int
    events: int
    columns: int
    distinct: int
    differences: tuple[str, ...]


def compare(model: Model, sequences: Sequence[Integers]) -> Comparison:
    """Runs ``model`` by both on int [T, I] frames, each sequence from reset.

    Every check that C's compiler can build in is switched on.
    """
    traces = run_sequences(model, sequences)
    with temporary_folder() as folder:
        program = compiled(model, folder)
        found = [answers(program, model, frames) for frames in sequences]
    differences = tuple(
        f"{model.name}, sequence {n}, {name}{list(place)}: C {array[place]}, golden {other[place]}"
        for n, (each, trace) in enumerate(zip(found, traces, strict=True))
        for name, array in each.items()
        for other in [getattr(trace, name)]
        for place in map(tuple, np.argwhere(array != other)[:1])
    )
    return Comparison(
        words=sum(each["outputs"].size + each["state"].size for each in found),
        events=int(sum(each["events_x"].sum() + each["events_h"].sum() for each in found)),
        columns=sum(map(len, sequences)) * sum(layer.columns for layer in model.parameters.layers),
        distinct=len(np.unique(np.concatenate([each["state"] for each in found]))),
        differences=differences,
    )


def any_model(rng: np.random.Generator, formats: Formats | None = None) -> Model:
    """A network of any kinds, sizes, formats, row shifts and thresholds that a model file allows.

    Each of them is often at an end of its range, or just inside. ``formats`` are any, unless given.
    """
    while True:
        try:
            return _any_model(rng, formats or any_formats(rng))
        except ValueError:  # formats or accumulators that no model may have
            continue


def _any_model(rng: np.random.Generator, formats: Formats) -> Model:
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

    def among(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    def q(m: tuple[int, int], f: tuple[int, int]) -> Q:
        return Q(among(*m), among(*f))

    def of_width(least: int, most: int) -> Q:
        bits = (least, most, among(least, most))[among(0, 2)] - 1
        m = (0, min(bits, 3), among(0, bits))[among(0, 2)]
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

"""Judges of golden/ that do not ask golden/: the C99 reference, and whole numbers and fractions.

A judge imports golden only as it runs, so that it takes whichever golden is found first. Each
raises where something is wrong, by an assertion or whatever a broken golden runs into.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np

from deltarnn.reference.tables import sigmoid_table, tanh_table

Arrays = dict[str, np.ndarray]
PAIRS = [(0, 0), (0, 3), (1, 2), (2, 1), (3, 4), (1, 14)]  # m and f of formats


@dataclass(frozen=True)
class Case:
    """A network as plain numbers, frames for it, and what the C99 reference makes of them.

    Attributes
    ----------
    formats
        m and f of each format, by name.
    layers
        What LayerParameters takes, a layer each.
    weights
        Arrays of each layer, by the names of the model file.
    sequences
        int64 [T, I], of several lengths.
    answers
        ``outputs``, ``state``, ``events_x`` and ``events_h`` of each sequence.
    """

    formats: dict[str, tuple[int, int]]
    layers: tuple[tuple[Any, ...], ...]
    weights: tuple[Arrays, ...]
    sequences: tuple[np.ndarray, ...]
    answers: tuple[Arrays, ...]

    def model(self) -> Any:
        """The network as golden holds it."""
        golden = import_module("golden.model")
        parameters, formats = import_module("golden.parameters"), import_module("golden.formats")
        fixed = import_module("golden.fixed")
        qs = {name: fixed.Q(*pair) for name, pair in self.formats.items()}
        layers = tuple(parameters.LayerParameters(*layer) for layer in self.layers)
        weights = tuple(
            golden.WEIGHTS[layer.kind](**arrays)
            for layer, arrays in zip(layers, self.weights, strict=True)
        )
        return golden.Model.of("case", formats.Formats(**qs), layers, weights)

    @property
    def dense(self) -> bool:
        """Whether all thresholds are 0, so that it is the dense network."""
        return not any(theta for layer in self.layers for theta in layer[4:6] if theta is not None)


def _equal(trace: Any, answers: Arrays, rows: slice = slice(None)) -> None:
    for name, wanted in answers.items():
        np.testing.assert_array_equal(getattr(trace, name), wanted[rows], name)


def _raises(make: Callable[[], object], *named: str) -> None:
    """``make`` refuses by a ValueError, whose text says what was found and expected."""
    said = None
    try:
        make()
    except ValueError as error:
        said = str(error)
    assert said is not None
    assert all(text in said for text in named), said


def sequences_at_once(cases: list[Case]) -> None:
    """Several sequences side by side are what C makes of each."""
    network = import_module("golden.network")
    for case in cases:
        traces = network.run_sequences(case.model(), case.sequences)
        for trace, answers in zip(traces, case.answers, strict=True):
            _equal(trace, answers)
    assert network.run_sequences(cases[0].model(), []) == []


def one_by_one(cases: list[Case]) -> None:
    """A sequence in two pieces, and again from reset; deltas add up to what was sent."""
    network = import_module("golden.network")
    for case in cases[:4]:
        golden = network.DeltaNetwork(case.model())
        frames, answers = case.sequences[0], case.answers[0]
        cut = len(frames) // 3
        for _ in range(2):
            golden.reset()
            parts = [golden.run(frames[:cut]), golden.run(frames[cut:])]
            _equal(parts[0], answers, slice(cut))
            _equal(parts[1], answers, slice(cut, None))
            _equal(network.Trace.joined(parts), answers)
            _sent(case, network.Trace.joined(parts))


def _sent(case: Case, trace: Any) -> None:
    """The first layer's deltas by the page, element by element; every layer's as many events."""
    theta = case.layers[0][4]
    sent = [0] * case.sequences[0].shape[1]
    for frame, deltas in zip(case.sequences[0].tolist(), trace.deltas_x[0].tolist(), strict=True):
        for j, v in enumerate(frame):
            d = v - sent[j]
            assert deltas[j] == (d if abs(d) > theta else 0)
            sent[j] += deltas[j]
    for kind, deltas in (("events_x", trace.deltas_x), ("events_h", trace.deltas_h)):
        for k, each in enumerate(deltas):
            assert (each != 0).sum(axis=1).tolist() == case.answers[0][kind][:, k].tolist()


def batches(cases: list[Case]) -> None:
    """Frames with a batch axis keep it; those of another shape are refused."""
    network = import_module("golden.network")
    case = cases[0]
    inputs, model = case.layers[0][1], case.model()
    length = min(map(len, case.sequences))
    both = np.stack([frames[:length] for frames in case.sequences[:2]])
    trace = network.DeltaNetwork(model, 2).run(both)
    for b in range(2):
        for name in ("outputs", "state", "events_x", "events_h"):
            wanted = case.answers[b][name][:length]
            np.testing.assert_array_equal(getattr(trace, name)[b], wanted)
    one = network.DeltaNetwork(model).run(both[:1])
    assert one.outputs.shape[0] == 1
    assert len(network.DeltaNetwork(model, 300).run(np.zeros((300, 1, inputs), int)).outputs) == 300
    several = (both, both[:1, :, :-1], np.zeros((3, inputs + 1), dtype=np.int64), both[0, :, 0])
    for batch, frames in ((2, both[:1]), *((1, each) for each in several)):
        golden = network.DeltaNetwork(model, batch)
        expected = f"batch {batch} of T frames of {inputs}"
        _raises(lambda run=golden.run, x=frames: run(x), "shape of the frames", expected)


def dense_networks(cases: list[Case]) -> None:
    """At thresholds 0 the network without deltas gives C's results too."""
    network = import_module("golden.network")
    several = [case for case in cases if case.dense]
    assert several
    for case in several:
        golden = network.DenseNetwork(case.model(), 2)
        length = min(map(len, case.sequences))
        both = np.stack([frames[:length] for frames in case.sequences[:2]], axis=1)
        found = np.stack([golden.step(x).copy() for x in both], axis=1)
        for b in range(2):
            np.testing.assert_array_equal(found[b], case.answers[b]["outputs"][:length])


def layers_hold_their_invariant(cases: list[Case]) -> None:
    """M = W v^ + bias in Python's integers, for the memories that layers show, also after reset."""
    network = import_module("golden.network")
    for case in cases[:6]:
        golden = network.DeltaNetwork(case.model())
        for frame in (*case.sequences[0][:6], None):
            if frame is None:
                golden.reset()
            else:
                golden.step(frame[None])
            for arrays, layer in zip(case.weights, golden.layers, strict=True):
                _invariant(arrays, layer)
                if frame is None and hasattr(layer, "state"):
                    assert not layer.state.any()
                    assert not layer.a.any()
                if frame is None:
                    assert not layer.encoder_x.memory.any()


def _invariant(arrays: Arrays, layer: Any) -> None:
    products = [arrays["weight_x"].astype(object) @ layer.encoder_x.memory[0].astype(object)]
    if "weight_h" in arrays:
        products.append(
            arrays["weight_h"].astype(object) @ layer.encoder_h.memory[0].astype(object)
        )
    bias = arrays["bias"].astype(object)
    if len(products) == 1:
        sums = products[0]
    elif len(bias) == len(products[0]):
        sums = products[0] + products[1]
    else:  # a GRU: xc and hc apart
        whole = 2 * len(bias) // 4
        sums = np.concatenate(
            [products[0][:whole] + products[1][:whole], products[0][whole:], products[1][whole:]]
        )
    assert layer.m.reshape(-1).tolist() == (bias + sums).tolist()


def wide_layers(_: list[Case]) -> None:
    """Layers with more inputs or units than are usual compute, and know their reach."""
    formats = import_module("golden.formats").Formats(
        activation=import_module("golden.fixed").Q(3, 12)
    )
    model, network = import_module("golden.model"), import_module("golden.network")
    layers = import_module("golden.parameters").LayerParameters
    for inputs, units in ((40_000, 1), (300, 65)):
        for kind, rows, sums in (("gru", 3, 4), ("lstm", 4, 4)):
            x = np.full((rows * units, inputs), -128, dtype=np.int8)
            h = np.full((rows * units, units), 127, dtype=np.int8)
            weights = model.WEIGHTS[kind](x, h, np.zeros(sums * units, dtype=np.int32))
            both = [128 * inputs + 127 * units] * (2 if kind == "gru" else 4) * units
            ends = [128 * inputs] * units + [127 * units] * units if kind == "gru" else []
            assert weights.reach(1).tolist() == both + ends
            layer = layers(kind, inputs, units, 7, 0, 0)
            read_out = model.WEIGHTS["linear"](x[:1], np.zeros(1, dtype=np.int32))
            for each, its in ((layer, weights), (layers("linear", inputs, 1, 7, 0), read_out)):
                found = import_module("golden.kinds").arithmetic(each.kind)
                for made in (found.Delta(formats, each, its), found.Dense(formats, each, its)):
                    assert len(made.m) == 1
                    made.step(np.ones((1, inputs), dtype=np.int64))
                    assert made.m.reshape(-1)[0] == -128 * inputs
            whole = model.Model.of("wide", formats, (layer,), (weights,))
            trace = network.DeltaNetwork(whole).run(np.ones((1, inputs), dtype=np.int64))
            assert trace.events_x.tolist() == [[inputs]]


def what_does_not_fit_together(cases: list[Case]) -> None:
    """Lists of unequal lengths are refused, and what is made once stays as it is."""
    network, recurrent = import_module("golden.network"), import_module("golden.recurrent")
    several = [case.model() for case in cases]
    model = next(each for each in several if len(each.weights) > 1)
    short = replace(model, weights=model.weights[:-1])
    for kind in (network.DeltaNetwork, network.DenseNetwork):
        _raises(lambda kind=kind: kind(short))
        assert len(kind(model).step(np.zeros((1, model.parameters.inputs), int))) == 1
    trace = network.DeltaNetwork(model).run(cases[several.index(model)].sequences[0])
    other = replace(trace, states=trace.states + trace.states)
    _raises(lambda: network.Trace.joined([trace, other]))
    for thing, name in ((trace, "outputs"), *((weights, "bias") for weights in model.weights)):
        _stays(thing, name)
    linear = next(w for each in several for w in each.weights if not hasattr(w, "weight_h"))
    _stays(linear, "bias")
    assert recurrent.Recurrent.__abstractmethods__ == {"_update", "step"}


def _stays(thing: Any, name: str) -> None:
    """An attribute cannot be set."""
    changed = True
    try:
        setattr(thing, name, None)
    except AttributeError:
        changed = False
    assert not changed


def reaches(cases: list[Case]) -> None:
    """The most that an accumulator can be, in Python's integers."""
    for case in cases:
        for arrays, weights in zip(case.weights, case.model().weights, strict=True):
            x = [sum(map(abs, row)) for row in arrays["weight_x"].astype(int).tolist()]
            h = [sum(map(abs, row)) for row in arrays.get("weight_h", np.zeros((0, 0))).tolist()]
            bias = [abs(b) for b in arrays["bias"].astype(int).tolist()]
            if h and len(bias) > len(x):
                whole = len(bias) // 2
                sums = [a + b for a, b in zip(x[:whole], h, strict=False)] + x[whole:] + h[whole:]
            else:
                sums = [a + b for a, b in zip(x, h or [0] * len(x), strict=True)]
            wanted = [int(b + s * 37) for b, s in zip(bias, sums, strict=True)]
            assert weights.reach(37).tolist() == wanted
            assert weights.shifts.tolist() == arrays.get("shift", np.zeros(len(bias))).tolist()
            assert weights.shifts.dtype == np.int64


def shifts(_: list[Case]) -> None:
    """rshift is the page's in fractions: small numbers, large ones, one n or several."""
    rshift = import_module("golden.fixed").rshift
    values = [*range(-40, 41), (1 << 61) - 1, -(1 << 61), (1 << 40) + 3]
    for n in range(-3, 12):
        those = values if n >= 0 else values[:81]
        found = rshift(those, n)
        assert found.dtype == np.int64
        assert found.tolist() == [_page_rshift(v, n) for v in those]
    several = [-2, 0, 1, 5]
    found = rshift([[v] * 4 for v in range(-40, 41)], several).tolist()
    assert found == [[_page_rshift(v, n) for n in several] for v in range(-40, 41)]


def _page_rshift(v: int, n: int) -> int:
    return math.floor(Fraction(v) / Fraction(2) ** n + (Fraction(1, 2) if n > 0 else 0))


def formats_and_saturation(_: list[Case]) -> None:
    """Ends, widths and names of formats; sat; what is no format."""
    fixed = import_module("golden.fixed")
    for m, f in PAIRS:
        q, most = fixed.Q(m, f), 2 ** (m + f)
        assert (q.width, q.min, q.max, q.scale) == (1 + m + f, -most, most - 1, 2**f)
        assert str(q) == f"Q{m}.{f}"
        values = [-2 * most, -most - 1, -most, -1, 0, 1, most - 1, most, 2 * most]
        wanted = [max(-most, min(most - 1, v)) for v in values]
        assert fixed.sat(values, q).tolist() == wanted
        assert fixed.sat(values, q).dtype == np.int64
    assert fixed.Q.parse("it", [30, 0]) == fixed.Q(30, 0) == fixed.Q(30, 0)
    assert fixed.Q.parse("it", [0, 30]) == fixed.Q(0, 30)
    assert len({fixed.Q(3, 4), fixed.Q(3, 4)}) == 1
    for bad in ([3], [3, 4, 5], (3, 4), "34", None, [3, 31], [31, 3], [-1, 3], [True, 1], [1.0, 2]):
        _raises(lambda bad=bad: fixed.Q.parse("it", bad), "it: found", "two integers from 0 to 30")
    for m, f in ((-1, 0), (0, -1), (31, 0), (0, 31), (True, 1)):
        _raises(lambda m=m, f=f: fixed.Q(m, f), "bits", "from 0 to 30")
    _stays(fixed.Q(1, 2), "m")


def quantisation(_: list[Case]) -> None:
    """quantize is floor(real 2^f + 1/2) in fractions, for ties, ends, infinities; no NaN."""
    fixed = import_module("golden.fixed")
    for m, f in PAIRS:
        q, most = fixed.Q(m, f), 2 ** (m + f)
        reals = [n / 8 / 2**f for n in range(-8 * most - 24, 8 * most + 24)][:: max(1, most // 64)]
        reals += [math.nextafter(n / 2**f / 2, way) for n in range(-5, 6) for way in (-9, 9)]
        wanted = [
            max(-most, min(most - 1, math.floor(Fraction(real) * 2**f + Fraction(1, 2))))
            for real in reals
        ]
        assert fixed.quantize(reals, q).tolist() == wanted
        infinite = fixed.quantize([math.inf, -math.inf, 1e308, -1e308], q)
        assert infinite.dtype == np.int64
        assert infinite.tolist() == [most - 1, -most] * 2
    _raises(lambda: fixed.quantize([0.0, math.nan], q), "a value to quantise: found NaN")


def tables(_: list[Case]) -> None:
    """Every entry is the one that enclosing integers prove; a table cannot be changed."""
    golden, fixed = import_module("golden.tables"), import_module("golden.fixed")
    with np.errstate(over="raise", invalid="raise"):
        for (m, f), gate in product([(3, 4), (0, 1), (10, 0), (2, 6)], [(1, 6), (1, 0), (2, 20)]):
            index, q = fixed.Q(m, f), fixed.Q(*gate)
            for name, exact in (("sigmoid_table", sigmoid_table), ("tanh_table", tanh_table)):
                table = getattr(golden, name)(index, q)
                assert table.dtype == np.int64
                assert table.tolist() == exact(index, q)
                assert not table.flags.writeable
                assert getattr(golden, name)(index, q) is table


def encoders(_: list[Case]) -> None:
    """The delta encoder is the page's, element by element, and leaves its input alone."""
    encoder = import_module("golden.delta").DeltaEncoder(5, 2)
    rng = np.random.default_rng(1)
    sent = [[0] * 5 for _ in range(2)]
    for t in range(60):
        if t == 30:
            encoder.reset()
            sent = [[0] * 5 for _ in range(2)]
        theta = (0, 1, 3)[t % 3]
        v = rng.integers(-5, 6, (2, 5))
        given = v.copy()
        found = encoder.encode(v, theta)
        assert (v == given).all()
        for b, j in product(range(2), range(5)):
            d = int(v[b, j]) - sent[b][j]
            assert found[b, j] == (d if abs(d) > theta else 0)
            sent[b][j] += int(found[b, j])
        assert encoder.memory.tolist() == sent
        assert encoder.memory.dtype == np.int64
    assert import_module("golden.delta").DeltaEncoder(3).memory.shape == (1, 3)


def products(_: list[Case]) -> None:
    """W d in Python's integers, whatever fired; what float64 may not hold is refused."""
    exact = import_module("golden.accumulate").ExactMatrix
    rng = np.random.default_rng(2)
    for fired in range(8):
        weights = rng.integers(-128, 128, (6, 7)).astype(np.int8)
        d = rng.integers(-(1 << 16) + 1, 1 << 16, (3, 7))
        d[:, rng.permutation(7)[fired:]] = 0
        d[0] = 0
        found = exact(weights, 17)(d)
        assert found.dtype == np.int64
        assert found.tolist() == (d.astype(object) @ weights.T.astype(object)).tolist()
    row = np.full((1, 2), 64, dtype=np.int8)  # sums to 2^7, so 2^53 at deltas of 47 bits
    exact(row, 46)
    for bits in (47, 48, 60):
        _raises(lambda n=bits: exact(row, n), "largest sum of a row", f"below 2^53 = {1 << 53}")
    exact(np.zeros((1, 2), np.int8), 54)
    row[0, 0] = 63
    d = np.array([[1 - (1 << 46), 1 - (1 << 46)]])
    assert exact(row, 47)(d).tolist() == [[127 * (1 - (1 << 46))]]
    assert exact(np.zeros((0, 3), np.int8), 9)(np.ones((1, 3), np.int64)).shape == (1, 0)


Judge = Callable[[list[Case]], None]
JUDGES: tuple[Judge, ...] = (
    sequences_at_once,
    one_by_one,
    batches,
    dense_networks,
    layers_hold_their_invariant,
    wide_layers,
    what_does_not_fit_together,
    reaches,
    shifts,
    formats_and_saturation,
    quantisation,
    tables,
    encoders,
    products,
)


def verdict(cases: list[Case]) -> str | None:
    """The first judge that finds golden wrong, by name; None where all of them pass it."""
    for judge in JUDGES:
        try:
            judge(cases)
        except Exception:  # whatever a broken golden runs into
            return judge.__name__
    return None

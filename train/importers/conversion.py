"""From a float network to a model file: input scale, formats, thresholds, and what it costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from golden.errors import refusal, require_int
from golden.fixed import Q, quantize
from golden.formats import SHIFT_MAX, Formats
from golden.model import Model
from golden.network import DeltaNetwork, Trace, run_sequences
from golden.predict.inference import delta_cost, dense_cost
from golden.recordings import load
from train.data.recordings import Floats
from train.quantised.float_network import FloatLinear, FloatLSTM, FloatNetwork
from train.quantised.quantize import quantize_network
from train.quantised.rounding import LayerVectors
from train.quantised.thresholds import descend, thresholds, with_thresholds


@dataclass(frozen=True)
class Precision:
    """How finely a core computes, and how much of the activation's range inputs may take.

    Attributes
    ----------
    formats
        Number formats; an LSTM's cell may get another one.
    shift_max
        The most that rows may be shifted.
    ranges
        What the largest value of a feature may become, each worth trying: at most half of what
        the activation holds, so that an input may be twice as large as any of the recording.
    """

    formats: Formats
    shift_max: int
    ranges: tuple[float, ...]

    @property
    def name(self) -> str:
        """Formats of activation and gate, and row shifts if there are any."""
        formats = self.formats
        shifts = ", row shifts" if self.shift_max else ""
        return f"activation {formats.activation}, gate {formats.gate}{shifts}"


# Cheapest first. A finer activation moves in more steps, and each is an event.
_FINE = {"state": Q(1, 14), "gate": Q(1, 10), "preactivation": Q(3, 6)}
PRECISIONS = (
    Precision(Formats(), 0, (4.0,)),
    Precision(Formats(activation=Q(0, 7), state=Q(1, 14)), 0, (0.5,)),
    Precision(Formats(activation=Q(0, 7), **_FINE), SHIFT_MAX, (0.5,)),
    Precision(Formats(activation=Q(3, 7), **_FINE), SHIFT_MAX, (1.0, 4.0)),
    Precision(Formats(activation=Q(3, 9), **_FINE), SHIFT_MAX, (1.0, 4.0)),
)
CELLS = (Q(3, 12), Q(6, 9))  # c of an LSTM has no bound of its own, and may need more range
TOLERANCE = 1.3  # times the least loss

# What a recording must be to calibrate with: shorter, it says little of what comes; beyond, the
# largest value is no quantity that a network takes as it is.
MIN_FRAMES = 16
SMALLEST, LARGEST = 1e-9, 1e9
FILE_BYTES = 1 << 28

# A feature's size is that of its largest value, or so many times its RMS; and what it does to the
# first layer no less than a fraction of what the largest does, for what hardly moves here may move
# later.
_RMS, _LEAST = 4.0, 0.05
_PADDED = 4  # times the frames that recordings of uneven lengths may take side by side
_THETA_FRAC = 6  # fraction bits in which a budget's thresholds are searched


@dataclass(frozen=True)
class Fidelity:
    """How near a model is to the float network on the calibration frames.

    Attributes
    ----------
    loss
        RMS of the difference of the results, over the RMS of the float results about their mean.
    worst
        The same of the one result that loses most beside its own spread.
    macs
        Multiply-accumulates done / those of the dense network.
    occupancy_x, occupancy_h
        Columns that fired / all columns, all layers together.
    """

    loss: float
    worst: float
    macs: float
    occupancy_x: float
    occupancy_h: float


class Calibration:
    """Frames that a network is likely to see, and what the float network makes of them.

    Parameters
    ----------
    network
        The float network.
    recordings : float [T, I], or several of them
        As the network was trained to take them; each is run from reset.

    Raises
    ------
    ValueError
        Where the frames are not the network's, or nothing can be told from them: too few, none
        that differs, values that are not finite or beyond all measure, or results that stay the
        same.

    Attributes
    ----------
    frames : float64 [T, I]
        All recordings in a row, without the network's offset.
    """

    def __init__(self, network: FloatNetwork, recordings: Floats | Sequence[Floats]) -> None:
        several = [recordings] if isinstance(recordings, np.ndarray) else list(recordings)
        total = sum(len(each) for each in several if each.ndim)
        for each in several:
            if each.ndim != 2 or each.shape[1] != network.inputs or not len(each):
                raise refusal("calibration", *_shapes(each, network))
        if total < MIN_FRAMES:
            first = several[0] if several else np.zeros((0, network.inputs))
            found, expected = _shapes(first, network)
            more = f", {total} frames in {len(several)} recordings" if len(several) > 1 else ""
            raise refusal("calibration", found + more, expected)
        with np.errstate(over="ignore"):  # wider floats may hold more
            frames = np.concatenate([each.astype(np.float64) for each in several])
        if not np.isfinite(frames).all():
            t, i = (int(n) for n in np.argwhere(~np.isfinite(frames))[0])
            found = f"{frames[t, i]} in frame {t}, feature {i}"
            raise refusal("calibration", found, "finite numbers")
        self.frames, self._network = network.centred(frames), network
        self._starts = np.cumsum([len(each) for each in several])[:-1]
        largest = float(np.abs(self.frames).max())
        if (self.frames == self.frames[0]).all():
            found = f"{len(frames)} equal frames" if largest else "0 in every place"
            raise refusal("calibration", found, "a recording that changes")
        if not SMALLEST <= largest <= LARGEST:
            expected = f"one from {SMALLEST:g} to {LARGEST:g}"
            raise refusal("calibration", f"a largest value of {largest:g}", expected)
        with np.errstate(all="ignore"):
            self._states = [self.frames]
            for layer in network.layers:
                made = [layer.run(each) for each in self._apart(self._states[-1])]
                self._states.append(np.concatenate(made))
            self._expected = self._states[-1]
            mean = self._expected.mean(axis=0)
            self._size = float(np.sqrt(np.mean((self._expected - mean) ** 2)))
            least = 1e-12 * float(np.abs(self._expected).max())
        if not np.isfinite(self._size):
            raise refusal("results", "some that are not finite", "a network of smaller weights")
        # Rounding alone moves results that stay the same.
        if self._size <= least:
            found = "the same in every frame of the calibration"
            raise refusal("results", found, "a network that answers to it")

    @property
    def recordings(self) -> list[Floats]:
        """Features [T, I] of each recording, as the network takes them."""
        offset = self._network.offset
        return self._apart(self.frames if offset is None else self.frames + offset)

    def loss_of(self, results: Sequence[Floats]) -> float:
        """The loss (Fidelity) of whoever gives these results [T, O] of each recording."""
        squares = np.mean((np.concatenate(results) - self._expected) ** 2)
        return float(np.sqrt(squares)) / self._size

    def _apart(self, rows: np.ndarray) -> list[np.ndarray]:
        """Rows [T, ...] of all recordings as those of each."""
        return np.split(rows, self._starts)

    def _trace(self, model: Model, codes: np.ndarray) -> Trace:
        sequences = self._apart(codes)
        if len(sequences) == 1:
            return DeltaNetwork(model).run(codes)
        padded = len(sequences) * max(len(each) for each in sequences)
        if padded <= _PADDED * len(codes):
            return Trace.joined(run_sequences(model, sequences))
        return Trace.joined([DeltaNetwork(model).run(each) for each in sequences])

    def fidelity(self, model: Model, scale: Floats) -> Fidelity:
        """The fidelity of ``model``, whose inputs are quantize(frames * scale)."""
        network = model.parameters
        trace = self._trace(model, quantize(self.frames * scale, network.formats.activation))
        found = trace.outputs / 2.0**network.output_frac
        squares = np.mean((found - self._expected) ** 2, axis=0)
        spreads = np.mean((self._expected - self._expected.mean(axis=0)) ** 2, axis=0)
        moves = spreads > 1e-12 * spreads.max()  # else it is rounding that moves
        frames = len(self.frames)
        macs = int(delta_cost(network, trace).macs.sum())
        columns_h = sum(layer.units for layer in network.recurrent)
        columns_x = sum(layer.columns for layer in network.layers) - columns_h
        return Fidelity(
            loss=float(np.sqrt(np.mean(squares))) / self._size,
            worst=float(np.sqrt((squares[moves] / spreads[moves]).max())),
            macs=macs / int(dense_cost(network, frames).macs.sum()),
            occupancy_x=int(trace.events_x.sum()) / (frames * columns_x),
            occupancy_h=int(trace.events_h.sum()) / (frames * columns_h),
        )

    def layer_losses(self, model: Model, scale: Floats) -> tuple[float, ...]:
        """For each layer, at thresholds 0, the RMS of its results' error over their spread."""
        formats = model.parameters.formats
        trace = self._trace(model, quantize(self.frames * scale, formats.activation))
        # At thresholds 0 what a layer has sent so far is what the one before gives.
        sent = [
            np.concatenate([each.cumsum(axis=0) for each in self._apart(deltas)])
            for deltas in trace.deltas_x[1:]
        ]
        found = [each / formats.activation.scale for each in sent]
        found.append(trace.outputs / 2.0**model.parameters.output_frac)
        return tuple(
            float(np.sqrt(np.mean((a - b) ** 2) / np.mean((b - b.mean(axis=0)) ** 2)))
            for a, b in zip(found, self._states[1:], strict=True)
        )

    def seen(self, scale: Floats) -> list[LayerVectors]:
        """What each layer sees with inputs multiplied by ``scale`` [I]."""
        first, *others = self._vectors
        return [first.scaled(scale), *others]

    @cached_property
    def _vectors(self) -> list[LayerVectors]:
        pairs = zip(self._network.layers, self._states, self._states[1:], strict=False)
        return [
            LayerVectors.of(
                x,
                None
                if isinstance(layer, FloatLinear)
                else np.concatenate([before(each) for each in self._apart(made)]),
                np.ones(layer.inputs) if k else self._sizes[0],
            )
            for k, (layer, x, made) in enumerate(pairs)
        ]

    @cached_property
    def _sizes(self) -> list[Floats]:
        """Sizes of the features [I], by their largest values and by their RMS."""
        first = self._network.layers[0]
        assert not isinstance(first, FloatLinear)
        weight = np.abs(first.weight_x).max(axis=0)
        weight = np.maximum(weight / (weight.max() or 1.0), SMALLEST)
        largest = np.abs(self.frames).max(axis=0)
        rms = np.sqrt(np.add.reduce(self.frames**2, axis=0) / len(self.frames))
        return [
            np.maximum(size, _LEAST * (size * weight).max() / weight)
            for size in (largest, _RMS * rms)
        ]

    def scales(self, ranges: Sequence[float]) -> list[Floats]:
        """Input scales [I] worth trying: with each, all features are of one size. Those of the
        first of ``ranges`` come first.
        """
        return [top / size for top in ranges for size in self._sizes]


@dataclass(frozen=True)
class Converted:
    """A model, what each input is multiplied by [I] once the network's offset is subtracted, and
    how good it is: unknown without calibration frames.
    """

    model: Model
    input_scale: Floats
    dense: Fidelity | None = None
    delta: Fidelity | None = None


def convert(
    name: str,
    network: FloatNetwork,
    calibration: Calibration | None = None,
    theta: tuple[int | None, int | None] = (None, None),
    budget: float | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Converted:
    """The integer network of a float one.

    Parameters
    ----------
    calibration
        Chooses formats and input scale: the cheapest formats that lose little more than the best,
        and the scale that loses least. Without it inputs are taken as they are, in the first.
    theta
        Thresholds of every x and of every h in activation LSBs; None is 0.
    budget
        Instead of ``theta``: the loss (Fidelity) that thresholds may add, all together.
    report
        Is told in words of every step, for someone who waits.

    Raises
    ------
    ValueError
        Where a budget comes without calibration or beside thresholds, a threshold or budget is
        none, no integers hold the weights, or the model would be of no use: with every weight of
        a layer's inputs at 0, or with an error larger than what the results tell.
    """
    if budget is not None and not 0 <= budget < np.inf:
        raise refusal("budget", f"{budget}", "a number that is not negative")

    offset = network.offset
    shifted = {} if offset is None or not offset.any() else {"input_offset": offset.tolist()}

    def quantised(precision: Precision, scale: Floats) -> Model:
        seen = None if calibration is None else calibration.seen(scale)
        model = quantize_network(
            name,
            precision.formats,
            network.scaled(scale),
            extra={"input_scale": scale.tolist(), **shifted},
            shift_max=precision.shift_max,
            seen=seen,
        )
        for k, weights in enumerate(model.weights):
            if not weights.weight_x.any():
                found = f"every weight of its inputs at 0 when rounded, input scale {scale.max():g}"
                raise refusal(f"layer {k}", found, "a network that answers to its inputs")
        return model

    if calibration is None:
        if budget is not None:
            raise refusal("budget", "no calibration frames", "some to measure the loss on")
        scale, dense = np.ones(network.inputs), None
        model = quantised(PRECISIONS[0], scale)
    else:
        chosen = _chosen(network, calibration, quantised, report)
        model, scale, dense = chosen.model, chosen.scale, chosen.fidelity
    if budget is None:
        model = with_thresholds(model, _of_every_layer(model, theta))
    elif theta != (None, None):
        raise refusal("thresholds", "some beside a budget", "one of them: a budget chooses them")
    else:
        assert calibration is not None
        assert dense is not None
        limit = dense.loss + budget
        path = descend(
            (0,) * len(thresholds(model)),
            model.parameters.formats.activation.max,
            lambda tried: [
                calibration.fidelity(with_thresholds(model, values), scale) for values in tried
            ],
            lambda then: then.loss <= limit,
            lambda then: report(f"thresholds: {then.macs:.0%} of the MACs, loss {then.loss:.4f}"),
            size=1 << max(0, model.parameters.formats.activation.f - _THETA_FRAC),
        )
        model = with_thresholds(model, path[-1].thresholds)
    delta = None if calibration is None else calibration.fidelity(model, scale)
    return Converted(model, scale, dense, delta)


@dataclass(frozen=True)
class _Choice:
    model: Model
    scale: Floats
    fidelity: Fidelity


def _chosen(
    network: FloatNetwork,
    calibration: Calibration,
    quantised: Callable[[Precision, Floats], Model],
    report: Callable[[str], None],
) -> _Choice:
    """The cheapest precision that loses little more than the finest, at the scale that leaves most
    room and loses little more than the best.
    """
    refused: ValueError | None = None

    def best(precision: Precision) -> _Choice | None:
        nonlocal refused
        found = []
        for scale in calibration.scales(precision.ranges):
            try:
                model = quantised(precision, scale)
            except ValueError as error:  # another scale may do
                refused = refused or error
                continue
            fidelity = calibration.fidelity(model, scale)
            report(f"{precision.name}: loss {fidelity.loss:.4f}")
            found.append(_Choice(model, scale, fidelity))
        return _first_of_the_best(found)

    def with_cell(precision: Precision, cell: Q) -> Precision:
        return replace(precision, formats=replace(precision.formats, cell=cell))

    cells = CELLS if any(isinstance(layer, FloatLSTM) for layer in network.layers) else CELLS[:1]
    *cheaper, finest = PRECISIONS
    tried = [best(with_cell(finest, cell)) for cell in cells]
    chosen = _first_of_the_best([choice for choice in tried if choice is not None])
    if chosen is None:
        assert refused is not None
        raise refused
    cell, least = chosen.model.parameters.formats.cell, chosen.fidelity.loss
    for precision in cheaper:
        choice = best(with_cell(precision, cell))
        if choice is not None and choice.fidelity.loss <= TOLERANCE * least:
            chosen = choice
            break
    if chosen.fidelity.loss >= 1:
        found = f"an error of {chosen.fidelity.loss:.0%} of their spread in every format"
        expected = "a network that follows its float one: is the recording of its inputs?"
        raise refusal("results", found, expected)
    return chosen


def _first_of_the_best(choices: Sequence[_Choice]) -> _Choice | None:
    """The first that loses little more than the best; they are in the order of preference."""
    enough = TOLERANCE * min((choice.fidelity.loss for choice in choices), default=np.inf)
    return next((choice for choice in choices if choice.fidelity.loss <= enough), None)


def _of_every_layer(model: Model, theta: tuple[int | None, int | None]) -> tuple[int, ...]:
    theta_x, theta_h = (value or 0 for value in theta)
    most = (
        1 << model.parameters.formats.activation.width
    ) - 1  # that two activations can differ by
    require_int("theta_x", theta_x, 0, most)
    require_int("theta_h", theta_h, 0, most)
    layers = model.parameters.layers
    return tuple(value for layer in layers for value in (theta_x, theta_h)[: 1 + layer.recurrent])


def before(states: Floats) -> Floats:
    """What a layer's units were a frame earlier [T, H]: 0 at first."""
    return np.concatenate([np.zeros((1, states.shape[1])), states[:-1]])


def load_calibration(paths: Path | Sequence[Path], network: FloatNetwork) -> Calibration:
    """Recordings of features in files or folders as golden.recordings reads them.

    Raises ValueError that names the file.
    """
    several = [paths] if isinstance(paths, Path) else list(paths)
    recordings: list[Floats] = []
    for path in several:
        found = load(path)
        for name, each in zip(found.names, found.sequences, strict=True):
            if each.dtype.kind != "f":
                raise refusal(name, f"dtype {each.dtype}", "features as floats")
            if each.shape[1] != network.inputs:
                raise refusal(f"{name}: calibration", *_shapes(each, network))
        recordings += found.sequences
    try:
        return Calibration(network, recordings)
    except ValueError as error:
        raise ValueError(f"{', '.join(map(str, several))}: {error}") from None


def _shapes(recording: Floats, network: FloatNetwork) -> tuple[str, str]:
    """What the shape of a recording is and what it should be."""
    return f"shape {list(recording.shape)}", f"[T, {network.inputs}], T >= {MIN_FRAMES}"

"""Cycles over occupancy: one core, many thresholds, every bit compared on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from golden.formats import Formats
from golden.model import WEIGHTS, Model
from golden.network import DeltaNetwork, Trace
from golden.parameters import CoreParameters, LayerParameters
from hw.bus.registers import register_map
from hw.emit.verilog import Emission, emit
from sim.build import build
from sim.compare import first_mismatch_of
from sim.run import Job, play, traces_of
from sim.simulator import Simulator


@dataclass(frozen=True)
class Shape:
    """A network and core to measure: sizes of its recurrent layers, results of the read-out if any,
    lanes, units that the activation unit takes in a cycle, the kind of the recurrent layers, number
    formats, the most that rows are shifted, and streams."""

    name: str
    sizes: tuple[int, ...]
    outputs: int | None
    lanes: int
    activations: int = 1
    kind: str = "gru"
    formats: Formats = Formats()  # noqa: RUF009  # frozen
    shift_max: int = 0
    streams: int = 1

    def core(self, model: Model) -> CoreParameters:
        """The core for one of its models."""
        return CoreParameters(model.parameters, self.lanes, self.activations, self.streams)

    def model(self, seed: int) -> Model:
        """Random weights of a size that keeps states moving; thresholds come at run time."""
        rng = np.random.default_rng(seed)

        def int8(*shape: int) -> np.ndarray:
            return rng.integers(-20, 21, shape).astype(np.int8)

        def bias(n: int) -> np.ndarray:
            return rng.integers(-400, 401, n).astype(np.int32)

        def shift(n: int) -> np.ndarray | None:
            if not self.shift_max:
                return None
            return rng.integers(0, self.shift_max + 1, n).astype(np.int8)

        layers, weights = [], []
        for inputs, units in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            layer = LayerParameters(self.kind, inputs, units, 6, 0, 0)
            rows = layer.gates * units
            x, h = int8(rows, inputs), int8(rows, units)
            layers.append(layer)
            weights.append(WEIGHTS[self.kind](x, h, bias(4 * units), shift(4 * units)))
        if self.outputs is not None:
            layers.append(LayerParameters("linear", self.sizes[-1], self.outputs, 6, 0))
            x = int8(self.outputs, self.sizes[-1])
            weights.append(WEIGHTS["linear"](x, bias(self.outputs)))
        return Model.of(self.name, self.formats, tuple(layers), tuple(weights))


SHAPES = (
    Shape("40 -> 128, 8 lanes", (40, 128), None, 8),
    Shape("40 -> 128, 8 lanes, 2 units a cycle", (40, 128), None, 8, 2),
    Shape("64 -> 256 -> 12, 32 lanes", (64, 256), 12, 32),
    Shape("16 -> 16 -> 16, 8 lanes", (16, 16, 16), None, 8),
    Shape("16 -> 16 -> 16, 8 lanes, 2 units a cycle", (16, 16, 16), None, 8, 2),
    Shape("LSTM 16 -> 128, 8 lanes", (16, 128), None, 8, kind="lstm"),
    Shape("LSTM 16 -> 128, 8 lanes, 2 units a cycle", (16, 128), None, 8, 2, kind="lstm"),
)
# Fraction of inputs that move in a frame, and the threshold of h: from all to nothing.
POINTS = (
    *((1.0, 0), (0.8, 2), (0.6, 4), (0.4, 8), (0.2, 11), (0.1, 12), (0.1, 14)),
    *((0.08, 15), (0.05, 16), (0.02, 20), (0.01, 30), (0.005, 60), (0.0, 255)),
)
WARM_UP = 6  # frames until occupancy has settled


def moving_frames(rng: np.random.Generator, length: int, inputs: int, moving: float) -> np.ndarray:
    """int8 [length, inputs]: after the first frame a fraction of the elements moves, far."""
    frames = np.zeros((length, inputs), dtype=np.int8)
    frames[0] = rng.integers(-60, 61, inputs)
    for t in range(1, length):
        frames[t] = _next(rng, frames[t - 1], moving)
    return frames


def _next(rng: np.random.Generator, frame: np.ndarray, moving: float) -> np.ndarray:
    moves = rng.random(len(frame)) < moving
    return np.where(moves, rng.integers(-60, 61, len(frame)), frame).astype(np.int8)


def with_thresholds(model: Model, theta: int) -> Model:
    """``model`` with all thresholds at ``theta``, save that of the input, which is 0."""
    layers = tuple(
        # Behind the first layer x is a layer's h, and gets h's threshold.
        replace(layer, theta_x=theta if k else 0, theta_h=theta if layer.recurrent else None)
        for k, layer in enumerate(model.parameters.layers)
    )
    return Model.of(model.name, model.parameters.formats, layers, model.weights)


def driven(
    model: Model, seed: int, points: Sequence[tuple[float, int, int]], streams: int = 1
) -> tuple[Job, list[Trace]]:
    """A job with frames for each of ``points``, and what the network does in each stream.

    A point is the fraction of inputs that move, the threshold of h, and a number of frames, behind
    which comes one more. Each begins from reset. Each stream has frames of its own.
    """
    network = model.parameters
    address = {register.name: register.address for register in register_map(network)}
    rng = np.random.default_rng(seed)
    job, parts = Job(), [[] for _ in range(streams)]
    for moving, theta, length in points:
        golden = DeltaNetwork(with_thresholds(model, theta), streams)
        for k, layer in enumerate(golden.model.parameters.layers):
            job.write(address[f"THETA_X_{k}"], layer.theta_x)
            if layer.theta_h is not None:
                job.write(address[f"THETA_H_{k}"], layer.theta_h)
        frames = []
        for _ in range(streams):
            of_stream = moving_frames(rng, length, network.inputs, moving)
            more = _next(np.random.default_rng(seed), of_stream[-1], moving)
            frames.append(np.concatenate([of_stream, more[None]]))
        job.reset().rounds(np.stack(frames, axis=1)).settle()
        trace = golden.run(np.stack(frames))
        for n, of_stream in enumerate(parts):
            of_stream.append(trace[n])
    return job, [Trace.joined(of_stream) for of_stream in parts]


def sweep(
    shape: Shape,
    simulator: Simulator,
    seed: int,
    length: int,
    points: Sequence[tuple[float, int]] = POINTS,
    emit: Callable[[CoreParameters, Model], Emission] = emit,
) -> list[dict[str, Any]]:
    """One row for each of ``points``: occupancy, events, ideal and measured cycles a frame.

    ``length`` frames a point, of which the first WARM_UP do not count; ``emit`` makes the Verilog.
    Where there are several streams each has frames of its own, and a frame takes its share of a
    round.
    One more frame comes behind them: its x is walked early in the last one that counts, as that of
    the first one that counts was in the one before.
    Raises RuntimeError where the RTL differs from golden in any bit.
    """
    model = shape.model(seed)
    core, columns = shape.core(model), sum(layer.columns for layer in model.parameters.layers)
    timed = [(*point, length) for point in points]
    job, expected = driven(model, seed, timed, core.streams)
    record = play(build(emit(core, model), simulator), core, job)
    found = traces_of(record, core)
    mismatch = first_mismatch_of(expected, found)
    if mismatch is not None:
        raise RuntimeError(f"{shape.name}: RTL and golden model differ: {mismatch}")
    counting = slice(WARM_UP, length)
    events = np.mean([trace.events_x + trace.events_h for trace in found], axis=0)
    events = events.reshape(len(points), length + 1, -1)[:, counting]
    cycles = record.intervals.reshape(len(points), length + 1)[:, counting] / core.streams
    bound = core.ideal_cycles(events)
    rows = []
    for n, (moving, theta) in enumerate(points):
        ideal, measured = float(bound[n].mean()), float(cycles[n].mean())
        rows.append(
            {
                "moving": moving,
                "theta_h": theta,
                "occupancy": float(events[n].sum(axis=1).mean()) / columns,
                "events": float(events[n].sum(axis=1).mean()),
                "ideal_cycles": ideal,
                "cycles": measured,
                "fewest_cycles": cycles[n].min().item(),
                "utilisation": ideal / measured,
                "speedup_over_dense": core.dense_cycles / measured,
            }
        )
    return rows

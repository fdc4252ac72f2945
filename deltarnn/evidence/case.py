"""One configuration and what is done with it: all that a soak tries, as plain data."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from golden.errors import refusal
from golden.fixed import Integers, Q
from golden.formats import Formats
from golden.kinds import format_names
from golden.model import WEIGHTS, Model
from golden.network import DeltaNetwork, Trace
from golden.parameters import CoreParameters, LayerParameters
from hw.bus.registers import register_map
from hw.emit.verilog import Emission, emit
from hw.primitive.columns import CheckedColumns, ColumnWeights, LoadedColumns
from hw.target import Target
from sim.job import Job
from sim.memory import Memory

Step = tuple[Any, ...]


@dataclass(frozen=True)
class Case:
    """A model, a core for it, and a job.

    Attributes
    ----------
    kinds, sizes, outputs
        Of the recurrent layers; I, H, H...; O of a read-out, if there is one.
    formats
        m and f of each format; one that a model file with these kinds does not hold is not looked
        at.
    weight_fracs, thetas, shifts
        Of each layer, the read-out's last: f_w; T_x and T_h; the most that a row is shifted.
    weights, biases
        What they are like: names of WEIGHT_STYLES and BIAS_STYLES.
    lanes, activations, target
        The core's.
    gaps, pauses
        Fractions of cycles in which the streams stand still (sim.job.Job).
    seed
        What all random numbers are drawn from.
    memory
        Where the weights lie outside the core, cycles until a column comes and the fraction of
        cycles in which the memory waits (sim.memory.Memory).
    streams
        The core's. Each step is one for all: so many frames of each, one of which is broken.
    steps
        What is done, in order: ``("frames", how, length)`` with ``how`` one of FRAME_STYLES;
        ``("broken", elements)``, a frame of another length; ``("reset",)``; ``("load",)``, which
        does nothing to a core with its weights inside; ``("threshold", layer, vector, value)``
        between frames and ``("threshold at once", ...)`` while they are on their way;
        ``("counters",)``, which reads all counters and thresholds; ``("wait", cycles)``.
    """

    kinds: tuple[str, ...]
    sizes: tuple[int, ...]
    outputs: int | None
    formats: Mapping[str, tuple[int, int]]
    weight_fracs: tuple[int, ...]
    thetas: tuple[tuple[int, int], ...]
    shifts: tuple[int, ...]
    weights: str
    biases: str
    lanes: int
    activations: int
    target: str
    gaps: float
    pauses: float
    seed: int
    steps: tuple[Step, ...]
    streams: int = 1
    memory: tuple[int, float] | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> "Case":
        """A case from what ``as_json`` made of it, through JSON; ValueError where it is none."""
        try:
            return cls(**{name: _tuples(value) for name, value in record.items()})
        except (TypeError, AttributeError):
            keys = ", ".join(cls.__dataclass_fields__)
            raise refusal("case", "other keys", f"a JSON object of {keys}") from None

    @property
    def layers(self) -> int:
        return len(self.kinds) + (self.outputs is not None)

    @property
    def on_the_way(self) -> bool:
        """Whether thresholds change while frames are on their way, so that cycles decide."""
        return any(step[0] == "threshold at once" for step in self.steps)

    def model(self) -> Model:
        """Raises ValueError where a model file may not say this."""
        rng = np.random.default_rng(self.seed)
        said = set(self.formats).intersection(format_names(self.kinds))
        formats = Formats(**{name: Q(*self.formats[name]) for name in said})
        int8, bias = WEIGHT_STYLES[self.weights], BIAS_STYLES[self.biases]
        layers, weights = [], []
        for k, kind in enumerate(self.kinds):
            inputs, units = self.sizes[k : k + 2]
            layer = LayerParameters(kind, inputs, units, self.weight_fracs[k], *self.thetas[k])
            rows, sums = layer.gates * units, layer.accumulators * units
            most = self.shifts[k]
            shift = rng.integers(0, most + 1, sums).astype(np.int8) if most else None
            x, h = int8(rng, (rows, inputs)), int8(rng, (rows, units))
            layers.append(layer)
            weights.append(WEIGHTS[kind](x, h, bias(rng, sums), shift))
        if self.outputs is not None:
            last, frac = self.sizes[-1], self.weight_fracs[-1]
            layers.append(LayerParameters("linear", last, self.outputs, frac, self.thetas[-1][0]))
            x = int8(rng, (self.outputs, last))
            weights.append(WEIGHTS["linear"](x, bias(rng, self.outputs)))
        return Model.of("case", formats, tuple(layers), tuple(weights))

    def core(self, model: Model) -> CoreParameters:
        """Raises ValueError where no core may have these numbers."""
        return CoreParameters(model.parameters, self.lanes, self.activations, self.streams)

    def emission(self, core: CoreParameters, model: Model, target: Target) -> Emission:
        """The Verilog to be played, that of the memory included."""
        emission = emit(core, model, self.target_of(target))
        if self.memory is None:
            return emission
        latency, stalls = self.memory
        return Memory(latency, stalls, 1 + self.seed).beside(emission)

    def target_of(self, target: Target) -> Target:
        """``target``, with its weights where the case has them. Where a word has 16 bits they are
        checked, and loaded through the core; where it has 8 they are checked, and M is where slow
        memories let it be.
        """
        if self.memory is None:
            return target
        if self.lanes == 1:
            return target.with_slow_columns(CheckedColumns)
        return target.with_columns(LoadedColumns if self.lanes == 2 else ColumnWeights)

    def played(self, model: Model, weights: bytes | None) -> "Played":
        """The job, and what must come of it. ``weights`` are those to be loaded, if any."""
        job = Job(self.gaps, self.pauses, self.seed, streams=self.streams)
        return played(model, self.steps, job, weights)


@dataclass(frozen=True)
class Played:
    """A case's job, what golden says of each stream where no threshold changes on the way, and what
    the registers answer: response and data of each access."""

    job: Job
    traces: tuple[Trace, ...]
    replies: list[tuple[int, int]]

    @property
    def trace(self) -> Trace:
        """That of the only stream."""
        (trace,) = self.traces
        return trace


def played(model: Model, steps: Iterable[Step], job: Job, weights: bytes | None = None) -> Played:
    """``job`` with the steps of a case added, and what must come of it.

    Frames are drawn from the job's seed. ``weights`` are those to be loaded, if any.
    """
    player = _Player(model, job, weights)
    for step in steps:
        getattr(player, step[0].replace(" ", "_"))(*step[1:])
    player.job.settle()
    return Played(player.job, player.traces, player.replies)


class _Player:
    """Goes through the steps of a case: what the core is to do, and what golden does meanwhile."""

    def __init__(self, model: Model, job: Job, weights: bytes | None) -> None:
        self._model, self._weights = model, weights
        self._rng = np.random.default_rng(job.seed + 1)
        self._address = {r.name: r.address for r in register_map(model.parameters)}
        self._networks = [DeltaNetwork(model) for _ in range(job.streams)]
        self._late: dict[int, int] = {}  # thresholds of h, which count from the frame after next on
        self.job = job
        none = np.zeros((0, model.parameters.inputs), np.int64)
        self._parts = [[network.run(none)] for network in self._networks]
        self.replies: list[tuple[int, int]] = []
        greatest = (1 << model.parameters.formats.activation.width) - 1
        layers = enumerate(model.parameters.layers)
        self._thresholds = {
            name: min(value, greatest)
            for k, layer in layers
            for name, value in ((f"THETA_X_{k}", layer.theta_x), (f"THETA_H_{k}", layer.theta_h))
            if value is not None
        }
        self._greatest = greatest

    @property
    def traces(self) -> tuple[Trace, ...]:
        return tuple(Trace.joined(parts) for parts in self._parts)

    def frames(self, how: str, length: int) -> None:
        frames = [styled_frames(self._model, how, length, self._rng) for _ in self._networks]
        self.job.rounds(np.stack(frames, axis=1))
        self._golden(frames)

    def broken(self, elements: int) -> None:
        """Elements too many are dropped; those that are missing stay as they were sent."""
        frames = []
        breaks = self._rng.integers(len(self._networks)) if len(self._networks) > 1 else 0
        for n, network in enumerate(self._networks):
            inputs = elements if n == breaks else None
            given = styled_frames(self._model, "any", 1, self._rng, inputs=inputs)
            self.job.frames(given)
            whole = network.layers[0].encoder_x.memory.copy()
            most = min(given.shape[1], whole.shape[1])
            whole[:, :most] = given[:, :most]
            frames.append(whole)
        self._golden(frames)

    def reset(self) -> None:
        self.job.reset()
        self._start_over()

    def load(self) -> None:
        if self._weights is not None:
            self.job.load(self._weights)
            self._start_over()

    def _start_over(self) -> None:
        for network in self._networks:
            network.reset()

    def wait(self, cycles: int) -> None:
        self.job.wait(cycles)

    def threshold(self, layer: int, vector: str, value: int) -> None:
        name = f"THETA_{vector.upper()}_{layer}"
        self.job.settle().write(self._address[name], value)
        self.replies.append((0, 0))
        self._thresholds[name] = min(value, self._greatest)
        if vector == "x":
            for network in self._networks:
                network.layers[layer].theta_x = value
        else:
            self._late[layer] = value

    def threshold_at_once(self, layer: int, vector: str, value: int) -> None:
        self.job.write_at_once(self._address[f"THETA_{vector.upper()}_{layer}"], value)
        self.replies.append((0, 0))

    def counters(self) -> None:
        traces = self.traces
        values = {"FRAMES": len(traces[0].outputs), **self._thresholds}
        for k in range(len(self._model.parameters.layers)):
            values[f"EVENTS_X_{k}"] = sum(int(trace.events_x[:, k].sum()) for trace in traces)
            if f"EVENTS_H_{k}" in self._address:
                values[f"EVENTS_H_{k}"] = sum(int(trace.events_h[:, k].sum()) for trace in traces)
        self.job.settle()
        for name, value in values.items():
            self.job.read(self._address[name])
            self.replies.append((0, value))

    def _golden(self, frames: Sequence[Integers]) -> None:
        """The frames [n, I] of each stream."""
        for network, parts, of_stream in zip(self._networks, self._parts, frames, strict=True):
            for part in (of_stream[:1], of_stream[1:]):
                parts.append(network.run(part))
                # h is compared when it is made, so a threshold meets the h of the frame behind it.
                for layer, value in self._late.items() if len(part) else ():
                    network.layers[layer].theta_h = value  # type: ignore[union-attr]


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


# Weights: int8 of a shape, and biases: int32 [n].


def _uniform(most: int) -> Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]:
    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.integers(-most, most + 1, shape).clip(-128, 127).astype(np.int8)

    return draw


def _few(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.where(rng.random(shape) < 0.2, _uniform(128)(rng, shape), 0).astype(np.int8)


WEIGHT_STYLES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "small": _uniform(20),
    "any": _uniform(128),
    "lowest": lambda rng, shape: np.full(shape, -128, np.int8),
    "ends": lambda rng, shape: rng.choice([-128, 127], shape).astype(np.int8),
    "few": _few,
    "zero": lambda rng, shape: np.zeros(shape, np.int8),
}
BIAS_STYLES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "small": lambda rng, n: rng.integers(-400, 401, n).astype(np.int32),
    "zero": lambda rng, n: np.zeros(n, np.int32),
    "large": lambda rng, n: rng.integers(-(1 << 20), 1 << 20, n).astype(np.int32),
    "limits": lambda rng, n: rng.choice([-(1 << 31), (1 << 31) - 1], n).astype(np.int32),
}


# Frames that a delta network, or a core of one, may stumble over: int64 [length, inputs].

_Draw = Callable[..., Integers]


def _jump(any_: _Draw, rng: np.random.Generator, length: int, theta: int) -> Integers:
    frames = np.tile(any_(1), (length, 1))
    frames[int(rng.integers(length)) :] = any_(1)
    return frames


def _one_moves(any_: _Draw, rng: np.random.Generator, length: int, theta: int) -> Integers:
    frames = np.tile(any_(1), (length, 1))
    column = int(rng.integers(frames.shape[1]))
    frames[:, column] = any_(length)[:, column]
    return frames


def _around(any_: _Draw, rng: np.random.Generator, length: int, theta: int) -> Integers:
    steps = rng.choice([-theta - 1, -theta, 0, theta, theta + 1], any_(length).shape)
    return np.cumsum(steps, axis=0)


def _ends(any_: _Draw, rng: np.random.Generator, length: int, theta: int) -> Integers:
    return rng.choice([-(1 << 20), 1 << 20], any_(length).shape)


def _some(any_: _Draw, rng: np.random.Generator, length: int, theta: int) -> Integers:
    frames = any_(length)
    moves = rng.random(frames.shape) < 0.3
    for t in range(1, length):
        frames[t] = np.where(moves[t], frames[t], frames[t - 1])
    return frames


def _still(any_: _Draw, rng: np.random.Generator, length: int, theta: int) -> Integers:
    frames = np.tile(any_(1), (length, 1))
    frames[: length // 8] = any_(length // 8)
    return frames


FRAME_STYLES = {
    "any": lambda any_, rng, length, theta: any_(length),
    "plateau and jump": _jump,
    "one element moves": _one_moves,
    "around the threshold": _around,
    "at the ends": _ends,
    "some move": _some,
    "nothing for long": _still,
}


def styled_frames(
    model: Model, how: str, length: int, rng: np.random.Generator, inputs: int | None = None
) -> np.ndarray:
    """Integers [length, inputs] of the activation format, ``how`` being one of FRAME_STYLES."""
    network = model.parameters
    activation = network.formats.activation
    columns = inputs or network.inputs

    def any_(rows: int) -> Integers:
        return rng.integers(activation.min, activation.max + 1, (rows, columns))

    frames = FRAME_STYLES[how](any_, rng, length, network.layers[0].theta_x)
    return np.clip(frames, activation.min, activation.max).astype(np.int64)

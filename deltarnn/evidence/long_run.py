"""A million frames of a core in Verilator against the golden model, in recordings that are long."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from deltarnn.demo import held_out
from deltarnn.markdown import lines
from golden.fixed import Integers
from golden.model import Model
from golden.network import DeltaNetwork, Trace
from golden.parameters import CoreParameters, NetworkParameters
from golden.recurrent import DeltaRecurrent, RecurrentWeights
from hw.bus.registers import register_map
from hw.emit.verilog import emit
from sim.build import build
from sim.compare import compared_words, first_mismatch
from sim.job import Job
from sim.run import play, trace_of
from sim.simulator import Simulation
from sim.simulators import find_simulator
from sim.sweep import Shape

SEED = 1
RECORDINGS = 10  # of each network, all at once in the golden model
FRAMES = 100_000  # of each of them, without a reset
BEFORE = 200  # frames of something else before each, with a reset between
FACTORS = (1.0, 2.0, 0.5, 4.0)  # of the thresholds, rewritten in each recording so many times
PHASE = 500  # frames
MOVING = (0.0, 0.02, 0.1, 0.3, 1.0)  # fraction of the elements that walk in a phase
PIECE = 5000  # frames that the golden model is compared at once
LANES = 8

Thresholds = list[tuple[int, int]]  # of x and h of each layer, 0 for what it has not


def measure(say: Callable[[str], None], share: float = 1.0) -> dict:
    """Runs ``share`` of the frames of the shipped model, and of one LSTM.

    Raises RuntimeError where a bit differs, or M is not W v^ + b.
    """
    shape = Shape("lstm", (12, 32), 9, LANES, kind="lstm", shift_max=3)
    frames = max(len(FACTORS) * 10, round(share * FRAMES))
    models = {"shipped, GRU": held_out()[0], "LSTM, row shifts": _with_thetas(shape.model(SEED))}
    begun = time.monotonic()
    rows = [_measured(name, model, frames, say) for name, model in models.items()]
    seconds = round(time.monotonic() - begun)
    return {
        "networks": rows,
        "recordings": RECORDINGS,
        "frames_of_each": frames,
        "seconds": seconds,
    }


def _with_thetas(model: Model) -> Model:
    layers = (
        replace(layer, theta_x=2, theta_h=3 if layer.recurrent else None)
        for layer in model.parameters.layers
    )
    return Model.of(model.name, model.parameters.formats, tuple(layers), model.weights)


def _measured(name: str, model: Model, frames: int, say: Callable[[str], None]) -> dict:
    core = CoreParameters(model.parameters, LANES)
    simulation = build(emit(core, model), find_simulator("verilator"))
    recordings = np.stack(
        [walk(np.random.default_rng([SEED, n]), frames, core) for n in range(RECORDINGS)]
    )
    golden = DeltaNetwork(model, RECORDINGS)
    seconds = {"rtl": 0.0, "golden": 0.0}
    found, cycles = [], 0
    for n, recording in enumerate(recordings):
        begun = time.monotonic()
        trace, spent = _played(simulation, core, recording)
        found.append(trace)
        cycles += spent
        seconds["rtl"] += time.monotonic() - begun
        say(f"long run: {name}, {(n + 1) * frames:,} frames in Verilator")
    begun, done, words, events = time.monotonic(), 0, 0, 0
    for expected in _golden(golden, recordings):
        length = expected.outputs.shape[1]
        for n, trace in enumerate(found):
            one = _part(expected, n)
            mismatch = first_mismatch(one, _rows(trace, done, done + length))
            if mismatch is not None:
                raise RuntimeError(f"{name}, recording {n}, from frame {done} on: {mismatch}")
            words += compared_words(one)
            events += int(one.events_x.sum() + one.events_h.sum())
        done += length
    seconds["golden"] = time.monotonic() - begun
    sums = _require_exact(golden)
    say(f"long run: {name}, {words:,} words equal")
    return {
        "name": name,
        "frames": RECORDINGS * done,
        "words": words,
        "events": events,
        "cycles": cycles,
        "accumulators": sums,
        "seconds_rtl": round(seconds["rtl"]),
        "seconds_golden": round(seconds["golden"]),
    }


def walk(rng: np.random.Generator, frames: int, core: CoreParameters) -> np.ndarray:
    """int8 [frames, I]: elements that walk, turn around at the ends, and stand still at times."""
    shape = (frames, core.network.inputs)
    moving = rng.choice(MOVING, -(-frames // PHASE)).repeat(PHASE)[:frames]
    steps = rng.integers(-9, 10, shape) * (rng.random(shape) < moving[:, None])
    return (np.abs((steps.cumsum(axis=0) + 128) % 510 - 255) - 128).astype(np.int8)


def _thresholds(network: NetworkParameters) -> Iterator[Thresholds]:
    for factor in FACTORS:
        yield [
            (round(factor * layer.theta_x), round(factor * (layer.theta_h or 0)))
            for layer in network.layers
        ]


def _segments(frames: int) -> list[slice]:
    """As many as there are thresholds."""
    ends = np.linspace(0, frames, len(FACTORS) + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(ends)]


def _played(
    simulation: Simulation, core: CoreParameters, recording: np.ndarray
) -> tuple[Trace, int]:
    """What the RTL did with ``recording``, and the cycles that it took."""
    address = {register.name: register.address for register in register_map(core.network)}
    before = recording[::-1][:BEFORE]
    job = Job().frames(before).reset()
    for thresholds, part in zip(_thresholds(core.network), _segments(len(recording)), strict=True):
        job.settle()
        for k, pair in enumerate(thresholds):
            for kind, theta in zip("XH", pair, strict=True):
                if f"THETA_{kind}_{k}" in address:
                    job.write(address[f"THETA_{kind}_{k}"], theta)
        job.frames(recording[part])
    record = play(simulation, core, job)
    return _rows(trace_of(record, core), len(before), None, np.int32), int(record.intervals.sum())


def _golden(network: DeltaNetwork, recordings: np.ndarray) -> Iterator[Trace]:
    """Traces of pieces of all ``recordings``, one behind the other, with a batch axis."""
    for thresholds, part in zip(
        _thresholds(network.model.parameters), _segments(recordings.shape[1]), strict=True
    ):
        for layer, (theta_x, _) in zip(network.layers, thresholds, strict=True):
            layer.theta_x = theta_x
        # h of a frame is encoded as it is made, at the end of the frame before.
        yield network.run(recordings[:, part.start : part.start + 1])
        for layer, (_, theta_h) in zip(network.layers, thresholds, strict=True):
            if isinstance(layer, DeltaRecurrent):
                layer.theta_h = theta_h
        for low in range(part.start + 1, part.stop, PIECE):
            yield network.run(recordings[:, low : min(low + PIECE, part.stop)])


def _part(trace: Trace, n: int) -> Trace:
    """Sequence ``n`` of a batch."""
    return _each(trace, lambda array: array[n])


def _rows(trace: Trace, low: int, high: int | None, kind: type = np.int64) -> Trace:
    return _each(trace, lambda array: array[low:high].astype(kind))


def _each(trace: Trace, made: Callable[[Integers], Integers]) -> Trace:
    return Trace(
        made(trace.outputs),
        tuple(map(made, trace.states)),
        tuple(map(made, trace.deltas_x)),
        tuple(map(made, trace.deltas_h)),
    )


def _require_exact(network: DeltaNetwork) -> int:
    """How many accumulators there are, each of them W v^ + b to the last bit.

    Raises RuntimeError where one is not.
    """
    count = 0
    for k, (layer, weights) in enumerate(zip(network.layers, network.model.weights, strict=True)):
        x = layer.encoder_x.memory @ weights.weight_x.astype(np.int64).T
        sums = x
        if isinstance(layer, DeltaRecurrent):
            assert isinstance(weights, RecurrentWeights)
            h = layer.encoder_h.memory @ weights.weight_h.astype(np.int64).T
            units = layer.layer.units
            whole = x.shape[1] - units * layer.layer.has.splits
            both = x[:, :whole] + h[:, :whole]
            sums = np.concatenate([both, x[:, whole:], h[:, whole:]], axis=1)
        exact = sums + weights.bias.astype(np.int64)
        if not np.array_equal(exact, layer.m.reshape(exact.shape)):
            raise RuntimeError(f"layer {k}: M is not W v^ + b")
        count += exact.size
    return count


def short(result: dict) -> str | None:
    """Whether nothing was compared; what differs raises an error before."""
    return None if result["networks"] else "no networks"


def found(result: dict) -> str:
    """What was found, in a line."""
    frames, words = (sum(each[key] for each in result["networks"]) for key in ("frames", "words"))
    return f"{frames:,} frames with {words:,} words, none other than golden's"


def section(result: dict) -> str:
    """The section of docs/evidence.md."""
    rows = [
        [
            each["name"],
            *(f"{each[key]:,}" for key in ("frames", "words", "events", "cycles")),
            "0",
            f"{each['accumulators']:,}",
            f"{each['seconds_rtl']:,} + {each['seconds_golden']:,}",
        ]
        for each in result["networks"]
    ]
    header = ["network", "frames", "words compared", "events", "cycles", "that differ"]
    header += ["accumulators equal to W v^ + b", "seconds, Verilator + golden"]
    return f"""\
## Long runs

{result["recordings"]} recordings of {result["frames_of_each"]:,} frames each, without a reset
within. Elements walk at random and stand still at times. Thresholds are rewritten {len(FACTORS)}
times in each recording, and before each lies a shorter one, with a state reset between. Every
event, state and result of the RTL in Verilator is compared with the golden model. At the end each
of the golden model's accumulators is compared with the exact product.

{lines(header, rows)}

**How far it goes.** The RTL's own accumulators cannot be seen from outside. They show in the states
and results, which are compared.
"""

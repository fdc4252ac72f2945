"""The golden model along recorded events, for thresholds that are written while frames run.

Which elements a new threshold meets depends on the cycle in which it is written, of which the
golden model knows nothing. So the replay takes the events as the RTL reported them. It proves that
each of them is v - v^, that at each element some threshold in force then explains why it fired or
did not, and gives what the golden model makes of these events.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np

from golden.delta import DeltaEncoder
from golden.errors import refusal
from golden.fixed import Integers
from golden.model import Model
from golden.network import DeltaNetwork, Trace
from golden.parameters import CoreParameters
from golden.recurrent import DeltaRecurrent
from hw.bus.registers import CONTROL, CONTROL_RESET_STATE, register_map
from sim.job import Job, merged
from sim.run import Record, trace_of

_LAG = 8  # cycles from what the walk does until the monitor shows it, at most

# For each element: the first and the last cycle in which it may be compared.
Span = tuple[Integers, Integers]


def replay(core: CoreParameters, model: Model, job: Job, record: Record, stream: int = 0) -> Trace:
    """What the golden model makes of a stream's events in ``record``, which ``job`` gave.

    The trace has the recorded events; its states and results are the golden model's own, to be
    compared with those of sim.run.trace_of.

    Where an element is made by the core itself, the cycle of its comparison is known, and so is the
    threshold. Where it comes from outside, or a layer that stands still is skipped, the cycles
    between which it was compared are known. One choice for all elements must then explain them, in
    which thresholds change in the order of the elements.

    Raises ValueError where it cannot be told after which frame a state reset comes, or where a
    frame has not as many elements as the network has inputs. Raises RuntimeError that names the
    first element whose event, or lack of one, no threshold in force explains.
    """
    streams = core.streams
    record = record.of_stream(stream, streams)
    found = trace_of(record, core)
    frames, starts = _sequences(job, model)
    frames, starts = frames[stream::streams], [start // streams for start in starts]
    network = DeltaNetwork(model)
    cycles = _state_cycles(core, record)
    thresholds = _thresholds(model, job, record)
    for k, layer in enumerate(network.layers):
        x = _spans_x(k, core, record, cycles)
        layer.encoder_x = _Recorded(f"layer {k}, x", found.deltas_x[k], thresholds[k, "X"], x)
        if isinstance(layer, DeltaRecurrent):
            h = _spans_h(cycles[k], record)
            layer.encoder_h = _Recorded(f"layer {k}, h", found.deltas_h[k], thresholds[k, "H"], h)
    parts = []
    for start, end in zip(starts, [*starts[1:], len(frames)], strict=True):
        network.reset()
        parts.append(network.run(frames[start:end]))
    return Trace.joined(parts)


class _Threshold:
    """What a threshold's register holds, write after write."""

    def __init__(self, value: int, greatest: int) -> None:
        self.values, self.cycles = [value], [0]
        self._now, self._greatest = 0, greatest

    def write(self, cycle: int, value: int, strobe: int) -> None:
        self.values.append(merged(min(self.values[-1], self._greatest), value, strobe))
        self.cycles.append(cycle)

    def explains(self, size: int, fires: bool, first: int, last: int) -> bool:
        """Whether the next element fires as it should, compared between two cycles.

        Takes the earliest value that explains it, which leaves most to the elements behind it.
        """
        low = max(self._now, bisect_right(self.cycles, first) - 1)
        for now in range(low, bisect_right(self.cycles, last)):
            if (size > self.values[now]) == fires:
                self._now = now
                return True
        return False

    def between(self, first: int, last: int) -> list[int]:
        low = bisect_right(self.cycles, first) - 1
        return self.values[low : bisect_right(self.cycles, last)]


class _Recorded(DeltaEncoder):
    """A delta encoder that fires where the record says so, and asks whether that may be."""

    def __init__(
        self, name: str, deltas: Integers, threshold: _Threshold, spans: Iterator[Span]
    ) -> None:
        super().__init__(deltas.shape[1])
        self._name, self._threshold = name, threshold
        self._rows = zip(deltas, spans, strict=True)
        self._frame = -1

    def encode(self, v: Integers, theta: int) -> Integers:
        """The recorded deltas of the next frame; ``theta`` is not looked at."""
        self._frame += 1
        deltas, (first, last) = next(self._rows)
        for column, d in enumerate((v - self.memory)[0].tolist()):
            event = int(deltas[column])
            if event not in (0, d):
                raise self._wrong(column, f"an event of {event}", f"{d} or none")
            between = int(first[column]), int(last[column])
            if not self._threshold.explains(abs(d), event != 0, *between):
                values = " or ".join(str(value) for value in self._threshold.between(*between))
                what = f"{'an' if event else 'no'} event of {d}"
                raise self._wrong(column, what, f"what threshold {values} makes of it")
        self.memory = self.memory + deltas
        return deltas[None].copy()

    def _wrong(self, column: int, found: str, expected: str) -> RuntimeError:
        name = f"frame {self._frame}, {self._name}, column {column}"
        return RuntimeError(str(refusal(name, found, expected)))


def _sequences(job: Job, model: Model) -> tuple[Integers, list[int]]:
    """All frames [T, I], and the first of each run of them from reset on."""
    inputs = model.parameters.inputs
    frames, starts = [np.zeros((0, inputs), dtype=np.int64)], [0]
    for step, *arguments in job.steps:
        if step == "frames":
            array = job.arrays[arguments[0]]
            if array.shape[1] != inputs:
                raise refusal("elements of a frame", array.shape[1], f"{inputs}")
            frames.append(array.astype(np.int64))
        resets = step in ("reset", "load")
        if step in ("write", "write_at_once") and arguments[0] == CONTROL:
            _, value, strobe = arguments
            resets = bool(merged(0, value, strobe) >> CONTROL_RESET_STATE & 1)
            if resets and step == "write_at_once":
                raise refusal("state reset", "one while frames are on their way", "one behind them")
        if resets:
            starts.append(sum(map(len, frames)))
    return np.concatenate(frames), starts


def _thresholds(model: Model, job: Job, record: Record) -> dict[tuple[int, str], _Threshold]:
    """The thresholds of each layer's x and h, as the job wrote them and the record says when."""
    names = {f"THETA_{vector}_{k}": (k, vector) for k in range(256) for vector in "XH"}
    registers = {
        register.address: names[register.name]
        for register in register_map(model.parameters)
        if register.name in names
    }
    thresholds = {}
    greatest = (1 << model.parameters.formats.activation.width) - 1
    for k, layer in enumerate(model.parameters.layers):
        for vector, theta in (("X", layer.theta_x), ("H", layer.theta_h)):
            if theta is not None:
                thresholds[k, vector] = _Threshold(theta, greatest)
    accesses = [step for step in job.steps if step[0] in ("reset", "write", "write_at_once")]
    if len(accesses) != len(record.writes):
        raise RuntimeError(str(refusal("writes", len(record.writes), f"{len(accesses)}")))
    for (step, *arguments), cycle in zip(accesses, record.writes.tolist(), strict=True):
        if step != "reset" and arguments[0] in registers:
            thresholds[registers[arguments[0]]].write(cycle, *arguments[1:])
    return thresholds


def _state_cycles(core: CoreParameters, record: Record) -> list[Integers]:
    """Of each recurrent layer [T, H]: when its states were made, -1 where it was skipped."""
    frames, cycles = len(record.outputs), []
    for k, layer in enumerate(core.network.recurrent):
        made = np.ones(frames, dtype=bool)
        made[record.skips[record.skips[:, 1] == k, 0]] = False
        of_layer = np.full((frames, layer.units), -1, dtype=np.int64)
        chosen = record.states[:, 0] == k
        of_layer[made] = record.state_cycles[chosen].reshape(-1, layer.units)
        cycles.append(of_layer)
    return cycles


def _made(cycles: Integers, frame: int, record: Record) -> Span:
    """When the units of ``cycles`` [T, H] were compared, made in ``frame``."""
    made = cycles[frame]
    if made[0] >= 0:
        return made, made
    # Skipped, in the time between two frames' last events.
    before = record.finishes[frame - 1] if frame else 0
    return np.full_like(made, before - _LAG), np.full_like(made, record.finishes[frame] + _LAG)


def _spans_x(
    k: int, core: CoreParameters, record: Record, cycles: Sequence[Integers]
) -> Iterator[Span]:
    columns = np.arange(core.network.inputs)
    for frame in range(len(record.outputs)):
        if k:
            yield _made(cycles[k - 1], frame, record)
        else:  # one element a cycle at most, from the cycle behind the first one's beat on
            first = record.first_beats[frame] + 1 + columns
            yield first, np.full_like(first, record.finishes[frame])


def _spans_h(cycles: Integers, record: Record) -> Iterator[Span]:
    yield cycles[0] * 0, cycles[0] * 0  # of the first frame, in which h is 0 and cannot have moved
    for frame in range(1, len(record.outputs)):
        yield _made(cycles, frame - 1, record)

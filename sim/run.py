"""Runs jobs in a built simulation, and turns the record into what the network did."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from golden.errors import refusal
from golden.files import temporary_folder, written_aside
from golden.fixed import Integers
from golden.network import Trace
from golden.parameters import CoreParameters
from hw.core import bus_width
from hw.walk.layout import CoreLayout
from sim.job import Job
from sim.simulator import Simulation


@dataclass(frozen=True)
class Record:
    """What the RTL did in one job.

    Attributes
    ----------
    outputs : list of int64 [n]
        Results of each frame.
    events : int64 [n, 5]
        Frame, layer, h or x, column, delta of every event, in the order of the lanes.
    states : int64 [n, 3]
        Layer, unit, value of every new h, in order.
    skips : int64 [n, 2]
        Frame and layer that stood still: its states stay as they are.
    finishes, first_beats : int64 [frames]
        Cycle in which a frame's last event went to the lanes; in which its first element came.
    replies : int64 [n, 2]
        Response code and data of each register access.
    state_cycles : int64 [n]
        Cycle in which each of ``states`` was made. Its h, as other neurons see it, is compared with
        the thresholds of that cycle.
    writes : int64 [n]
        The first cycle after each write access, resets and failed ones among them: a threshold that
        was written holds from this cycle on.
    """

    outputs: list[Integers]
    events: Integers
    states: Integers
    skips: Integers
    finishes: Integers
    first_beats: Integers
    replies: Integers
    state_cycles: Integers
    writes: Integers

    @property
    def intervals(self) -> Integers:
        """int64 [frames]: cycles a frame, from finish to finish; the first from its first beat.

        What a core walks early of a frame counts in the frame before.
        """
        before = np.concatenate([self.first_beats[:1] - 1, self.finishes[:-1]])
        return self.finishes - before

    def of_stream(self, stream: int, streams: int) -> "Record":
        """What a core of several streams did with one of them, as a core of one would have.

        Cycles are those of whole rounds, which are all a core of several streams tells.
        """

        def layers(table: Integers, column: int) -> Integers:
            chosen = table[table[:, column] % streams == stream].copy()
            chosen[:, column] //= streams
            return chosen

        return replace(
            self,
            outputs=self.outputs[stream::streams],
            events=layers(self.events, 1),
            states=layers(self.states, 0),
            skips=layers(self.skips, 1),
            first_beats=self.first_beats[stream::streams],
            state_cycles=self.state_cycles[self.states[:, 0] % streams == stream],
        )


def play(
    simulation: Simulation, core: CoreParameters, job: Job, waves: Path | None = None
) -> Record:
    """Runs ``job``; RuntimeError with the bench's own words where it fails.

    The frames of a core of C streams are the streams' in turn: row n is one of stream n % C. There
    are as many of each.

    Where the core's weights must be loaded they are, before the job's first step, unless the job
    is to begin without them. ``waves`` is where the waveforms go, if the simulation was built with
    them. Raises ValueError where weights are to be loaded into a core that takes none.
    """
    job = replace(job, streams=core.streams)
    if simulation.weights is not None and not job.unloaded:
        job = job.loaded_first(simulation.weights)
    if job.loads and "s_weights_tdata" not in simulation.ports:
        raise refusal("step load", "a core without s_weights", "one whose weights must be loaded")
    with temporary_folder() as folder:
        # An idle core is stuck; a working one may take its dense time, slowed down by the buses.
        slow = 1 / (1 - max(job.gaps, job.pauses))
        beats = core.network.inputs + core.network.outputs
        round_ = core.streams * (4 * core.dense_cycles + 8 * beats)
        idle = round_ + CoreLayout(core).reset_cycles + 1000
        idle = (idle + 2 * sum(map(len, job.loads))) * slow  # while it is loaded it shows no sign
        waits = [step[1] for step in job.steps if step[0] == "wait"]
        idle += sum(waits)
        if core.trains:  # nor while it learns, or waits to be told
            idle += core.dense_cycles * 4 * max(map(len, job.arrays.values()), default=0)
            idle += 40 * slow * (len(job.steps) - len(waits))
        tables = simulation.simulator.play(simulation, job, int(idle), folder)
        if waves is not None:
            (found,) = folder.glob(f"*{simulation.waves}")
            with written_aside(waves) as part:
                shutil.copyfile(found, part)
        return _record(tables, simulation, core)


def _record(tables: dict[str, np.ndarray], simulation: Simulation, core: CoreParameters) -> Record:
    """The record of what sim.simulator.Simulator.play returned."""
    result = np.dtype(f"<i{bus_width(core.network.output_width) // 8}")
    lengths, rest = np.divmod(tables["output_lengths"], result.itemsize)
    if rest.any():
        raise _wrong("bytes of a frame's results", tables["output_lengths"][rest != 0][0], "whole")
    outputs = tables["outputs"].view(result).astype(np.int64)
    events = tables["events"].copy()
    events[:, 4] = _signed(events[:, 4], core.network.formats.activation.width + 1)
    states = _states(
        tables["states"],
        tables["state_cycles"],
        simulation.ports["monitor_state_value"],
        core,
    )
    return Record(
        outputs=np.split(outputs, np.cumsum(lengths)[:-1]) if len(lengths) else [],
        events=events,
        states=states[:, :3],
        skips=tables["skips"],
        finishes=tables["finishes"],
        first_beats=tables["first_beats"],
        replies=tables["replies"],
        state_cycles=states[:, 3],
        writes=tables["writes"],
    )


def _signed(values: Integers, width: int) -> Integers:
    """The low ``width`` bits of ``values`` as signed integers."""
    return values << (64 - width) >> (64 - width)


def _states(rows: Integers, cycles: Integers, width: int, core: CoreParameters) -> Integers:
    """int64 [n, 4]: layer, unit, value and cycle of every state, one a row.

    A row of ``rows`` [n, 2 + words] has the values of unit, unit + 1, ... side by side in a port of
    ``width`` bits, given as words of 32. Those beyond the layer's last unit mean nothing.
    """
    network = core.network
    bits = network.state_width
    # A value may lie across two words.
    words = np.pad(rows[:, 2:], ((0, 0), (0, 1)))
    parts = []
    for slot in range(width // bits):
        word, shift = divmod(slot * bits, 32)
        pair = words[:, word] | words[:, word + 1] << 32
        parts.append(
            np.stack([rows[:, 0], rows[:, 1] + slot, _signed(pair >> shift, bits), cycles], axis=1)
        )
    states = np.stack(parts, axis=1)
    units = np.array([layer.units for layer in core.recurrent])
    if (rows[:, 0] >= len(units)).any():
        raise _wrong("layer of a state", rows[:, 0].max(), f"less than {len(units)}")
    # A row's first unit is always meant; one that is not there shall not go unseen.
    meant = states[..., 1] < units[states[..., 0]]
    meant[:, 0] = True
    return states[meant]


def _wrong(name: str, found: object, expected: str) -> RuntimeError:
    """Not a refusal of input: the RTL did something wrong."""
    return RuntimeError(str(refusal(name, found, expected)))


def traces_of(record: Record, core: CoreParameters) -> list[Trace]:
    """``trace_of`` each stream."""
    streams = range(core.streams)
    return [trace_of(record.of_stream(n, core.streams), core) for n in streams]


def trace_of(record: Record, core: CoreParameters) -> Trace:
    """The record of one stream as the golden model would have written it.

    Raises RuntimeError where the core did not even do the right number of things: a frame of
    another length, states missing, an event twice, or one for a column that is not there or did not
    move.
    """
    network = core.network
    frames = len(record.outputs)
    for n, outputs in enumerate(record.outputs):
        if len(outputs) != network.outputs:
            raise _wrong(f"frame {n}: results", len(outputs), str(network.outputs))
    columns = np.transpose([core.columns(layer) for layer in network.layers])  # of x and h
    _, layers, is_h, column, _ = record.events.T
    there = layers < len(network.layers)
    there &= column < columns[is_h, np.where(there, layers, 0)]
    seen, counts = np.unique(record.events[:, :4], axis=0, return_counts=True)
    for what, bad in (
        ("an event twice", seen[counts > 1]),
        ("an event without a change", record.events[record.events[:, 4] == 0]),
        ("an event of a column that is not there", record.events[~there]),
        ("an event after the last frame", record.events[record.events[:, 0] >= frames]),
    ):
        if len(bad):
            raise _wrong("event (frame, layer, h, column)", bad[0].tolist(), f"not {what}")
    deltas_x, deltas_h = (
        [np.zeros((frames, n), dtype=np.int64) for n in of_layers[: len(layers)]]
        for of_layers, layers in zip(columns, (network.layers, network.recurrent), strict=True)
    )
    for is_h, deltas in enumerate((deltas_x, deltas_h)):
        for k, moved in enumerate(deltas):
            chosen = (record.events[:, 1] == k) & (record.events[:, 2] == is_h)
            frame, _, _, column, delta = record.events[chosen].T
            moved[frame, column] = delta
    states = []
    for k, layer in enumerate(network.recurrent):
        made = np.ones(frames, dtype=bool)
        made[record.skips[record.skips[:, 1] == k, 0]] = False
        rows = record.states[record.states[:, 0] == k]
        if not np.array_equal(rows[:, 1], np.tile(np.arange(layer.units), made.sum())):
            raise _wrong(
                f"layer {k}: new states",
                f"{len(rows)}",
                f"{made.sum()} frames of {layer.units} in order",
            )
        # Row n of all states made so far; row 0 is the state at reset.
        history = np.concatenate(
            [np.zeros((1, layer.units), int), rows[:, 2].reshape(-1, layer.units)]
        )
        states.append(history[np.cumsum(made)])
    outputs = np.array(record.outputs, dtype=np.int64).reshape(frames, network.outputs)
    return Trace(outputs, tuple(states), tuple(deltas_x), tuple(deltas_h))

"""The main job: a model's RTL on real frames, held against the golden model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from golden.fixed import Integers
from golden.model import Model
from golden.network import Trace, run_sequences
from golden.parameters import CoreParameters
from hw.emit.verilog import Emission, emit
from sim.build import build, require_waves
from sim.compare import Mismatch, compared_words, first_mismatch_of
from sim.run import Job, play, traces_of
from sim.simulator import Simulator


@dataclass(frozen=True)
class Result:
    """What the RTL did with some sequences, and what it should have done.

    All arrays of the traces run over the frames of all sequences in a row.

    Attributes
    ----------
    cycles : int64 [rounds]
        Cycles from one round's finish to the next one's: of frames, where there is one stream. A
        sequence's first one has the wait for its input, and after the first sequence the state
        reset, in it.
    ideal : int64 [rounds]
        The bound, sum over layers and streams of events * row_blocks.
    steady : bool [rounds]
        Rounds that follow one another, so that their cycles are an interval between them, and in
        which no sequence goes on with its last frame.
    """

    core: CoreParameters
    simulator: str
    version: str
    expected: Trace
    found: Trace
    cycles: Integers
    ideal: Integers
    steady: np.ndarray
    mismatch: Mismatch | None

    def report(self) -> dict[str, Any]:
        """The figures, ready for JSON; ``mismatch`` is None where every bit is equal."""
        core, frames = self.core, len(self.found.outputs)
        chosen = self.steady if self.steady.any() else np.ones_like(self.steady)
        ideal, cycles = int(self.ideal[chosen].sum()), int(self.cycles[chosen].sum())
        counted = int(chosen.sum()) * core.streams
        of_streams = {"streams": core.streams} if core.streams > 1 else {}
        return {
            "equal": self.mismatch is None,
            "mismatch": None if self.mismatch is None else str(self.mismatch),
            "words_compared": compared_words(self.expected),
            "simulator": self.simulator,
            "simulator_version": self.version,
            "lanes": core.lanes,
            **of_streams,
            "frames": frames,
            "layers": [
                {
                    "kind": layer.kind,
                    "events_x": int(self.found.events_x[:, k].sum()),
                    "events_h": int(self.found.events_h[:, k].sum()),
                    "columns": layer.columns * frames,
                }
                for k, layer in enumerate(core.network.layers)
            ],
            "frames_timed": counted,
            "ideal_cycles_per_frame": ideal / counted,
            "cycles_per_frame": cycles / counted,
            "utilisation": ideal / cycles,
            "dense_cycles_per_frame": core.dense_cycles,
            "speedup_over_dense": core.dense_cycles * counted / cycles,
        }


def simulate(
    core: CoreParameters,
    model: Model,
    sequences: Sequence[np.ndarray],
    simulator: Simulator,
    *,
    emission: Emission | None = None,
    models: str = "",
    waves: Path | None = None,
) -> Result:
    """Plays the sequences (integers [T, I]), each from reset, back to back at full speed.

    A core of C streams plays C of them side by side. There shorter ones go on with their last
    frame, and where too few are left some are played once more, which the traces leave out.

    ``emission`` is the core's, where there is one already, and ``models`` the Verilog of the cells
    that it uses. Waveforms go to ``waves``, whose suffix says in which format.

    Raises ValueError where the simulator is missing or writes no such waveforms, RuntimeError where
    the bench itself fails.
    """
    if waves is not None:
        require_waves(simulator, waves)
    emission = emission or emit(core, model)
    suffix = waves.suffix if waves is not None else ""
    simulation = build(emission, simulator, models=models, waves=suffix)
    sides = side_by_side(sequences, core.streams)
    job = Job()
    for n, frames in enumerate(sides):
        if n:
            job.reset()
        job.rounds(frames)
    record = play(simulation, core, job, waves)

    # By stream, and in each of those one sequence after another.
    found = traces_of(record, core)
    expected = [
        Trace.joined(run_sequences(model, [frames[:, n] for frames in sides]))
        for n in range(core.streams)
    ]
    events = sum(trace.events_x + trace.events_h for trace in found)
    begins = np.cumsum([0, *(len(frames) for frames in sides)])
    steady = np.ones(begins[-1], dtype=bool)
    for n, begin in enumerate(begins[:-1]):
        together = sequences[n * core.streams : (n + 1) * core.streams]
        steady[begin] = False
        steady[begin + min(map(len, together)) : begins[n + 1]] = False

    def in_order(traces: Sequence[Trace]) -> Trace:
        """The sequences as they were given."""
        parts = []
        for n, frames in enumerate(sequences):
            begin = begins[n // core.streams]
            parts.append(traces[n % core.streams][begin : begin + len(frames)])
        return Trace.joined(parts)

    return Result(
        core=core,
        simulator=simulator.name,
        version=simulator.version,
        expected=in_order(expected),
        found=in_order(found),
        cycles=record.intervals,
        ideal=core.ideal_cycles(events),
        steady=steady,
        mismatch=first_mismatch_of(expected, found),
    )


def side_by_side(sequences: Sequence[np.ndarray], streams: int) -> list[np.ndarray]:
    """The sequences [T, I], ``streams`` at a time: [rounds, streams, I] each.

    Shorter ones go on with their last frame; in the end the first ones come once more.
    """
    sides = []
    for first in range(0, len(sequences), streams):
        rounds = max(map(len, sequences[first : first + streams]))
        numbers = (n % len(sequences) for n in range(first, first + streams))
        together = [sequences[n][:rounds] for n in numbers]
        longer = [np.pad(f, ((0, rounds - len(f)), (0, 0)), mode="edge") for f in together]
        sides.append(np.stack(longer, axis=1))
    return sides

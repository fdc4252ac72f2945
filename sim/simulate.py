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
from sim.compare import Mismatch, compared_words, first_mismatch
from sim.run import Job, play, trace_of
from sim.simulator import Simulator


@dataclass(frozen=True)
class Result:
    """What the RTL did with some sequences, and what it should have done.

    All arrays of the traces run over the frames of all sequences in a row.

    Attributes
    ----------
    cycles : int64 [frames]
        Cycles from one frame's finish to the next one's. A sequence's first frame has the wait
        for its input, and after the first sequence the state reset, in it.
    steady : bool [frames]
        Frames that follow one another, so that their cycles are an interval between frames.
    """

    core: CoreParameters
    simulator: str
    version: str
    expected: Trace
    found: Trace
    cycles: Integers
    steady: np.ndarray
    mismatch: Mismatch | None

    @property
    def ideal(self) -> Integers:
        """int64 [frames]: the bound, sum over layers of events * row_blocks."""
        return self.core.ideal_cycles(self.found.events_x + self.found.events_h)

    def report(self) -> dict[str, Any]:
        """The figures, ready for JSON; ``mismatch`` is None where every bit is equal."""
        network = self.core.network
        frames = len(self.cycles)
        chosen = self.steady if self.steady.any() else np.ones(frames, dtype=bool)
        ideal, cycles = int(self.ideal[chosen].sum()), int(self.cycles[chosen].sum())
        counted = int(chosen.sum())
        return {
            "equal": self.mismatch is None,
            "mismatch": None if self.mismatch is None else str(self.mismatch),
            "words_compared": compared_words(self.expected),
            "simulator": self.simulator,
            "simulator_version": self.version,
            "lanes": self.core.lanes,
            "frames": frames,
            "layers": [
                {
                    "kind": layer.kind,
                    "events_x": int(self.found.events_x[:, k].sum()),
                    "events_h": int(self.found.events_h[:, k].sum()),
                    "columns": layer.columns * frames,
                }
                for k, layer in enumerate(network.layers)
            ],
            "frames_timed": counted,
            "ideal_cycles_per_frame": ideal / counted,
            "cycles_per_frame": cycles / counted,
            "utilisation": ideal / cycles,
            "dense_cycles_per_frame": self.core.dense_cycles,
            "speedup_over_dense": self.core.dense_cycles * counted / cycles,
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
    job = Job()
    for n, frames in enumerate(sequences):
        if n:
            job.reset()
        job.frames(frames)
    record = play(simulation, core, job, waves)
    found = trace_of(record, core)
    expected = Trace.joined(run_sequences(model, sequences))
    steady = np.ones(len(record.outputs), dtype=bool)
    steady[np.cumsum([0, *(len(frames) for frames in sequences[:-1])])] = False
    return Result(
        core=core,
        simulator=simulator.name,
        version=simulator.version,
        expected=expected,
        found=found,
        cycles=record.intervals,
        steady=steady,
        mismatch=first_mismatch(expected, found),
    )

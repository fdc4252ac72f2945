"""Runs jobs in a built simulation, and turns the record into what the network did."""

import json
import os
import shutil
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from golden.errors import refusal
from golden.files import written_aside
from golden.fixed import Integers
from golden.network import Trace
from golden.parameters import CoreParameters
from hw.layout import CoreLayout
from hw.verilog import TOP
from sim.build import Simulation, working_environment


@dataclass
class Job:
    """What a bench is to do, step by step, and how the buses behave meanwhile.

    Parameters
    ----------
    gaps
        Fraction of cycles in which the input offers nothing.
    pauses
        Fraction of cycles in which the output is not taken.
    seed
        Of both.
    """

    gaps: float = 0.0
    pauses: float = 0.0
    seed: int = 1
    steps: list[list[Any]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def frames(self, frames: np.ndarray) -> "Job":
        """Sends frames [T, n] back to back; n may be wrong on purpose."""
        key = f"frames_{len(self.arrays)}"
        self.arrays[key] = np.asarray(frames)
        return self._step("frames", key)

    def reset(self) -> "Job":
        """Asks for a state reset when all frames so far have been taken."""
        return self._step("reset")

    def write(self, address: int, value: int) -> "Job":
        """Writes a register when all frames so far have been taken; gives one reply."""
        return self._step("write", address, value)

    def read(self, address: int) -> "Job":
        """Reads a register; gives one reply."""
        return self._step("read", address)

    def settle(self) -> "Job":
        """Waits until the results of all frames so far are out."""
        return self._step("settle")

    def _step(self, *words: Any) -> "Job":
        self.steps.append(list(words))
        return self


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
    """

    outputs: list[Integers]
    events: Integers
    states: Integers
    skips: Integers
    finishes: Integers
    first_beats: Integers
    replies: Integers

    @property
    def intervals(self) -> Integers:
        """int64 [frames]: cycles a frame, from finish to finish; the first from its first beat."""
        before = np.concatenate([self.first_beats[:1] - 1, self.finishes[:-1]])
        return self.finishes - before


def play(
    simulation: Simulation, core: CoreParameters, job: Job, waves: Path | None = None
) -> Record:
    """Runs ``job``; RuntimeError with the bench's own words where it fails.

    ``waves`` is where the waveforms go, if the simulation was built with them.
    """
    folder = Path(tempfile.mkdtemp(prefix="deltarnn-"))
    try:
        # An idle core is stuck; a working one may take its dense time, slowed down by the buses.
        slow = 1 / (1 - max(job.gaps, job.pauses))
        beats = core.network.inputs + core.network.outputs
        idle = (4 * core.dense_cycles + CoreLayout(core).reset_cycles + 8 * beats + 1000) * slow
        record = {
            "gaps": job.gaps,
            "pauses": job.pauses,
            "seed": job.seed,
            "steps": job.steps,
            "max_idle": int(idle),
        }
        (folder / "job.json").write_text(json.dumps(record))
        np.savez(folder / "frames.npz", **job.arrays)  # type: ignore[arg-type]
        results = folder / "results.xml"
        variables = {
            **simulation.simulator.environment(),
            "PYTHONPATH": os.pathsep.join(str(Path(p).resolve()) for p in sys.path if p),
        }
        with working_environment(variables):
            simulation.simulator.runner(simulation.folder.parent).test(
                test_module="sim.bench",
                hdl_toplevel=TOP,
                hdl_toplevel_lang="verilog",
                build_dir=simulation.folder,
                test_dir=folder,
                results_xml=str(results),
                seed=1,
                waves=simulation.waves,
                plusargs=[f"+dumpfile_path={folder / 'waves.fst'}"] if simulation.waves else [],
                timescale=("1ns", "1ps"),
                extra_env={"DELTARNN_JOB": str(folder), "COCOTB_LOG_LEVEL": "WARNING"},
                log_file=folder / "log",
            )
        _require_passed(results, folder / "log")
        if waves is not None:
            found = [*folder.glob("*.vcd"), *folder.glob("*.fst")]
            with written_aside(waves) as part:
                shutil.copyfile(found[0], part)
        return _read(folder / "record.npz", core)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_passed(results: Path, log: Path) -> None:
    """cocotb's own verdict: a filter that matches nothing, or a crash, must not pass."""
    tests = list(ElementTree.parse(results).iter("testcase")) if results.exists() else []
    failures = [
        test for test in tests if test.find("failure") is not None or test.find("error") is not None
    ]
    if len(tests) == 1 and not failures:
        return
    text = log.read_text() if log.exists() else ""
    lines = [line for line in text.splitlines() if "Error" in line or "ERROR" in line]
    raise RuntimeError(f"the bench failed: {lines[-1].strip() if lines else 'no result'}\n{text}")


def _signed(values: Integers, width: int) -> Integers:
    return (values ^ (1 << (width - 1))) - (1 << (width - 1))


def _read(path: Path, core: CoreParameters) -> Record:
    network = core.network
    with np.load(path, allow_pickle=False) as raw:
        lengths = raw["output_lengths"]
        events, states = raw["events"].copy(), raw["states"].copy()
        events[:, 4] = _signed(events[:, 4], network.formats.activation.width + 1)
        states[:, 2] = _signed(states[:, 2], network.formats.state.width)
        return Record(
            outputs=np.split(raw["outputs"], np.cumsum(lengths)[:-1]) if len(lengths) else [],
            events=events,
            states=states,
            skips=raw["skips"],
            finishes=raw["finishes"],
            first_beats=raw["first_beats"],
            replies=raw["replies"],
        )


def _wrong(name: str, found: object, expected: str) -> RuntimeError:
    """Not a refusal of input: the RTL did something wrong."""
    return RuntimeError(str(refusal(name, found, expected)))


def trace_of(record: Record, core: CoreParameters) -> Trace:
    """The record as the golden model would have written it.

    Raises RuntimeError where the core did not even do the right number of things: a frame of
    another length, states missing, an event twice, or one for a column that did not move.
    """
    network = core.network
    frames = len(record.outputs)
    for n, outputs in enumerate(record.outputs):
        if len(outputs) != network.outputs:
            raise _wrong(f"frame {n}: results", len(outputs), str(network.outputs))
    seen, counts = np.unique(record.events[:, :4], axis=0, return_counts=True)
    for what, bad in (
        ("an event twice", seen[counts > 1]),
        ("an event without a change", record.events[record.events[:, 4] == 0]),
        ("an event after the last frame", record.events[record.events[:, 0] >= frames]),
    ):
        if len(bad):
            raise _wrong("event (frame, layer, h, column)", bad[0].tolist(), f"not {what}")
    deltas_x = [np.zeros((frames, layer.inputs), dtype=np.int64) for layer in network.layers]
    deltas_h = [np.zeros((frames, layer.units), dtype=np.int64) for layer in network.recurrent]
    for frame, layer, is_h, column, delta in record.events:
        (deltas_h if is_h else deltas_x)[layer][frame, column] = delta
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

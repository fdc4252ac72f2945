"""RTL against golden, bit by bit, and its cycles."""

import sys
from pathlib import Path

import click
import numpy as np

from deltarnn.commands.common import placed, recording_arrays, trace_arrays, write_npz
from deltarnn.commands.lessons import (
    TRAIN,
    Lessons,
    learning_options,
    refuse_learning_options,
    settings_of,
)
from deltarnn.console import (
    ACTIVATIONS,
    FRAMES,
    JSON,
    LANES,
    MODEL,
    SIMULATOR,
    STREAMS,
    TARGET,
    OutputPath,
    extra,
    fitting_lanes,
    print_json,
    progress,
    require_writable,
    say,
    table,
    weights_option,
)
from golden.files import (
    require_distinct,
)
from golden.learn.masters import trainable
from golden.learn.tape import FRAMES_MAX
from golden.model_file import load_model
from golden.parameters import CoreParameters
from golden.recordings import load


@click.command()
@MODEL
@FRAMES
@LANES
@ACTIVATIONS
@STREAMS
@TARGET
@weights_option("chip", "outside", "sdram", "flash")
@SIMULATOR
@TRAIN
@learning_options
@click.option(
    "--waves",
    type=OutputPath(),
    help="Write waveforms to this file: .vcd, or .fst where the simulator can.",
)
@click.option("-o", "--output", type=OutputPath(), help="OUT.npz: what the RTL did.")
@JSON
def simulate(
    model: Path,
    frames: Path,
    lanes: int,
    activations: int,
    streams: int,
    target: str,
    weights: str,
    simulator: str,
    train: bool,
    rate: int,
    known: int | None,
    cost: int,
    readout_only: bool,
    waves: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Runs the RTL on FRAMES and holds it against the golden model, bit by bit.

    FRAMES are int8 in activation LSBs, or any data that `eval` takes. With several streams that
    many of its recordings run side by side: shorter ones go on with their last frame, which is
    compared but not timed, and where too few are left the first ones are played again. Cycles in
    OUT.npz are then those of rounds, a frame of each stream; with --train there are none in it.

    Weights that lie outside come from a memory that gives a word of them a cycle, from an SDRAM
    behind LiteDRAM, for two lanes, or from a flash that gives half a byte a cycle, for one lane and
    one unit a cycle. OUT.npz has the bytes of each frame then.

    With --train the core learns from each recording, whose class FRAMES say, and all masters are
    compared at the end.
    """
    from boards.family.targets import find_target
    from deltarnn.memories import MEMORIES
    from hw.emit.verilog import emit

    with extra("sim"):
        from sim.build import require_waves
        from sim.lessons import Lesson, teach
        from sim.simulate import simulate as run
        from sim.simulators import find_simulator

    require_distinct({"-o": output, "--waves": waves}, {"MODEL": model, "FRAMES": frames})
    require_writable(output, waves)
    family = find_target(target)
    made_of = placed(family.target, weights, train)
    chosen = find_simulator(simulator)
    if waves is not None:
        require_waves(chosen, waves)
    loaded = load_model(model)
    settings = None
    if train:
        settings = settings_of(loaded, rate, known, cost, readout_only)
    else:
        refuse_learning_options()
    taught = None if settings is None else Lessons.of(loaded, [frames], settings.known)
    sequences = load(frames).frames(loaded) if taught is None else taught.frames
    lengths = [len(sequence) for sequence in sequences]
    lanes = fitting_lanes(loaded.parameters, lanes, activations, weights)
    training, lessons = None, []
    if settings is not None and taught is not None:
        loaded, training = trainable(loaded, min(taught.longest, FRAMES_MAX))
        pairs = zip(taught.frames, taught.labels, strict=True)
        lessons = [Lesson(each, settings, label) for each, label in pairs]
    core = CoreParameters(loaded.parameters, lanes, activations, streams, training)
    models = family.cells.models()
    with progress.status("generating") as status:
        emission = emit(core, loaded, made_of)
        if weights != "chip":
            emission = MEMORIES[weights].beside(emission)
        status.update(f"building and running {sum(lengths)} frames in {simulator}")
        how = {"emission": emission, "models": models, "waves": waves}
        if lessons:
            result, arrays = teach(core, loaded, lessons, chosen, **how), {}
        else:
            result = run(core, loaded, sequences, chosen, **how)
            arrays = {"cycles": result.cycles}
            if weights != "chip":
                events = result.found.events_x + result.found.events_h
                arrays["bytes"] = events @ np.array(core.column_bytes)
    if output is not None:
        write_npz(output, trace_arrays(result.found) | recording_arrays(lengths) | arrays)
    report = result.report()
    if "bytes" in arrays:
        report["bytes_per_frame"] = float(arrays["bytes"].mean())
    if as_json:
        print_json(report)
    else:
        layers = report.pop("layers")
        for k, layer in enumerate(layers):
            report[f"layer {k} ({layer['kind']})"] = (
                f"{layer['events_x'] + layer['events_h']:,} of {layer['columns']:,} columns fired"
            )
        table({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in report.items()}, "RTL")
    if result.mismatch:
        say(f"RTL and golden model differ: {result.mismatch}")
        sys.exit(1)

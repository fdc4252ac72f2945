"""RTL against golden, bit by bit, and its cycles."""

import sys
from pathlib import Path

import click

from deltarnn.commands.common import recording_arrays, trace_arrays, write_npz
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
)
from golden.files import (
    require_distinct,
)
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
@SIMULATOR
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
    simulator: str,
    waves: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Runs the RTL on FRAMES and holds it against the golden model, bit by bit.

    FRAMES are int8 in activation LSBs, or any data that `eval` takes. With several streams that
    many of its recordings run side by side: shorter ones go on with their last frame, which is
    compared but not timed, and where too few are left the first ones are played again. Cycles in
    OUT.npz are then those of rounds, a frame of each stream.
    """
    from boards.family.targets import find_target
    from hw.emit.verilog import emit

    with extra("sim"):
        from sim.build import require_waves
        from sim.simulate import simulate as run
        from sim.simulators import find_simulator

    require_distinct({"-o": output, "--waves": waves}, {"MODEL": model, "FRAMES": frames})
    require_writable(output, waves)
    made_of = find_target(target)
    chosen = find_simulator(simulator)
    if waves is not None:
        require_waves(chosen, waves)
    loaded = load_model(model)
    sequences = load(frames).frames(loaded)
    lengths = [len(sequence) for sequence in sequences]
    lanes = fitting_lanes(loaded.parameters, lanes, activations)
    core = CoreParameters(loaded.parameters, lanes, activations, streams)
    models = made_of.cells.models()
    with progress.status("generating") as status:
        emission = emit(core, loaded, made_of.target)
        status.update(f"building and running {sum(lengths)} frames in {simulator}")
        result = run(core, loaded, sequences, chosen, emission=emission, models=models, waves=waves)
    if output is not None:
        arrays = trace_arrays(result.found) | recording_arrays(lengths)
        write_npz(output, arrays | {"cycles": result.cycles})
    report = result.report()
    if as_json:
        print_json(report)
    else:
        layers = report.pop("layers")
        for k, layer in enumerate(layers):
            report[f"layer {k} ({layer['kind']})"] = (
                f"{layer['events_x'] + layer['events_h']:,} of {layer['columns']:,} columns fired"
            )
        table({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in report.items()}, "RTL")
    if result.mismatch is not None:
        say(f"RTL and golden model differ: {result.mismatch}")
        sys.exit(1)

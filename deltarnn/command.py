"""The `deltarnn` command line. Bad input gets one line and exit status 2."""

import errno
import io
import math
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress import Progress, track

from deltarnn.console import (
    ACTIVATIONS,
    FRAMES,
    JSON,
    LANES,
    MODEL,
    SIMULATOR,
    TARGET,
    OutputPath,
    brief,
    extra,
    fitting_lanes,
    names_in,
    out,
    print_json,
    progress,
    require_writable,
    say,
    table,
)
from deltarnn.on_board import build, flash, run
from golden.errors import refusal, require_int
from golden.files import (
    require_distinct,
    require_writable_folder,
    temporary_folder,
    written_aside,
)
from golden.frames import load_frames
from golden.model import load_model, save_model
from golden.network import DeltaNetwork, Trace
from golden.parameters import CoreParameters, LayerParameters
from golden.processes import Interrupted, interruptible

THETA_MAX = 255  # what two activations of 8 bits can differ by


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deltarnn")
@click.option(
    "--traceback",
    is_flag=True,
    expose_value=False,  # main looks for it, since whatever is parsed after it may fail
    help="Where something fails, also print where in the code.",
)
def cli() -> None:
    """Delta recurrent networks on small FPGAs: bit-exact RTL from a trained GRU or LSTM."""


def _layer(layer: LayerParameters) -> str:
    theta = f"theta_x {layer.theta_x}" + (f", theta_h {layer.theta_h}" if layer.recurrent else "")
    shape = f"{layer.kind} {layer.inputs} -> {layer.units}"
    return f"{shape}, weights Q{7 - layer.weight_frac}.{layer.weight_frac}, {theta}"


def _write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with written_aside(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _trace_arrays(trace: Trace) -> dict[str, np.ndarray]:
    return {
        "outputs": trace.outputs,
        "state": trace.state,
        "events_x": trace.events_x,
        "events_h": trace.events_h,
    }


@cli.command()
@MODEL
@LANES
@JSON
def info(model: Path, lanes: int, as_json: bool) -> None:
    """What is in MODEL, and what its core would hold and take at most."""
    from hw.walk.layout import CoreLayout

    with progress.status("reading"):
        loaded = load_model(model)
    network = loaded.parameters
    lanes = fitting_lanes(network, lanes)
    core = CoreParameters(network, lanes)
    layout = CoreLayout(core)
    report = {
        "name": loaded.name,
        "sha256": loaded.sha256,
        "labels": loaded.labels,
        "formats": {name: str(q) for name, q in vars(network.formats).items()},
        "layers": [vars(layer) for layer in network.layers],
        "weights": network.weights,
        "accumulator_width": network.accumulator_width,
        "lanes": lanes,
        "weight_words": layout.words,
        "accumulator_rows": layout.rows,
        "dense_cycles": core.dense_cycles,
        "state_reset_cycles": layout.reset_cycles,
        "extra": loaded.extra,
    }
    if as_json:
        print_json(report)
        return
    rows = {
        "name": loaded.name,
        "sha256": loaded.sha256,
        "formats": ", ".join(f"{name} {q}" for name, q in report["formats"].items()),
    }
    for k, layer in enumerate(network.layers):
        rows[f"layer {k}"] = _layer(layer)
    rows |= {
        "weights": f"{network.weights:,} bytes",
        "accumulators": f"{network.accumulator_width} bits",
        f"core of {lanes} lanes": f"{layout.words:,} weight words of {8 * lanes} bits, "
        f"{core.dense_cycles:,} cycles a dense frame",
    }
    rows |= {f"extra: {key}": brief(value) for key, value in loaded.extra.items()}
    table(rows, str(model))


@cli.command()
@MODEL
@FRAMES
@click.option("-o", "--output", type=OutputPath(), required=True, help="OUT.npz")
@JSON
def golden(model: Path, frames: Path, output: Path, as_json: bool) -> None:
    """Runs the golden model on FRAMES; writes outputs, state, events_x and events_h into OUT.npz.

    Each has a row a frame: the results, the last recurrent layer's state as its neurons keep it
    (h of a GRU, c of an LSTM), and how many of each layer's x and h fired.
    """
    from golden.predict.inference import delta_cost, dense_cost, occupancy

    require_distinct({"-o": output}, {"MODEL": model, "FRAMES": frames})
    require_writable(output)
    loaded = load_model(model)
    sequence = load_frames(frames, loaded.parameters)
    network = DeltaNetwork(loaded)
    step = max(1, min(1000, 10**8 // loaded.parameters.weights))  # a second's work, or less
    parts = [
        network.run(sequence[start : start + step])
        for start in track(
            range(0, len(sequence), step),
            description="golden",
            console=progress,
            transient=True,
            disable=len(sequence) <= step or not progress.is_terminal,
        )
    ]
    trace = Trace.joined(parts)
    _write_npz(output, _trace_arrays(trace))
    delta = delta_cost(loaded.parameters, trace)
    dense = dense_cost(loaded.parameters, len(sequence))
    of_x, of_h = occupancy(loaded.parameters, trace)
    report = {
        "frames": len(sequence),
        "occupancy_x": of_x,
        "occupancy_h": of_h,
        "weight_fetches": int(delta.weight_fetches.sum()),
        "weight_fetches_dense": int(dense.weight_fetches.sum()),
        "state_accesses": int(delta.state_accesses.sum()),
        "state_accesses_dense": int(dense.state_accesses.sum()),
        "output": str(output),
    }
    if as_json:
        print_json(report)
    else:
        table(report, f"golden {loaded.name}")


@cli.command()
@MODEL
@click.option("-o", "--output", type=OutputPath(), required=True, help="Folder.")
@LANES
@ACTIVATIONS
@TARGET
@JSON
def generate(
    model: Path, output: Path, lanes: int, activations: int, target: str, as_json: bool
) -> None:
    """Writes the core's Verilog, its manifest and its C header into a folder.

    Also weights.bin, where the target's weights are not in the Verilog but must be loaded.
    """
    from boards.family.targets import find_target
    from hw.emit.verilog import emit

    chosen = find_target(target)
    files = ("deltarnn_core.v", "deltarnn_core.json", "deltarnn_core.h", "weights.bin")
    require_distinct({name: output / name for name in files}, {"MODEL": model})
    require_writable_folder(output, files)
    loaded = load_model(model)
    lanes = fitting_lanes(loaded.parameters, lanes, activations)
    core = CoreParameters(loaded.parameters, lanes, activations)
    with progress.status("generating"):
        emission = emit(core, loaded, chosen.target)
        kinds = ("verilog", "manifest", "header", "weights")
        paths = dict(zip(kinds, emission.write(output), strict=False))
    report = {name: str(path) for name, path in paths.items()}
    report |= {"lanes": lanes, "activations": activations, "target": target}
    if as_json:
        print_json(report)
    else:
        print(*paths.values(), sep="\n")


@cli.command()
@MODEL
@FRAMES
@LANES
@ACTIVATIONS
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
    target: str,
    simulator: str,
    waves: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Runs the RTL on FRAMES and holds it against the golden model, bit by bit."""
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
    sequence = load_frames(frames, loaded.parameters)
    lanes = fitting_lanes(loaded.parameters, lanes, activations)
    core = CoreParameters(loaded.parameters, lanes, activations)
    models = made_of.cells.models()
    with progress.status("generating") as status:
        emission = emit(core, loaded, made_of.target)
        status.update(f"building and running {len(sequence)} frames in {simulator}")
        result = run(
            core, loaded, [sequence], chosen, emission=emission, models=models, waves=waves
        )
    if output is not None:
        _write_npz(output, {**_trace_arrays(result.found), "cycles": result.cycles})
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


@cli.command()
@LANES
@SIMULATOR
@JSON
def demo(lanes: int, simulator: str, as_json: bool) -> None:
    """The main job, end to end, on the shipped model and real held-out recordings."""
    with extra("sim,boards"):
        from deltarnn.demo import run_demo

    report, rows, closing = run_demo(lanes, simulator, progress)
    if as_json:
        print_json(report)
    else:
        table(rows, "deltarnn demo")
        out.print(f"[bold]{closing}[/bold]" if report["equal"] else f"[bold red]{closing}[/]")
    if not report["equal"]:
        sys.exit(1)


@cli.command()
@click.option(
    "-o",
    "--output",
    type=OutputPath(),
    default=Path("docs/bench"),
    show_default=True,
    help="Folder.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="cycles, timeline, area, clock, growth, kinds, training or training-core; may be given "
    "several times. Else all of them.",
)
@click.option("--seed", type=int, default=1, show_default=True)
@SIMULATOR
@JSON
def bench(output: Path, only: tuple[str, ...], seed: int, simulator: str, as_json: bool) -> None:
    """Measures cycles, area, clock and more; writes NAME.json and NAME.png of each to a folder."""
    with extra("sim,boards,bench"):
        import matplotlib  # noqa: F401  # missing is better known before the work than after

        from deltarnn.bench.benches import chosen, measure
        from deltarnn.bench.context import Context
        from sim.simulators import find_simulator

    benches = chosen(only)
    found = find_simulator(simulator)
    with Progress(console=progress, transient=True) as bars:
        reports, files = measure(benches, Context(seed, found, bars), output)
    if as_json:
        print_json(reports)
        return
    for name, report in reports.items():
        for each in benches[name].tables(report):
            out.print(each)
    print(*files, sep="\n")


@cli.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=OutputPath(), required=True, help="MODEL")
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="FLOAT_FRAMES.npy",
    help="A recording [T, I] as FILE's network takes it: chooses the input scale.",
)
@click.option("--theta-x", type=int, help="Threshold of every x in activation LSBs.  [default: 0]")
@click.option("--theta-h", type=int, help="Threshold of every h.  [default: 0]")
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    metavar="LOSS",
    help="Instead: what thresholds may add to the results' error, as a fraction of their spread.",
)
@JSON
def import_(
    file: Path,
    output: Path,
    calibration: Path | None,
    theta_x: int | None,
    theta_h: int | None,
    budget: float | None,
    as_json: bool,
) -> None:
    """Makes a model of a GRU or LSTM trained elsewhere: ONNX, Keras, or a PyTorch state_dict."""
    for name, theta in (("theta_x", theta_x), ("theta_h", theta_h)):
        if theta is not None:
            require_int(name, theta, 0, THETA_MAX)
    if budget is not None:
        if not math.isfinite(budget):
            raise refusal("budget", budget, "a finite number")
        if (theta_x, theta_h) != (None, None):
            expected = "one of them: a budget chooses them"
            raise refusal("thresholds", "some beside a budget", expected)
        if calibration is None:
            raise refusal("budget", "no calibration frames", "some to measure the loss on")
    require_distinct({"-o": output}, {"FILE": file, "--calibration": calibration})
    require_writable(output)
    with extra("import"):
        from train.convert.conversion import convert, load_calibration
        from train.importers import read_network
        from train.importers.suspicion import source_of

        network = read_network(file)
    frames = None if calibration is None else load_calibration(calibration, network)
    with progress.status("quantising") as status:

        def show(fidelity: Any) -> None:
            status.update(f"thresholds: {fidelity.macs:.0%} of the MACs, loss {fidelity.loss:.4f}")

        try:
            found = convert(output.stem, network, frames, (theta_x, theta_h), budget, show)
        except ValueError as error:
            raise ValueError(f"{source_of(file)}: {error}") from None
    save_model(found.model, output)
    report: dict[str, Any] = {
        "file": str(file),
        "model": str(output),
        "input_scale": found.input_scale,
        "layers": [vars(layer) for layer in found.model.parameters.layers],
        "dense": found.dense and vars(found.dense),
        "delta": found.delta and vars(found.delta),
    }
    if as_json:
        print_json(report)
        return
    rows = {"model": str(output), "input scale": f"{found.input_scale:.6g}"}
    for k, layer in enumerate(found.model.parameters.layers):
        rows[f"layer {k}"] = _layer(layer)
    for name, fidelity in (("thresholds 0", found.dense), ("as it is", found.delta)):
        if fidelity is not None:
            rows[name] = (
                f"error {fidelity.loss:.2%} of the results' spread, "
                f"{fidelity.macs:.1%} of the MACs, "
                f"fired {fidelity.occupancy_x:.1%} of x, {fidelity.occupancy_h:.1%} of h"
            )
    table(rows, f"import {file.name}")


DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the recordings that no package holds.  [default: $DELTARNN_DATA]",
)


@cli.command()
@click.argument("task")
@click.option("-o", "--output", type=OutputPath(), required=True, help="MODEL")
@click.option(
    "--method",
    default="sparse",
    show_default=True,
    help="What training knows of deltas: plain, rounded, noisy, delta or sparse; or from scratch: "
    "scratch, or dense beside it.",
    shell_complete=names_in("train.course.methods", "METHODS"),
)
@click.option("--seed", type=int, default=0, show_default=True)
@DATA
@JSON
def train(
    task: str, output: Path, method: str, seed: int, data: Path | None, as_json: bool
) -> None:
    """Trains the network of TASK and writes its model file.

    An interrupted run goes on where it was when the same is asked for again.
    """
    with extra("train"):
        _recordings(data)
        from train.course.pipeline import train_task
        from train.tasks import find_task

        wanted = find_task(task)
        require_writable(output)
        report = train_task(wanted, method, output, seed, not as_json)
    if as_json:
        print_json(report)
        return
    scores = report["scores"]
    rows: dict[str, Any] = {"model": report["model"], "held-out recordings": report["frames"]}
    rows["formats"] = ", ".join(f"{name} {q}" for name, q in report["formats"].items())
    for k, layer in enumerate(report["layers"]):
        rows[f"layer {k}"] = _layer(LayerParameters(**layer))
    for name in ("float", "quantised", "delta"):
        if name in scores:
            rows[f"{name}: {scores['unit']}"] = f"{scores[name]:.4g}"
    rows["fired"] = f"{scores['occupancy_x']:.1%} of x, {scores['occupancy_h']:.1%} of h"
    rows["weight fetches"] = f"{scores['mac_reduction']:.2f} times fewer than dense"
    if "epochs" in report["training"]:
        last = report["training"]["epochs"][-1]
        share = last["operations"] / last["dense"]
        rows["training"] = f"{last['operations']:.3g} multiply-accumulates, {share:.1%} of dense"
    table(rows, f"train {task}")


@cli.command()
@click.option(
    "-o",
    "--output",
    type=OutputPath(),
    default=Path("docs"),
    show_default=True,
    help="Folder of results.md, whose tables are replaced; data and pictures go into its results/.",
)
@click.option(
    "--runs",
    type=OutputPath(),
    default=Path("build/results"),
    show_default=True,
    help="Folder of the trained models; what is there is not trained again.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="STUDY",
    help="These alone; what is reported of others stays.  [default: all]",
)
@DATA
@JSON
def results(
    output: Path, runs: Path, only: tuple[str, ...], data: Path | None, as_json: bool
) -> None:
    """Trains every task by several methods and seeds, and reports them: hours of work."""
    with extra("train,sim,bench"):
        _recordings(data)
        import matplotlib  # noqa: F401  # missing is better known before the work than after

        from deltarnn.results.publish import publish
        from deltarnn.results.studies import chosen, complete
        from sim.simulators import find_simulator

        studies = chosen(only)
        verilator = find_simulator("verilator")
        complete(studies, runs, not as_json)
    with progress.status("simulating") as status:
        found, files = publish(
            studies, runs, output, verilator, lambda name: status.update(f"RTL of {name}")
        )
    if as_json:
        print_json(found)
    else:
        print(*files, sep="\n")


def _recordings(data: Path | None) -> None:
    """Tells the loaders where recordings lie, unless the environment does."""
    from train.data.places import VARIABLE

    if data is not None:
        os.environ[VARIABLE] = str(data)


for _command in (build, flash, run):
    cli.add_command(_command)


def main() -> None:
    """Runs the command; whatever goes wrong is one line, and a traceback only where asked for.

    The exit status is 2 where the input is refused, 1 where something failed, and 128 and a
    signal's number where that ended it.
    """
    # What stands in a name need not be what the terminal can show.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Amaranth's, of components that a refusal leaves behind: it comes when they are collected.
    warnings.filterwarnings("ignore", message=".* created but never used")
    try:
        with interruptible(), _temporary_files():
            status = cli.main(standalone_mode=False) or 0
    except BaseException as error:
        if "--traceback" in sys.argv[1:2]:
            traceback.print_exc()
        status = _reported(error)
    try:
        sys.stdout.flush()
    except OSError as error:
        status = _reported(error)
        with suppress(OSError):  # else Python tries again at its end, and complains
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


@contextmanager
def _temporary_files() -> Iterator[None]:
    """Whatever this process and its programs make on the way lies in one folder, gone at the end.

    Its path has no character that a program from outside would stumble over.
    """
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    with temporary_folder() as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before[0]
            del os.environ["TMPDIR"]
            if before[1] is not None:
                os.environ["TMPDIR"] = before[1]


def _reported(error: BaseException) -> int:
    """Says in one line what went wrong; returns the exit status."""
    match error:
        case SystemExit():  # of a command that has said what there is to say
            return error.code if isinstance(error.code, int) else 1
        case BrokenPipeError():  # whoever reads the output has seen enough
            return 1
        case click.exceptions.NoArgsIsHelpError():
            print(error.format_message())
            return 2
        case click.ClickException():
            say(error.format_message())
            return 2
        case Interrupted() | KeyboardInterrupt() | click.Abort():
            number = getattr(error, "number", signal.SIGINT)
            name = signal.Signals(number).name
            say("interrupted" if number == signal.SIGINT else f"interrupted by {name}")
            return 128 + number
        case OSError() if error.errno == errno.ENOSPC and error.filename is None:
            say(f"output: found {error.strerror}, expected room for it")
            return 2
        case ValueError() | OSError():
            say(str(error))
            return 2
        case MemoryError():
            say("out of memory")
            return 1
        case RuntimeError() if not isinstance(error, RecursionError | NotImplementedError):
            say(str(error).partition("\n")[0])  # a tool's log may follow
            return 1
        case _:
            say(
                f"unexpected {type(error).__name__}: {error}: please report this, with what "
                "deltarnn --traceback COMMAND... prints"
            )
            return 1

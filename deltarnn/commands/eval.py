"""A user's own data through a model: answers, how right they are, and what they cost."""

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.progress import Progress

from deltarnn.commands.at_board import AtBoard, require_one
from deltarnn.commands.common import write_npz
from deltarnn.console import (
    JSON,
    LANES,
    MODEL,
    SIMULATOR,
    OutputPath,
    extra,
    fitting_lanes,
    names_in,
    print_json,
    progress,
    require_writable,
    say,
    table,
)
from golden.arrays import load_array
from golden.errors import refusal
from golden.files import require_distinct
from golden.model_file import load_model, save_model
from golden.parameters import CoreParameters
from golden.recordings import load

if TYPE_CHECKING:
    from deltarnn.evaluation.drop import Measured
    from deltarnn.evaluation.evaluate import Evaluation
    from sim.simulate import Result
    from train.quantised.thresholds import Step


@click.command("eval")
@MODEL
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="LABELS.npy",
    help="What is wanted of DATA, where DATA does not say: one a recording or one a frame.",
)
@click.option(
    "--network",
    type=click.Path(path_type=Path),
    metavar="NETWORK",
    help="The float network that MODEL was imported from, to be judged beside it.",
)
@click.option(
    "--board",
    metavar="NAME",
    help="Also sends the recordings through this board, and compares every bit.",
    shell_complete=names_in("boards.board", "BOARDS"),
)
@click.option("--port", help="Serial port that it is at.")
@click.option("--simulated-board", is_flag=True, help="Simulate it in place of that.")
@click.option("--rtl", is_flag=True, help="Also runs the RTL: cycles, and every bit compared.")
@LANES
@SIMULATOR
@click.option(
    "--accuracy-drop",
    type=click.FloatRange(min=0),
    metavar="PERCENT",
    help="Raises thresholds as long as the error grows by no more: by percentage points, or by "
    "percent of an RMSE.",
)
@click.option("--write-model", type=OutputPath(), help="MODEL with those thresholds.")
@click.option("-o", "--output", type=OutputPath(), help="OUT.npz: results as floats, answers.")
@click.option("--picture", type=OutputPath(), help="PNG or SVG: confusion, error over cycles.")
@JSON
def eval_(
    model: Path,
    data: Path,
    labels: Path | None,
    network: Path | None,
    board: str | None,
    port: str | None,
    simulated_board: bool,
    rtl: bool,
    lanes: int,
    simulator: str,
    accuracy_drop: float | None,
    write_model: Path | None,
    output: Path | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Runs MODEL on DATA, a user's own recordings: .npz, .csv, .npy or a folder of them.

    Features are floats as the network was trained on; the model file knows what becomes of them.
    Every recording begins at reset.
    """
    from deltarnn.evaluation.evaluate import evaluate, report_of

    written = {"-o": output, "--write-model": write_model, "--picture": picture}
    read = {"MODEL": model, "DATA": data, "--labels": labels, "--network": network}
    require_distinct(written, read)
    require_writable(*written.values())
    if accuracy_drop is not None and not math.isfinite(accuracy_drop):
        raise refusal("--accuracy-drop", accuracy_drop, "a finite number")
    if write_model is not None and accuracy_drop is None:
        raise refusal("--write-model", "no --accuracy-drop", "one, which chooses thresholds")
    if picture is not None and picture.suffix not in (".png", ".svg"):
        raise refusal("--picture", f"suffix {picture.suffix!r}", ".png or .svg")
    if board is None and (port is not None or simulated_board):
        found = "--port" if port is not None else "--simulated-board"
        raise refusal("--board", f"none beside {found}", "which one it is")
    if board is not None:
        require_one(port, simulated_board)
    original = loaded = load_model(model)
    place = None
    if board is not None:
        with extra("boards"):
            place = AtBoard.of(model, loaded, board, port)
            loaded = place.computed
            place = replace(place, model=loaded)
    recordings = load(data)
    if labels is not None:
        wanted = load_array(labels, "a .npy array of classes, names or numbers", None)
        recordings = recordings.wanting(wanted, str(labels))
    lanes = fitting_lanes(loaded.parameters, lanes)
    with Progress(console=progress, transient=True, disable=not progress.is_terminal) as bar:
        path: list[Step[Measured]] = []
        if accuracy_drop is not None:
            with extra("train"):
                from deltarnn.evaluation.drop import descended
                from train.quantised.thresholds import with_thresholds
            task = bar.add_task("thresholds", total=None)
            said = "thresholds: {0.error:.4g} wrong, {0.macs:.1%} of the fetches".format
            path = descended(
                loaded,
                recordings,
                accuracy_drop,
                lanes,
                lambda then: bar.update(task, description=said(then)),
            )
            found = path[-1].thresholds
            loaded, original = (with_thresholds(each, found) for each in (loaded, original))
            place = place and replace(place, model=loaded)
        task = bar.add_task("golden", total=len(recordings.names))
        found = evaluate(loaded, recordings, lambda done: bar.update(task, completed=done))
    report = report_of(found, lanes)
    if network is not None:
        _add_float(report, found, network)
    if path:
        report["thresholds"] = [
            {"thresholds": step.thresholds, **vars(step.measured)} for step in path
        ]
    result = _simulated(found, lanes, simulator) if rtl else None
    if result is not None:
        report["rtl"] = result.report()
    if place is not None:
        _add_board(report, found, place)
    if output is not None:
        write_npz(output, _arrays(found))
    if picture is not None:
        from deltarnn.evaluation.picture import draw

        draw(found, [step.measured for step in path], picture)
    if write_model is not None:
        save_model(original, write_model)  # as a core that trains computes it, biases are others
    if as_json:
        print_json(report)
    else:
        table(_rows(report), f"eval {loaded.name}")
    who = {"rtl": "RTL", "board": "board"}
    differ = {who[key]: report[key]["mismatch"] for key in who if key in report}
    for name, mismatch in differ.items():
        if mismatch is not None:
            say(f"{name} and golden model differ: {mismatch}")
    if any(differ.values()):
        sys.exit(1)


def _add_board(report: dict[str, Any], found: "Evaluation", place: AtBoard) -> None:
    from deltarnn.evaluation.at_board import answered

    with (
        place.session() as host,
        Progress(console=progress, transient=True, disable=not progress.is_terminal) as bar,
    ):
        task = bar.add_task(place.title, total=len(found.frames))
        at_board = answered(host, found, lambda n: bar.update(task, completed=n))
    report["error"]["board"] = found.error_of(at_board.results)
    report["board"] = {
        "board": place.board.name,
        "port": place.port,
        "lanes": place.core.lanes,
        "equal": not at_board.mismatch,
        "mismatch": at_board.mismatch or None,
        "cycles_per_frame": at_board.cycles,
    }


def _add_float(report: dict[str, Any], found: "Evaluation", network: Path) -> None:
    from deltarnn.evaluation.evaluate import float_results

    with extra("import"):
        from train.importers import read_network

        results, loss = float_results(read_network(network), found)
    report["error"]["float"] = found.error_of(results)
    report["loss"] = loss


def _simulated(found: "Evaluation", lanes: int, simulator: str) -> "Result":
    with extra("sim"):
        from sim.simulate import simulate
        from sim.simulators import find_simulator

    core = CoreParameters(found.model.parameters, lanes)
    with progress.status(f"building and running the RTL in {simulator}"):
        return simulate(core, found.model, found.frames, find_simulator(simulator))


def _arrays(found: "Evaluation") -> dict[str, np.ndarray]:
    """`results` [T, O], [N, T, O], or where lengths differ [sum T, O]; `lengths`, and of classes
    `answers` [n] with their `probability` [n, O].
    """
    lengths = np.array(found.recordings.lengths)
    if len(lengths) == 1:
        results = found.results[0]
    elif (lengths == lengths[0]).all():
        results = np.stack(found.results)
    else:
        results = np.concatenate(found.results)
    arrays = {"results": results, "lengths": lengths}
    reading = found.answers.reading
    if found.said is not None and reading is not None and reading.countable:
        arrays["answers"] = np.concatenate([np.ravel(each) for each in found.said])
        assert found.probability is not None
        arrays["probability"] = np.concatenate([np.atleast_2d(p) for p in found.probability])
    return arrays


def _rows(report: dict[str, Any]) -> dict[str, str]:
    """The report for people."""
    bound, dense = report["cycles_bound"], report["cycles_dense"]
    rows = {
        "recordings": f"{report['recordings']:,}, {report['frames']:,} frames",
        "columns that fired": f"{report['occupancy_x']:.1%} of x, {report['occupancy_h']:.1%} of h",
        "weights fetched": f"{report['weight_fetches']:.1%} of what a dense network fetches",
        "cycles a frame": f"at least {bound:.1f} with {report['lanes']} lanes (dense {dense})",
    }
    if report["saturated"] > 0:
        rows["features at the end of their range"] = f"{report['saturated']:.2%}"
    if "rtl" in report:
        rtl = report["rtl"]
        same = "equal in every bit" if rtl["equal"] else rtl["mismatch"]
        rows["RTL"] = f"{same}, {rtl['cycles_per_frame']:.1f} cycles a frame"
    if "board" in report:
        board = report["board"]
        same = "equal in every bit" if board["equal"] else board["mismatch"]
        where = f"at {board['port']}" if board["port"] else "simulated"
        cycles = f"{board['cycles_per_frame']:.1f} cycles a frame with {board['lanes']} lanes"
        rows[f"{board['board']}, {where}"] = f"{same}, {cycles}"
    for who, error in report["error"].items():
        if error is not None:
            shown = f"{error:.4g}" if report["unit"] == "RMSE" else f"{error:.2%}"
            rows[f"{report['unit']}, {who}"] = shown
    if report["mistakes"]:
        most = [f"{wanted} as {said} ({n})" for wanted, said, n in report["mistakes"][:3]]
        rows["most often taken"] = ", ".join(most)
    if "loss" in report:
        rows["results, from the float network's"] = f"{report['loss']:.2%} of their spread"
    if "thresholds" in report:
        first, last = report["thresholds"][0], report["thresholds"][-1]
        rows["thresholds"] = (
            f"{list(first['thresholds'])} to {list(last['thresholds'])}: "
            f"{first['cycles']:.1f} to {last['cycles']:.1f} cycles"
        )
    return rows

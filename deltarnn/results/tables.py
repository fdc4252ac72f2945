"""The results as Markdown, put between the marks of a document."""

from collections.abc import Callable
from typing import Any

from deltarnn.markdown import lines
from deltarnn.results.studies import CLIMBER

Report = dict[str, Any]


def _error(spread: dict[str, float], unit: str) -> str:
    if "RMSE" in unit:
        return _spread(spread, 1, "{:.3f}", "")
    return _spread(spread, 100, "{:.2f}", " %")


def _percent(spread: dict[str, float]) -> str:
    return f"{100 * spread['mean']:.1f} %"


def _times(spread: dict[str, float]) -> str:
    return _spread(spread, 1, "{:.1f}", "")


def _spread(spread: dict[str, float], factor: float, form: str, unit: str) -> str:
    """The mean, and where there are several runs the least and the greatest."""
    mean, least, greatest = (form.format(factor * spread[k]) for k in ("mean", "least", "greatest"))
    span = f" ({least} - {greatest})" if spread["least"] < spread["greatest"] else ""
    return f"{mean}{unit}{span}"


def _rows(entry: Report) -> list[str]:
    unit = entry["unit"]
    return [
        *(_error(entry[key], unit) for key in ("float", "quantised", "delta")),
        *(_percent(entry[key]) for key in ("occupancy_x", "occupancy_h")),
        _times(entry["mac_reduction"]),
    ]


_FIGURES = ["float", "integers", "with thresholds", "x fired", "h fired", "times fewer fetches"]


def ladder(found: Report) -> str:
    """Every method on one task."""
    methods = found["studies"].get(CLIMBER, {"methods": {}})["methods"]
    rows = [[name, *_rows(entry)] for name, entry in methods.items()]
    return lines(["method", *_FIGURES], rows)


def tasks(found: Report) -> str:
    """The first and the last method of every task."""
    rows = []
    for name, study in _whole(found).items():
        methods = study["methods"]
        for method in (next(iter(methods)), list(methods)[-1]):
            entry = methods[method]
            shape = " -> ".join(str(n) for n in entry["network"])
            unit = entry["unit"]
            if "persistence" in study:
                unit += f" (persistence: {study['persistence']:.3f})"
            rows.append([f"{name} ({shape})", unit, method, *_rows(entry)])
    return lines(["task", "error in", "method", *_FIGURES], rows)


def speakers(found: Report) -> str:
    """Digits of people whom training never heard."""
    rows = [
        [name.rpartition("_")[2], *_rows(study["methods"]["sparse"])]
        for name, study in found["studies"].items()
        if name.startswith(f"{CLIMBER}_")
    ]
    return lines(["speaker left out", *_FIGURES], rows)


def formats(found: Report) -> str:
    """What the float network loses to each format, on the validation part at thresholds 0: of
    activations, and of what a neuron keeps.
    """
    rows = []
    for name, study in _whole(found).items():
        unit = next(iter(study["methods"].values()))["unit"]
        taken = list(study["methods"].values())[-1]["formats"]
        kept = "state" if "state" in taken else "cell"
        for entry in study["formats"]:
            mark = all(entry[key] == taken[key] for key in taken)
            error = {"mean": entry["error"], "least": entry["error"], "greatest": entry["error"]}
            rows.append(
                [
                    name,
                    f"{entry['activation']} / {entry[kept]}" + (" (taken)" if mark else ""),
                    f"{entry['loss']:.4f}",
                    _error(error, unit),
                    *(f"{100 * entry[key]:.1f} %" for key in ("occupancy_x", "occupancy_h")),
                ]
            )
    header = ["task", "activation / kept", "loss", "error", "x fired", "h fired"]
    return lines(header, rows)


def cycles(found: Report) -> str:
    """The paper's count and the simulated core's cycles side by side."""
    rows = []
    for name, study in found["studies"].items():
        if "cycles" not in study:
            continue
        c = study["cycles"]
        fetches = c["dense_cycles_per_frame"] / c["ideal_cycles_per_frame"]
        rows.append(
            [
                name,
                f"{c['recordings']}, {c['frames']:,}",
                f"{c['words_compared']:,}",
                f"{c['dense_cycles_per_frame']:,}",
                f"{c['ideal_cycles_per_frame']:.1f}",
                f"{c['cycles_per_frame']:.1f}",
                f"{fetches:.1f}",
                f"{c['speedup_over_dense']:.1f}",
            ]
        )
    header = ["task", "recordings, frames", "words equal", "dense cycles", "events * row blocks"]
    return lines([*header, "cycles", "times fewer by count", "in cycles"], rows)


def scratch(found: Report) -> str:
    """The whole of training as a delta network, beside the dense one."""
    rows = [
        [
            name,
            _error(entry["error"], entry["unit"]),
            *(_percent(entry[key]) for key in ("occupancy_x", "occupancy_h")),
            f"{entry['operations']['mean'] / 1e9:.1f} G",
            _spread(entry["share"], 100, "{:.1f}", " %"),
        ]
        for study in found["studies"].values()
        for name, entry in study.get("scratch", {}).items()
    ]
    header = ["training", "test error", "x fired", "h fired", "multiply-accumulates", "of dense"]
    return lines(header, rows)


def increments(found: Report) -> str:
    """Error after each step of incremental learning, dense and delta beside each other."""
    rows = []
    for study in found["studies"].values():
        methods = study.get("increments", {})
        steps = zip(*(entry["steps"] for entry in methods.values()), strict=True)
        for n, together in enumerate(steps):
            rows.append([str(together[0]["known"]), f"{together[0]['sequences']:,}"])
            for entry, step in zip(methods.values(), together, strict=True):
                known, old, new = (
                    _error(step[key], entry["unit"]) for key in ("error", "old", "new")
                )
                rows[-1] += [known, old if n else "-", new]
            rows[-1] += [_spread(together[-1]["share"], 100, "{:.1f}", " %")]
    errors = [f"{name}: {part}" for name in ("dense", "delta") for part in ("all", "old", "new")]
    return lines(["words", "recordings learned", *errors, "delta: operations of dense"], rows)


def _whole(found: Report) -> dict[str, Report]:
    return {name: study for name, study in found["studies"].items() if "formats" in study}


TABLES: dict[str, Callable[[Report], str]] = {
    "ladder": ladder,
    "tasks": tasks,
    "speakers": speakers,
    "formats": formats,
    "cycles": cycles,
    "scratch": scratch,
    "increments": increments,
}

"""The results as pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from golden.files import written_aside
from golden.fixed import Q
from golden.model_file import load_model
from golden.network import run_sequences
from train.course.writing import frames_path
from train.data.recordings import load_recordings

COLOURS = {
    "plain": "tab:grey",
    "rounded": "tab:blue",
    "noisy": "tab:purple",
    "delta": "tab:orange",
    "sparse": "tab:green",
}
TICKS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)


def draw_costs(found: dict[str, Any], path: Path) -> None:
    """Error over cost, a panel for each task: lines along rising thresholds, a seed each, to the
    thresholds that were taken.
    """
    shown = {name: study for name, study in found["studies"].items() if "formats" in study}
    columns = max(1, min(4, len(shown)))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    named = {}
    for panel, (name, study) in zip(panels, shown.items(), strict=False):
        unit = next(iter(study["methods"].values()))["unit"]
        scale = 100 if unit.endswith("wrong") else 1  # fractions, which tables show as percent
        for method, entry in study["methods"].items():
            colour = COLOURS[method]
            for n, sweep in enumerate(entry["sweeps"]):
                cost = [1 / step["macs"] for step in sweep]
                error = [scale * step["error"] for step in sweep]
                panel.plot(cost, error, "-", color=colour, lw=0.8, alpha=0.6)
                label = method if n == 0 else None
                panel.plot(cost[-1], error[-1], "o", color=colour, ms=5, label=label)
        real = np.mean([entry["float"]["mean"] for entry in study["methods"].values()])
        panel.axhline(scale * real, color="black", lw=0.8, ls=":", label="float")
        panel.set(
            title=name,
            xlabel="times fewer weight fetches",
            ylabel=unit + ", %" * (scale > 1),
            xscale="log",
        )
        panel.set_xticks([n for n in TICKS if panel.get_xlim()[0] <= n <= panel.get_xlim()[1]])
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        handles, labels = panel.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    for panel in panels[len(shown) :]:
        panel.remove()
    figure.legend(named.values(), named, loc="outside lower center", ncols=6, frameon=False)
    _save(figure, path)


def draw_raster(model_path: Path, path: Path) -> None:
    """One held-out recording: what goes in, and which columns fire when."""
    model, held_out = load_model(model_path), load_recordings(frames_path(model_path))
    frames = held_out.frames[0]
    (trace,) = run_sequences(model, [frames])
    activation: Q = model.parameters.formats.activation
    figure = Figure(figsize=(8, 6), layout="constrained")
    top, middle, bottom = figure.subplots(
        3,
        1,
        sharex=True,
        height_ratios=(1, 1, model.parameters.recurrent[0].units / frames.shape[1]),
    )
    image = top.imshow(
        frames.T / activation.scale, aspect="auto", origin="lower", interpolation="nearest"
    )
    figure.colorbar(image, ax=top, label="deviations")
    for panel, deltas, what in (
        (middle, trace.deltas_x[0], "inputs"),
        (bottom, trace.deltas_h[0], "units"),
    ):
        t, column = np.nonzero(deltas)
        panel.scatter(t, column, s=3, marker="s", c=np.where(deltas[t, column] > 0, "C3", "C0"))
        share = len(t) / deltas.size
        panel.set(ylabel=what, ylim=(-1, deltas.shape[1]))
        panel.set_title(f"{share:.1%} of the {what} fired (red: up, blue: down)", fontsize=9)
    top.set(ylabel="inputs", title=f"{model.name}: one held-out recording")
    bottom.set(xlabel="frame")
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    with written_aside(path) as part:
        figure.savefig(part, dpi=110)

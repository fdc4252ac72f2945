"""Draws docs/stillness.png: which columns of the shipped model fire in one held-out utterance.

Run it as ``python tools/stillness.py [OUT.png]``; it needs the extras ``sim,boards,bench``.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from deltarnn.demo import held_out
from golden.files import written_aside
from golden.network import DeltaNetwork

STILL, FIRED, DENSE = "#e9ecef", "#d1495b", "#495057"


def draw(path: Path) -> tuple[int, int]:
    """Draws the GRU layer's x and h over the frames of the longest utterance as a PNG file.

    Returns how many of the layer's weights are fetched, and how many a dense layer fetches.
    """
    model, utterances, _ = held_out()
    utterance = max(utterances, key=len)
    trace = DeltaNetwork(model).run(utterance)
    gru = model.parameters.layers[0]
    fired = {"x": trace.deltas_x[0] != 0, "h": trace.deltas_h[0] != 0}
    frames = len(utterance)
    per_column = 3 * gru.units  # a column's weights for the gates r, u and c
    fetched = per_column * np.concatenate([*fired.values()], axis=1).sum(axis=1)
    dense = per_column * gru.columns
    total, dense_total = int(fetched.sum()), frames * dense

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(12, 32, 13))
    for panel, (name, what) in zip(panels, {"x": "inputs", "h": "units"}.items(), strict=False):
        grid = fired[name].T
        panel.pcolormesh(
            np.arange(frames + 1) + 0.5,
            np.arange(len(grid) + 1) + 0.5,
            grid,
            cmap=ListedColormap([STILL, FIRED]),
            edgecolors="white",
            linewidth=0.8,
        )
        panel.set(ylabel=f"columns of {name}\n({len(grid)} {what})", ylim=(len(grid) + 0.5, 0.5))
        panel.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=len(grid) // 4))
        panel.set_title(f"{name}: {grid.mean():.0%} of the columns fire", loc="left", fontsize=10)
    bars = panels[2]
    bars.bar(np.arange(frames) + 1, fetched, color=FIRED, width=0.8)
    bars.axhline(dense, color=DENSE, linestyle="--", linewidth=1.2)
    bars.text(
        frames + 0.4, dense * 0.95, f"dense: {dense:,} a frame", color=DENSE, ha="right", va="top"
    )
    bars.set(xlabel="frame", ylabel="weights\nfetched", ylim=(0, dense * 1.08))
    bars.set_title(
        f"{total:,} of {dense_total:,} weights fetched: {dense_total / total:.1f} times fewer",
        loc="left",
        fontsize=10,
    )
    bars.xaxis.set_major_locator(MaxNLocator(integer=True))
    bars.yaxis.set_major_formatter("{x:,.0f}")
    for panel in panels:
        panel.set_xlim(0.5, frames + 0.5)
        panel.spines[:].set_visible(False)
        panel.tick_params(length=0)
    figure.suptitle(
        f"The GRU layer of {model.name} ({gru.inputs} inputs, {gru.units} units) "
        f"on the longest of {len(utterances)} held-out recordings",
        fontsize=11,
    )
    figure.legend(
        handles=[
            Patch(color=FIRED, label=f"fired: the column's {per_column} weights are fetched"),
            Patch(color=STILL, label="still: no fetch, no multiplication, no cycle"),
        ],
        loc="outside lower center",
        ncol=2,
        frameon=False,
    )
    with written_aside(path) as part:
        figure.savefig(part, format="png", dpi=130)
    return total, dense_total


if __name__ == "__main__":
    draw(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/stillness.png"))

"""What is in a model."""

from pathlib import Path

import click

from deltarnn.commands.common import layer_row
from deltarnn.console import (
    JSON,
    LANES,
    MODEL,
    brief,
    fitting_lanes,
    print_json,
    progress,
    table,
)
from golden.model_file import load_model
from golden.parameters import CoreParameters

OCCUPANCY = (1.0, 0.1)  # at which bytes fetched a frame are reported


@click.command()
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
        "weight_bits": layout.words * 8 * lanes,
        "accumulator_bits": layout.rows * layout.row_width * lanes,
        "dense_cycles": core.dense_cycles,
        "fetched_bytes": {f"{o:g}": round(core.dense_cycles * lanes * o) for o in OCCUPANCY},
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
        rows[f"layer {k}"] = layer_row(layer)
    rows |= {
        "weights": f"{network.weights:,} bytes",
        "accumulators": f"{network.accumulator_width} bits",
        f"core of {lanes} lanes": f"{layout.words:,} weight words of {8 * lanes} bits, "
        f"{core.dense_cycles:,} cycles a dense frame",
        "its memory": f"{report['weight_bits']:,} bits of weights, "
        f"{report['accumulator_bits']:,} bits of accumulators",
        "fetched from it": ", ".join(
            f"{n:,} bytes a frame where {float(o):.0%} of the columns fire"
            for o, n in report["fetched_bytes"].items()
        ),
    }
    rows |= {f"extra: {key}": brief(value) for key, value in loaded.extra.items()}
    table(rows, str(model))

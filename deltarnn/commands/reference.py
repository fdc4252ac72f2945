"""The network as one C99 file."""

from pathlib import Path

import click

from deltarnn.console import JSON, MODEL, OutputPath, print_json, require_writable
from golden.files import require_distinct, written_aside
from golden.model_file import load_model


@click.command()
@MODEL
@click.option("-o", "--output", type=OutputPath(), required=True, help="MODEL.c")
@JSON
def reference(model: Path, output: Path, as_json: bool) -> None:
    """Writes MODEL as one C99 file that computes the same bits on any processor.

    It was written from docs/numerics.md alone and so judges the golden model; it also runs on a
    microcontroller: no malloc, no floats, and columns that did not fire are skipped.
    """
    from deltarnn.reference.emit import emit

    require_distinct({"-o": output}, {"MODEL": model})
    require_writable(output)
    loaded = load_model(model)
    source = emit(loaded)
    with written_aside(output) as part:
        part.write_text(source, encoding="ascii")
    report = {"output": str(output), "bytes": len(source), "weights": loaded.parameters.weights}
    if as_json:
        print_json(report)
    else:
        print(output)

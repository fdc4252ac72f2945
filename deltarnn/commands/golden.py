"""The bit-true run."""

from pathlib import Path

import click
from rich.progress import track

from deltarnn.commands.common import recording_arrays, trace_arrays, write_npz
from deltarnn.console import (
    FRAMES,
    JSON,
    MODEL,
    OutputPath,
    print_json,
    progress,
    require_writable,
    table,
)
from golden.files import (
    require_distinct,
)
from golden.model_file import load_model
from golden.network import DeltaNetwork, Trace
from golden.recordings import load


@click.command()
@MODEL
@FRAMES
@click.option("-o", "--output", type=OutputPath(), required=True, help="OUT.npz")
@JSON
def golden(model: Path, frames: Path, output: Path, as_json: bool) -> None:
    """Runs the golden model on FRAMES; writes outputs, state, events_x and events_h into OUT.npz.

    FRAMES are int8 in activation LSBs, or any data that `eval` takes; each recording begins at
    reset. The arrays have a row a frame: the results, the last recurrent layer's state as its
    neurons keep it (h of a GRU, c of an LSTM), and how many of each layer's x and h fired.
    """
    from golden.predict.inference import delta_cost, dense_cost, occupancy

    require_distinct({"-o": output}, {"MODEL": model, "FRAMES": frames})
    require_writable(output)
    loaded = load_model(model)
    sequences = load(frames).frames(loaded)
    lengths = [len(sequence) for sequence in sequences]
    network = DeltaNetwork(loaded)
    step = max(1, min(1000, 10**8 // loaded.parameters.weights))  # a second's work, or less
    pieces = [
        (sequence[start : start + step], start)
        for sequence in sequences
        for start in range(0, len(sequence), step)
    ]
    parts = []
    for piece, start in track(
        pieces,
        description="golden",
        console=progress,
        transient=True,
        disable=sum(lengths) <= step or not progress.is_terminal,
    ):
        if not start:
            network.reset()
        parts.append(network.run(piece))
    trace = Trace.joined(parts)
    write_npz(output, trace_arrays(trace) | recording_arrays(lengths))
    delta = delta_cost(loaded.parameters, trace)
    dense = dense_cost(loaded.parameters, sum(lengths))
    of_x, of_h = occupancy(loaded.parameters, trace)
    report = {
        "recordings": len(lengths),
        "frames": sum(lengths),
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

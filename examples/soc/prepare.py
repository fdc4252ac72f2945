"""Writes what the system is built from into generated/: core, recordings, what golden says."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from deltarnn.demo import held_out
from golden.model import Model
from golden.network import run_sequences
from golden.parameters import CoreParameters
from golden.readings import by_sum
from hw.emit.verilog import emit

LANES = 4


def main() -> None:
    """Reads the command line and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, help="how many of them; all if not given")
    count = parser.parse_args().recordings
    model, recordings, labels = held_out()
    prepare(model, recordings[:count], labels[:count], Path(__file__).parent / "generated")


def prepare(model: Model, recordings: list[np.ndarray], labels: np.ndarray, folder: Path) -> None:
    """Writes the core and files for ``recordings``, int8 [T, I] each, into ``folder``."""
    emission = emit(CoreParameters(model.parameters, LANES), model)
    emission.write(folder)

    elements = [int(element) & 0xFF for recording in recordings for element in recording.flat]
    for end in np.cumsum([recording.size for recording in recordings]):
        elements[end - 1] |= 0x100
    _write_hex(folder / "frames.hex", elements)
    _write_hex(folder / "labels.hex", [int(label) for label in labels])
    (bits,) = (p["width"] for p in emission.manifest["ports"] if p["name"] == "m_axis_tdata")
    gru, readout = model.parameters.layers
    facts = {
        "INPUTS": model.parameters.inputs,
        "RESULTS": model.parameters.outputs,
        "RESULT_BITS": bits,
        "THETA_X_0": gru.theta_x,
        "THETA_H_0": gru.theta_h,
        "THETA_X_1": readout.theta_x,
        "RECORDINGS": len(recordings),
        "ELEMENTS": len(elements),
    }
    (folder / "recordings.vh").write_text(_localparams(facts))

    # For the test bench: everything twice, with the model's thresholds and with 0.
    expected, results = {"FRAMES": sum(map(len, recordings))}, []
    for prefix, network in (("", model), ("EXACT_", _exact(model))):
        traces = run_sequences(network, recordings)
        outputs = np.concatenate([trace.outputs for trace in traces])
        answers = np.array([by_sum(trace.outputs) for trace in traces])
        results += [int(result) & (1 << bits) - 1 for result in outputs.flat]
        expected[f"{prefix}RIGHT"] = int((answers == labels).sum())
        expected[f"{prefix}EVENTS"] = int(
            sum(trace.events_x.sum() + trace.events_h.sum() for trace in traces)
        )
    _write_hex(folder / "expected.hex", results)
    (folder / "expected.vh").write_text(_localparams(expected))


def _exact(model: Model) -> Model:
    """The same model with every threshold 0."""
    parameters = model.parameters
    layers = tuple(
        replace(layer, theta_x=0, theta_h=0 if layer.recurrent else None)
        for layer in parameters.layers
    )
    return Model.of(model.name, parameters.formats, layers, model.weights)


def _write_hex(path: Path, words: list[int]) -> None:
    """A file for $readmemh."""
    path.write_text("".join(f"{word:x}\n" for word in words))


def _localparams(values: Mapping[str, int]) -> str:
    return "".join(f"localparam {name} = {value};\n" for name, value in values.items())


if __name__ == "__main__":
    main()

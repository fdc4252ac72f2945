"""What the page computes with: a model and recordings as JSON, their integers as base64."""

import base64
from typing import Any

import numpy as np

from golden.kinds import format_names
from golden.model import Model, Weights
from golden.parameters import LayerParameters, NetworkParameters
from golden.readings import Answers
from golden.recordings import Recordings
from golden.tables import sigmoid_table, tanh_table


def model_record(model: Model) -> dict[str, Any]:
    """The model as golden.js takes it, with what its results mean.

    Raises ValueError where a key of the model file says nothing that results could mean.
    """
    network = model.parameters
    formats, answers = network.formats, Answers.of(model)
    # A step of a LSTM is bounded by its format of the cell even where no layer has one.
    names = sorted({*format_names(layer.kind for layer in network.layers), "cell"})
    return {
        "name": model.name,
        "sha256": model.sha256,
        "labels": None if model.labels is None else list(model.labels),
        "readout": model.extra.get("readout"),
        "reading": None if answers.reading is None else answers.reading.what,
        "unit": None if answers.reading is None else answers.reading.unit,
        "resultScale": float(answers.results(np.array(1))),
        "formats": {name: [(q := getattr(formats, name)).m, q.f] for name in names},
        "accumulatorWidth": network.accumulator_width,
        "layers": [
            _layer_record(network, layer, weights)
            for layer, weights in zip(network.layers, model.weights, strict=True)
        ],
        "sigmoid": packed(sigmoid_table(formats.preactivation, formats.gate), "<i4"),
        "tanh": packed(tanh_table(formats.preactivation, formats.gate), "<i4"),
    }


def _layer_record(
    network: NetworkParameters, layer: LayerParameters, weights: Weights
) -> dict[str, Any]:
    # No |d| is greater, so nothing fires at this threshold nor at any greater one.
    most = (1 << network.formats.activation.width) - 1
    weight_h = vars(weights).get("weight_h")
    return {
        "kind": layer.kind,
        "inputs": layer.inputs,
        "units": layer.units,
        "gates": layer.gates,
        "splits": layer.has.splits,
        "state": layer.has.state,
        "weightFrac": layer.weight_frac,
        "thetaX": min(layer.theta_x, most),
        "thetaH": None if layer.theta_h is None else min(layer.theta_h, most),
        "weightX": packed(weights.weight_x, "<i1"),
        "weightH": None if weight_h is None else packed(weight_h, "<i1"),
        "bias": packed(weights.bias, "<i4"),
        "shift": packed(weights.shifts, "<i1"),
    }


def recording_records(
    model: Model, recordings: Recordings, frames: list[np.ndarray]
) -> list[dict[str, Any]]:
    """Each recording's name, its ``frames`` int [T, I] in activation LSBs, and what is wanted: a
    class, a list of classes, or numbers.
    """
    bits = 8 if model.parameters.formats.activation.width <= 8 else 16
    wanted = recordings.wanted or (None,) * len(frames)
    return [
        {
            "name": name,
            "length": len(each),
            "frames": packed(each, f"<i{bits // 8}"),
            "bits": bits,
            "wanted": None if want is None else want.tolist(),
        }
        for name, each, want in zip(recordings.names, frames, wanted, strict=True)
    ]


def packed(values: np.ndarray, kind: str) -> str:
    """base64 of the integers as ``kind``, row by row."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")


def checksum(outputs: np.ndarray) -> int:
    """A sum of results int64 [T, O] in which their order counts, modulo 2^32.

    No product leaves 2^53, so a browser's numbers give the same.
    """
    factors = 1 + np.arange(outputs.size) % 1009
    return int((outputs.ravel() * factors % 2**32).sum() % 2**32)

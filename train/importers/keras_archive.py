"""Keras 3: a saved model (.keras), a chain of GRU and LSTM layers and one Dense layer.

The archive is read as what it is, JSON and HDF5; Keras is not needed and no code in it is run.
"""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from golden.errors import refusal
from train.data import Floats
from train.network import (
    FloatGRU,
    FloatLinear,
    FloatLSTM,
    FloatNetwork,
    FloatRecurrent,
    gates_in_order,
)

# What changes no value when a network is used.
_PASSES = ("InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout")
_ENDS = ("linear", "softmax")  # a softmax keeps the greatest result greatest
_INSTEAD = {
    "SimpleRNN": "a GRU or an LSTM",
    "Bidirectional": "one direction: frames come singly, in order",
    "BatchNormalization": "it folded into the layer before or after",
}
# What a layer must say of itself; all else is as free as Keras leaves it.
_REQUIRED = {
    "activation": ("tanh", "tanh"),
    "recurrent_activation": ("sigmoid", "sigmoid"),
    "go_backwards": (False, "one direction: frames come singly, in order"),
}

_REQUIRED_OF_GRU = {"reset_after": (True, "reset_after=True: train it again so"), **_REQUIRED}


def read(path: Path) -> FloatNetwork:
    """The network of a .keras file."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            stored = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(stored)) as weights:
            return _network(_chain(config, str(path)), weights, str(path))
    except (zipfile.BadZipFile, KeyError, OSError, json.JSONDecodeError):
        raise refusal(str(path), "no Keras model", "what model.save('NAME.keras') wrote") from None


def _chain(config: dict[str, Any], source: str) -> list[dict[str, Any]]:
    """The layers in the order in which values go through them."""
    if config["class_name"] not in ("Sequential", "Functional"):
        raise refusal(source, f"a {config['class_name']} model", "Sequential or Functional")
    layers: list[dict[str, Any]] = config["config"]["layers"]
    before = ""
    for layer in layers:
        inbound = json.dumps(layer.get("inbound_nodes", []))
        feeding = re.findall(r'"keras_history": \["([^"]+)"', inbound)
        if feeding not in ([], [before]):
            raise refusal(
                f"{source}, layer {layer['config']['name']!r}",
                f"fed by {', '.join(feeding)}",
                "layers in a row, each fed by the one before",
            )
        before = layer["config"]["name"]
    return layers


def _network(chain: list[dict[str, Any]], weights: h5py.File, source: str) -> FloatNetwork:
    layers: list[FloatRecurrent | FloatLinear] = []
    seen: Counter[str] = Counter()
    for layer in chain:
        kind, config = layer["class_name"], layer["config"]
        name = f"{source}, layer {config['name']!r}"
        group = f"layers/{kind.lower()}" + (f"_{seen[kind]}" if seen[kind] else "")
        seen[kind] += 1
        if kind in _RECURRENT:
            stored = _arrays(weights, f"{group}/cell/vars")
            layers.append(_RECURRENT[kind](config, stored, name))
        elif kind == "Dense":
            if config["activation"] not in _ENDS:
                raise refusal(name, f"activation {config['activation']}", " or ".join(_ENDS))
            layers.append(_dense(config, _arrays(weights, f"{group}/vars")))
        elif kind not in _PASSES:
            raise refusal(
                name,
                f"{kind}, which the core does not have",
                _INSTEAD.get(kind, "GRU, LSTM, Dense"),
            )
    try:
        return FloatNetwork(tuple(layers))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _gru(config: dict[str, Any], stored: list[Floats], name: str) -> FloatGRU:
    _require(config, _REQUIRED_OF_GRU, name)
    weight_x, weight_h = (weight.T for weight in stored[:2])
    bias = stored[2] if config["use_bias"] else np.zeros((2, len(weight_h)))
    # Keras has z, r, h; its z is the specification's u.
    return FloatGRU(*(gates_in_order(rows, (1, 0, 2)) for rows in (weight_x, weight_h, *bias)))


def _lstm(config: dict[str, Any], stored: list[Floats], name: str) -> FloatLSTM:
    """Keras has i, f, c, o: the specification's order."""
    _require(config, _REQUIRED, name)
    weight_x, weight_h = (weight.T for weight in stored[:2])
    bias = stored[2] if config["use_bias"] else np.zeros(len(weight_h))
    return FloatLSTM.with_bias(weight_x, weight_h, bias)


def _require(config: dict[str, Any], required: dict[str, tuple[object, str]], name: str) -> None:
    for key, (needed, expected) in required.items():
        if config[key] != needed:
            raise refusal(name, f"{key} {config[key]}", expected)


_RECURRENT: dict[str, Callable[[dict[str, Any], list[Floats], str], FloatRecurrent]] = {
    "GRU": _gru,
    "LSTM": _lstm,
}


def _dense(config: dict[str, Any], stored: list[Floats]) -> FloatLinear:
    weight = stored[0].T
    return FloatLinear(weight, stored[1] if config["use_bias"] else np.zeros(len(weight)))


def _arrays(weights: h5py.File, group: str) -> list[Floats]:
    """A layer's variables, in their order."""
    stored: Any = weights[group]
    return [np.asarray(stored[str(n)], dtype=np.float64) for n in range(len(stored))]

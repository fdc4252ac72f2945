"""Keras 3: a saved model (.keras), a chain of GRU and LSTM layers and one Dense layer.

The archive is read as what it is, JSON and HDF5; Keras is not needed and no code in it is run.
"""

import io
import json
import math
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import h5py
import numpy as np

from golden.errors import refusal
from train.data.recordings import Floats
from train.importers.suspicion import (
    LAYERS,
    VALUES,
    from_bfloat16,
    listed,
    members_of,
    quoted,
    shape_of,
    shown,
)
from train.quantised.float_network import (
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
    "return_state": (False, "return_state=False: a layer's states alone"),
}
_REQUIRED_OF_GRU = {"reset_after": (True, "reset_after=True: train it again so"), **_REQUIRED}

_EXPECTED = "what model.save('NAME.keras') wrote"
_CONFIG_BYTES = 1 << 22
_DEPTH = 64  # of configurations in one another
_DTYPES = ("float16", "float32", "float64")

_T = TypeVar("_T")


def read(content: bytes, source: str) -> FloatNetwork:
    """The network of a .keras file."""
    members = members_of(content, source, _EXPECTED)
    for name in ("config.json", "model.weights.h5"):
        if name not in members:
            found = f"no {name} in it, but {listed(members)}"
            raise refusal(source, found, _EXPECTED)
    if len(members["config.json"]) > _CONFIG_BYTES:
        found = f"{len(members['config.json']):,} bytes of config.json"
        raise refusal(source, found, f"at most {_CONFIG_BYTES:,}")
    try:
        config = json.loads(members["config.json"])
    except (ValueError, RecursionError):
        raise refusal(f"{source}, config.json", "no JSON", _EXPECTED) from None
    chain = _chain(config, source)
    try:
        file = h5py.File(io.BytesIO(members["model.weights.h5"]))
    except OSError:
        raise refusal(f"{source}, model.weights.h5", "no HDF5", _EXPECTED) from None
    with file as weights:
        return _network(chain, weights, source)


def _take(record: Any, key: str, kind: type[_T], name: str) -> _T:
    """What a configuration has under ``key``, which must be of ``kind``."""
    if not isinstance(record, dict):
        raise refusal(name, shown(record), "a JSON object")
    if key not in record:
        raise refusal(name, f"no {key}", _EXPECTED)
    value = record[key]
    if not isinstance(value, kind):
        raise refusal(f"{name}, {key}", shown(value), f"a {kind.__name__}")
    return value


def _chain(config: Any, source: str) -> list[dict[str, Any]]:
    """The layers in the order in which values go through them."""
    model = _take(config, "class_name", str, source)
    if model not in ("Sequential", "Functional"):
        raise refusal(source, f"a {shown(model)} model", "Sequential or Functional")
    _own(config, source)
    within = _take(config, "config", dict, source)
    layers: list[Any] = _take(within, "layers", list, source)
    if not 0 < len(layers) <= LAYERS:
        raise refusal(source, f"{len(layers)} layers", f"1 to {LAYERS}")
    before, names = "", set()
    for layer in layers:
        own = _take(_take(layer, "config", dict, f"{source}, a layer"), "name", str, source)
        name = f"{source}, layer {quoted(own)}"
        if own in names:
            raise refusal(name, "two layers of this name", "one")
        names.add(own)
        _own(layer, name)
        calls = layer.get("inbound_nodes", [])
        _called_plainly(calls, name)
        feeding = list(_feeding(calls, name))
        first = model == "Sequential" or not before
        if feeding != ([] if first else [[before, 0, 0]]):
            found = ", ".join(shown(each[0]) for each in feeding[:3]) or "nothing"
            raise refusal(name, f"fed by {found}", "layers in a row, each fed by the one before")
        before = own
    if model == "Functional":
        for key, end in (("input_layers", layers[0]), ("output_layers", layers[-1])):
            place = [end["config"]["name"], 0, 0]
            if within.get(key) not in (place, [place]):
                found = f"{key} other than layer {quoted(place[0])}"
                raise refusal(source, found, "layers in a row, from the first to the last")
    return layers


def _own(record: Any, name: str) -> None:
    """Refuses a class that only has the name of one of Keras' own."""
    kind = _take(record, "class_name", str, name)
    package = str(record.get("module")).partition(".")[0]
    if package != "keras" or record.get("registered_name") not in (None, kind):
        found = f"{shown(kind)} of package {quoted(record.get('module'))}"
        raise refusal(name, found, "Keras' own layers")


def _called_plainly(calls: Any, name: str) -> None:
    """Refuses arguments that change what a layer does, such as a state to begin with."""
    if not isinstance(calls, list):
        raise refusal(f"{name}, inbound_nodes", shown(calls), "a list")
    for call in calls:
        for key, value in _take(call, "kwargs", dict, name).items():
            if value not in (None, False):
                raise refusal(name, f"a call with {shown(key)}", "one with the frames alone")


def _feeding(value: Any, name: str, depth: int = 0) -> list[Any]:
    """Where the tensors come from that are somewhere in a layer's calls."""
    if depth > _DEPTH:
        raise refusal(name, "a configuration that is too deep", _EXPECTED)
    if isinstance(value, list):
        return [found for each in value for found in _feeding(each, name, depth + 1)]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("keras_history"), list) and value["keras_history"]:
        return [value["keras_history"]]
    return [found for each in value.values() for found in _feeding(each, name, depth + 1)]


def _network(chain: list[dict[str, Any]], weights: h5py.File, source: str) -> FloatNetwork:
    layers: list[FloatRecurrent | FloatLinear] = []
    seen: Counter[str] = Counter()
    values = 0
    sequences = True
    for layer in chain:
        kind, config = layer["class_name"], layer["config"]
        name = f"{source}, layer {quoted(config['name'])}"
        group = f"layers/{kind.lower()}" + (f"_{seen[kind]}" if seen[kind] else "")
        seen[kind] += 1
        if kind in _PASSES:
            continue
        if kind not in _RECURRENT and kind != "Dense":
            raise refusal(
                name,
                f"{shown(kind)}, which the core does not have",
                _INSTEAD.get(kind, "GRU, LSTM, Dense"),
            )
        quantised = _quantised(config, name)
        if kind == "Dense":
            end = config.get("activation")
            if end not in _ENDS:
                raise refusal(name, f"activation {shown(end)}", " or ".join(_ENDS))
            stored = _arrays(weights, f"{group}/vars", name, quantised)
            layers.append(_dense(config, stored, name, quantised))
        else:
            if quantised:
                raise refusal(name, "a quantised recurrent layer", "its float weights")
            if not sequences:
                found = "return_sequences false in the layer before"
                raise refusal(name, found, "layers that take every frame")
            stored = _arrays(weights, f"{group}/cell/vars", name)
            layers.append(_RECURRENT[kind](config, stored, name))
            sequences = _take(config, "return_sequences", bool, name)
        values += sum(value.size for value in vars(layers[-1]).values())
        if values > VALUES:
            raise refusal(source, f"{values:,} weights", f"at most {VALUES:,}")
    try:
        return FloatNetwork(tuple(layers))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _quantised(config: dict[str, Any], name: str) -> bool:
    """Whether a layer's policy is int8; refuses other modes, whose weights mean something else."""
    policy = config.get("dtype")
    settings = policy.get("config") if isinstance(policy, dict) else None
    mode = settings.get("mode") if isinstance(settings, dict) else None
    if mode is None and config.get("quantization_config") is None:
        return False
    if mode != "int8":
        found = f"quantisation {shown(mode)}"
        raise refusal(name, found, "int8, or the model before model.quantize()")
    return True


def _gru(config: dict[str, Any], stored: list[Floats], name: str) -> FloatGRU:
    _require(config, _REQUIRED_OF_GRU, name)
    weight_x, weight_h, bias = _cell(config, stored, name, 3, (2,))
    # Keras has z, r, h; its z is the specification's u.
    return FloatGRU(*(gates_in_order(rows, (1, 0, 2)) for rows in (weight_x, weight_h, *bias)))


def _lstm(config: dict[str, Any], stored: list[Floats], name: str) -> FloatLSTM:
    """Keras has i, f, c, o: the specification's order."""
    _require(config, _REQUIRED, name)
    return FloatLSTM.with_bias(*_cell(config, stored, name, 4, ()))


def _cell(
    config: dict[str, Any], stored: list[Floats], name: str, gates: int, biases: tuple[int, ...]
) -> tuple[Floats, Floats, Floats]:
    """Weights [gates H, I] and [gates H, H], and the bias [*biases, gates H]."""
    units, use_bias = _take(config, "units", int, name), _take(config, "use_bias", bool, name)
    inputs = stored[0].shape[0] if stored and stored[0].ndim else 0
    rows = gates * units
    shapes = [(inputs, rows), (units, rows), *([(*biases, rows)] if use_bias else [])]
    _shaped(stored, shapes, name)
    bias = stored[2] if use_bias else np.zeros((*biases, rows))
    return stored[0].T, stored[1].T, bias


def _shaped(stored: list[Floats], shapes: list[tuple[int, ...]], name: str) -> None:
    found = [value.shape for value in stored]
    if found != shapes or not all(map(math.prod, shapes)):
        one = "variables " + ", ".join(shape_of(shape) for shape in found[:4])
        raise refusal(name, one, ", ".join(str(list(shape)) for shape in shapes))


def _require(config: dict[str, Any], required: dict[str, tuple[object, str]], name: str) -> None:
    for key, (needed, expected) in required.items():
        if config.get(key) != needed:
            raise refusal(name, f"{key} {shown(config.get(key))}", expected)


_RECURRENT: dict[str, Callable[[dict[str, Any], list[Floats], str], FloatRecurrent]] = {
    "GRU": _gru,
    "LSTM": _lstm,
}


def _dense(config: dict[str, Any], stored: list[Floats], name: str, quantised: bool) -> FloatLinear:
    """A quantised one has its integers and, last, what they were multiplied by: a scale a unit."""
    units, use_bias = _take(config, "units", int, name), _take(config, "use_bias", bool, name)
    inputs = stored[0].shape[0] if stored and stored[0].ndim else 0
    row = [(units,)]
    _shaped(stored, [(inputs, units), *(row * use_bias), *(row * quantised)], name)
    weight = stored[0] / stored[-1] if quantised else stored[0]
    return FloatLinear(weight.T, stored[1] if use_bias else np.zeros(units))


def _arrays(weights: h5py.File, path: str, name: str, quantised: bool = False) -> list[Floats]:
    """A layer's variables, in their order; of a quantised one the first is of integers.

    Each must be what it seems: numbers that lie in this file, as they are. Links, external and
    virtual data could name any other file, and what is filled in or unpacked any size.
    """
    group: Any = weights
    for step in path.split("/"):
        group = _follow(group, step, name)
        if not isinstance(group, h5py.Group):
            raise refusal(name, f"no group {path}", _EXPECTED)
    if len(group) > 8:
        raise refusal(name, f"{len(group)} variables", "at most 8")
    return [
        _array(_follow(group, str(n), name), f"{name}, {path}/{n}", quantised and n == 0)
        for n in range(len(group))
    ]


def _follow(group: h5py.Group, step: str, name: str) -> Any:
    link = group.get(step, getlink=True)
    if link is None:
        raise refusal(name, f"no {step} among {listed(group)}", _EXPECTED)
    if not isinstance(link, h5py.HardLink):
        found = "an external link" if isinstance(link, h5py.ExternalLink) else "a soft link"
        raise refusal(f"{name}, {step}", found, "weights in the file")
    return group[step]


def _array(dataset: Any, name: str, integers: bool) -> Floats:
    if not isinstance(dataset, h5py.Dataset):
        raise refusal(name, "no array", _EXPECTED)
    if dataset.external:
        raise refusal(name, "data in another file", "weights in the file")
    if dataset.is_virtual:
        raise refusal(name, "data put together of others", "weights in the file")
    shape = dataset.shape
    if shape is None or len(shape) > 2 or math.prod(shape) > VALUES:
        found = "no shape" if shape is None else f"shape {shape_of(shape)}"
        raise refusal(name, found, f"at most {VALUES:,} values, in two dimensions")
    # As Keras writes them: in one piece and complete, so that nothing is unpacked or filled in.
    size = math.prod(shape) * dataset.dtype.itemsize
    if dataset.chunks is not None or dataset.id.get_storage_size() != size:
        raise refusal(name, "an array in chunks, compressed or without its data", "it plain")
    if dataset.dtype.name in (("int8",) if integers else _DTYPES):
        return np.asarray(dataset[()], dtype=np.float64)
    if (
        not integers
        and dataset.dtype == np.dtype("V2")
        and dataset.attrs.get("dtype") == "bfloat16"
    ):
        return from_bfloat16(np.asarray(dataset[()]).view("<u2")).astype(np.float64)
    raise refusal(name, f"type {shown(str(dataset.dtype))}", "int8" if integers else "floats")

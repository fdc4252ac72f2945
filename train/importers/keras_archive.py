"""Keras 3: a saved model (.keras), a chain of GRU and LSTM layers and one Dense layer.

The archive is read as what it is, JSON and HDF5; Keras is not needed and no code in it is run.
"""

import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import h5py
import numpy as np

from golden.errors import refusal
from train.data.recordings import Floats
from train.importers.affine import Affine, fold
from train.importers.parts import Given, Part, Reading, problem_of, require_known, require_order
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
_NORMS = ("Normalization", "BatchNormalization")
_WRAPPERS = ("Bidirectional", "RNN", "ConvLSTM1D", "ConvLSTM2D", "SimpleRNN")  # that are listed too
_INSTEAD = {
    "SimpleRNN": "a GRU or an LSTM",
    "Bidirectional": "one direction: train it without the wrapper",
}
# What a layer must say of itself; all else is as free as Keras leaves it.
_REQUIRED = {
    "activation": ("tanh", "tanh"),
    "recurrent_activation": ("sigmoid", "sigmoid"),
    "go_backwards": (False, "one direction: train it with go_backwards=False"),
    "return_state": (False, "return_state=False: a layer's states alone"),
}
_REQUIRED_OF_GRU = {"reset_after": (True, "reset_after=True: train it again so"), **_REQUIRED}

_EXPECTED = "what model.save('NAME.keras') wrote"
_CONFIG_BYTES = 1 << 22
_LAYERS = 1000  # of a model that is larger than the network
_DEPTH = 64  # of configurations in one another
_DTYPES = ("float16", "float32", "float64")

_T = TypeVar("_T")


def read(given: Given) -> Reading:
    """The network of a .keras file, or the layers of it that were named."""
    config, stored = _opened(given)
    layers = _layers(config, given.source)
    if given.nodes:
        takes = (*_RECURRENT, "Dense", "TimeDistributed", *_WRAPPERS)
        known = [_named(layer) for layer in layers if layer["class_name"] in takes]
        recurrent = [_named(layer) for layer in layers if layer["class_name"] in _LISTED]
        require_known(given.nodes, known, given.source, recurrent)
        require_order(given.nodes, [name for name in known if name in given.nodes], given.source)
    else:
        _require_row(config, layers, given.source)
    with stored as weights:
        return _network(layers, weights, given)


def parts(given: Given) -> list[Part]:
    """The recurrent layers of a .keras file."""
    config, stored = _opened(given)
    with stored as weights:
        return [
            _part(layer, group, weights, given.source)
            for layer, group in _grouped(_layers(config, given.source))
            if layer["class_name"] in _LISTED
        ]


def _part(layer: dict[str, Any], group: str, weights: h5py.File, source: str) -> Part:
    kind, name = layer["class_name"], f"{source}, layer {quoted(_named(layer))}"
    found: list[FloatRecurrent] = []
    problem = problem_of(lambda: found.append(_recurrent(layer, group, weights, name)), name)
    inner = layer["config"].get("layer") if kind == "Bidirectional" else layer
    config = inner.get("config") if isinstance(inner, dict) else None
    units = config.get("units") if isinstance(config, dict) else None
    turned = layer["config"].get("go_backwards") is True
    return Part(
        name=shown(_named(layer), 200),
        kind=shown(kind, 30),
        inputs=found[0].inputs if found else None,
        units=units if isinstance(units, int) and units < VALUES else None,
        layers=1,
        direction=("reverse" if turned else "forward") if inner is layer else "bidirectional",
        problem=problem,
    )


def _opened(given: Given) -> tuple[Any, h5py.File]:
    """What a file says of its model, and its weights."""
    source = given.source
    members = members_of(given.content, source, _EXPECTED)
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
    try:
        return config, h5py.File(io.BytesIO(members["model.weights.h5"]))
    except OSError:
        raise refusal(f"{source}, model.weights.h5", "no HDF5", _EXPECTED) from None


def _named(layer: dict[str, Any]) -> str:
    return layer["config"]["name"]


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


def _layers(config: Any, source: str) -> list[dict[str, Any]]:
    """The layers of a model, each with its class, its own configuration and a name."""
    model = _take(config, "class_name", str, source)
    if model not in ("Sequential", "Functional"):
        raise refusal(source, f"a {shown(model)} model", "Sequential or Functional")
    _own(config, source)
    within = _take(config, "config", dict, source)
    layers: list[Any] = _take(within, "layers", list, source)
    if not 0 < len(layers) <= _LAYERS:
        raise refusal(source, f"{len(layers)} layers", f"1 to {_LAYERS:,}")
    names = set()
    for layer in layers:
        own = _take(_take(layer, "config", dict, f"{source}, a layer"), "name", str, source)
        _take(layer, "class_name", str, f"{source}, layer {quoted(own)}")
        if own in names:
            raise refusal(f"{source}, layer {quoted(own)}", "two layers of this name", "one")
        names.add(own)
    return layers


def _require_row(config: Any, layers: list[dict[str, Any]], source: str) -> None:
    """Refuses layers that are not in the order in which values go through them, one by one."""
    model, within = config["class_name"], config["config"]
    before = ""
    for layer in layers:
        own = _named(layer)
        name = f"{source}, layer {quoted(own)}"
        calls = layer.get("inbound_nodes", [])
        _called_plainly(calls, name)
        feeding = list(_feeding(calls, name))
        first = model == "Sequential" or not before
        if feeding != ([] if first else [[before, 0, 0]]):
            found = ", ".join(shown(each[0]) for each in feeding[:3]) or "nothing"
            expected = "layers in a row, each fed by the one before, or --node (see --list)"
            raise refusal(name, f"fed by {found}", expected)
        before = own
    if model == "Functional":
        for key, end in (("input_layers", layers[0]), ("output_layers", layers[-1])):
            place = [_named(end), 0, 0]
            if within.get(key) not in (place, [place]):
                found = f"{key} other than layer {quoted(place[0])}"
                raise refusal(source, found, "layers in a row, from the first to the last")


def _grouped(layers: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each layer and where its weights lie: layers of a kind are numbered from the second on."""
    seen: Counter[str] = Counter()
    for layer in layers:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", layer["class_name"]).lower()
        yield layer, f"layers/{kind}" + (f"_{seen[kind]}" if seen[kind] else "")
        seen[kind] += 1


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


def _network(layers: list[dict[str, Any]], weights: h5py.File, given: Given) -> Reading:
    """The network up to its read-out, or up to its last recurrent layer; the rest is left."""
    source, nodes = given.source, given.nodes
    made: list[FloatRecurrent | FloatLinear] = []
    offset: Floats | None = None
    affine: Affine | None = None  # of what is between, not yet in a layer
    left: list[str] = []
    fed, before, last = None, "", ""  # names: what feeds a part, the layer before, the last taken
    sequences, closed, values = True, False, 0

    def take(layer: FloatRecurrent | FloatLinear) -> FloatRecurrent | FloatLinear:
        nonlocal affine, offset
        changed, affine = affine, None
        if changed is None:
            return layer
        if made or isinstance(layer, FloatLinear):
            return fold(changed, layer)
        layer, offset = changed.before_frames(layer)
        return layer

    for layer, group in _grouped(layers):
        kind, config = layer["class_name"], layer["config"]
        name = f"{source}, layer {quoted(config['name'])}"
        previous, before = before, config["name"]
        chosen = not nodes or config["name"] in nodes
        if not chosen and not made:
            continue
        if nodes and made and not _fed_by(layer, last, name):  # another branch
            if chosen:
                expected = "layers one above the other"
                raise refusal(name, f"it not fed by {shown(last)}", expected)
            continue
        if kind in _PASSES:
            last = config["name"]
            continue
        if chosen and nodes and not made:
            fed = previous
        if kind in (*_LISTED, *_NORMS, "Dense", "TimeDistributed"):
            _own(layer, name)
        if chosen and kind in _LISTED:
            if closed:
                found = f"it behind {shown(last)}"
                raise refusal(name, found, "recurrent layers in a row, or --node (see --list)")
            _called_plainly(layer.get("inbound_nodes", []), name)
            if not sequences:
                found = "return_sequences false in the layer before"
                raise refusal(name, found, "layers that take every frame")
            made.append(take(_recurrent(layer, group, weights, name)))
            sequences = _take(config, "return_sequences", bool, name)
            left.clear()
            last = config["name"]
        elif kind in _NORMS and not closed:
            wide = made[-1].units if made else None
            statistics = _normalisation(layer, weights, group, name, wide)
            affine = statistics if affine is None else affine.then(statistics)
            last = config["name"]
            if made:
                left.append(shown(kind, 30))
        elif (kind == "Dense" or _is_dense(layer)) and chosen and made and not closed:
            dense, group = (
                (layer, group) if kind == "Dense" else (config["layer"], f"{group}/layer")
            )
            linear, end = _dense(dense, weights, group, name)
            made.append(take(linear))
            left = [] if end == "linear" else [shown(end, 30)]
            closed, last = True, config["name"]
        elif not made:
            found = f"{shown(kind)}, which the core does not have"
            expected = _INSTEAD.get(kind, "GRU, LSTM, or --node for a part alone (see --list)")
            raise refusal(name, found, expected)
        else:
            closed = True
            left.append(_spoken(layer))
        if made:
            values = sum(value.size for each in made for value in vars(each).values())
        if values > VALUES or len(made) > LAYERS:
            raise refusal(
                source, f"{len(made)} layers of {values:,} weights", f"at most {VALUES:,}"
            )
    try:
        network = FloatNetwork(tuple(made), offset)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return Reading(network, tuple(left), None if fed is None else shown(fed, 200))


def _fed_by(layer: dict[str, Any], before: str, name: str) -> bool:
    """Whether a layer takes what the layer ``before`` gives; a Sequential model says nothing."""
    feeding = list(_feeding(layer.get("inbound_nodes", []), name))
    return not feeding or feeding == [[before, 0, 0]]


def _spoken(layer: dict[str, Any]) -> str:
    """A layer that is left to the host, with its units."""
    inner = layer["config"]["layer"] if _is_dense(layer) else layer
    units = inner["config"].get("units") if isinstance(inner.get("config"), dict) else None
    return shown(inner["class_name"], 30) + (f" -> {shown(units)}" if units is not None else "")


def _is_dense(layer: dict[str, Any]) -> bool:
    """Whether a layer is a Dense for every frame."""
    inner = layer["config"].get("layer")
    return (
        layer["class_name"] == "TimeDistributed"
        and isinstance(inner, dict)
        and inner.get("class_name") == "Dense"
        and isinstance(inner.get("config"), dict)
    )


def _recurrent(layer: dict[str, Any], group: str, weights: h5py.File, name: str) -> FloatRecurrent:
    kind, config = layer["class_name"], layer["config"]
    if kind not in _RECURRENT:
        found = f"{shown(kind)}, which the core does not have"
        raise refusal(name, found, _INSTEAD.get(kind, "GRU, LSTM, Dense"))
    if _quantised(config, name):
        raise refusal(name, "a quantised recurrent layer", "its float weights")
    return _RECURRENT[kind](config, _arrays(weights, f"{group}/cell/vars", name), name)


def _normalisation(
    layer: dict[str, Any], weights: h5py.File, group: str, name: str, size: int | None
) -> Affine:
    """What a Normalization or BatchNormalization does when the network is used."""
    config = layer["config"]
    if config.get("axis") not in (-1, [-1], 2, [2]) or config.get("invert"):
        found = f"axis {shown(config.get('axis'))}" if not config.get("invert") else "invert True"
        raise refusal(name, found, "features normalised, axis=-1")
    if layer["class_name"] == "Normalization":
        rows = [config.get("mean"), config.get("variance")]
        if rows == [None, None]:
            mean, variance = _arrays(weights, f"{group}/vars", name, more=1)[:2]
        else:
            mean, variance = (np.asarray(row, dtype=np.float64).reshape(-1) for row in rows)
        statistics = [np.ones(1), np.zeros(1), mean, np.maximum(np.sqrt(variance), 1e-7) ** 2]
    else:
        stored = _arrays(weights, f"{group}/vars", name)
        flags = [_take(config, key, bool, name) for key in ("scale", "center")]
        if len(stored) != 2 + sum(flags):
            raise refusal(name, f"{len(stored)} variables", f"{2 + sum(flags)}")
        gamma = stored.pop(0) if flags[0] else np.ones(1)
        beta = stored.pop(0) if flags[1] else np.zeros(1)
        epsilon = _take(config, "epsilon", float, name)
        statistics = [gamma, beta, stored[0], stored[1] + epsilon]
    wide = max(row.size for row in statistics) if size is None else size
    for row in statistics:
        if row.ndim != 1 or row.size not in (1, wide):
            raise refusal(name, f"statistics {shape_of(row.shape)}", f"[{wide}]")
    scale, shift, mean, variance = statistics
    return Affine.normalised(mean, variance, scale, shift)


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
_LISTED = (*_RECURRENT, *_WRAPPERS)


def _dense(
    layer: dict[str, Any], weights: h5py.File, group: str, name: str
) -> tuple[FloatLinear, str]:
    """A Dense without its activation, and that.

    A quantised one has its integers and, last, what they were multiplied by: a scale a unit.
    """
    _own(layer, name)
    config = layer["config"]
    quantised = _quantised(config, name)
    stored = _arrays(weights, f"{group}/vars", name, quantised)
    units, use_bias = _take(config, "units", int, name), _take(config, "use_bias", bool, name)
    inputs = stored[0].shape[0] if stored and stored[0].ndim else 0
    row = [(units,)]
    _shaped(stored, [(inputs, units), *(row * use_bias), *(row * quantised)], name)
    weight = stored[0] / stored[-1] if quantised else stored[0]
    end = config.get("activation")
    linear = FloatLinear(weight.T, stored[1] if use_bias else np.zeros(units))
    return linear, end if isinstance(end, str) else "an activation of its own"


def _arrays(
    weights: h5py.File, path: str, name: str, quantised: bool = False, more: int = 0
) -> list[Floats]:
    """A layer's variables, in their order; of a quantised one the first is of integers. The last
    ``more`` are not read.

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
        for n in range(len(group) - more)
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

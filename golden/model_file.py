"""The model file: one safetensors file, read with suspicion (docs/numerics.md, "Model file")."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from golden.errors import refusal
from golden.files import unreadable, written_aside
from golden.fixed import Q
from golden.formats import SHIFT_MAX, Formats
from golden.kinds import KIND_NAMES, KINDS, format_names
from golden.model import WEIGHTS, Model, Weights
from golden.parameters import LayerParameters

VERSIONS = (1, 2)  # 2: some layer has row shifts
METADATA_KEY = "deltarnn"
BYTES_MAX = 1 << 28  # of a model file: far more weights than any board has room for
_KNOWN = ("version", "name", "labels", "formats", "layers")


def save_model(model: Model, path: Path) -> None:
    """Writes the model file; the same model gives the same bytes.

    Raises ValueError where ``extra`` has a key of the format's own.
    """
    formats = model.parameters.formats
    own = {
        "version": VERSIONS[model.parameters.shift_bits > 0],
        "name": model.name,
        "labels": None if model.labels is None else list(model.labels),
        "formats": {
            key: [(q := getattr(formats, key)).m, q.f]
            for key in format_names(layer.kind for layer in model.parameters.layers)
        },
        "layers": [_layer_record(layer) for layer in model.parameters.layers],
    }
    for key in own.keys() & model.extra.keys():
        raise refusal(f"extra key {key!r}", "a key of the model file's own", "another name")
    metadata = {**own, **model.extra}
    tensors = {}
    for k, weights in enumerate(model.weights):
        for tensor, value in _present(weights).items():
            dtype = np.int32 if tensor == "bias" else np.int8
            tensors[f"layers.{k}.{tensor}"] = np.ascontiguousarray(value, dtype=dtype)
    with written_aside(path) as part:
        part.write_bytes(save(tensors, {METADATA_KEY: json.dumps(metadata)}))


def _present(weights: Weights) -> dict[str, np.ndarray]:
    """The tensors that there are: a layer may do without row shifts."""
    return {name: value for name, value in vars(weights).items() if value is not None}


def _layer_record(layer: LayerParameters) -> dict[str, Any]:
    record = {"kind": layer.kind, "weight_frac": layer.weight_frac, "theta_x": layer.theta_x}
    return {**record, "theta_h": layer.theta_h} if layer.recurrent else record


def load_model(path: Path) -> Model:
    """Reads and checks a model file.

    Raises ValueError that names the file, the tensor or key, what was found and what was expected.
    """
    try:
        return _load(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _load(path: Path) -> Model:
    expected = "a readable safetensors file"
    reason = unreadable(path, BYTES_MAX)
    if reason is not None:
        size = f" of at most {BYTES_MAX:,} bytes" if "bytes" in reason else ""
        raise refusal("model file", reason, expected + size)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise refusal("model file", error.strerror, expected) from None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            # bfloat16 and the like have no NumPy type: ask for the name before the array.
            dtypes = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
            tensors = {
                key: file.get_tensor(key) for key, dtype in dtypes.items() if dtype in ("I8", "I32")
            }
    except SafetensorError as error:
        reason = str(error).splitlines()[0]
        raise refusal("model file", f"no safetensors ({reason})", "a safetensors file") from None
    record = _metadata(metadata)
    entries = _list(record, "layers")
    kinds = (entry.get("kind") for entry in entries if isinstance(entry, dict))
    formats = _formats(record, format_names(kinds))
    layers, weights = [], []
    inputs: int | None = None
    for k, entry in enumerate(entries):
        layer, layer_weights = _layer(k, entry, inputs, dtypes, tensors, record["version"])
        layers.append(layer)
        weights.append(layer_weights)
        inputs = layer.units
    known = {f"layers.{k}.{tensor}" for k, w in enumerate(weights) for tensor in _present(w)}
    for key in dtypes:
        if key not in known:
            raise refusal(f"tensor '{key}'", "a tensor", "none of that name in these layers")
    return Model.of(
        _name(record),
        formats,
        tuple(layers),
        tuple(weights),
        _labels(record),
        {key: value for key, value in record.items() if key not in _KNOWN},
        hashlib.sha256(content).hexdigest(),
    )


def _metadata(metadata: dict[str, str]) -> dict[str, Any]:
    key = f"__metadata__['{METADATA_KEY}']"
    if METADATA_KEY not in metadata:
        raise refusal(key, "nothing", "the JSON record of a deltarnn model")
    try:
        record = json.loads(metadata[METADATA_KEY], parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise refusal(key, f"no JSON ({error})", "a JSON object") from None
    if not isinstance(record, dict):
        raise refusal(key, type(record).__name__, "a JSON object")
    version = record.get("version")
    if type(version) is not int or version not in VERSIONS:
        raise refusal("key 'version'", repr(version), " or ".join(map(str, VERSIONS)))
    return record


def _no_number(constant: str) -> float:
    """JSON has no NaN and no Infinity, though Python reads them and would write them again."""
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _list(record: dict[str, Any], key: str) -> list[Any]:
    value = record.get(key)
    if not isinstance(value, list):
        raise refusal(f"key '{key}'", repr(value), "a list")
    return value


def _name(record: dict[str, Any]) -> str:
    name = record.get("name")
    if not isinstance(name, str) or not name:
        raise refusal("key 'name'", repr(name), "a text")
    return name


def _labels(record: dict[str, Any]) -> tuple[str, ...] | None:
    if "labels" not in record:
        raise refusal("key 'labels'", "nothing", "a list of texts, or null")
    if record["labels"] is None:
        return None
    labels = _list(record, "labels")
    if not all(isinstance(label, str) for label in labels):
        raise refusal("key 'labels'", repr(labels), "a list of texts, or null")
    return tuple(labels)


def _formats(record: dict[str, Any], names: tuple[str, ...]) -> Formats:
    formats = record.get("formats")
    if not isinstance(formats, dict):
        raise refusal("key 'formats'", repr(formats), f"an object with {', '.join(names)}")
    for key in formats:
        if key not in names:
            raise refusal(f"key 'formats.{key}'", "a format", f"only {', '.join(names)}")
    return Formats(**{key: Q.parse(f"key 'formats.{key}'", formats.get(key)) for key in names})


def _layer(
    k: int,
    entry: Any,
    inputs: int | None,
    dtypes: dict[str, str],
    tensors: dict[str, np.ndarray],
    version: int,
) -> tuple[LayerParameters, Weights]:
    """Layer ``k``; ``inputs`` is the width of the layer before it, None for the first."""
    key = f"layers[{k}]"
    if not isinstance(entry, dict):
        raise refusal(f"key '{key}'", repr(entry), "an object")
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise refusal(f"key '{key}.kind'", repr(kind), KIND_NAMES)
    gates, accumulators = KINDS[kind].gates, KINDS[kind].accumulators

    def tensor(name: str, dtype: str, shape: tuple[int | None, ...]) -> np.ndarray:
        full = f"layers.{k}.{name}"
        expected = f"{dtype} [{', '.join('*' if n is None else str(n) for n in shape)}]"
        if full not in dtypes:
            raise refusal(f"tensor '{full}'", "nothing", expected)
        if dtypes[full] != dtype:
            raise refusal(f"tensor '{full}'", dtypes[full], expected)
        value = tensors[full]
        fits = value.ndim == len(shape) and all(
            found > 0 and wanted in (None, found)
            for found, wanted in zip(value.shape, shape, strict=True)
        )
        if not fits:
            raise refusal(f"tensor '{full}'", f"{dtype} {list(value.shape)}", expected)
        return value

    weight_x = tensor("weight_x", "I8", (None, inputs))
    if weight_x.shape[0] % len(gates):
        rows = f"{weight_x.shape[0]} rows"
        raise refusal(f"tensor 'layers.{k}.weight_x'", rows, f"rows {', '.join(gates)}")
    units = weight_x.shape[0] // len(gates)
    shapes: dict[str, tuple[str, tuple[int, ...]]]
    shapes = {"weight_h": ("I8", (weight_x.shape[0], units))} if KINDS[kind].state else {}
    shapes["bias"] = ("I32", (len(accumulators) * units,))
    if version > 1 and KINDS[kind].state and f"layers.{k}.shift" in dtypes:
        shapes["shift"] = ("I8", shapes["bias"][1])
    others = {name: tensor(name, *wanted) for name, wanted in shapes.items()}
    if "shift" in others and not 0 <= others["shift"].min() <= others["shift"].max() <= SHIFT_MAX:
        low, high = others["shift"].min(), others["shift"].max()
        raise refusal(f"tensor 'layers.{k}.shift'", f"{low} to {high}", f"0 to {SHIFT_MAX}")
    weights = WEIGHTS[kind](weight_x, **others)
    try:
        layer = LayerParameters(
            kind,
            weight_x.shape[1],
            units,
            entry.get("weight_frac"),  # type: ignore[arg-type]  # checked there
            entry.get("theta_x"),  # type: ignore[arg-type]
            entry.get("theta_h"),
        )
    except ValueError as error:
        raise ValueError(f"key '{key}': {error}") from None
    return layer, weights

"""PyTorch: what the names and shapes of a state_dict say; and one that is kept as safetensors."""

import math
import re
from collections.abc import Mapping
from itertools import pairwise, permutations
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, deserialize

from golden.errors import refusal
from train.data.recordings import Floats
from train.importers.parts import Given, Part, Reading, problem_of, require_order
from train.importers.suspicion import (
    LAYERS,
    VALUES,
    cut,
    from_bfloat16,
    listed,
    one_line,
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
)

# A layer of a module, or a cell, which has one layer and no number.
_CELL = re.compile(r"(.*?)(weight|bias)_(ih|hh|hr)(?:_l([0-9]{1,3})(_reverse)?)?", re.DOTALL)
_KINDS: dict[int, type[FloatRecurrent]] = {3: FloatGRU, 4: FloatLSTM}  # by the gates there are
_WANTED = "nn.GRU or nn.LSTM, and one nn.Linear"
# What a read-out is called, by the last part of its name: asked only where shapes do not tell.
_READ_OUTS = re.compile(
    r"(head|fc|fc_?out|lin|linear|out|output|out_?proj|proj_?out|read_?out|dense|decoder|classifier"
    r"|logits|lm_head|output_layer|out_layer)\d*"
)
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}

_ALONE = "nn.GRU or nn.LSTM, and one nn.Linear, or --node for a part alone (--list shows which)"
_NORMS = ("running_mean", "running_var")

State = dict[str, Floats]
_T = TypeVar("_T")


def read(given: Given) -> Reading:
    """The network in a safetensors file of tensors named as nn.GRU, nn.LSTM, nn.Linear do.

    Such a file keeps no order of its tensors.
    """
    entries = chosen(_entries(given), given)
    source = given.source
    require_count({key: math.prod(entry["shape"]) for key, entry in entries.items()}, source)
    state = {key: _array(entry, f"{source}, {shown(key)}") for key, entry in entries.items()}
    return Reading(network_of(state, source, in_order=bool(given.nodes)))


def parts(given: Given) -> list[Part]:
    """The recurrent modules in a safetensors file."""
    shapes = {key: tuple(entry["shape"]) for key, entry in _entries(given).items()}
    return parts_of(shapes, given.source)


def _entries(given: Given) -> dict[str, Mapping[str, Any]]:
    try:
        return dict(sorted(deserialize(given.content)))
    except SafetensorError as error:
        found = f"no safetensors ({one_line(str(error), 100)})"
        raise refusal(given.source, found, "tensors of floats") from None


def chosen(tensors: Mapping[str, _T], given: Given) -> dict[str, _T]:
    """The tensors of the modules that were named, in the order of their names; all where none were.

    Raises ValueError where a name is no module's, or a read-out is named before a recurrent module.
    """
    if not given.nodes:
        return dict(tensors)
    found: dict[str, _T] = {}
    read_outs = []
    for n, node in enumerate(given.nodes):
        within = {key: t for key, t in tensors.items() if key.startswith(f"{node.rstrip('.')}.")}
        if not within or node in given.nodes[:n]:
            modules = {module: None for key in tensors if (module := module_of(key)) is not None}
            expected = f"one of {listed((name for name in modules if name), 4)}, each once"
            raise refusal(given.source, f"no module {quoted(node)}", expected)
        found |= within
        if not any(module_of(key) is not None for key in within):
            read_outs.append(node)
    order = [*(node for node in given.nodes if node not in read_outs), *read_outs]
    require_order(given.nodes, order, given.source)
    return found


def module_of(key: str) -> str | None:
    """The recurrent module that a tensor is of; None where it is of none."""
    cell = _CELL.fullmatch(key)
    return None if cell is None else cell[1].rstrip(".")


def parts_of(shapes: Mapping[str, tuple[int, ...]], source: str) -> list[Part]:
    """The recurrent modules of a state_dict of tensors of these shapes."""
    modules: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in shapes.items():
        if (module := module_of(key)) is not None:
            modules.setdefault(module, {})[key] = shape
    return [_part(module, within, source) for module, within in modules.items()]


def _part(module: str, shapes: dict[str, tuple[int, ...]], source: str) -> Part:
    cells = {key: cell for key in shapes if (cell := _CELL.fullmatch(key)) is not None}
    numbers = {int(cell[4] or 0) for cell in cells.values()}

    def shape_at(of: str, layer: int) -> tuple[int, ...]:
        return next(
            (
                shapes[key]
                for key, cell in cells.items()
                if (cell[2], cell[3], int(cell[4] or 0), cell[5]) == ("weight", of, layer, None)
                and len(shapes[key]) == 2
            ),
            (0, 0),
        )

    (_, inputs), (rows, units) = shape_at("ih", min(numbers)), shape_at("hh", max(numbers))
    gates = rows // units if units else 0
    # Zeros that take no memory, whatever sizes are declared.
    zeros = {key: np.broadcast_to(np.zeros(()), shape) for key, shape in shapes.items()}
    return Part(
        name=shown(module, 200),
        kind={1: "RNN", 3: "GRU", 4: "LSTM"}.get(gates, "unknown"),
        inputs=inputs or None,
        units=units or None,
        layers=len(numbers),
        direction="bidirectional" if any(cell[5] for cell in cells.values()) else "forward",
        problem=problem_of(lambda: _modules(zeros, source), source),
    )


def _array(entry: Mapping[str, Any], name: str) -> Floats:
    if entry["dtype"] == "BF16":
        values = from_bfloat16(np.frombuffer(entry["data"], "<u2"))
    elif entry["dtype"] in _DTYPES:
        values = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]])
    else:
        found = f"a tensor of {shown(entry['dtype'])} {shape_of(entry['shape'])}"
        raise refusal(name, found, "one of floats")
    return values.reshape(entry["shape"]).astype(np.float64)


def require_count(sizes: Mapping[str, int], source: str) -> None:
    """Refuses more values than there may be, before one is converted."""
    values = sum(sizes.values())
    if values > VALUES:
        largest = max(sizes, key=lambda key: sizes[key])
        found = f"{values:,} values in tensors, most in {quoted(largest)}"
        raise refusal(source, found, f"at most {VALUES:,}")


def network_of(state: State, source: str, in_order: bool) -> FloatNetwork:
    """The network of tensors by name.

    PyTorch's gates r, z, n are the specification's r, u, c, and so is its update; i, f, g, o are
    named alike.

    Parameters
    ----------
    source
        What errors begin with.
    in_order
        Whether modules come in the order in which the whole was made of them.
    """
    modules, linear = _modules(state, source)
    if not modules:
        raise refusal(source, f"tensors {listed(state)}", _WANTED)
    order = list(modules) if in_order else _order(modules, source)
    layers: list[FloatRecurrent | FloatLinear] = [
        layer for prefix in order for layer in modules[prefix]
    ]
    if len(layers) > LAYERS:
        raise refusal(source, f"{len(layers)} layers", f"at most {LAYERS}")
    if linear:
        layers.append(_read_out(linear, layers, source))
    try:
        return FloatNetwork(tuple(layers))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _modules(state: State, source: str) -> tuple[dict[str, list[FloatRecurrent]], dict[str, State]]:
    """The layers of each recurrent module, and the tensors of each linear one."""
    cells: dict[str, dict[int, State]] = {}
    linear: dict[str, State] = {}
    for key, tensor in state.items():
        name = f"{source}, {shown(key)}"
        cell = _CELL.fullmatch(key)
        if cell is None:
            prefix, _, what = key.rpartition(".")
            if what in _NORMS:
                found = "a normalisation that may lie before the layers or behind them"
                expected = "it folded into a layer, an ONNX export, or --node (see --list)"
                raise refusal(name, found, expected)
            if what not in ("weight", "bias") or tensor.ndim != (2 if what == "weight" else 1):
                raise refusal(name, f"a tensor {shape_of(tensor.shape)}", _ALONE)
            linear.setdefault(prefix, {})[what] = tensor
            continue
        prefix, what, of, k, back = cell.groups()
        if back:
            raise refusal(name, "bidirectional", "one direction: train it with bidirectional=False")
        if of == "hr":
            raise refusal(name, "an LSTM with projections", "one without")
        layer = cells.setdefault(prefix, {}).setdefault(int(k or 0), {})
        if f"{what}_{of}" in layer:
            raise refusal(name, "the same layer under two names", "one")
        layer[f"{what}_{of}"] = tensor
    modules = {prefix: _stack(layers, source, prefix) for prefix, layers in cells.items()}
    return modules, linear


def _order(modules: dict[str, list[FloatRecurrent]], source: str) -> list[str]:
    """The one order in which each module takes what the one before gives.

    Where there are several: the order of their numbers, if that is all in which names differ.
    """
    if len(modules) == 1:
        return list(modules)
    texts = {re.sub(r"[0-9]+", "0", prefix) for prefix in modules}
    if len(texts) == 1:
        return sorted(modules, key=lambda prefix: [int(n) for n in re.findall(r"[0-9]+", prefix)])
    fitting = [
        order
        for order in (permutations(modules) if len(modules) <= 6 else ())
        if all(
            modules[above][0].inputs == modules[below][-1].units for below, above in pairwise(order)
        )
    ]
    if len(fitting) != 1:
        found = f"recurrent modules {listed(prefix.rstrip('.') for prefix in modules)}"
        expected = "one, numbered ones, torch.save, which keeps their order, or --node in order"
        raise refusal(source, found, expected)
    return list(fitting[0])


def _read_out(
    linear: dict[str, State], below: list[FloatRecurrent | FloatLinear], source: str
) -> FloatLinear:
    """The one linear layer, if it can be nothing else: a state_dict does not say what it is for.

    An embedding or a layer that frames go through first has just such a matrix.
    """
    found = ", ".join(_spoken(prefix, tensors) for prefix, tensors in list(linear.items())[:3])
    if len(linear) > 1:
        found += f" and {len(linear) - 3} more" if len(linear) > 3 else ""
        raise refusal(
            source, f"linear layers {found}", "one read-out at most (--node imports a part)"
        )
    ((prefix, tensors),) = linear.items()
    name = f"{source}, {shown(prefix or 'weight')}"
    if "weight" not in tensors:
        raise refusal(name, "a bias without a weight", "nn.Linear")
    weight, bias = tensors["weight"], tensors.get("bias")
    if not weight.size:
        raise refusal(name, f"shape {shape_of(weight.shape)}", "outputs and inputs")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise refusal(f"{name} bias", f"shape {shape_of(bias.shape)}", f"[{len(weight)}]")
    inputs, units = below[0].inputs, below[-1].units
    if "emb" in prefix.lower():
        raise refusal(name, f"an embedding {shape_of(weight.shape)}", "frames of features")
    if weight.shape[1] != units:
        expected = f"a read-out [outputs, {units}] of the last layer"
        raise refusal(name, f"a matrix {shape_of(weight.shape)}", expected)
    embeds = bias is None and weight.shape[1] <= inputs
    if (embeds or len(weight) == inputs) and not _READ_OUTS.fullmatch(
        prefix.rpartition(".")[2].lower()
    ):
        found = f"a matrix {shape_of(weight.shape)} that may also lie before the recurrent layers"
        raise refusal(name, found, "a read-out called so, such as head or fc")
    return FloatLinear(weight, np.zeros(len(weight)) if bias is None else bias)


def _spoken(prefix: str, tensors: State) -> str:
    weight = tensors.get("weight")
    shape = "without weight" if weight is None else shape_of(weight.shape)
    return f"{cut(quoted(prefix), 40)} {shape}"


def _stack(layers: dict[int, State], source: str, prefix: str) -> list[FloatRecurrent]:
    """The layers of one module, from l0 on."""
    missing = set(range(len(layers))) - set(layers)
    if missing:
        name = f"{source}, {shown(prefix)}layer {min(missing)}"
        raise refusal(name, "none of its tensors", "the layers from 0 on")
    return [
        _recurrent(layers[k], f"{source}, {shown(prefix)}layer {k}") for k in range(len(layers))
    ]


def _recurrent(tensors: State, name: str) -> FloatRecurrent:
    for key in ("weight_ih", "weight_hh"):
        if key not in tensors:
            raise refusal(name, f"no {key}", "both weights of a layer")
        if tensors[key].ndim != 2 or not tensors[key].size:
            raise refusal(f"{name} {key}", f"shape {shape_of(tensors[key].shape)}", "a matrix")
    weight_x, weight_h = tensors["weight_ih"], tensors["weight_hh"]
    units = weight_h.shape[-1]
    gates, rest = divmod(len(weight_h), units)
    if rest or gates not in _KINDS:
        found = (
            "an RNN"
            if gates == 1 and not rest
            else f"shape {shape_of(weight_h.shape)} of weight_hh"
        )
        raise refusal(name, found, "[3H, H] of a GRU or [4H, H] of an LSTM")
    rows = len(weight_h)
    expected = {
        "weight_ih": (rows, weight_x.shape[-1]),
        "bias_ih": (rows,),
        "bias_hh": (rows,),
    }
    for key, shape in expected.items():
        if key in tensors and tensors[key].shape != shape:
            raise refusal(
                f"{name} {key}", f"shape {shape_of(tensors[key].shape)}", f"{list(shape)}"
            )
    biases = (tensors.get(key, np.zeros(rows)) for key in ("bias_ih", "bias_hh"))
    return _KINDS[gates](weight_x, weight_h, *biases)

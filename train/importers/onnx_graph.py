"""ONNX: a graph of GRU and LSTM nodes and a linear read-out (onnx.ai, operators of these names,
Gemm, MatMul).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from golden.errors import refusal
from train.data.recordings import Floats
from train.importers.onnx_judge import check_equal
from train.importers.suspicion import (
    LAYERS,
    VALUES,
    cut,
    listed,
    one_line,
    printable,
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

# What moves values and changes none; and what comes last and keeps the greatest result greatest.
_MOVES = ("Cast", "Dropout", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze")
_MOVES += ("Transpose", "Unsqueeze")
_ENDS = ("ArgMax", "LogSoftmax", "Softmax")
# What makes constants: shapes, and the zeros an initial state is filled with.
_MAKES = ("Concat", "Constant", "ConstantOfShape", "Expand", "Shape")

# What a tensor may be of, and what may be cast to.
_NUMBERS = {
    getattr(onnx.TensorProto, name)
    for name in ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT32", "INT64", "BOOL")
}
_REFUSED_ATTRIBUTES = {
    getattr(onnx.AttributeProto, name)
    for name in (
        *("GRAPH", "GRAPHS", "TENSORS", "SPARSE_TENSOR", "SPARSE_TENSORS"),
        *("TYPE_PROTO", "TYPE_PROTOS", "UNDEFINED"),
    )
}
_EXPECTED = "what an exporter wrote"
_NODES, _ATTRIBUTES, _RANK = 10_000, 32, 8
_OLDEST = 7  # before it, a Dropout in use was an attribute; onnxruntime begins here too

_INSTEAD = {
    "RNN": "a GRU or an LSTM",
    "BatchNormalization": "it folded into the layer before or after",
    "Relu": "a read-out without it",
}


@dataclass(frozen=True)
class _Cell:
    """What ONNX says of a recurrent operator.

    Attributes
    ----------
    kind
        The layer that it becomes.
    order
        Where that layer's gates are among the operator's.
    functions
        The activations that the core has, which are ONNX' defaults.
    states
        Inputs of the node that say where it begins, which must be 0.
    """

    kind: type[FloatRecurrent]
    order: tuple[int, ...]
    functions: tuple[str, ...]
    states: tuple[int, ...]


_CELLS = {
    "GRU": _Cell(FloatGRU, (1, 0, 2), ("Sigmoid", "Tanh"), (5,)),  # its gates are z, r, h
    "LSTM": _Cell(FloatLSTM, (0, 2, 3, 1), ("Sigmoid", "Tanh", "Tanh"), (5, 6)),  # i, o, f, c
}
_LENGTHS, _PEEPHOLES = 4, 7  # these inputs


def read(content: bytes, source: str) -> FloatNetwork:
    """The network of an ONNX graph."""
    model = _parsed(content, source)
    graph = _Graph(model.graph, source)
    network = graph.network()
    # After the walk, which says more of what it refuses.
    _valid(lambda: onnx.checker.check_model(model, full_check=True), source)
    check_equal(model, graph.results(), network, source)
    return network


def _parsed(content: bytes, source: str) -> onnx.ModelProto:
    """A model that ONNX itself finds valid, all of it in this file and of bounded size."""
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        raise refusal(source, "no ONNX model", _EXPECTED) from None
    graph = model.graph
    if not graph.node:
        raise refusal(source, "no ONNX model", _EXPECTED)
    if len(graph.node) > _NODES:
        raise refusal(source, f"{len(graph.node):,} nodes", f"at most {_NODES:,}")
    if len(model.functions):
        raise refusal(source, "functions of its own", "a graph with them inlined")
    if len(graph.sparse_initializer):
        raise refusal(source, "sparse weights", "dense ones")
    for node in graph.node:
        name = _name(node, source)
        if node.domain not in ("", "ai.onnx"):
            raise refusal(name, f"operators of {quoted(node.domain)}", "ONNX' own")
        if len(node.attribute) > _ATTRIBUTES:
            raise refusal(name, f"{len(node.attribute):,} attributes", f"at most {_ATTRIBUTES}")
        for attribute in node.attribute:
            if attribute.type in _REFUSED_ATTRIBUTES or attribute.ref_attr_name:
                found = f"attribute {quoted(attribute.name)} that is a graph, or no plain value"
                raise refusal(name, found, "an operator without")
            if attribute.type == onnx.AttributeProto.TENSOR:
                _bounded(attribute.t, f"{name}, {quoted(attribute.name)}")
    names: set[str] = set()
    values = 0
    for tensor in graph.initializer:
        name = f"{source}, {quoted(tensor.name)}"
        values += _bounded(tensor, name)
        if tensor.name in names:
            raise refusal(name, "two tensors of this name", "one")
        names.add(tensor.name)
    if values > VALUES:
        raise refusal(source, f"{values:,} values in tensors", f"at most {VALUES:,}")
    for opset in model.opset_import:
        newest = onnx.defs.onnx_opset_version()
        if opset.domain in ("", "ai.onnx") and not _OLDEST <= opset.version <= newest:
            raise refusal(source, f"opset {opset.version}", f"{_OLDEST} to {newest}")
    _valid(lambda: onnx.checker.check_model(model), source)
    return model


def _valid(check: Callable[[], object], source: str) -> None:
    try:
        check()
    except Exception as error:  # of ONNX' own classes, none of which is a ValueError
        reason = one_line(str(error), 120)
        raise refusal(source, f"no valid ONNX model ({reason})", _EXPECTED) from None


def _bounded(tensor: onnx.TensorProto, name: str) -> int:
    """How many values a tensor has; refuses one that is elsewhere, too large or no numbers."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data):
        expected = "one file: onnx.save(onnx.load(FILE), FILE)"
        raise refusal(name, "data in another file", expected)
    if tensor.HasField("segment"):
        raise refusal(name, "a part of a tensor", "the whole")
    if tensor.data_type not in _NUMBERS:
        known = tensor.data_type in onnx.TensorProto.DataType.values()
        kind = onnx.TensorProto.DataType.Name(tensor.data_type) if known else tensor.data_type
        raise refusal(name, f"data type {shown(kind)}", "numbers")
    values = math.prod(tensor.dims)
    if len(tensor.dims) > _RANK or min(tensor.dims, default=0) < 0 or values > VALUES:
        raise refusal(name, f"shape {shape_of(tensor.dims)}", f"at most {VALUES:,} values")
    return values


def _name(node: onnx.NodeProto, source: str) -> str:
    return f"{source}, node {shown(node.op_type, 30)} {quoted(node.name)}"


class _Graph:
    """A walk over the nodes, in their order, from the frames to the last layer's value."""

    def __init__(self, graph: onnx.GraphProto, source: str) -> None:
        self._nodes, self._source = list(graph.node), source
        self._outputs = [value.name for value in graph.output]
        self._constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        # What is the last layer's value, moved at most; what ends a graph stands for its input.
        self._reached: dict[str, str] = {}

    def results(self) -> list[str]:
        """The values to be judged: what the graph gives out, before a softmax or argmax.

        Raises ValueError where nothing of what it gives out is the last layer's.
        """
        found = [self._reached[name] for name in self._outputs if name in self._reached]
        if not found:
            outputs = f"outputs {listed(self._outputs)}"
            raise refusal(self._source, outputs, "one that is the last layer's")
        return found

    def network(self) -> FloatNetwork:
        layers: list[FloatRecurrent | FloatLinear] = []
        ended = False
        values = 0
        for node in self._nodes:
            name = _name(node, self._source)
            if node.op_type in _MAKES:
                self._make(node)
                continue
            if node.op_type in _MOVES:
                self._move(node, name)
                continue
            if ended:
                raise refusal(name, "it behind the last layer", "nothing there")
            if node.op_type in _ENDS:
                ended = True
                for output in node.output[:1]:
                    if node.input[0] in self._reached:
                        self._reached[output] = self._reached[node.input[0]]
                continue
            if node.op_type in _CELLS:
                layers.append(self._recurrent(node, _CELLS[node.op_type], name))
                outputs = node.output[:2]  # all states and the last one, but not a cell
            elif node.op_type in ("Gemm", "MatMul"):
                layers.append(self._linear(node, name))
                outputs = node.output
            elif node.op_type == "Add" and layers and isinstance(layers[-1], FloatLinear):
                layers[-1] = self._add(node, name, layers[-1])
                outputs = node.output
            else:
                expected = _INSTEAD.get(node.op_type, "GRU, LSTM, Gemm, or MatMul and Add")
                raise refusal(name, "an operation that the core does not have", expected)
            self._reached = {output: output for output in outputs if output}
            if node.op_type != "Add":
                values += sum(value.size for value in vars(layers[-1]).values())
            if len(layers) > LAYERS or values > VALUES:  # a file may name one matrix often
                found = f"{len(layers)} layers of {values:,} values"
                raise refusal(self._source, found, f"at most {LAYERS} of {VALUES:,}")
        try:
            return FloatNetwork(tuple(layers))
        except ValueError as error:
            raise ValueError(f"{self._source}: {error}") from None

    def _make(self, node: onnx.NodeProto) -> None:
        """Constants of which something here needs the value: all but shapes."""
        attributes = _attributes(node)
        value: np.ndarray | None = None
        if node.op_type == "Constant" and "value" in attributes:
            value = numpy_helper.to_array(attributes["value"])
        elif node.op_type == "ConstantOfShape":
            given = attributes.get("value")
            value = np.zeros(1) if given is None else numpy_helper.to_array(given)
        elif node.op_type == "Expand":
            value = self._constants.get(node.input[0])
        if value is not None:
            self._constants[node.output[0]] = value

    def _move(self, node: onnx.NodeProto, name: str) -> None:
        """Follows the last layer's value, and constants.

        Only a transposed constant has its value looked at as a matrix.
        """
        if node.op_type == "Cast" and _attributes(node).get("to") not in _NUMBERS:
            raise refusal(name, "a cast to something else", "one to numbers")
        before = self._reached.get(node.input[0])
        if before is not None:  # what is behind a softmax still stands for what is before it
            moved = node.output[0]
            self._reached[moved] = moved if before == node.input[0] else before
        value = self._constants.get(node.input[0])
        if value is None:
            return
        if node.op_type == "Transpose":
            value = np.transpose(value, _attributes(node).get("perm"))
        self._constants[node.output[0]] = value

    def _weights(self, node: onnx.NodeProto, n: int, name: str, what: str) -> Floats | None:
        """Input ``n`` of a node, which must be known; None where it is left out."""
        key = node.input[n] if n < len(node.input) else ""
        if not key:
            return None
        if key not in self._constants:
            raise refusal(name, f"{what} computed in the graph", "weights in the file")
        value = self._constants[key]
        if value.dtype.kind != "f" and value.dtype.name != "bfloat16":
            raise refusal(name, f"{what} of {value.dtype}", "floats")
        return value.astype(np.float64)

    def _recurrent(self, node: onnx.NodeProto, cell: _Cell, name: str) -> FloatRecurrent:
        attributes = {"direction": b"forward", **_attributes(node)}
        if attributes["direction"] != b"forward":
            direction = shown(attributes["direction"].decode(errors="replace"), 30)
            raise refusal(name, direction, "one direction: frames come singly, in order")
        if node.op_type == "GRU" and not attributes.get("linear_before_reset"):
            expected = "linear_before_reset = 1 (Keras: reset_after=True); train it again so"
            raise refusal(name, "the reset gate before the product", expected)
        if attributes.get("linear_before_reset", 1) != 1:
            found = f"linear_before_reset {shown(attributes['linear_before_reset'])}"
            raise refusal(name, found, "1")
        if attributes.get("input_forget"):
            raise refusal(name, "an input gate that is 1 - f", "input_forget = 0")
        functions = tuple(f.decode(errors="replace") for f in attributes.get("activations", ()))
        if functions not in ((), cell.functions):
            found = cut(printable(f"activations {', '.join(functions)}"))
            raise refusal(name, found, ", ".join(cell.functions))
        if "clip" in attributes:
            raise refusal(name, f"clip {attributes['clip']:g}", "none")
        for n in cell.states:
            self._require_zero(node, n, name)
        if len(node.input) > _PEEPHOLES and node.input[_PEEPHOLES]:
            raise refusal(name, "peepholes P", "an LSTM without")
        if len(node.input) > _LENGTHS and node.input[_LENGTHS]:
            raise refusal(name, "sequence lengths", "none: all frames count")
        weight_x, weight_h = (
            self._weights(node, n, name, what) for n, what in ((1, "W"), (2, "R"))
        )
        if weight_x is None or weight_h is None:
            raise refusal(name, "no W or no R", "both")
        units = weight_h.shape[-1] if weight_h.ndim else 0
        rows = len(cell.order) * units
        bias = self._weights(node, 3, name, "B")
        bias = np.zeros((1, 2 * rows)) if bias is None else bias
        columns = weight_x.shape[-1] if weight_x.ndim else 0
        shapes = {
            "R": (weight_h, (1, rows, units)),
            "W": (weight_x, (1, rows, columns)),
            "B": (bias, (1, 2 * rows)),
        }
        for what, (value, shape) in shapes.items():
            if value.shape != shape or not value.size:
                raise refusal(f"{name}, {what}", f"shape {shape_of(value.shape)}", f"{list(shape)}")
        if attributes.get("hidden_size", units) != units:
            raise refusal(name, f"hidden_size {attributes['hidden_size']}", f"{units}, as R has it")
        in_order = (
            gates_in_order(each, cell.order)
            for each in (weight_x[0], weight_h[0], *bias.reshape(2, rows))
        )
        return cell.kind(*in_order)

    def _require_zero(self, node: onnx.NodeProto, n: int, name: str) -> None:
        """Refuses input ``n``, an initial state, if it is there and not known to be 0."""
        key = node.input[n] if n < len(node.input) else ""
        value = self._constants.get(key)
        if key and (value is None or value.any()):
            found = "an initial state that is an input" if value is None else "one that is not 0"
            raise refusal(name, found, "the state at 0, as after a reset")

    def _linear(self, node: onnx.NodeProto, name: str) -> FloatLinear:
        weight = self._weights(node, 1, name, "weights")
        if weight is None or weight.ndim != 2 or not weight.size:
            raise refusal(name, "no matrix", "weights [units, outputs]")
        attributes = _attributes(node)
        if node.op_type == "MatMul":
            return FloatLinear(weight.T, np.zeros(weight.shape[1]))
        if attributes.get("transA"):
            raise refusal(name, "transA", "rows that are frames")
        weight = attributes.get("alpha", 1.0) * (weight if attributes.get("transB") else weight.T)
        bias = self._weights(node, 2, name, "bias")
        if bias is None:
            return FloatLinear(weight, np.zeros(len(weight)))
        return FloatLinear(weight, attributes.get("beta", 1.0) * _row(bias, len(weight), name))

    def _add(self, node: onnx.NodeProto, name: str, linear: FloatLinear) -> FloatLinear:
        known = [n for n, key in enumerate(node.input) if key in self._constants]
        if len(known) != 1:
            raise refusal(name, "a sum of two values", "a bias in the file")
        bias = self._weights(node, known[0], name, "bias")
        assert bias is not None
        return FloatLinear(linear.weight, linear.bias + _row(bias, linear.units, name))


def _row(bias: Floats, units: int, name: str) -> Floats:
    """A bias [units] of one that is broadcast over frames."""
    if bias.size not in (1, units) or bias.shape[-1:] not in ((), (1,), (units,)):
        raise refusal(name, f"a bias {shape_of(bias.shape)}", f"[{units}]")
    return np.broadcast_to(bias.reshape(-1), units).copy()


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

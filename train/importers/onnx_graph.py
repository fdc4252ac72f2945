"""ONNX: a graph of GRU and LSTM nodes and a linear read-out (onnx.ai, operators of these names,
Gemm, MatMul).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

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

# What moves values and changes none; and what comes last and keeps the greatest result greatest.
_MOVES = ("Cast", "Dropout", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze")
_MOVES += ("Transpose", "Unsqueeze")
_ENDS = ("ArgMax", "LogSoftmax", "Softmax")
# What makes constants: shapes, and the zeros an initial state is filled with.
_MAKES = ("Concat", "Constant", "ConstantOfShape", "Expand", "Shape")

_FRAMES, _TOLERANCE = 7, 1e-4  # of the comparison with the graph itself

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
_PEEPHOLES = 7  # that input of an LSTM


def read(path: Path) -> FloatNetwork:
    """The network of an ONNX graph."""
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError, ValueError):
        raise refusal(str(path), "no ONNX model", "what an exporter wrote") from None
    graph = _Graph(model.graph, str(path))
    network = graph.network()
    _check(model, graph.result, network, str(path))
    return network


def _check(model: onnx.ModelProto, result: str, network: FloatNetwork, source: str) -> None:
    """Refuses a graph that computes something else: what moves values may have moved them apart.

    Judged by ONNX's own reference implementation, on random frames.
    """
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in known]
    if len(inputs) != 1:
        found = ", ".join(repr(value.name) for value in inputs) or "none"
        raise refusal(source, f"inputs {found}", "one: the frames")
    evaluator = ReferenceEvaluator(model)
    sizes = [dimension.dim_value for dimension in inputs[0].type.tensor_type.shape.dim]
    rng = np.random.default_rng(0)
    reason = f"input {inputs[0].name!r} of {len(sizes)} dimensions"
    for time in range(len(sizes) - 1):
        shape = [size or 1 for size in sizes]
        shape[time] = sizes[time] or _FRAMES
        shape[-1] = network.inputs
        frames = rng.normal(size=(shape[time], network.inputs))
        moved = [1] * len(shape)
        moved[time], moved[-1] = frames.shape
        given = np.broadcast_to(frames.reshape(moved), shape).astype(np.float32)
        try:
            (found,) = evaluator.run([result], {inputs[0].name: given})
        except Exception as error:  # each operator has errors of its own
            reason = str(error).partition("\n")[0][:120]
            continue
        expected = network.run(frames)
        found = np.asarray(found, dtype=np.float64).reshape(-1, expected.shape[1])
        copies, others = divmod(len(found), len(expected))
        if others or not copies:  # of the last frame only
            expected, copies = expected[-1:], len(found)
        ways = (np.repeat(expected, copies, axis=0), np.tile(expected, (copies, 1)))
        difference = min(float(np.abs(found - way).max()) for way in ways)
        if difference <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
            return
        reason = f"results that differ by {difference:.2g}"
    raise refusal(source, reason, "a graph that is recurrent layers and a read-out, frame by frame")


class _Graph:
    """A walk over the nodes, in their order; ``result`` is the name of the last layer's value."""

    def __init__(self, graph: onnx.GraphProto, source: str) -> None:
        self._nodes, self._source = list(graph.node), source
        self._constants = {t.name: self._array(t) for t in graph.initializer}
        self.result = ""

    def _array(self, tensor: onnx.TensorProto) -> np.ndarray:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise refusal(
                f"{self._source}, {tensor.name}",
                "data in another file",
                "one file: onnx.save(onnx.load(FILE), FILE)",
            )
        return numpy_helper.to_array(tensor)

    def network(self) -> FloatNetwork:
        layers: list[FloatRecurrent | FloatLinear] = []
        ended = False
        for node in self._nodes:
            name = f"{self._source}, node {node.op_type} {node.name!r}"
            if node.op_type in _MAKES:
                self._make(node)
            elif node.op_type in _MOVES:
                self._move(node)
            elif ended:
                raise refusal(name, "it behind the last layer", "nothing there")
            elif node.op_type in _CELLS:
                layers.append(self._recurrent(node, _CELLS[node.op_type], name))
                self.result = next(filter(None, node.output), "")
            elif node.op_type in ("Gemm", "MatMul"):
                layers.append(self._linear(node, name))
                self.result = node.output[0]
            elif node.op_type == "Add" and layers and isinstance(layers[-1], FloatLinear):
                layers[-1] = self._add(node, name, layers[-1])
                self.result = node.output[0]
            elif node.op_type in _ENDS:
                ended = True
            else:
                expected = _INSTEAD.get(node.op_type, "GRU, LSTM, Gemm, or MatMul and Add")
                raise refusal(name, "an operation that the core does not have", expected)
        try:
            return FloatNetwork(tuple(layers))
        except ValueError as error:
            raise ValueError(f"{self._source}: {error}") from None

    def _make(self, node: onnx.NodeProto) -> None:
        """Constants of which something here needs the value: all but shapes."""
        attributes = _attributes(node)
        value: np.ndarray | None = None
        if node.op_type == "Constant" and "value" in attributes:
            value = self._array(attributes["value"])
        elif node.op_type == "ConstantOfShape":
            given = attributes.get("value")
            value = np.zeros(1) if given is None else self._array(given)
        elif node.op_type == "Expand":
            value = self._constants.get(node.input[0])
        if value is not None:
            self._constants[node.output[0]] = value

    def _move(self, node: onnx.NodeProto) -> None:
        """A constant that is moved: only a transposed one has its value looked at as a matrix."""
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
        return self._constants[key].astype(np.float64)

    def _recurrent(self, node: onnx.NodeProto, cell: _Cell, name: str) -> FloatRecurrent:
        attributes = {"direction": b"forward", **_attributes(node)}
        if attributes["direction"] != b"forward":
            direction = attributes["direction"].decode()
            raise refusal(name, direction, "one direction: frames come singly, in order")
        if node.op_type == "GRU" and not attributes.get("linear_before_reset"):
            expected = "linear_before_reset = 1 (Keras: reset_after=True); train it again so"
            raise refusal(name, "the reset gate before the product", expected)
        if attributes.get("input_forget"):
            raise refusal(name, "an input gate that is 1 - f", "input_forget = 0")
        functions = tuple(f.decode() for f in attributes.get("activations", ()))
        if functions not in ((), cell.functions):
            raise refusal(name, f"activations {', '.join(functions)}", ", ".join(cell.functions))
        if "clip" in attributes:
            raise refusal(name, f"clip {attributes['clip']:g}", "none")
        for n in cell.states:
            self._require_zero(node, n, name)
        if len(node.input) > _PEEPHOLES and node.input[_PEEPHOLES]:
            raise refusal(name, "peepholes P", "an LSTM without")
        weight_x, weight_h = (
            self._weights(node, n, name, what) for n, what in ((1, "W"), (2, "R"))
        )
        if weight_x is None or weight_h is None:
            raise refusal(name, "no W or no R", "both")
        rows = weight_h.shape[1]
        bias = self._weights(node, 3, name, "B")
        biases = np.zeros((2, rows)) if bias is None else bias.reshape(2, rows)
        in_order = (
            gates_in_order(each, cell.order) for each in (weight_x[0], weight_h[0], *biases)
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
        if weight is None or weight.ndim != 2:
            raise refusal(name, "no matrix", "weights [units, outputs]")
        attributes = _attributes(node)
        if node.op_type == "MatMul":
            return FloatLinear(weight.T, np.zeros(weight.shape[1]))
        if attributes.get("transA"):
            raise refusal(name, "transA", "rows that are frames")
        weight = attributes.get("alpha", 1.0) * (weight if attributes.get("transB") else weight.T)
        bias = self._weights(node, 2, name, "bias")
        scaled = np.zeros(1) if bias is None else attributes.get("beta", 1.0) * bias
        return FloatLinear(weight, np.broadcast_to(scaled.reshape(-1), len(weight)).copy())

    def _add(self, node: onnx.NodeProto, name: str, linear: FloatLinear) -> FloatLinear:
        known = [self._constants[key] for key in node.input if key in self._constants]
        if len(known) != 1:
            raise refusal(name, "a sum of two values", "a bias in the file")
        return FloatLinear(linear.weight, linear.bias + known[0].reshape(-1))


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

"""Whether a network computes what its ONNX graph does: by ONNX's own reference, on random frames.

A graph may ask for any amount of memory or time; it gets what is bounded here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, permutations, product, zip_longest
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from golden.errors import refusal
from train.data.recordings import Floats
from train.importers.suspicion import VALUES, listed, one_line, quoted
from train.quantised.float_network import FloatNetwork

_FRAMES, _TOLERANCE = 7, 1e-4
# Sizes that a graph fixes are kept while there are at most so many frames, of all sequences
# together: beyond, a short sequence must do.
_FIXED = 512
_RANK = 8
_STREAMED = 20  # frames, one by one, of a graph that takes and gives out states
_WAYS = 24  # to feed states back
_FLOATS = {getattr(onnx.TensorProto, name) for name in ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")}
_BUDGET = 2 * VALUES  # values that one run may make


@dataclass(frozen=True)
class Stream:
    """A graph that keeps its states outside: whoever runs it feeds them back frame by frame.

    Attributes
    ----------
    model
        Its inputs are the frames and the states.
    states
        Those inputs.
    outputs
        What may be the states that it gives out, as many or more.
    """

    model: onnx.ModelProto
    states: list[str]
    outputs: list[str]


def check_equal(
    model: onnx.ModelProto,
    results: list[str],
    network: FloatNetwork,
    source: str,
    spread: Floats,
    stream: Stream | None = None,
) -> None:
    """Refuses a graph that computes something else: what moves values may have moved them apart.

    ``results`` are the values of the graph that must be the network's results, and ``spread`` [I]
    or [1] is by how much each feature may well move. A graph that takes one frame only is judged
    over many where it is a ``stream``.
    """
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in known]
    if len(inputs) != 1:
        names = listed(value.name for value in inputs)
        raise refusal(source, f"inputs {names}", "one: the frames")
    given = f"input {quoted(inputs[0].name)}"
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type not in _FLOATS:
        raise refusal(f"{source}, {given}", f"element type {tensor.elem_type}", "floats")
    sizes = [max(dimension.dim_value, 0) for dimension in tensor.shape.dim]
    if any(each.HasField("dim_value") and each.dim_value < 1 for each in tensor.shape.dim):
        raise refusal(f"{source}, {given}", "a size below 1", "sizes from 1, or free ones")
    if not 2 <= len(sizes) <= _RANK:
        raise refusal(f"{source}, {given}", f"{len(sizes)} dimensions", f"2 to {_RANK}")
    if sizes[-1] not in (0, network.inputs):
        raise refusal(f"{source}, {given}", f"{sizes[-1]} features", f"{network.inputs}")
    rng = np.random.default_rng(0)
    reason = f"{given} of {len(sizes)} dimensions"
    lengths = [_FRAMES, *_lengths_in(model)]
    for time, length in product(range(len(sizes) - 1), lengths):
        if sizes[time] and length != _FRAMES:
            continue
        shape = [size or 1 for size in sizes]
        shape[time] = sizes[time] or length
        if math.prod(shape[:-1]) > _FIXED:
            shape = [1] * len(sizes)
            shape[time] = _FRAMES
        shape[-1] = network.inputs
        dtype = np.float64 if tensor.elem_type == onnx.TensorProto.DOUBLE else np.float32
        moved = [1] * len(shape)
        moved[time], moved[-1] = shape[time], shape[-1]
        frames = _frames(rng, shape[time], network, spread, dtype)
        fed = np.broadcast_to(frames.reshape(moved), shape).astype(dtype)
        try:
            values = _Run(model).values({inputs[0].name: fed})
            expected = network.run(frames)
            differences = [_difference(values[name], expected) for name in results]
            reason = "results"
            if stream is not None and math.prod(shape[:-1]) == 1 and max(differences) <= _TOLERANCE:
                frames = _frames(rng, _STREAMED, network, spread, dtype)
                fed = frames.reshape(_STREAMED, *shape).astype(dtype)
                given = [{inputs[0].name: each} for each in fed]
                differences = [_streamed(stream, given, network.run(frames), results, network)]
                fed_back = f"{listed(stream.outputs, 2)} fed back as {listed(stream.states, 2)}"
                reason = f"results, with {fed_back},"
        except Exception as error:  # each operator has errors of its own
            reason = one_line(str(error), 100) or type(error).__name__
            continue
        # Written so that NaN is no match.
        if all(each <= _TOLERANCE for each in differences):
            return
        reason += f" that differ by {max(differences):.2g}"
    raise refusal(source, reason, "a graph that is recurrent layers and a read-out, frame by frame")


def _frames(
    rng: np.random.Generator, length: int, network: FloatNetwork, spread: Floats, dtype: type
) -> Floats:
    """Random ones [T, I] that the network may well get."""
    frames = rng.normal(size=(length, network.inputs))
    if network.offset is not None or (spread != 1).any():
        frames = frames * spread + (0.0 if network.offset is None else network.offset)
        frames = frames.astype(dtype).astype(np.float64)  # what is far from 0 is coarse in float32
    return frames


def _streamed(
    stream: Stream,
    given: Sequence[dict[str, np.ndarray]],
    expected: Floats,
    results: list[str],
    network: FloatNetwork,
) -> float:
    """The greatest difference over frames that are given one by one, of the way to feed states back
    that has the least; 0 where nothing that goes out has a state's size.
    """
    run, units = _Run(stream.model), network.layers[0].units
    zeros = {
        value.name: np.zeros(
            [*(max(d.dim_value, 1) for d in dims[:-1]), dims[-1].dim_value or units],
            onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type),
        )
        for value in stream.model.graph.input
        if value.name in stream.states and (dims := value.type.tensor_type.shape.dim)
    }
    first = run.values(given[0] | zeros)
    ways = (
        way
        for way in permutations(stream.outputs, len(zeros))
        if all(np.size(first[a]) == zero.size for a, zero in zip(way, zeros.values(), strict=True))
    )
    found = []
    for way in islice(ways, _WAYS):
        states, difference = zeros, 0.0
        for frame, wanted in zip(given, expected, strict=True):
            values = run.values(frame | states)
            here = max(_difference(values[name], wanted[None]) for name in results)
            difference = here if np.isnan(here) else max(difference, here)
            if not difference <= _TOLERANCE:
                break
            states = {
                name: np.asarray(values[out]).reshape(zero.shape).astype(zero.dtype)
                for out, (name, zero) in zip(way, zeros.items(), strict=True)
            }
        else:
            return difference
        found.append(difference)
    return min(found, default=0.0)


def _lengths_in(model: onnx.ModelProto) -> list[int]:
    """Lengths that a graph fixes on the way, whatever its input says: an exporter may leave those
    of its example in a Reshape.
    """
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    found = {
        int(size)
        for tensor in model.graph.initializer
        if tensor.name in shapes and math.prod(tensor.dims) <= _RANK
        for size in np.ravel(numpy_helper.to_array(tensor))
        if 1 < size <= _FIXED
    }
    return sorted(found - {_FRAMES})[:_RANK]


def _difference(found: Any, expected: np.ndarray) -> float:
    """The greatest, of what the greatest result is, or of 1 if that is more."""
    found = np.asarray(found, dtype=np.float64).reshape(-1, expected.shape[1])
    copies, others = divmod(len(found), len(expected))
    if others or not copies:  # of the last frame only
        expected, copies = expected[-1:], len(found)
    if not copies:
        raise ValueError("no results")
    ways = (np.repeat(expected, copies, axis=0), np.tile(expected, (copies, 1)))
    difference = min(float(np.abs(found - way).max()) for way in ways)
    return difference / max(1.0, float(np.abs(expected).max()))


class _Run:
    """A graph that makes so many values at most, however often it is run."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._evaluator, self._left = ReferenceEvaluator(model), _BUDGET

    def values(self, given: dict[str, np.ndarray]) -> dict[str, Any]:
        """Every value of the graph, made node by node while they are few enough."""
        inits: dict[str, Any] = self._evaluator.rt_inits_  # type: ignore[assignment]
        values: dict[str, Any] = {"": None, **inits, **given}
        for node in self._evaluator.rt_nodes_:
            inputs = [values[name] for name in node.input]
            self._left -= _size(node.onnx_node, inputs)
            if self._left < 0:
                raise ValueError(f"over {_BUDGET:,} values on the way")
            values.update(zip(node.output, node.run(*inputs), strict=False))
        return values


def evaluated_alone(
    node: onnx.NodeProto,
    given: dict[str, np.ndarray],
    opsets: Sequence[onnx.OperatorSetIdProto],
    most: int,
) -> np.ndarray | None:
    """What a node makes of constants; None where it fails or that is over ``most`` values."""
    inputs = [given.get(name) for name in node.input]
    try:
        if _size(node, inputs) > most:
            return None
        infos = [onnx.ValueInfoProto(name=name) for name in given]
        outputs = [onnx.ValueInfoProto(name=node.output[0])]
        graph = onnx.helper.make_graph([node], "alone", infos, outputs)
        model = onnx.helper.make_model(graph, opset_imports=opsets)
        found: Any = next(iter(ReferenceEvaluator(model).run(None, given)))
    except Exception:  # each operator has errors of its own
        return None
    return found if isinstance(found, np.ndarray) and found.size <= most else None


def _size(node: onnx.NodeProto, inputs: list[Any]) -> int:
    """How many values a node will make, at most; known before it makes them."""
    shapes = [np.shape(value) for value in inputs if value is not None]
    sizes = [math.prod(shape) for shape in shapes]
    match node.op_type:
        case "ConstantOfShape":
            return math.prod(int(n) for n in np.ravel(inputs[0]))
        case "Expand":
            return _together(shapes[0], [int(n) for n in np.ravel(inputs[1])])
        case "Add" | "Div" | "Mul" | "Sub":
            return _together(*shapes)
        case "Concat":
            return sum(sizes)
        case "Gather":
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            return sizes[1] * (sizes[0] // max(shapes[0][axis], 1))
        case "MatMul":
            (*left, rows, _), (*right, _, columns) = shapes
            return _together(left, right) * rows * columns
        case "Gemm":
            return max(shapes[0]) * max(shapes[1])
        case "GRU" | "LSTM":  # a state for each frame of each sequence
            if len(shapes[0]) != 3:  # which the reference takes, and onnxruntime does not
                raise ValueError(f"frames of {len(shapes[0])} dimensions in a {node.op_type}")
            return 2 * sizes[0] // max(shapes[0][-1], 1) * shapes[2][-1]
    return max(sizes, default=0)


def _together(a: Sequence[int], b: Sequence[int]) -> int:
    """The size of what two shapes are broadcast to."""
    return math.prod(max(pair) for pair in zip_longest(reversed(a), reversed(b), fillvalue=1))

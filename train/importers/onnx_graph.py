"""ONNX: GRU and LSTM nodes one above the other and a linear read-out, of a graph that may hold more
(onnx.ai, operators of these names, Gemm, MatMul).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from golden.errors import refusal
from train.data.recordings import Floats
from train.importers.affine import Affine, fold
from train.importers.onnx_data import take_beside
from train.importers.onnx_judge import Stream, check_equal, evaluated_alone
from train.importers.parts import Given, Part, Reading, problem_of, require_known, require_order
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

# What moves values and changes none.
_MOVES = ("Cast", "Dropout", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze")
_MOVES += ("Transpose", "Unsqueeze")
# What scales and shifts each feature for itself, where the other operand is a constant.
_AFFINE = ("Add", "BatchNormalization", "Div", "Mul", "Sub")
# What makes constants of constants.
_FOLDED = ("Cast", "Concat", "Div", "Gather", "Identity", "Mul", "Reshape", "Slice", "Sqrt")
_FOLDED += ("Add", "Sub", "Squeeze", "Transpose", "Unsqueeze")
_QUANTISED = ("DynamicQuantizeLSTM",)

# What a tensor may be of, and what may be cast to.
_NUMBERS = {
    getattr(onnx.TensorProto, name)
    for name in ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT32", "INT64", "BOOL")
}
# And what else a part that is not read may be of.
_STORED = _NUMBERS | {
    getattr(onnx.TensorProto, name)
    for name in ("INT8", "UINT8", "INT16", "UINT16", "UINT32", "UINT64")
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
_GRAPHS, _HOLDING = 100, 8  # in one another or side by side, and with recurrent nodes in them
_FOLDS = 1000  # constants that are made of others
_OLDEST = 7  # before it, a Dropout in use was an attribute; onnxruntime begins here too

_INSTEAD = {"RNN": "a GRU or an LSTM", "DynamicQuantizeLSTM": "the graph before it was quantised"}
_ALONE = "frames as they come, or --node for a part alone (--list shows which)"


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


def read(given: Given) -> Reading:
    """The network of an ONNX graph, or the nodes of it that were named."""
    model = _parsed(given)
    found = _named(model, given) if given.nodes else _whole(model, given.source)
    if not given.nodes:  # after the walk, which says more of what it refuses
        _valid(lambda: onnx.checker.check_model(model, full_check=True), given.source)
    network = found.reading.network
    check_equal(found.judged, found.results, network, given.source, found.spread, found.stream)
    return found.reading


def parts(given: Given) -> list[Part]:
    """The recurrent nodes of a graph and of the graphs in it."""
    model = _parsed(given)
    holding = [
        scope
        for scope in _scopes(model.graph)
        if any(_recurrent_kind(node) for node in scope.graph.node)
    ]
    if len(holding) > _HOLDING:
        found = f"{len(holding)} graphs with recurrent nodes"
        raise refusal(given.source, found, f"at most {_HOLDING}")
    return [
        part for scope in holding for part in _parts_of(_Flow(model, scope, given.source), scope)
    ]


def _parts_of(flow: "_Flow", scope: "_Scope") -> Iterator[Part]:
    for node in scope.graph.node:
        if not (kind := _recurrent_kind(node)):
            continue
        name = _name(node, flow.source)
        weight = flow.constants.get(node.input[1] if len(node.input) > 1 else "")
        states = flow.constants.get(node.input[2] if len(node.input) > 2 else "")
        attributes = {a.name: a for a in node.attribute}
        direction = attributes["direction"].s if "direction" in attributes else b"forward"
        yield Part(
            name=shown(_label(node), 200),
            kind=shown(kind, 30),
            inputs=None if weight is None or not weight.ndim else weight.shape[-1],
            units=None if states is None or not states.ndim else states.shape[-1],
            layers=1,
            direction=shown(direction.decode(errors="replace"), 30),
            problem=problem_of(lambda node=node: _check(node, flow, scope), name),
        )


def _check(node: onnx.NodeProto, flow: "_Flow", scope: "_Scope") -> None:
    """Refuses a recurrent node that cannot be imported alone."""
    name = _name(node, flow.source)
    flow.cell(node, name)
    for n in _CELLS[node.op_type].states:
        flow.state(node, n, node.input[0], name)
    _require_no_loop(scope, name)


def _require_no_loop(scope: "_Scope", name: str) -> None:
    for around in scope.within:
        if around != "If":
            raise refusal(name, f"a node within {shown(around, 30)}", "one outside of loops")


def _recurrent_kind(node: onnx.NodeProto) -> str:
    """The name of a recurrent operator, whoever defines it; empty for any other."""
    known = (*_CELLS, "RNN") if node.domain in ("", "ai.onnx") else _QUANTISED
    return node.op_type if node.op_type in known else ""


def _label(node: onnx.NodeProto) -> str:
    """What a node is called: exporters may leave names out."""
    return node.name or next(iter(node.output), "")


@dataclass(frozen=True)
class _Scope:
    """A graph and what its nodes can see: all that lies around it and before it.

    Attributes
    ----------
    nodes, tensors
        Of the graphs around it and its own.
    within
        The operators whose graph it is, from the outside.
    """

    graph: onnx.GraphProto
    nodes: list[onnx.NodeProto]
    tensors: list[onnx.TensorProto]
    within: tuple[str, ...] = ()


def _scopes(
    graph: onnx.GraphProto,
    nodes: Sequence[onnx.NodeProto] = (),
    tensors: Sequence[onnx.TensorProto] = (),
    within: tuple[str, ...] = (),
) -> Iterator[_Scope]:
    own = _Scope(graph, [*nodes, *graph.node], [*tensors, *graph.initializer], within)
    yield own
    for n, node in enumerate(graph.node):
        for inner in _graphs(node):
            before = own.nodes[: len(nodes) + n]
            yield from _scopes(inner, before, own.tensors, (*within, node.op_type))


def _graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [
        graph for a in node.attribute for graph in (*((a.g,) if a.HasField("g") else ()), *a.graphs)
    ]


def _reads(node: onnx.NodeProto) -> set[str]:
    """The values that a node or a graph in it takes."""
    names = {name for name in node.input if name}
    for graph in _graphs(node):
        names |= {name for inner in graph.node for name in _reads(inner)}
        names |= {value.name for value in graph.output}
    return names


def _counted(graph: onnx.GraphProto) -> tuple[int, int]:
    """How many nodes and how many graphs there are, all together."""
    inner = [_counted(each) for node in graph.node for each in _graphs(node)]
    return len(graph.node) + sum(n for n, _ in inner), 1 + sum(n for _, n in inner)


def _parsed(given: Given) -> onnx.ModelProto:
    """A model that ONNX itself finds valid, complete and of bounded size."""
    source = given.source
    try:
        model = onnx.load_model_from_string(given.content)
    except (DecodeError, ValueError):
        raise refusal(source, "no ONNX model", _EXPECTED) from None
    graph = model.graph
    if not graph.node:
        raise refusal(source, "no ONNX model", _EXPECTED)
    nodes, graphs = _counted(graph)
    if nodes > _NODES or graphs > _GRAPHS:
        found = f"{nodes:,} nodes in {graphs:,} graphs"
        raise refusal(source, found, f"at most {_NODES:,} in {_GRAPHS}")
    if len(model.functions):
        raise refusal(source, "functions of its own", "a graph with them inlined")
    values, beside = 0, []
    for scope in _scopes(graph):
        if len(scope.graph.sparse_initializer):
            raise refusal(source, "sparse weights", "dense ones")
        names: set[str] = set()
        for tensor in scope.graph.initializer:
            name = f"{source}, {quoted(tensor.name)}"
            values += _bounded(tensor, name, beside)
            if tensor.name in names:
                raise refusal(name, "two tensors of this name", "one")
            names.add(tensor.name)
        for node in scope.graph.node:
            for attribute in node.attribute:
                for tensor in (attribute.t, *attribute.tensors):
                    values += _bounded(tensor, f"{_name(node, source)}, {quoted(attribute.name)}")
    if values > VALUES:
        raise refusal(source, f"{values:,} values in tensors", f"at most {VALUES:,}")
    take_beside(beside, given)
    for opset in model.opset_import:
        newest = onnx.defs.onnx_opset_version()
        if opset.domain in ("", "ai.onnx") and not _OLDEST <= opset.version <= newest:
            raise refusal(source, f"opset {opset.version}", f"{_OLDEST} to {newest}")
    _valid(lambda: onnx.checker.check_model(model), source)
    return model


def _require_plain(node: onnx.NodeProto, source: str) -> None:
    """Refuses a node that is more than an operator of ONNX with plain attributes."""
    name = _name(node, source)
    if node.domain not in ("", "ai.onnx"):
        raise refusal(name, f"operators of {quoted(node.domain)}", "ONNX' own")
    if len(node.attribute) > _ATTRIBUTES:
        raise refusal(name, f"{len(node.attribute):,} attributes", f"at most {_ATTRIBUTES}")
    for attribute in node.attribute:
        if attribute.type in _REFUSED_ATTRIBUTES or attribute.ref_attr_name:
            found = f"attribute {quoted(attribute.name)} that is a graph, or no plain value"
            raise refusal(name, found, "an operator without")


def _valid(check: Callable[[], object], source: str) -> None:
    try:
        check()
    except Exception as error:  # of ONNX' own classes, none of which is a ValueError
        reason = one_line(str(error), 120)
        raise refusal(source, f"no valid ONNX model ({reason})", _EXPECTED) from None


def _bounded(
    tensor: onnx.TensorProto, name: str, beside: list[tuple[onnx.TensorProto, str]] | None = None
) -> int:
    """How many values a tensor has; refuses one that is too large or no numbers.

    One whose data lie in another file goes to ``beside``, or is refused where that is None.
    """
    if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data):
        if beside is None:
            expected = "one file: onnx.save(onnx.load(FILE), FILE)"
            raise refusal(name, "data in another file", expected)
        beside.append((tensor, name))
    if not tensor.ByteSize():  # an attribute that is no tensor
        return 0
    if tensor.HasField("segment"):
        raise refusal(name, "a part of a tensor", "the whole")
    if tensor.data_type not in _STORED:
        known = tensor.data_type in onnx.TensorProto.DataType.values()
        kind = onnx.TensorProto.DataType.Name(tensor.data_type) if known else tensor.data_type
        raise refusal(name, f"data type {shown(kind)}", "numbers")
    values = math.prod(tensor.dims)
    if len(tensor.dims) > _RANK or min(tensor.dims, default=0) < 0 or values > VALUES:
        raise refusal(name, f"shape {shape_of(tensor.dims)}", f"at most {VALUES:,} values")
    return values


def _name(node: onnx.NodeProto, source: str) -> str:
    return f"{source}, node {shown(node.op_type, 30)} {quoted(node.name)}"


@dataclass(frozen=True)
class _Found:
    """A network, and the graph and those values of it that must be the network's results: with
    states at 0, and where it takes and gives out states with these fed back.
    """

    reading: Reading
    judged: onnx.ModelProto
    results: list[str]
    spread: Floats
    stream: Stream | None


def _whole(model: onnx.ModelProto, source: str) -> _Found:
    """The network of all that a graph gives out."""
    scope = next(_scopes(model.graph))
    flow = _Flow(model, scope, source)
    needed = {value.name for value in model.graph.output}
    live: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed |= _reads(node)
            live.append(node)
    live.reverse()
    cells = [node for node in live if _recurrent_kind(node)]
    if not cells:
        if any(_recurrent_kind(n) for inner in _scopes(model.graph) for n in inner.graph.node):
            found = "no GRU or LSTM but within an If or behind every output"
            raise refusal(source, found, "--node for a part alone (--list shows which)")
        for node in model.graph.node:
            if not _graphs(node):
                _require_plain(node, source)
        operators = listed(dict.fromkeys(node.op_type for node in live))
        raise refusal(source, f"operators {operators}", "a GRU or LSTM that leads to an output")
    frames, before = flow.traced(
        cells[0].input[0], {name for cell in cells for name in cell.output}
    )
    if frames not in flow.inputs:
        name = _name(cells[0], source)
        raise refusal(name, "frames made in the graph", f"frames that are an input, or {_ALONE}")
    return _found(flow, scope, cells, frames, before, live, linear=None)


def _named(model: onnx.ModelProto, given: Given) -> _Found:
    """The network of the nodes that were named, whatever lies around them."""
    source, takes = given.source, (*_CELLS, "RNN", *_QUANTISED, "Gemm", "MatMul")
    scopes = list(_scopes(model.graph))
    known = [_label(n) for scope in scopes for n in scope.graph.node if n.op_type in takes]
    cells = [_label(n) for scope in scopes for n in scope.graph.node if _recurrent_kind(n)]
    require_known(given.nodes, known, source, listing=cells)
    holding = [
        scope
        for scope in scopes
        if any(_label(n) in given.nodes and n.op_type in takes for n in scope.graph.node)
    ]
    if len(holding) > 1:
        raise refusal(source, "nodes of several graphs", "those of one, one above the other")
    (scope,) = holding
    _require_no_loop(scope, source)
    nodes = list(scope.graph.node)
    chosen = [n for n in nodes if _label(n) in given.nodes and n.op_type in takes]
    cells = [node for node in chosen if _recurrent_kind(node)]
    linear = [node for node in chosen if not _recurrent_kind(node)]
    if not cells or len(linear) > 1:
        found = "no GRU or LSTM among the nodes" if not cells else "several linear nodes"
        raise refusal(source, found, "recurrent nodes and one read-out at most")
    require_order(given.nodes, [_label(node) for node in chosen], source)
    flow = _Flow(model, scope, source)
    return _found(flow, scope, cells, cells[0].input[0], [], nodes, (linear or [False])[0])


def _found(
    flow: "_Flow",
    scope: _Scope,
    cells: list[onnx.NodeProto],
    frames: str,
    before: list[onnx.NodeProto],
    nodes: list[onnx.NodeProto],
    linear: onnx.NodeProto | bool | None,
) -> _Found:
    """The network of ``cells``, which take ``frames`` once the nodes ``before`` have changed them.

    Parameters
    ----------
    nodes
        Those among which the ones behind the cells are.
    linear
        The read-out; None: the first that follows directly; False: none.
    """
    source = flow.source
    if len(cells) > LAYERS:
        raise refusal(source, f"{len(cells)} recurrent nodes", f"at most {LAYERS}")
    layers: list[FloatRecurrent | FloatLinear] = []
    made = {name for cell in cells for name in cell.output if name}
    offset, spread, values, states = None, np.ones(1), 0, set()
    for k, node in enumerate(cells):
        name = _name(node, source)
        layer = flow.cell(node, name)
        if k:
            below, before = flow.traced(node.input[0], made)
            if below not in cells[k - 1].output[:2]:
                expected = "layers one above the other, or --node for some of them"
                raise refusal(name, f"frames of {quoted(below)}", expected)
        affine = flow.affine(before, layer.inputs)
        if affine is not None and k == 0:
            layer, offset = affine.before_frames(layer)
            spread = affine.spread
        elif affine is not None:
            layer = fold(affine, layer)
        for n in _CELLS[node.op_type].states:
            states |= flow.state(node, n, frames, name)
        layers.append(layer)
        values += sum(value.size for value in vars(layer).values())
        if values > VALUES:  # a file may name one matrix often
            found = f"{len(layers)} layers of {values:,} values"
            raise refusal(source, found, f"at most {LAYERS} of {VALUES:,}")
    behind = _Behind(flow, cells, nodes, linear)
    if behind.linear is not None:
        layers.append(behind.linear)
    try:
        network = FloatNetwork(tuple(layers), offset)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    cut = linear is not None
    results = behind.results([value.name for value in scope.graph.output], required=not cut)
    left = tuple(_spoken(node, flow) for node in behind.left)
    fed = shown(frames, 200) if cut else None
    reading = Reading(network, left, fed, tuple(shown(name) for name in sorted(states)))
    judged = flow.extracted(results, frames, network.inputs)
    given_out = behind.given_out([value.name for value in scope.graph.output], only_states=cut)
    stream = flow.stream(results, frames, network.inputs, states, given_out)
    return _Found(reading, judged, results, spread, stream)


def _spoken(node: onnx.NodeProto, flow: "_Flow") -> str:
    """An operator that is left to the host, with the shape of its weights."""
    weight = flow.constants.get(node.input[1]) if len(node.input) > 1 else None
    if weight is None or node.op_type not in ("Gemm", "MatMul", "Conv"):
        return shown(node.op_type, 30)
    return f"{node.op_type} -> {shape_of(weight.shape)}"


class _Behind:
    """A walk over what is behind the recurrent nodes: the read-out, and what is left to the host.

    The read-out is the first linear node that the last layer's value reaches with nothing but moves
    and scaling in between; there is none where something else takes that value too.
    """

    def __init__(
        self,
        flow: "_Flow",
        cells: list[onnx.NodeProto],
        nodes: list[onnx.NodeProto],
        wanted: onnx.NodeProto | bool | None,
    ) -> None:
        self._flow, self._cells = flow, cells
        self._walk(nodes, wanted)
        if wanted is None and self.linear is not None and self._branches:
            self._walk(nodes, False)
        if isinstance(wanted, onnx.NodeProto) and self.linear is None:
            found = "a node that is not fed by the last layer directly"
            raise refusal(_name(wanted, flow.source), found, "the read-out of the nodes named")

    def _walk(self, nodes: list[onnx.NodeProto], wanted: onnx.NodeProto | bool | None) -> None:
        self.linear: FloatLinear | None = None
        self.left: list[onnx.NodeProto] = []
        self._taken: set[str] = set()  # by what is left
        last = self._cells[-1]
        self._reached = {name for name in last.output[:2] if name}  # not a cell
        self._scaled: dict[str, list[onnx.NodeProto]] = {}  # by these nodes, without a read-out yet
        states = {name for cell in self._cells for name in cell.output[1:] if name}
        before, behind = set(self._reached), self._reached | states
        own = {id(node) for node in self._cells}
        for node in nodes:
            taken = _reads(node) & behind
            if id(node) in own or node.op_type in ("Shape", "Size") or not taken:
                continue
            made, first = {name for name in node.output if name}, next(iter(node.input), "")
            behind |= made
            going_out = node.op_type in (*_MOVES, "Concat") and taken <= states
            if going_out:
                states |= made
            if self._moved(node, first):
                before |= made if self.linear is None else set()
            elif not (going_out or self._read_out(node, first, wanted) or self._rescaled(node)):
                before |= made & self._scaled.keys()
                self.left.append(node)
                self._taken |= taken
        self._branches = self.linear is not None and bool(self._taken & before)
        self._states, self._behind = states, behind

    def _moved(self, node: onnx.NodeProto, first: str) -> bool:
        if node.op_type not in _MOVES:
            return False
        if first in self._reached:
            self._flow.require_numbers(node)
            self._reached.add(node.output[0])
            return True
        if first in self._scaled:
            self._scaled[node.output[0]] = self._scaled[first]
            return True
        return False

    def _read_out(self, node: onnx.NodeProto, first: str, wanted: object) -> bool:
        if node.op_type not in ("Gemm", "MatMul") or self.linear is not None:
            return False
        if wanted not in (None, node) or wanted is False:
            return False
        if first not in self._reached and first not in self._scaled:
            return False
        if wanted is None and not self._flow.constants.keys() >= set(node.input[1:]):
            return False
        name = _name(node, self._flow.source)
        _require_plain(node, self._flow.source)
        linear = self._flow.linear(node, name)
        between = self._scaled.get(first, [])
        affine = self._flow.affine(between, linear.inputs)
        self.linear = linear if affine is None else fold(affine, linear)
        self.left = [each for each in self.left if all(each is not one for one in between)]
        self._taken = {name for each in self.left for name in _reads(each)}
        self._reached, self._scaled = {node.output[0]}, {}
        return True

    def _rescaled(self, node: onnx.NodeProto) -> bool:
        """A scaling of the read-out's results, which becomes its own; or one before it."""
        first = self._flow.operand(node)
        if first is None or first not in self._reached | self._scaled.keys():
            return False
        if self.linear is None:
            if self._flow.affine([node], None) is not None:
                self._scaled[node.output[0]] = [*self._scaled.get(first, []), node]
            return False  # left to the host, unless a read-out follows
        affine = self._flow.affine([node], self.linear.units)
        assert affine is not None
        self.linear = affine.behind(self.linear)
        self._reached = {node.output[0]}
        return True

    def results(self, outputs: list[str], required: bool) -> list[str]:
        """The values to be judged: what goes out, or to what is left to the host.

        Raises ValueError where nothing of what goes out is the last layer's.
        """
        found = [name for name in outputs if name in self._reached]
        found += sorted(self._taken & self._reached)
        if not found and required:
            expected = "one that is the last layer's"
            raise refusal(self._flow.source, f"outputs {listed(outputs)}", expected)
        return found or sorted(self._reached)[:1]

    def given_out(self, outputs: list[str], *, only_states: bool) -> list[str]:
        """What may be states that go out, in order: anything of the layers but their results, or
        no more than the layers' own states, moved and joined.
        """
        of = self._states if only_states else self._behind
        return [name for name in outputs if name in of and name not in self._reached]


class _Flow:
    """What is known of the values that the nodes of a graph take."""

    def __init__(self, model: onnx.ModelProto, scope: _Scope, source: str) -> None:
        self.source, self._model, self._scope = source, model, scope
        self.constants = {t.name: numpy_helper.to_array(t) for t in scope.tensors}
        self._tensors = {t.name: t for t in scope.tensors}
        self.inputs = {v.name for v in model.graph.input if v.name not in self.constants}
        self._zeros = {name for name, value in self.constants.items() if not value.any()}
        self._origin = {name: name for name in self.inputs}  # of what is an input, but for moves
        self._producers = {name: node for node in scope.nodes for name in node.output if name}
        self._left, self._folds = VALUES, _FOLDS  # that may still be folded
        for node in scope.nodes:
            self._follow(node, self._origin)

    def _follow(self, node: onnx.NodeProto, origin: dict[str, str]) -> None:
        out, first = next(iter(node.output), ""), next(iter(node.input), "")
        if node.op_type == "Constant" and (value := _attributes(node).get("value")) is not None:
            if isinstance(value, onnx.TensorProto):
                self._know(out, numpy_helper.to_array(value))
        elif node.op_type == "ConstantOfShape":
            given = _attributes(node).get("value")
            if given is None or not numpy_helper.to_array(given).any():
                self._zeros.add(out)
        elif node.op_type in _FOLDED and all(i in self.constants for i in node.input if i):
            self._fold(node)
        elif node.op_type in (*_MOVES, "Expand") and first in self._zeros:
            self._zeros.add(out)
        elif node.op_type in _MOVES and first in origin:
            origin[out] = origin[first]
        elif node.op_type == "If":
            self._follow_branches(node, origin)

    def _follow_branches(self, node: onnx.NodeProto, origin: dict[str, str]) -> None:
        """What comes out of every branch alike, but for moves."""
        ends: list[list[str | None]] = []
        for graph in _graphs(node):
            inner = dict(origin)
            for each in graph.node:
                if each.op_type in (*_MOVES, "If"):
                    self._follow(each, inner)
            ends.append([inner.get(value.name) for value in graph.output])
        for name, (one, *others) in zip(node.output, zip(*ends, strict=False), strict=False):
            if one is not None and all(other == one for other in others):
                origin[name] = one

    def _know(self, name: str, value: np.ndarray) -> None:
        self.constants[name] = value
        if not value.any():
            self._zeros.add(name)

    def _fold(self, node: onnx.NodeProto) -> None:
        """The constant that a node makes, while all of them are few enough."""
        self._folds -= 1
        if self._folds < 0:
            return
        given = {name: self.constants[name] for name in node.input if name}
        found = evaluated_alone(node, given, self._model.opset_import, self._left)
        if found is not None:
            self._left -= found.size
            self._know(node.output[0], found)

    def require_numbers(self, node: onnx.NodeProto) -> None:
        """Refuses a cast to something else."""
        if node.op_type == "Cast" and _attributes(node).get("to") not in _NUMBERS:
            raise refusal(_name(node, self.source), "a cast to something else", "one to numbers")

    def operand(self, node: onnx.NodeProto) -> str | None:
        """The value that a node scales or shifts; None where it does neither."""
        if node.op_type not in _AFFINE or node.domain not in ("", "ai.onnx"):
            return None
        if node.op_type == "BatchNormalization":
            known = all(name in self.constants for name in node.input[1:5])
            return node.input[0] if known and len(node.input) == 5 else None
        unknown = [name for name in node.input if name not in self.constants]
        if len(unknown) != 1 or len(node.input) != 2:
            return None
        return None if node.op_type == "Div" and unknown[0] == node.input[1] else unknown[0]

    def traced(self, name: str, stops: set[str]) -> tuple[str, list[onnx.NodeProto]]:
        """Where a value comes from, and the nodes that scale or shift it on the way."""
        between: list[onnx.NodeProto] = []
        for _ in range(_NODES):
            node = self._producers.get(name)
            if node is None or name in stops or name in self.constants:
                break
            if node.op_type in _MOVES:
                self.require_numbers(node)
                name = node.input[0]
            elif (operand := self.operand(node)) is not None:
                between.append(node)
                name = operand
            else:
                _require_plain(node, self.source)
                expected = _INSTEAD.get(node.op_type, _ALONE)
                found = "an operation that the core does not have before a layer"
                raise refusal(_name(node, self.source), found, expected)
        return name, between[::-1]

    def affine(self, nodes: list[onnx.NodeProto], size: int | None) -> Affine | None:
        """What nodes do to ``size`` features, one after the other; None: nothing."""
        found: Affine | None = None
        for node in nodes:
            each = self._affine(node, size)
            found = each if found is None else found.then(each)
        return found

    def _affine(self, node: onnx.NodeProto, size: int | None) -> Affine:
        name = _name(node, self.source)
        if node.op_type == "BatchNormalization":
            attributes = _attributes(node)
            if attributes.get("training_mode"):
                raise refusal(name, "a mode for training", "the graph of a network in use")
            rows = (self._weights(node, n, name, "statistics") for n in range(1, 5))
            scale, shift, mean, variance = (_feature(row, size, name) for row in rows)
            return Affine.normalised(mean, variance + attributes.get("epsilon", 1e-5), scale, shift)
        n = next(k for k, key in enumerate(node.input) if key in self.constants)
        value = _feature(self._weights(node, n, name, "a constant"), size, name)
        one, zero = np.ones_like(value), np.zeros_like(value)
        match node.op_type:
            case "Add":
                return Affine(one, value)
            case "Sub":
                return Affine(one, -value) if n else Affine(-one, value)
            case "Mul":
                return Affine(value, zero)
        return Affine(1 / value, zero)

    def state(self, node: onnx.NodeProto, n: int, frames: str, name: str) -> set[str]:
        """The input that input ``n`` of a node, an initial state, is; none where it is 0.

        Raises ValueError where it is anything else: it must be 0 at reset.
        """
        key = node.input[n] if n < len(node.input) else ""
        if not key or key in self._zeros:
            return set()
        if key in self.constants:
            raise refusal(
                name, "an initial state that is not 0", "the state at 0, as after a reset"
            )
        origin = self._origin.get(key)
        if origin is None or origin == self._origin.get(frames, frames):
            found = "an initial state that the graph computes"
            raise refusal(name, found, "an input as it comes, or the state at 0, as after a reset")
        return {origin}

    def stream(
        self, results: list[str], frames: str, inputs: int, states: set[str], given_out: list[str]
    ) -> Stream | None:
        """The graph with its ``states`` as inputs; None where it takes or gives out too few, or
        gives out what is no operator of ONNX, which is left to the host.
        """
        taken = [value.name for value in self._model.graph.input if value.name in states]
        if not taken or len(given_out) < len(taken):
            return None
        try:
            made = self.extracted([*results, *given_out], frames, inputs, taken)
        except ValueError:
            return None
        return Stream(made, taken, given_out)

    def extracted(
        self, results: list[str], frames: str, inputs: int, states: Sequence[str] = ()
    ) -> onnx.ModelProto:
        """The graph that makes ``results`` of ``frames``, with all states at 0 but ``states``."""
        needed, nodes, tensors = set(results), [], []
        for node in reversed(self._scope.nodes):
            made = [name for name in node.output if name in needed and name != frames]
            if not made or made[0] in self.constants:
                continue
            _require_plain(node, self.source)
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            if node.op_type in _CELLS:
                for n in _CELLS[node.op_type].states:
                    name = copy.input[n] if n < len(copy.input) else ""
                    known = name in self._zeros and frames in self.inputs
                    if name and not known and self._origin.get(name) not in states:
                        copy.input[n] = ""
            needed.update(name for name in copy.input if name)
            nodes.append(copy)
        for name in sorted(needed & self.constants.keys()):
            stored = self._tensors.get(name)
            tensors.append(stored or numpy_helper.from_array(self.constants[name], name))
        graph = self._scope.graph
        declared = [*self._model.graph.input, *graph.value_info]
        free = onnx.helper.make_tensor_value_info(
            frames, onnx.TensorProto.FLOAT, [None, None, inputs]
        )
        given = next((value for value in declared if value.name == frames), free)
        # A part's frames may be declared without a shape.
        if not given.type.tensor_type.HasField("shape") and frames not in self.inputs:
            given = free
        inputs_of = [given, *(value for value in self._model.graph.input if value.name in states)]
        outputs = [onnx.ValueInfoProto(name=name) for name in results]
        cut = onnx.helper.make_graph(nodes[::-1], "cut", inputs_of, outputs, tensors)
        return onnx.helper.make_model(
            cut, opset_imports=self._model.opset_import, ir_version=self._model.ir_version
        )

    def _weights(self, node: onnx.NodeProto, n: int, name: str, what: str) -> Floats | None:
        """Input ``n`` of a node, which must be known; None where it is left out."""
        key = node.input[n] if n < len(node.input) else ""
        if not key:
            return None
        if key not in self.constants:
            raise refusal(name, f"{what} computed in the graph", "weights in the file")
        value = self.constants[key]
        if value.dtype.kind != "f" and value.dtype.name != "bfloat16":
            raise refusal(name, f"{what} of {value.dtype}", "floats")
        return value.astype(np.float64)

    def cell(self, node: onnx.NodeProto, name: str) -> FloatRecurrent:
        """The layer of a recurrent node. Raises ValueError where the core has none like it."""
        if node.op_type not in _CELLS:
            found = "an operation that the core does not have"
            raise refusal(name, found, _INSTEAD[node.op_type])
        _require_plain(node, self.source)
        cell = _CELLS[node.op_type]
        attributes = {"direction": b"forward", **_attributes(node)}
        if attributes["direction"] != b"forward":
            direction = shown(attributes["direction"].decode(errors="replace"), 30)
            raise refusal(name, direction, "one direction: train it with bidirectional=False")
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

    def linear(self, node: onnx.NodeProto, name: str) -> FloatLinear:
        """The read-out of a Gemm or MatMul."""
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


def _feature(value: Floats | None, size: int | None, name: str) -> Floats:
    """[size], or [1], of a constant that holds one number for each feature, wherever they lie."""
    if value is None or (size is not None and value.size not in (1, size)):
        found = "none" if value is None else f"shape {shape_of(value.shape)}"
        raise refusal(name, found, f"a number for each of {size} features")
    if value.size > 1 and value.size != max(value.shape):
        raise refusal(name, f"shape {shape_of(value.shape)}", "a number for each feature")
    return value.reshape(-1)


def _row(bias: Floats, units: int, name: str) -> Floats:
    """A bias [units] of one that is broadcast over frames."""
    if bias.size not in (1, units) or bias.shape[-1:] not in ((), (1,), (units,)):
        raise refusal(name, f"a bias {shape_of(bias.shape)}", f"[{units}]")
    return np.broadcast_to(bias.reshape(-1), units).copy()


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

"""ONNX graphs as exporters write them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

GATES = {"GRU": 3, "LSTM": 4}


def recurrent_graph(
    rng,
    inputs,
    units,
    outputs=None,
    layers=1,
    *,
    kinds=("GRU",),
    batch_first=False,
    tail=(),
    **attributes,
):
    """GRU and LSTM nodes with a Squeeze behind each, then MatMul and Add.

    Nodes are of ``kinds`` in turn, over and over, with these attributes; ``tail`` are operators
    that follow the last layer.
    """
    nodes, tensors = [], []

    def constant(name, value):
        tensors.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weights(name, *shape):
        return constant(name, rng.normal(0, 0.5, shape).astype(np.float32))

    value, axis = "frames", constant("axis", np.array([1], dtype=np.int64))
    if batch_first:
        nodes.append(helper.make_node("Transpose", [value], ["turned"], perm=[1, 0, 2]))
        value = "turned"
    attributes = {"hidden_size": units, **attributes}
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    for k in range(layers):
        kind, columns = kinds[k % len(kinds)], units if k else inputs
        rows = GATES[kind] * units
        given = [
            value,
            weights(f"w{k}", directions, rows, columns),
            weights(f"r{k}", directions, rows, units),
            weights(f"b{k}", directions, 2 * rows),
        ]
        own = {"linear_before_reset": 1} if kind == "GRU" else {}
        name = f"{kind.lower()}{k}"
        nodes.append(helper.make_node(kind, given, [f"y{k}"], name=name, **{**own, **attributes}))
        nodes.append(helper.make_node("Squeeze", [f"y{k}", axis], [f"s{k}"]))
        value = f"s{k}"
    if outputs is not None:
        matrix, bias = weights("weight", units, outputs), weights("bias", outputs)
        nodes.append(helper.make_node("MatMul", [value, matrix], ["product"]))
        nodes.append(helper.make_node("Add", [bias, "product"], ["logits"]))
        value = "logits"
    for n, kind in enumerate(tail):
        nodes.append(helper.make_node(kind, [value], [f"tail{n}"], name=f"tail{n}"))
        value = f"tail{n}"
    shape = [1, None, inputs] if batch_first else [None, 1, inputs]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, [None, None, None])],
        tensors,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.checker.check_model(model)
    return model


def streaming_graph(rng, inputs, units, outputs, layers=1, kind="GRU"):
    """One frame, with the layers' states joined to ``h`` (and ``c``) in and ``h_out`` out."""
    model = recurrent_graph(rng, inputs, units, outputs, layers, kinds=(kind,))
    graph = model.graph
    dims = graph.input[0].type.tensor_type.shape.dim
    dims[0].dim_value = 1
    state = [layers, 1, units]
    for n, name in enumerate("hc"[: 1 + (kind == "LSTM")]):
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, state))
        graph.output.append(helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, state))
        for k, node in enumerate(node for node in list(graph.node) if node.op_type == kind):
            bounds = [numpy_helper.from_array(np.array([at]), f"{name}{at}") for at in (k, k + 1)]
            graph.initializer.extend(b for b in bounds if b.name not in _names(graph))
            cut = helper.make_node("Slice", [name, *(b.name for b in bounds)], [f"{name}_in{k}"])
            graph.node.insert(0, cut)
            node.input.extend([""] * (5 + n - len(node.input)))
            node.input.append(f"{name}_in{k}")
            node.output.append(f"{name}_end{k}")
        ends = [f"{name}_end{k}" for k in range(layers)]
        graph.node.append(helper.make_node("Concat", ends, [f"{name}_out"], f"{name}_out", axis=0))
    onnx.checker.check_model(model)
    return model


def _names(graph):
    return {tensor.name for tensor in graph.initializer}


def normalised_graph(rng, inputs, units, outputs, operators):
    """A GRU and a MatMul, with ``operators`` that normalise before each of them."""
    model = recurrent_graph(rng, inputs, units, outputs)
    graph = model.graph
    for n, (consumer, size) in enumerate(((2, units), (0, inputs))):
        value, made = graph.node[consumer].input[0], []
        if operators == "BatchNormalization":  # its features are in the second place
            names = [f"{what}{n}" for what in ("gamma", "beta", "mean", "variance")]
            for name, low, high in zip(names, (0.5, -1, 19, 0.2), (2, 1, 21, 0.4), strict=True):
                row = rng.uniform(low, high, size).astype(np.float32)
                graph.initializer.append(numpy_helper.from_array(row, name))
            turn = [0, 2, 1] if consumer == 0 else [0, 1]
            made.append(helper.make_node("Transpose", [value], [f"t{n}"], perm=turn))
            made.append(
                helper.make_node("BatchNormalization", [f"t{n}", *names], [f"n{n}"], epsilon=1e-3)
            )
            made.append(helper.make_node("Transpose", [f"n{n}"], [f"u{n}"], perm=turn))
            if consumer:  # [T, 1, H] as it is has its features in the last place
                made = _in_rows(graph, made, value, n)
        else:
            ranges = {"Sub": (19, 21), "Div": (0.4, 0.6), "Mul": (1.5, 2), "Add": (-42, -38)}
            for k, operator in enumerate(operators.split()):
                row = rng.uniform(*ranges[operator], size).astype(np.float32)
                name = graph.initializer.add()
                name.CopyFrom(numpy_helper.from_array(row, f"{operator}{n}"))
                out = f"n{n}{k}"
                made.append(helper.make_node(operator, [value, name.name], [out]))
                value = out
        graph.node[consumer].input[0] = made[-1].output[0]
        for node in reversed(made):
            graph.node.insert(consumer, node)
    onnx.checker.check_model(model)
    return model


def _in_rows(graph, nodes, value, n):
    """The same for [T, H, 1]: a squeezed layer's frames turned so that features come second."""
    nodes[0].CopyFrom(helper.make_node("Transpose", [value], [f"t{n}"], perm=[0, 2, 1]))
    nodes[2].CopyFrom(helper.make_node("Transpose", [f"n{n}"], [f"u{n}"], perm=[0, 2, 1]))
    return nodes


def larger_graph(rng, inputs, units, kind):
    """Layers ``below`` and ``above`` with a state that is an input, between other operators."""
    model = recurrent_graph(rng, inputs, units, layers=2, kinds=(kind,), tail=("Relu",))
    graph = model.graph
    for node, name in zip((graph.node[0], graph.node[2]), ("below", "above"), strict=True):
        node.name = name
        node.input.extend(["", "start"])
    graph.node[0].input[0] = "active"
    graph.node.insert(0, helper.make_node("Relu", ["frames"], ["active"], name="front"))
    graph.node[4].output[0] = "above_out"
    for node in graph.node:
        for n, name in enumerate(node.input):
            node.input[n] = "above_out" if name == "s1" else name
    state = helper.make_tensor_value_info("start", TensorProto.FLOAT, [1, 1, units])
    graph.input.append(state)
    # In one branch a layer that goes backwards, in the other nothing.
    tensors = [
        numpy_helper.from_array(rng.normal(size=(1, GATES["GRU"] * units, units)).astype("f"), key)
        for key in ("within_w", "within_r")
    ]
    within = helper.make_node(
        "GRU",
        ["tail0", "within_w", "within_r"],
        ["within_y"],
        name="within",
        hidden_size=units,
        linear_before_reset=1,
        direction="reverse",
    )
    squeeze = helper.make_node("Squeeze", ["within_y", "axis"], ["then_out"])
    branches = [
        helper.make_graph([within, squeeze], "then", [], [_free("then_out")], tensors),
        helper.make_graph(
            [helper.make_node("Identity", ["tail0"], ["else_out"])], "else", [], [_free("else_out")]
        ),
    ]
    graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    names = ("then_branch", "else_branch")
    graph.node.append(
        helper.make_node("If", ["yes"], ["chosen"], **dict(zip(names, branches, strict=True)))
    )
    graph.output[0].name = "chosen"
    onnx.checker.check_model(model)
    return model


def _free(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None, None])


def beside(model, folder):
    """The path of a graph whose tensors lie in data.bin beside it."""
    path = folder / "beside.onnx"
    onnx.save(
        model,
        str(path),
        save_as_external_data=True,
        location="data.bin",
        size_threshold=0,
        convert_attribute=False,
    )
    return path

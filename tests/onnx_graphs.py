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

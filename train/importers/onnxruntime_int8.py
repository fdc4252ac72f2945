"""What onnxruntime's dynamic int8 quantisation, per channel, makes of a network: for comparison."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from train.data.recordings import Floats
from train.quantised.float_network import FloatGRU, FloatLinear, FloatNetwork, gates_in_order


def int8_results(network: FloatNetwork, recordings: Sequence[Floats]) -> list[Floats] | None:
    """Results [T, O] of each recording [T, I], from reset; None where a GRU is in the network, for
    onnxruntime has no integers for one.

    Raises ModuleNotFoundError where onnxruntime is not installed.
    """
    if any(isinstance(layer, FloatGRU) for layer in network.layers):
        return None
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        plain.write_bytes(onnx_of(network))
        before = logging.root.manager.disable
        logging.disable()  # it recommends what changes nothing here
        try:
            quantize_dynamic(plain, small, per_channel=True, weight_type=QuantType.QInt8)
        finally:
            logging.disable(before)
        session = onnxruntime.InferenceSession(small)
    made = []
    for frames in recordings:
        x = network.centred(frames)[:, None].astype(np.float32)
        made.append(np.asarray(session.run(None, {"x": x})[0], np.float64)[:, 0])
    return made


def onnx_of(network: FloatNetwork) -> bytes:
    """LSTMs one above the other, and the read-out, as ONNX: frames [T, 1, I]."""
    from onnx import TensorProto, helper, numpy_helper

    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    nodes, tensors, x = [], [axis], "x"

    def tensor(name: str, value: Floats) -> str:
        tensors.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def ordered(rows: Floats) -> Floats:
        return gates_in_order(rows, (0, 3, 1, 2))[None]  # ONNX has i, o, f, g

    for k, layer in enumerate(network.layers):
        if isinstance(layer, FloatLinear):
            product = [x, tensor("head", layer.weight.T)]
            nodes.append(helper.make_node("MatMul", product, ["product"]))
            nodes.append(helper.make_node("Add", ["product", tensor("bias", layer.bias)], ["sum"]))
            x = "sum"
            continue
        bias = np.concatenate([ordered(layer.bias_x), ordered(layer.bias_h)], axis=1)
        names = [
            x,
            tensor(f"w{k}", ordered(layer.weight_x)),
            tensor(f"r{k}", ordered(layer.weight_h)),
            tensor(f"b{k}", bias),
        ]
        nodes.append(helper.make_node("LSTM", names, [f"y{k}"], hidden_size=layer.units))
        nodes.append(helper.make_node("Squeeze", [f"y{k}", "axis"], [f"s{k}"]))
        x = f"s{k}"
    frames = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["t", 1, network.inputs])
    result = helper.make_tensor_value_info(x, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "network", [frames], [result], tensors)
    opset = [helper.make_opsetid("", 14)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()

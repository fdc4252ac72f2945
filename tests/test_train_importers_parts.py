"""Graphs and checkpoints as they are shipped: parts alone, states, normalisation, heads."""

import json
import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from golden.fixed import quantize  # noqa: E402
from golden.model_file import load_model  # noqa: E402
from golden.network import DeltaNetwork  # noqa: E402
from tests.onnx_graphs import (  # noqa: E402
    beside,
    larger_graph,
    normalised_graph,
    recurrent_graph,
    streaming_graph,
)
from tests.test_command import deltarnn  # noqa: E402
from train.importers import parts_in, read_file, read_network  # noqa: E402
from train.importers.conversion import Calibration, convert, load_calibration  # noqa: E402

FRAMES = np.random.default_rng(5).normal(size=(20, 3))


def saved(model, folder, name="network.onnx"):
    onnx.save(model, str(folder / name))
    return folder / name


def run(model, frames, output=None):
    """What onnxruntime makes of frames [T, I], from states of 0."""
    if output is not None:
        model.graph.output.append(onnx.ValueInfoProto(name=output))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    given = {
        value.name: np.zeros([d if isinstance(d, int) else 1 for d in value.shape], np.float32)
        for value in session.get_inputs()
    }
    given["frames"] = frames.astype(np.float32)[:, None]
    return session.run([output] if output else None, given)[0].reshape(len(frames), -1)


# ONNX.


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_part_of_a_larger_graph_computes_what_it_did(kind, tmp_path):
    """Between a convolution and what the core has not; within an If."""
    model = larger_graph(np.random.default_rng(1), 3, 4, kind)
    path = saved(model, tmp_path)
    with pytest.raises(ValueError, match=r"node Relu .* before a layer, expected .*--node"):
        read_file(path)
    listed = [(p.name, p.inputs, p.units, p.problem is None) for p in parts_in(path)]
    assert listed == [("below", 3, 4, True), ("above", 4, 4, True), ("within", 4, 4, False)]
    found = read_file(path, ("below", "above"))
    assert (found.fed, found.states) == ("active", ("start",))
    assert found.left == ("Relu", "If")
    given = np.abs(FRAMES)
    expected = run(model, FRAMES * 0 + given, "above_out")
    assert np.abs(found.network.run(given) - expected).max() < 1e-5
    for names, naming in (
        (("x",), "found no node 'x', expected one of 'below', 'above', 'within'"),
        (("below", "below"), "'below' named twice"),
        (("below", "within"), "found nodes of several graphs"),
        (("within",), "found reverse, expected one direction"),
        (("above", "below"), "order 'above', 'below', expected that of the network: 'below', 'ab"),
    ):
        with pytest.raises(ValueError, match=naming):
            read_file(path, names)


@pytest.mark.parametrize("operator", ["Sub Div", "Mul Add", "BatchNormalization"])
def test_a_normalisation_is_folded(operator, tmp_path):
    """Before the layers, and between them and the read-out."""
    model = normalised_graph(np.random.default_rng(2), 3, 4, 2, operator)
    found = read_file(saved(model, tmp_path))
    assert len(found.network.layers) == 2
    assert found.left == ()
    assert found.network.offset is not None
    frames = FRAMES * 0.5 + 20
    assert np.abs(found.network.run(frames) - run(model, frames)).max() < 1e-4


@pytest.mark.parametrize(
    ("tail", "layers", "left"),
    [
        (("Relu",), 2, ("Relu",)),
        (("Softmax", "Exp"), 2, ("Softmax", "Exp")),
        (("Sigmoid",), 2, ("Sigmoid",)),
    ],
)
def test_what_is_behind_the_read_out_is_left_and_said(tail, layers, left, tmp_path):
    model = recurrent_graph(np.random.default_rng(1), 3, 4, 2, tail=tail)
    found = read_file(saved(model, tmp_path))
    assert len(found.network.layers) == layers
    assert found.left == left
    assert np.abs(found.network.run(FRAMES) - run(model, FRAMES, "logits")).max() < 1e-5


def test_a_head_that_does_not_follow_directly_is_left(tmp_path):
    """Also one of two that take the same value: the engine gives out one of them alone."""
    model = recurrent_graph(np.random.default_rng(1), 3, 4, tail=("Relu",))
    weight = np.ones((4, 2), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weight, "head"))
    model.graph.node.append(helper.make_node("MatMul", ["tail0", "head"], ["logits"]))
    model.graph.output[0].name = "logits"
    assert read_file(saved(model, tmp_path)).left == ("Relu", "MatMul -> [4, 2]")
    model = recurrent_graph(np.random.default_rng(1), 3, 4, 2)
    model.graph.initializer.append(numpy_helper.from_array(weight, "head"))
    model.graph.node.append(helper.make_node("MatMul", ["s0", "head"], ["other"]))
    model.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, None))
    model.graph.output[1].type.tensor_type.shape.SetInParent()
    for _ in range(3):
        model.graph.output[1].type.tensor_type.shape.dim.add()
    found = read_file(saved(model, tmp_path))
    assert len(found.network.layers) == 1
    assert found.left == ("MatMul -> [4, 2]", "Add", "MatMul -> [4, 2]")


def test_a_state_that_the_graph_makes_of_its_frames_is_refused(tmp_path):
    model = recurrent_graph(np.random.default_rng(1), 4, 4, 2)
    model.graph.node.insert(0, helper.make_node("Slice", ["frames", "no", "one"], ["first"]))
    for name, value in (("no", [0]), ("one", [1])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    model.graph.node[1].input.extend(["", "first"])
    with pytest.raises(ValueError, match="found an initial state that the graph computes"):
        read_file(saved(model, tmp_path))


def put_behind(model, name, *operators):
    """Operators between what makes ``name`` and the output of that name."""
    for k, (operator, more) in enumerate(operators):
        (maker,) = [n for n in model.graph.node if name in n.output]
        maker.output[list(maker.output).index(name)] = f"{name}{k}"
        model.graph.node.append(helper.make_node(operator, [f"{name}{k}", *more], [name]))


@pytest.mark.parametrize(("kind", "layers"), [("GRU", 1), ("LSTM", 2)])
def test_a_graph_of_one_frame_is_judged_over_many_with_its_states_fed_back(kind, layers, tmp_path):
    model = streaming_graph(np.random.default_rng(1), 3, 4, 2, layers, kind)
    found = read_file(saved(model, tmp_path))
    assert found.states == ("c", "h")[kind == "GRU" :]
    assert found.left == ()
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [value.name for value in session.get_outputs()]
    states = {v.name: np.zeros(v.shape, np.float32) for v in session.get_inputs()[1:]}
    results = []
    for frame in FRAMES.astype(np.float32):
        made = session.run(None, {"frames": frame[None, None]} | states)
        values = dict(zip(names, made, strict=True))
        states = {name: values[f"{name}_out"] for name in states}
        results.append(values["logits"].ravel())
    assert np.abs(found.network.run(FRAMES) - results).max() < 1e-5
    # In the order of their names, or not: what is fed back is what fits.
    outputs = [*model.graph.output][::-1]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    assert read_file(saved(model, tmp_path)).states == found.states


@pytest.mark.parametrize(
    "change",
    [
        pytest.param([("Mul", ["half"])], id="leaks"),
        pytest.param([("Gather", ["turned"])], id="moves apart"),
        pytest.param([("Tanh", [])], id="bends"),
    ],
)
def test_a_graph_that_changes_its_state_between_frames_is_refused(change, tmp_path):
    """Its first frame, from states of 0, is the network's."""
    model = streaming_graph(np.random.default_rng(1), 3, 4, 2)
    for name, value in (("half", np.float32(0.5)), ("turned", np.array([3, 2, 1, 0]))):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    put_behind(model, "h_out", *change)
    for node in model.graph.node:
        if node.op_type == "Gather":
            node.attribute.append(helper.make_attribute("axis", 2))
    with pytest.raises(ValueError, match="results, with 'h_out' fed back as 'h', that differ by"):
        read_file(saved(model, tmp_path))


def test_data_beside_a_graph_is_read(tmp_path):
    model = recurrent_graph(np.random.default_rng(1), 3, 4, 2)
    expected = read_network(saved(model, tmp_path)).run(FRAMES)
    path = beside(model, tmp_path)
    assert (read_network(path).run(FRAMES) == expected).all()


@pytest.mark.parametrize(
    ("changes", "naming"),
    [
        ({"location": "../data.bin"}, r"another file, '\.\./data\.bin', expected a plain file"),
        ({"location": "sub/data.bin"}, "expected a plain file in the same folder"),
        ({"location": ".."}, "expected a plain file in the same folder"),
        ({"location": "absent"}, "found No such file"),
        ({"location": "linked"}, "found data in a link, 'linked'"),
        ({"location": "pipe"}, "found a FIFO"),
        ({"location": "large"}, r"found 1[0-9,]+ bytes, expected a plain file .* at most"),
        ({"offset": "999999"}, r"found bytes 999,999 to .*, expected at most"),
        ({"offset": "-1"}, "offset: found -1, expected a number"),
        ({"length": "7"}, "found 7 bytes of data, expected 144 for its shape"),
        ({"offset": "9" * 40}, "offset: found 999"),
        ({"other": "x"}, "found a place of its data said in an unusual way"),
    ],
)
def test_data_elsewhere_is_refused(changes, naming, tmp_path):
    path = beside(recurrent_graph(np.random.default_rng(1), 3, 4, 2), tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "linked").symlink_to(tmp_path / "data.bin")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    model = onnx.load(str(path), load_external_data=False)
    tensor = next(t for t in model.graph.initializer if t.name == "w0")
    said = {entry.key: entry.value for entry in tensor.external_data} | changes
    tensor.ClearField("external_data")
    for key, value in said.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=naming) as error:
        read_network(path)
    assert str(error.value).isprintable()


def test_a_length_that_an_exporter_left_in_a_reshape_is_kept(tmp_path):
    """The input says any; [T, 1, 1, H] to [3, -1, H] takes three frames alone."""
    model = recurrent_graph(np.random.default_rng(1), 3, 4)
    sizes = numpy_helper.from_array(np.array([3, -1, 4]), "sizes")
    model.graph.initializer.append(sizes)
    model.graph.node[1].CopyFrom(helper.make_node("Reshape", ["y0", "sizes"], ["s0"]))
    assert len(read_network(saved(model, tmp_path)).layers) == 1


def test_graphs_in_one_another_are_bounded(tmp_path):
    """Each would be looked at with all that lies around it."""
    model = recurrent_graph(np.random.default_rng(1), 3, 4)
    free = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Identity", ["s0"], ["y"])], "b", [], [free])
    for n in range(51):
        made = helper.make_node("If", ["yes"], [f"i{n}"], then_branch=branch, else_branch=branch)
        model.graph.node.append(made)
    with pytest.raises(ValueError, match="nodes in 103 graphs, expected at most"):
        parts_in(saved(model, tmp_path))


def test_a_node_that_is_quantised_already_is_named(tmp_path):
    model = recurrent_graph(np.random.default_rng(1), 3, 4, kinds=("LSTM",))
    model.graph.node[0].op_type, model.graph.node[0].domain = "DynamicQuantizeLSTM", "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    path = saved(model, tmp_path)
    assert [part.kind for part in parts_in(path)] == ["DynamicQuantizeLSTM"]
    with pytest.raises(ValueError, match="expected the graph before it was quantised"):
        read_network(path)


# PyTorch.


class Larger(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.front = torch.nn.Conv1d(3, 3, 2)
        self.norm = torch.nn.BatchNorm1d(3)
        self.cell = torch.nn.LSTMCell(3, 4)
        self.above = torch.nn.GRU(4, 5, 2)
        self.both = torch.nn.GRU(3, 2, bidirectional=True)


def test_modules_of_a_larger_state_dict_are_named_and_listed(tmp_path):
    torch.manual_seed(1)
    module = Larger().double()
    path = tmp_path / "m.pt"
    torch.save({"step": 1, "model_state": module.state_dict(), "optimizer": {"state": {}}}, path)
    found = [
        (p.name, p.kind, p.inputs, p.units, p.layers, p.problem is None) for p in parts_in(path)
    ]
    assert found == [
        ("cell", "LSTM", 3, 4, 1, True),
        ("above", "GRU", 4, 5, 2, True),
        ("both", "GRU", 3, 2, 1, False),
    ]
    with pytest.raises(ValueError, match=r"front\.weight: found a tensor .* --node .*--list"):
        read_network(path)
    states, h, c = [], torch.zeros(1, 4).double(), torch.zeros(1, 4).double()
    with torch.no_grad():
        for frame in torch.from_numpy(FRAMES):
            h, c = module.cell(frame[None], (h, c))
            states.append(h)
        expected = module.above(torch.stack(states))[0][:, 0].numpy()
    found = read_network(path, ("cell", "above")).run(FRAMES)
    assert np.abs(found - expected).max() < 1e-12
    with pytest.raises(ValueError, match="no module 'x', expected one of 'cell', 'above', 'both'"):
        read_network(path, ("x",))
    with pytest.raises(ValueError, match="bidirectional, expected one direction: train it with bi"):
        read_network(path, ("both",))


def test_a_read_out_is_named_last(tmp_path):
    module = torch.nn.ModuleDict(
        {"head": torch.nn.Linear(5, 2), "b": torch.nn.GRU(4, 5), "a": torch.nn.GRU(3, 4)}
    )
    path = tmp_path / "m.pt"
    torch.save(module.state_dict(), path)
    assert [layer.units for layer in read_network(path, ("a", "b", "head")).layers] == [4, 5, 2]
    for names, naming in (
        (("head", "b"), "order 'head', 'b', expected that of the network: 'b', 'head'"),
        (("a", "head", "b"), "expected that of the network: 'a', 'b', 'head'"),
        (("b", "a"), "layer 1: found 3 inputs, expected 5, as below it"),
    ):
        with pytest.raises(ValueError, match=naming):
            read_network(path, names)


def test_one_of_several_state_dicts_is_named_by_its_key(tmp_path):
    path = tmp_path / "m.ckpt"
    states = {key: torch.nn.GRU(3, 4).state_dict() for key in ("model", "ema")}
    torch.save({"nested": states}, path)
    with pytest.raises(
        ValueError, match=r"state_dicts 'nested\.model', 'nested\.ema', expected on"
    ):
        read_network(path)
    assert [part.name for part in parts_in(path)] == ["nested.model", "nested.ema"]
    (layer,) = read_network(path, ("nested.ema",)).layers
    assert (layer.weight_x == states["ema"]["weight_ih_l0"].double().numpy()).all()


# Calibration, and the command.


def test_recordings_are_each_run_from_reset(tmp_path):
    graph = recurrent_graph(np.random.default_rng(3), 3, 4, 2)
    network = read_network(saved(graph, tmp_path))
    long, short = FRAMES, FRAMES[:7] * 2
    found = convert("several", network, Calibration(network, [long, short]))
    model, formats = found.model, found.model.parameters.formats
    traces = [
        DeltaNetwork(model).run(quantize(each * found.input_scale, formats.activation)).outputs
        for each in (long, short)
    ]
    results = np.concatenate(traces) / 2.0**model.parameters.output_frac
    expected = np.concatenate([network.run(long), network.run(short)])
    error = np.sqrt(np.mean((results - expected) ** 2) / expected.var(axis=0).mean())
    assert found.dense is not None
    assert found.dense.loss == pytest.approx(error)
    np.save(tmp_path / "long.npy", long)
    np.savez(tmp_path / "short.npz", features=np.stack([short] * 3))
    both = load_calibration([tmp_path / "long.npy", tmp_path / "short.npz"], network)
    assert len(both.frames) == 20 + 3 * 7
    assert (both.frames[20:27] == both.frames[34:41]).all()
    alone = convert("x", network, Calibration(network, long)).model
    listed = convert("x", network, Calibration(network, [long])).model
    assert all(
        (a.weight_x == b.weight_x).all() for a, b in zip(alone.weights, listed.weights, strict=True)
    )
    uneven = [FRAMES, *[FRAMES[:1]] * 60]
    assert convert("uneven", network, Calibration(network, uneven)).dense is not None
    with pytest.raises(ValueError, match=r"14 frames in 2 recordings, expected .*T >= 16"):
        Calibration(network, [short, short])
    wide = read_network(saved(recurrent_graph(np.random.default_rng(3), 5, 4), tmp_path))
    with pytest.raises(
        ValueError, match=r"short\.npz, recording 0: calibration: found shape \[7, 3\]"
    ):
        load_calibration(tmp_path / "short.npz", wide)


def test_the_command_lists_cuts_and_says_so(tmp_path):
    model = larger_graph(np.random.default_rng(1), 3, 4, "GRU")
    saved(model, tmp_path)
    done = deltarnn(tmp_path, "import", "network.onnx", "--list", "--json")
    parts = json.loads(done.stdout)["parts"]
    assert [part["name"] for part in parts] == ["below", "above", "within"]
    assert "below" in deltarnn(tmp_path, "import", "network.onnx", "--list").stdout
    words = ["import", "network.onnx", "--node", "below", "-o", "m.safetensors"]
    report = json.loads(deltarnn(tmp_path, *words, "--json").stdout)
    assert (report["nodes"], report["fed_by"]) == (["below"], "active")
    assert report["left_to_host"][0] == "GRU"
    assert "left to the host" in deltarnn(tmp_path, *words).stdout
    done = deltarnn(tmp_path, "import", "network.onnx")
    assert done.returncode == 2
    assert "found no output, expected -o MODEL, or --list" in done.stderr


def test_an_offset_is_in_the_model(tmp_path):
    model = normalised_graph(np.random.default_rng(2), 3, 4, 2, "Sub Div")
    saved(model, tmp_path)
    frames = FRAMES * 0.5 + 20
    np.save(tmp_path / "frames.npy", frames)
    words = ["import", "network.onnx", "-o", "m.safetensors", "--calibration", "frames.npy"]
    report = json.loads(deltarnn(tmp_path, *words, "--json").stdout)
    extra = load_model(tmp_path / "m.safetensors").extra
    network = read_network(tmp_path / "network.onnx")
    assert network.offset is not None
    assert extra["input_offset"] == report["input_offset"] == network.offset.tolist()
    assert report["dense"]["loss"] < 0.1

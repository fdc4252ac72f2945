"""Imported networks against those who made their files: torch and onnxruntime."""

import numpy as np
import pytest
from safetensors.numpy import save_file

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from tests.onnx_graphs import recurrent_graph  # noqa: E402
from train.importers import read_file, read_network  # noqa: E402


class Network(torch.nn.Module):
    def __init__(self, inputs, units, outputs, layers, kind=torch.nn.GRU, **options):
        super().__init__()
        self.encoder = kind(inputs, units, layers, **options)
        self.head = None if outputs is None else torch.nn.Linear(units, outputs)

    def forward(self, frames):
        states, _ = self.encoder(frames)
        return states if self.head is None else self.head(states)


def random_frames(inputs, count=30):
    return np.random.default_rng(inputs).normal(size=(count, inputs))


class Mixed(torch.nn.Module):
    """A GRU below an LSTM."""

    def __init__(self):
        super().__init__()
        self.below = torch.nn.GRU(3, 5)
        self.above = torch.nn.LSTM(5, 4)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, frames):
        return self.head(self.above(self.below(frames)[0])[0])


KINDS = (torch.nn.GRU, torch.nn.LSTM)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
@pytest.mark.parametrize(
    ("inputs", "units", "outputs", "layers", "bias"),
    [(3, 5, 2, 1, True), (4, 6, None, 2, True), (1, 1, 1, 3, False)],
)
def test_a_state_dict_computes_what_its_module_did(
    suffix, inputs, units, outputs, layers, bias, kind, tmp_path
):
    torch.manual_seed(units)
    module = Network(inputs, units, outputs, layers, kind, bias=bias).double()
    file = tmp_path / f"network{suffix}"
    if suffix == ".safetensors":
        save_file({key: tensor.numpy() for key, tensor in module.state_dict().items()}, file)
    else:
        torch.save({"epoch": 3, "state_dict": module.state_dict()}, file)
    frames = random_frames(inputs)
    with torch.no_grad():
        expected = module(torch.from_numpy(frames)).numpy()
    assert np.abs(read_network(file).run(frames) - expected).max() < 1e-12


def test_a_state_dict_of_both_kinds_computes_what_its_module_did(tmp_path):
    torch.manual_seed(1)
    module = Mixed().double()
    file = tmp_path / "mixed.pt"
    torch.save(module.state_dict(), file)
    frames = random_frames(3)
    with torch.no_grad():
        expected = module(torch.from_numpy(frames)).numpy()
    network = read_network(file)
    assert [type(layer).__name__ for layer in network.layers[:2]] == ["FloatGRU", "FloatLSTM"]
    assert np.abs(network.run(frames) - expected).max() < 1e-12


@pytest.mark.parametrize(
    ("key", "shape", "naming"),
    [
        ("gru.weight_ih_l0_reverse", (6, 3), "weight_ih_l0_reverse: found bidirectional"),
        ("gru.weight_hr_l0", (1, 2), "found an LSTM with projections, expected one"),
        (
            "conv.weight",
            (4, 3, 2),
            r"conv\.weight: found a tensor \[4, 3, 2\], expected nn\.GRU or",
        ),
        ("norm.running_mean", (4,), r"norm\.running_mean: found a normalisation that may lie bef"),
        (
            "second.weight",
            (1, 2),
            r"layers 'head' \[1, 2\], 'second' \[1, 2\], expected one read-out",
        ),
        (
            "head.weight",
            (1, 5),
            r"head: found a matrix \[1, 5\], expected a read-out \[outputs, 2\]",
        ),
        ("gru.weight_hh_l0", (8, 2), r"weight_ih: found shape \[6, 3\], expected \[8, 3\]"),
        ("gru.weight_hh_l0", (7, 2), r"layer 0: found shape \[7, 2\] of weight_hh"),
        ("gru.weight_hh_l0", (2, 2), "layer 0: found an RNN"),
        ("gru.bias_hh_l0", (5,), r"bias_hh: found shape \[5\], expected \[6\]"),
        ("gru.weight_hh_l1", (6, 2), "layer 1: found no weight_ih"),
    ],
)
def test_a_state_dict_that_is_no_such_network_is_refused_by_name(key, shape, naming, tmp_path):
    state = {
        "gru.weight_ih_l0": np.zeros((6, 3), np.float32),
        "gru.weight_hh_l0": np.zeros((6, 2), np.float32),
        "head.weight": np.zeros((1, 2), np.float32),
    }
    file = tmp_path / "network.safetensors"
    save_file({**state, key: np.zeros(shape, np.float32)}, file)
    with pytest.raises(ValueError, match=naming) as error:
        read_network(file)
    assert str(error.value).startswith(str(file))


def test_what_is_not_finite_is_refused(tmp_path):
    file = tmp_path / "network.safetensors"
    state = {"weight_ih_l0": np.full((6, 3), np.nan), "weight_hh_l0": np.zeros((6, 2))}
    save_file(state, file)
    with pytest.raises(ValueError, match="layer 0 weight_x: found a value that is not finite"):
        read_network(file)


def test_a_pickled_module_is_never_unpickled(tmp_path):
    file = tmp_path / "module.pt"
    torch.save(torch.nn.GRU(2, 3), file)
    with pytest.raises(ValueError, match=r"expected tensors alone: what torch\.save\(module\.st"):
        read_network(file)


@pytest.mark.parametrize("name", ["broken.pt", "broken.onnx", "broken.safetensors"])
def test_a_broken_file_is_refused(name, tmp_path):
    file = tmp_path / name
    file.write_bytes(b"neither this nor that")
    with pytest.raises(ValueError, match=name):
        read_network(file)


def test_unknown_and_missing_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"found suffix '\.h5', expected \.keras or \.onnx"):
        read_network(tmp_path / "network.h5")
    with pytest.raises(ValueError, match="found No such file"):
        read_network(tmp_path / "network.onnx")


def saved(model, folder):
    file = folder / "network.onnx"
    onnx.save(model, str(file))
    return file


NODES = [("GRU",), ("LSTM",), ("GRU", "LSTM")]


@pytest.mark.parametrize("kinds", NODES, ids=" ".join)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(
    ("outputs", "layers", "tail"),
    [(3, 1, ()), (None, 2, ()), (2, 2, ("Identity", "Softmax")), (2, 1, ("Softmax", "Identity"))],
)
def test_a_graph_computes_what_onnxruntime_does(
    outputs, layers, tail, batch_first, kinds, tmp_path
):
    model = recurrent_graph(
        np.random.default_rng(layers),
        4,
        5,
        outputs,
        layers,
        kinds=kinds,
        batch_first=batch_first,
        tail=tail,
    )
    network = read_network(saved(model, tmp_path))
    frames = random_frames(4)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    given = frames.astype(np.float32)[None if batch_first else slice(None), :]
    (expected,) = session.run(None, {"frames": given if batch_first else given[:, None]})
    found = network.run(frames)
    if tail:
        found = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    assert np.abs(found - expected.reshape(found.shape)).max() < 1e-5


@pytest.mark.filterwarnings("ignore")  # of the exporter, against itself
@pytest.mark.parametrize("kind", KINDS)
def test_what_torch_exports_is_read(kind, tmp_path):
    """Its tracing exporter fills the initial state with zeros that it computes."""
    torch.manual_seed(1)
    module = Network(3, 4, 2, 2, kind, batch_first=True)
    file = tmp_path / "network.onnx"
    torch.onnx.export(
        module,
        (torch.zeros(1, 9, 3),),
        str(file),
        dynamo=False,
        input_names=["frames"],
        dynamic_axes={"frames": {1: "time"}},
    )
    frames = random_frames(3)
    with torch.no_grad():
        expected = module(torch.from_numpy(frames[None]).float())[0].numpy()
    assert np.abs(read_network(file).run(frames) - expected).max() < 1e-5


@pytest.mark.parametrize(
    ("changes", "naming"),
    [
        ({"linear_before_reset": 0}, "GRU 'gru0': found the reset gate before the product"),
        ({"direction": "bidirectional"}, "GRU 'gru0': found bidirectional, expected one direction"),
        ({"direction": "reverse"}, "GRU 'gru0': found reverse"),
        ({"activations": ["HardSigmoid", "Tanh"]}, "activations HardSigmoid, Tanh"),
        ({"clip": 3.0}, "found clip 3, expected none"),
        (
            {"kinds": ("LSTM",), "direction": "bidirectional"},
            "LSTM 'lstm0': found bidirectional, expected one direction",
        ),
        (
            {"kinds": ("LSTM",), "activations": ["Sigmoid", "Tanh", "Relu"]},
            "activations Sigmoid, Tanh, Relu, expected Sigmoid, Tanh, Tanh",
        ),
        ({"kinds": ("LSTM",), "input_forget": 1}, "found an input gate that is 1 - f"),
        ({"kinds": ("LSTM",), "clip": 2.0}, "found clip 2, expected none"),
    ],
)
def test_a_graph_that_is_no_such_network_is_refused_by_name(changes, naming, tmp_path):
    model = recurrent_graph(np.random.default_rng(1), 3, 4, 2, **changes)
    with pytest.raises(ValueError, match=naming):
        read_network(saved(model, tmp_path))


def test_a_graph_that_moves_features_apart_is_refused(tmp_path):
    """Every node is one that may be there; together they compute something else."""
    model = recurrent_graph(np.random.default_rng(1), 3, 3)
    turned = onnx.helper.make_node("Transpose", ["frames"], ["swapped"], perm=[2, 1, 0])
    model.graph.node.insert(0, turned)
    model.graph.node[1].input[0] = "swapped"
    with pytest.raises(ValueError, match="expected a graph that is recurrent layers and a"):
        read_network(saved(model, tmp_path))


@pytest.mark.parametrize(("kind", "others"), [("GRU", 1), ("LSTM", 1), ("LSTM", 2)])
def test_an_initial_state_that_is_an_input_is_0_at_reset(kind, others, tmp_path):
    """Both h and an LSTM's c."""
    model = recurrent_graph(np.random.default_rng(1), 3, 4, 2, kinds=(kind,))
    node = model.graph.node[0]
    node.input.extend([*others * [""], "start"])
    model.graph.input.append(
        onnx.helper.make_tensor_value_info("start", onnx.TensorProto.FLOAT, [1, 1, 4])
    )
    found = read_file(saved(model, tmp_path))
    assert found.states == ("start",)
    del model.graph.input[1], node.input[-1]
    frames = random_frames(3)
    other = read_network(saved(model, tmp_path))
    assert (found.network.run(frames) == other.run(frames)).all()


def test_an_initial_cell_that_is_not_0_is_refused(tmp_path):
    model = recurrent_graph(np.random.default_rng(1), 3, 4, 2, kinds=("LSTM",))
    start = np.full((1, 1, 4), 0.5, np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(start, "start"))
    model.graph.node[0].input.extend(["", "", "start"])
    with pytest.raises(ValueError, match="initial state that is not 0, expected the state at 0"):
        read_network(saved(model, tmp_path))


def test_peepholes_are_refused(tmp_path):
    model = recurrent_graph(np.random.default_rng(1), 3, 4, 2, kinds=("LSTM",))
    peepholes = np.ones((1, 12), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(peepholes, "p"))
    model.graph.node[0].input.extend(["", "", "", "p"])
    with pytest.raises(ValueError, match="LSTM 'lstm0': found peepholes P, expected an LSTM with"):
        read_network(saved(model, tmp_path))

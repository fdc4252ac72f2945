"""What an importer does with files that are broken, hostile or no files."""

import io
import os
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
h5py = pytest.importorskip("h5py")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

# Keras' own variables, on NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

from tests.fuzz_importers import fuzz  # noqa: E402
from tests.mutations_import import KINDS, packed, unpacked  # noqa: E402
from tests.onnx_graphs import recurrent_graph  # noqa: E402
from train import importers  # noqa: E402
from train.importers import read_network  # noqa: E402
from train.importers.suspicion import FILE_BYTES, VALUES  # noqa: E402


def refused(path, naming=None):
    """The refusal of a file, which is one short line that begins with it."""
    with pytest.raises(ValueError, match=naming) as error:
        read_network(path)
    text = str(error.value)
    assert text.startswith(str(path))
    assert len(text) <= 300
    assert text.isprintable()
    return text


@pytest.mark.parametrize("kind", KINDS)
def test_mutants_are_accepted_or_refused_in_one_line(kind):
    report = fuzz(kind, 150, seed=7)
    assert report.violations == []
    assert report.mutants == 150
    assert report.accepted > 10
    assert report.refused > 50


# What is no file.


def test_what_never_ends_is_not_read(tmp_path):
    device, pipe = tmp_path / "zero.onnx", tmp_path / "pipe.keras"
    device.symlink_to("/dev/zero")
    os.mkfifo(pipe)
    for path, kind in ((device, "a character device"), (pipe, "a FIFO")):
        refused(path, f"found {kind}, expected a network")


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "network.pt").mkdir()
    refused(tmp_path / "network.pt", "found Is a directory, expected a network")


@pytest.mark.parametrize("suffix", importers.READERS)
def test_a_large_file_is_not_read(suffix, tmp_path):
    path = tmp_path / f"network{suffix}"
    with path.open("wb") as file:
        file.truncate(12 << 30)
    assert (
        peak_of(lambda: refused(path, "found 12,884,901,888 bytes, expected a network")) < 1 << 20
    )


def test_a_name_is_shown_in_one_line(tmp_path):
    path = tmp_path / "a\x1b[31m\nb.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"a\\x1b\[31m\\nb\.onnx: found no ONNX model"):
        read_network(path)
    path = tmp_path / ("long" * 50 + ".onnx")
    with pytest.raises(ValueError, match=r"^\.\.\..*longlong\.onnx: found No such file"):
        read_network(path)


# The border.


@pytest.mark.parametrize(
    "error",
    [
        IndexError("list index out of range"),
        MemoryError(),
        RecursionError("too deep"),
        ZeroDivisionError("by zero"),
        zipfile.BadZipFile("\x1b[31m several\nlines " + "and words " * 100),
        ValueError("of NumPy"),
        BaseException("a panic of a library in Rust"),
    ],
)
def test_whatever_a_reader_raises_is_one_line(error, tmp_path, monkeypatch):
    path = tmp_path / "network.onnx"
    path.write_bytes(b"x")

    def read(given):
        raise error

    monkeypatch.setattr("train.importers.onnx_graph.read", read)
    text = refused(path, f"found what no reader understands \\({type(error).__name__}")
    assert text.endswith("expected a whole file, as its framework wrote it")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_none_of_the_files(error, tmp_path, monkeypatch):
    path = tmp_path / "network.onnx"
    path.write_bytes(b"x")

    def read(given):
        raise error

    monkeypatch.setattr("train.importers.onnx_graph.read", read)
    with pytest.raises(error):
        read_network(path)


def test_a_reader_warns_of_nothing(tmp_path, monkeypatch):
    path = tmp_path / "network.onnx"
    path.write_bytes(b"x")

    def read(given):
        warnings.warn("of a library", stacklevel=1)
        raise ValueError(f"{given.source}: found {np.float64(1e300) * 1e300}, expected less")

    monkeypatch.setattr("train.importers.onnx_graph.read", read)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(path, ": found inf, expected less$")


# ONNX.


def peak_of(action):
    """Bytes that an action had at once, NumPy's included."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def graph(**options):
    return recurrent_graph(np.random.default_rng(1), 3, 4, 2, **options)


def saved(model, folder, name="network.onnx"):
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(("axis", "size"), [(0, 5 * 10**7), (1, 2 * 10**7), (0, 100), (1, 3)])
def test_a_fixed_axis_costs_nothing(axis, size, tmp_path):
    model = graph()
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    path = saved(model, tmp_path)
    free = read_network(saved(graph(), tmp_path, "free.onnx"))
    fixed = []
    assert peak_of(lambda: fixed.append(read_network(path))) < 1 << 24
    frames = np.random.default_rng(2).normal(size=(9, 3))
    assert (fixed[0].run(frames) == free.run(frames)).all()


def inserted(*nodes, **constants):
    """The state at the beginning has the shape of what the last node makes, and is 0."""
    model = graph()
    shaped = [
        helper.make_node("Shape", [nodes[-1].output[0]], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["start"]),
    ]
    model.graph.node[0].input.extend(["", "start"])
    for node in reversed([*nodes, *shaped]):
        model.graph.node.insert(0, node)
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return model


@pytest.mark.parametrize(
    "model",
    [
        lambda: inserted(helper.make_node("ConstantOfShape", ["n"], ["x"]), n=[1 << 30]),
        lambda: inserted(helper.make_node("Expand", ["axis", "n"], ["x"]), n=[1 << 16, 1 << 14]),
        lambda: inserted(
            *(helper.make_node("Concat", [f"c{n}"] * 2, [f"c{n + 1}"], axis=0) for n in range(40)),
            c0=[1],
        ),
        lambda: inserted(
            helper.make_node("Expand", ["axis", "n"], ["c0"]),
            *(helper.make_node("Cast", [f"c{n}"], [f"c{n + 1}"], to=11) for n in range(60)),
            n=[1 << 20],
        ),
        lambda: inserted(
            helper.make_node("Gather", ["n", "n"], ["x"], axis=1),
            n=np.zeros((1 << 13, 1), np.int64),
        ),
    ],
    ids=["ConstantOfShape", "Expand", "Concat", "Cast", "Gather"],
)
def test_what_a_graph_computes_on_the_way_is_bounded(model, tmp_path):
    path = saved(model(), tmp_path)
    text = []
    peak = peak_of(lambda: text.append(refused(path)))
    assert "33,554,432 values on the way" in text[0]
    assert peak < 300 << 20


def test_a_declared_size_is_not_believed(tmp_path):
    model = graph()
    model.graph.initializer.append(TensorProto(data_type=1, name="x", dims=[VALUES, 4]))
    refused(saved(model, tmp_path), r"'x': found shape \[16777216, 4\], expected at most 16,777")


def external(tensor, place):
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    return tensor


def test_data_in_another_file_is_refused_wherever_it_is_named(tmp_path):
    model = graph()
    external(model.graph.initializer[1], "../secret")
    refused(
        saved(model, tmp_path),
        "'w0': found data in another file, '../secret', expected a plain file in",
    )
    tensor = external(TensorProto(data_type=1, name="c", dims=[4]), "/etc/passwd")
    node = helper.make_node("Constant", [], ["c"], name="k")
    node.attribute.append(helper.make_attribute("value", tensor))
    model = graph()
    model.graph.node.insert(0, node)
    refused(saved(model, tmp_path), "node Constant 'k', 'value': found data in another file")


def test_what_leads_to_no_output_is_no_part_of_the_network(tmp_path):
    model = graph()
    assert len(read_network(saved(model, tmp_path)).layers) == 2
    model.graph.output[0].name = "s0"
    assert len(read_network(saved(model, tmp_path)).layers) == 1
    model.graph.output[0].name = "axis"
    refused(saved(model, tmp_path), "found no GRU or LSTM but within an If or behind every out")


def test_outputs_that_are_put_in_another_order_are_refused(tmp_path):
    model = graph()
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 0]), "order"))
    model.graph.node.append(helper.make_node("Gather", ["logits", "order"], ["swapped"], axis=-1))
    model.graph.output[0].name = "swapped"
    refused(saved(model, tmp_path), "found results that differ by")


def of(model, name, value):
    """Sets an attribute of the first node."""
    (attribute,) = (a for a in model.graph.node[0].attribute if a.name == name)
    attribute.i = value


def resized(model, axis, size):
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size


def changed(change):
    model = graph()
    change(model)
    return model


@pytest.mark.parametrize(
    ("change", "naming"),
    [
        (lambda m: m.graph.node[0].input.extend(["n"]), "'gru0': found sequence lengths"),
        (
            lambda m: setattr(m.graph.node[0], "domain", "x\x1b"),
            r"No opset import for domain 'x\\x1b'",
        ),
        (lambda m: m.functions.add(), "found functions of its own"),
        (lambda m: m.graph.sparse_initializer.add(), "found sparse weights"),
        (lambda m: m.graph.initializer.append(m.graph.initializer[1]), "'w0': found two tensors"),
        (lambda m: setattr(m.opset_import[0], "version", 5), "found opset 5, expected 7 to"),
        (lambda m: of(m, "hidden_size", 9), "hidden_size 9, expected 4"),
        (lambda m: of(m, "linear_before_reset", 1 << 31), "linear_before_reset 2147483648, exp"),
        (lambda m: resized(m, 1, 0), "input 'frames': found a size below 1, expected sizes from"),
        (lambda m: setattr(m.graph.node[0], "op_type", "\x1b[2J"), r"node \\x1b\[2J 'gru0'|valid"),
        (lambda m: setattr(m.graph.initializer[1], "data_type", 3), "what no reader understands"),
        (
            lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[2], "dim_value", 5),
            "input 'frames': found 5 features|no valid ONNX model",
        ),
    ],
)
def test_graphs_that_mean_something_else_are_refused(change, naming, tmp_path):
    model = changed(change)
    if model.graph.node[0].input[-1] == "n":
        model.graph.initializer.append(numpy_helper.from_array(np.array([7], np.int32), "n"))
    refused(saved(model, tmp_path), naming)


def test_a_layer_of_frames_without_their_batch_is_refused(tmp_path):
    """The reference takes them; onnxruntime does not."""
    model = graph(layers=2, kinds=("GRU", "LSTM"))
    del model.graph.node[1].input[1]
    refused(saved(model, tmp_path), "found frames of [12] dimensions in a LSTM")


# Keras.


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "m.keras"
    given = keras.Input((None, 3))
    layers = [keras.layers.GRU(4, return_sequences=True), keras.layers.Dense(2)]
    keras.Sequential([given, *layers]).save(path)
    return path.read_bytes()


KERNEL = "layers/dense/vars/0"


def with_kernel(data, write):
    """A .keras file whose read-out's kernel is what ``write(file)`` puts there."""
    members = dict(unpacked(data))
    stream = io.BytesIO(members["model.weights.h5"])
    with h5py.File(stream, "r+") as file:
        del file[KERNEL]
        write(file)
    members["model.weights.h5"] = stream.getvalue()
    return packed(members.items())


def virtual(file):
    layout = h5py.VirtualLayout((4, 2), "f4")
    layout[...] = h5py.VirtualSource("other.h5", "x", (4, 2))
    file.create_virtual_dataset(KERNEL, layout)


@pytest.mark.parametrize(
    ("write", "naming"),
    [
        (lambda f: f.create_dataset(KERNEL, (4, 2), "f4", external="other.h5"), "in another file"),
        (virtual, "found data put together of others, expected weights in the file"),
        (
            lambda f: f.__setitem__(KERNEL, h5py.ExternalLink("other.h5", "x")),
            "0: found an external link, expected weights in the file",
        ),
        (lambda f: f.__setitem__(KERNEL, h5py.SoftLink("/x")), "0: found a soft link, expected"),
        (
            lambda f: f.create_dataset(KERNEL, (1 << 16, 1 << 12), "f4", chunks=True),
            r"found shape \[65536, 4096\], expected at most 16,777,216 values",
        ),
        (
            lambda f: f.create_dataset(KERNEL, (1 << 12, 1 << 12), "f4"),
            "found an array in chunks, compressed or without its data",
        ),
        (
            lambda f: f.create_dataset(KERNEL, data=np.ones((4, 2)), compression="gzip"),
            "found an array in chunks, compressed or without its data",
        ),
        (lambda f: f.create_dataset(KERNEL, data=np.ones((4, 3))), r"variables \[4, 3\], \[2\], e"),
        (lambda f: f.create_dataset(KERNEL, data=np.ones((4, 2), "i4")), "found type int32, expec"),
        (lambda f: f.create_dataset(KERNEL, data=np.ones((4, 2), "i1")), "found type int8, expec"),
        (lambda f: f.create_group(KERNEL), "found no array"),
        (lambda f: None, r"found no 0 among '1', expected what model\.save"),
    ],
)
def test_hdf5_holds_its_weights_itself(write, naming, keras_file, tmp_path, monkeypatch):
    """What is elsewhere would be followed: it lies there, and is what is wanted."""
    monkeypatch.chdir(tmp_path)
    with h5py.File("other.h5", "w") as other:
        other["x"] = np.ones((4, 2), np.float32)
    path = tmp_path / "m.keras"
    path.write_bytes(with_kernel(keras_file, write))
    assert peak_of(lambda: refused(path, naming)) < 1 << 25


def test_a_layers_folder_that_is_a_link_is_refused(keras_file, tmp_path):
    members = dict(unpacked(keras_file))
    stream = io.BytesIO(members["model.weights.h5"])
    with h5py.File(stream, "r+") as file:
        file.move("layers/gru", "elsewhere")
        file["layers/gru"] = h5py.SoftLink("/elsewhere")
    members["model.weights.h5"] = stream.getvalue()
    (tmp_path / "m.keras").write_bytes(packed(members.items()))
    refused(tmp_path / "m.keras", "gru: found a soft link, expected weights in the file")


def bombed(data, method=zipfile.ZIP_DEFLATED):
    return packed([*unpacked(data), ("bomb", bytes(FILE_BYTES + 1))], method)


def test_an_archive_that_unpacks_to_too_much_is_refused(keras_file, tmp_path):
    file = io.BytesIO()
    torch.save(torch.nn.GRU(2, 3).state_dict(), file)
    for name, data in (("m.keras", keras_file), ("m.pt", file.getvalue())):
        path = tmp_path / name
        path.write_bytes(bombed(data))
        assert path.stat().st_size < 1 << 18
        assert peak_of(lambda path=path: refused(path, "bytes unpacked, expected at")) < 1 << 22
        path.write_bytes(packed(unpacked(data), zipfile.ZIP_LZMA))
        refused(path, "in an unusual compression, expected it stored or deflated")


# PyTorch.


def test_a_tensor_that_is_spread_over_its_storage_is_not_made(tmp_path):
    state = torch.nn.GRU(2, 3).state_dict() | {"head.weight": torch.zeros(1).expand(10**5, 10**5)}
    torch.save(state, tmp_path / "m.pt")
    peak = peak_of(lambda: refused(tmp_path / "m.pt", "10,000,000,045 values|values in tensors, m"))
    assert peak < 1 << 22


def test_what_is_pickled_is_named(tmp_path):
    path = tmp_path / "m.pt"
    torch.save(torch.nn.GRU(2, 3), path)
    refused(path, r"found pickled code \(torch\.nn\.modules\.rnn\.GRU\), expected tensors alone")
    torch.save({"epoch": 1, "\x1b[2J": 2, "opt": {}, "more": 3}, path)
    refused(path, r"a dict with keys 'epoch', '\\x1b\[2J', 'opt' and 1 more, expected a state_dict")
    torch.save([torch.ones(2)], path)
    refused(path, "found a list, expected a state_dict")
    torch.save(torch.nn.GRU(2, 3).state_dict(), path, _use_new_zipfile_serialization=False)
    refused(path, r"found PyTorch's format before 1\.6, expected what torch\.save")


@pytest.mark.filterwarnings("ignore")  # TorchScript is on its way out
def test_torchscript_is_named(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 3)).save(str(tmp_path / "m.pt"))
    refused(tmp_path / "m.pt", r"a TorchScript module, expected torch\.save\(torch\.jit\.load")


GRU = {"gru.weight_ih_l0": np.ones((12, 4)), "gru.weight_hh_l0": np.ones((12, 4))}


@pytest.mark.parametrize(
    ("more", "naming"),
    [
        ({"embedding.weight": (50, 4)}, r"embedding: found an embedding \[50, 4\], expected fram"),
        ({"table.weight": (50, 4)}, r"table: found a matrix \[50, 4\] that may also lie before"),
        ({"proj.weight": (4, 4), "proj.bias": (4,)}, r"a matrix \[4, 4\] that may also lie before"),
        ({"head.weight": (2, 5)}, r"head: found a matrix \[2, 5\], expected a read-out \[outputs,"),
        (
            {"embedding.weight": (50, 4), "head.weight": (2, 4)},
            r"found linear layers 'embedding' \[50, 4\], 'head' \[2, 4\], expected one read-out",
        ),
        ({"norm.weight": (4,), "norm.bias": (4,)}, r"norm\.weight: found a tensor \[4\], expect"),
        ({"bn.running_var": (4,)}, r"bn\.running_var: found a normalisation that may lie before"),
        ({"conv.weight": (4, 4, 3)}, r"conv\.weight: found a tensor \[4, 4, 3\], expected nn"),
        ({"attn.in_proj_weight": (12, 4)}, r"attn\.in_proj_weight: found a tensor \[12, 4\]"),
        ({"head.weight_g": (2, 1), "head.weight_v": (2, 4)}, r"head\.weight_[gv]: found a tensor"),
        ({"gru.weight_hh_l0_g": (12, 1)}, r"gru\.weight_hh_l0_g: found a tensor \[12, 1\]"),
        (
            {"head.parametrizations.weight.original0": (2, 1)},
            r"head\.parametrizations\.weight\.original0: found a tensor \[2, 1\]",
        ),
        ({"head.bias": (2,)}, "head: found a bias without a weight"),
        ({"head.weight": (2, 4), "head.bias": (1,)}, r"head bias: found shape \[1\], expected \[2"),
        ({"gru.weight_ih_l2": (12, 4)}, r"gru\.layer 1: found none of its tensors, expected the"),
        ({"other.weight_ih_l0": (12, 4), "other.weight_hh_l0": (12, 4)}, "modules 'gru', 'other'"),
    ],
)
def test_a_read_out_is_only_what_can_be_nothing_else(more, naming, tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({**GRU, **{key: np.ones(shape) for key, shape in more.items()}}, path)
    refused(path, naming)


def test_a_read_out_where_shapes_do_not_tell_is_known_by_its_name(tmp_path):
    path = tmp_path / "m.safetensors"
    for name in ("head", "fc", "fc_out", "linear", "decoder", "out", "fc2"):
        save_file({**GRU, f"model.{name}.weight": np.full((4, 4), 2.0)}, path)
        assert (read_network(path).layers[1].weight == 2).all()


def test_layers_are_in_order_where_a_file_keeps_none(tmp_path):
    """safetensors sorts by name: ten before two, and what comes first need not lie below."""
    path = tmp_path / "m.safetensors"
    module = torch.nn.GRU(2, 2, 12)
    save_file({key: value.numpy() for key, value in module.state_dict().items()}, path)
    for k, layer in enumerate(read_network(path).layers):
        assert (layer.weight_x == getattr(module, f"weight_ih_l{k}").detach().numpy()).all()
    below, above = torch.nn.GRU(2, 3), torch.nn.GRU(3, 5)
    parts = {"z": below, "a": above}
    state = {f"{n}.{key}": v.numpy() for n, m in parts.items() for key, v in m.state_dict().items()}
    save_file(state, path)
    assert [layer.units for layer in read_network(path).layers] == [3, 5]
    names = [(n, f"rnn.{n}.weight_{of}_l0") for n in (10, 9) for of in ("ih", "hh")]
    save_file({name: np.full((6, 2), n, np.float32) for n, name in names}, path)
    assert [layer.weight_x[0, 0] for layer in read_network(path).layers] == [9, 10]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_any_width_are_read_as_they_are(dtype, tmp_path):
    from safetensors.torch import save_file as save_torch

    state = {key: value.to(dtype) for key, value in torch.nn.GRU(2, 3).state_dict().items()}
    torch.save(state, tmp_path / "m.pt")
    save_torch(state, tmp_path / "m.safetensors")
    for name in ("m.pt", "m.safetensors"):
        (layer,) = read_network(tmp_path / name).layers
        assert (layer.weight_h == state["weight_hh_l0"].double().numpy()).all()
        assert (layer.bias_x == state["bias_ih_l0"].double().numpy()).all()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_tensors_of_integers_are_refused(suffix, tmp_path):
    from safetensors.torch import save_file as save_torch

    state = {"weight_ih_l0": torch.ones(6, 2, dtype=torch.int8), "weight_hh_l0": torch.ones(6, 2)}
    path = tmp_path / f"m{suffix}"
    (torch.save if suffix == ".pt" else save_torch)(state, path)
    refused(path, r"weight_ih_l0: found a tensor of (int8|I8) \[6, 2\], expected one of floats")

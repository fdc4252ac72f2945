"""Files that an importer may meet: small valid ones of each format, and what may befall them.

Everything is drawn by one ``random.Random``: the same seed makes the same files.
"""

import io
import json
import pickletools
import struct
import warnings
import zipfile

import numpy as np

WEIRD_INTEGERS = (0, 1, -1, 2, 3, 7, 255, 2**16, 5 * 10**7, 2**31 - 1, 2**31, 2**62, 2**63 - 1)
WEIRD_FLOATS = (0.0, -1.0, 0.5, 1e-300, 1e30, 1e300, float("nan"), float("inf"), -float("inf"))
WEIRD_TEXTS = (
    "",
    "x",
    "../../etc/passwd",
    "/dev/zero",
    "\x1b[31mred",
    "a\nb\rc",
    "n\u202eame",
    "\x00",
    "long" * 400,
    "weight",
)
WORDS = {
    "onnx": "GRU LSTM RNN MatMul Add Gemm Cast Gather Reshape Slice Expand ConstantOfShape Concat "
    "Identity Softmax ArgMax Loop If Tile Squeeze Transpose frames axis w0 r0 b0 y0 s0 weight bias "
    "logits reverse bidirectional Relu Sub Div Mul BatchNormalization Sigmoid start h c "
    "ai.onnx com.microsoft",
    "keras": "GRU LSTM Dense Dropout InputLayer Bidirectional Functional Sequential tanh relu "
    "linear softmax sigmoid Normalization BatchNormalization "
    "TimeDistributed int8 int4 float8 gptq float16 keras custom",
    "torch": "gru.weight_ih_l0 gru.weight_hh_l0 gru.weight_ih_l1 head.weight head.bias emb.weight "
    "gru.bias_ih_l0_reverse weight state_dict model F32 BF16 I64 F8_E4M3",
}


def bytewise(source, data):
    """Bytes flipped, cut, lost, inserted, doubled or overwritten."""
    damaged = bytearray(data)
    for _ in range(source.choice((1, 1, 1, 2, 4, 16))):
        if not damaged:
            break
        place = source.randrange(len(damaged))
        size = source.choice((1, 1, 2, 4, 8, 32, 200))
        match source.randrange(8):
            case 0 | 1 | 2:
                damaged[place] ^= 1 << source.randrange(8)
            case 3:
                del damaged[place:]
            case 4:
                del damaged[place : place + size]
            case 5:
                damaged[place:place] = source.randbytes(size)
            case 6:
                damaged[place:place] = damaged[place : place + size]
            case 7:
                number = source.choice((0, 1, 255, 2**31 - 1, 2**32 - 1, 2**63, 2**64 - 1))
                width = source.choice((1, 2, 4, 8))
                piece = (number % 256**width).to_bytes(width, "little")
                damaged[place : place + width] = piece
    return bytes(damaged)


def weird(source, kind):
    """Any value that may stand in JSON."""
    return source.choice(
        (
            lambda: source.choice(WEIRD_INTEGERS),
            lambda: source.choice(WEIRD_FLOATS),
            lambda: source.choice(WEIRD_TEXTS),
            lambda: source.choice(WORDS[kind].split()),
            lambda: None,
            lambda: source.random() < 0.5,
            list,
            dict,
            lambda: [source.choice(WEIRD_INTEGERS)] * source.choice((1, 3, 50)),
            lambda: {source.choice(WEIRD_TEXTS): source.choice(WEIRD_INTEGERS)},
            lambda: 10 ** source.choice((20, 400)),
        )
    )()


def mutated_json(source, value, kind, changes):
    """``value`` with some of what is in it replaced, removed, doubled or put elsewhere."""
    value = json.loads(json.dumps(value))
    for _ in range(changes):
        places = []  # every container with every key

        def collect(node, places=places):
            keys = node if isinstance(node, dict) else range(len(node))
            for key in list(keys):
                places.append((node, key))
                if isinstance(node[key], dict | list):
                    collect(node[key])

        collect(value)
        if not places:
            return value
        node, key = source.choice(places)
        match source.randrange(7):
            case 0:
                del node[key]
            case 1 if isinstance(node, list):
                node.insert(key, json.loads(json.dumps(node[source.randrange(len(node))])))
            case 1 | 2:
                other, place = source.choice(places)
                node[key] = json.loads(json.dumps(other[place]))
            case 3 if isinstance(node, dict):
                node[source.choice(WEIRD_TEXTS)] = node.pop(key)
            case 4 if isinstance(node[key], int) and not isinstance(node[key], bool):
                node[key] += source.choice((-1, 1, 2))
            case _:
                node[key] = weird(source, kind)
    return value


def packed(members, compression=zipfile.ZIP_STORED):
    """A zip archive of these members: pairs, so that a name may come twice."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def unpacked(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def repacked(source, members):
    """The archive with members lost, doubled, renamed, swapped, swollen or compressed."""
    members = list(members)
    n = source.randrange(len(members))
    name, data = members[n]
    compression = zipfile.ZIP_STORED
    match source.randrange(9):
        case 0:
            del members[n]
        case 1:
            members.append((name + source.choice(("", "x")), data))
        case 2:
            members[n] = (source.choice(("config.json", "a/data.pkl", "../x", "x/y", "")), data)
        case 3:
            m = source.randrange(len(members))
            members[n], members[m] = (name, members[m][1]), (members[m][0], data)
        case 4:
            members[n] = (name, data + bytes(source.choice((1, 4096, 1 << 22))))
            compression = zipfile.ZIP_DEFLATED
        case 5:
            compression = source.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        case 6:
            members[n] = (name, data[: source.randrange(len(data) + 1)])
        case 7:  # what unpacks to 200 MiB
            members.append(("bomb", bytes(200 << 20)))
            compression = zipfile.ZIP_DEFLATED
        case 8:
            members[n] = (name, bytewise(source, data))
    return packed(members, compression)


class Onnx:
    """Graphs of tests/onnx_graphs.py, changed field by field."""

    suffixes = (".onnx",)

    def __init__(self):
        from tests.onnx_graphs import larger_graph, normalised_graph, recurrent_graph

        rng = np.random.default_rng(1)
        self.models = [
            recurrent_graph(rng, 3, 4, 2),
            recurrent_graph(rng, 3, 2, 2, 2, kinds=("GRU", "LSTM"), batch_first=True),
            recurrent_graph(rng, 3, 3, None, 1, kinds=("LSTM",)),
            recurrent_graph(rng, 3, 4, 3, 1, tail=("Identity", "Softmax")),
            self._like_torch(rng),
            larger_graph(rng, 3, 4, "GRU"),
            larger_graph(rng, 3, 4, "LSTM"),
            normalised_graph(rng, 3, 4, 2, "Sub Div"),
            normalised_graph(rng, 3, 4, 2, "BatchNormalization"),
            self._streaming(rng),
        ]
        self.seeds = [model.SerializeToString() for model in self.models]

    @staticmethod
    def _streaming(rng):
        """With states that come in and go out."""
        from onnx import TensorProto, helper

        from tests.onnx_graphs import recurrent_graph

        model = recurrent_graph(rng, 3, 4, 2, kinds=("LSTM",))
        node = model.graph.node[0]
        node.input.extend(["", "h", "c"])
        node.output.extend(["h_out", "c_out"])
        for name in ("h", "c"):
            info = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 4])
            model.graph.input.append(info)
            info = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, [1, 1, 4])
            model.graph.output.append(info)
        return model

    @staticmethod
    def _like_torch(rng):
        """With a state that the graph fills with zeros, and Gemm."""
        from onnx import TensorProto, helper, numpy_helper

        from tests.onnx_graphs import recurrent_graph

        model = recurrent_graph(rng, 3, 4, None, 1)
        graph = model.graph
        extra = [
            helper.make_node("Shape", ["frames"], ["shape"]),
            helper.make_node("Gather", ["shape", "axis"], ["batch"]),
            helper.make_node("Concat", ["axis", "batch", "units"], ["sizes"], axis=0),
            helper.make_node("ConstantOfShape", ["sizes"], ["start"]),
        ]
        for node in reversed(extra):
            graph.node.insert(0, node)
        graph.initializer.append(numpy_helper.from_array(np.array([4]), "units"))
        graph.node[4].input.extend(["", "start"])
        value = graph.node[-1].output[0]
        graph.initializer.append(
            numpy_helper.from_array(rng.normal(size=(2, 4)).astype(np.float32), "head")
        )
        last = helper.make_node("Gather", [value, "zero"], ["last"], axis=0)
        gemm = helper.make_node("Gemm", ["last", "head"], ["logits"], transB=1)
        graph.initializer.append(numpy_helper.from_array(np.array(-1), "zero"))
        graph.node.extend([last, gemm])
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2]))
        return model

    def mutant(self, source):
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(source.choice(self.models))
        way = source.randrange(8)
        if way == 0:
            return ".onnx", bytewise(source, model.SerializeToString())
        if way == 1:
            self._bomb(source, model)
        else:
            for _ in range(source.choice((1, 1, 1, 2, 3))):
                self._field(source, model)
        try:
            data = model.SerializeToString()
        except Exception:  # a text that is none
            data = bytewise(source, source.choice(self.seeds))
        if way == 2:
            data = bytewise(source, data)
        return ".onnx", data

    def _field(self, source, model):
        """Changes one field somewhere, as its type allows."""
        message = model
        while True:
            inner = [
                each
                for field, value in message.ListFields()
                if field.type == field.TYPE_MESSAGE
                for each in (value if field.is_repeated else (value,))
            ]
            if not inner or (source.random() < 0.15 and message is not model):
                break
            message = source.choice(inner)
            if message is model.opset_import and source.random() < 0.8:
                break
        set_fields = [field for field, _ in message.ListFields()]
        fields = list(message.DESCRIPTOR.fields)
        field = source.choice(set_fields if set_fields and source.random() < 0.8 else fields)
        value = getattr(message, field.name)
        if field.is_repeated:
            match source.randrange(5):
                case 0 if len(value):
                    del value[source.randrange(len(value))]
                case 1 if len(value):
                    n = source.randrange(len(value))
                    value.append(value[n]) if field.type != field.TYPE_MESSAGE else (
                        value.add().CopyFrom(value[n])
                    )
                case 2 if len(value) > 1:
                    items = [value[n] for n in range(len(value))]
                    if field.type == field.TYPE_MESSAGE:
                        items = [type(item).FromString(item.SerializeToString()) for item in items]
                    source.shuffle(items)
                    del value[:]
                    value.extend(items)
                case 3 if field.type == field.TYPE_MESSAGE:
                    value.add()
                case _ if field.type != field.TYPE_MESSAGE:
                    new = self._value(source, field, None)
                    if len(value) and source.random() < 0.8:
                        value[source.randrange(len(value))] = new
                    else:
                        value.append(new)
        elif field.type == field.TYPE_MESSAGE:
            message.ClearField(field.name) if source.random() < 0.5 else value.SetInParent()
        else:
            setattr(message, field.name, self._value(source, field, value))

    def _value(self, source, field, old):
        if field.type == field.TYPE_ENUM:
            return source.choice(field.enum_type.values).number
        if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
            value = source.choice(WEIRD_FLOATS)
            return max(min(value, 3e38), -3e38) if abs(value) < float("inf") else value
        if field.type == field.TYPE_STRING:
            words = WORDS["onnx"].split()
            return source.choice(words if source.random() < 0.7 else WEIRD_TEXTS)
        if field.type == field.TYPE_BYTES:
            if isinstance(old, bytes) and old and source.random() < 0.7:
                return bytewise(source, old)
            return source.choice((b"", b"x", b"forward", b"reverse", source.randbytes(12)))
        number = source.choice(WEIRD_INTEGERS)
        if isinstance(old, int) and source.random() < 0.4:
            number = old + source.choice((-1, 1))
        if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32):
            number = max(min(number, 2**31 - 1), 0)
        return max(number, 0) if field.cpp_type == field.CPPTYPE_UINT64 else number

    def _bomb(self, source, model):
        """Asks for memory or time, or for a file."""
        from onnx import TensorProto, helper, numpy_helper

        graph = model.graph
        huge = source.choice(([2**31], [10**5, 10**5], [10**6, 512], [2**62, 2], [5 * 10**7]))
        match source.randrange(9):
            case 0:
                dims = graph.input[0].type.tensor_type.shape.dim
                dims[source.randrange(len(dims))].dim_value = source.choice((5 * 10**7, 600, 100))
            case 1:
                graph.initializer.append(numpy_helper.from_array(np.array(huge), "huge"))
                graph.node.insert(0, helper.make_node("ConstantOfShape", ["huge"], ["large"]))
            case 2:
                graph.initializer.append(numpy_helper.from_array(np.array(huge), "huge"))
                graph.node.insert(0, helper.make_node("Expand", ["axis", "huge"], ["large"]))
            case 3:
                before = "axis"
                for n in range(source.choice((3, 30, 60))):
                    node = helper.make_node("Concat", [before, before], [f"c{n}"], axis=0)
                    graph.node.insert(n, node)
                    before = f"c{n}"
            case 4:
                tensor = TensorProto(data_type=source.choice((1, 7, 10, 11)), name="t", dims=huge)
                graph.initializer.append(tensor)
            case 5:
                for tensor in source.sample(list(graph.initializer), source.choice((1, 2))):
                    size = len(tensor.raw_data)
                    tensor.ClearField("raw_data")
                    tensor.data_location = TensorProto.EXTERNAL
                    places = ("../secret", "/etc/passwd", "data.bin", "/dev/zero", "mutant.onnx")
                    place = source.choice((*places, *["calibration.npy"] * 5))  # which is there
                    said = {"location": place, "offset": "128", "length": str(size)}
                    if source.random() < 0.4:
                        said[source.choice(("offset", "length", "checksum"))] = str(
                            source.choice((*WEIRD_INTEGERS, *WEIRD_TEXTS))
                        )
                    for key, value in said.items():
                        tensor.external_data.add(key=key, value=value)
            case 6:
                place = helper.make_node("Constant", [], ["k"])
                tensor = TensorProto(data_type=1, name="k", dims=[4])
                tensor.data_location = TensorProto.EXTERNAL
                tensor.external_data.add(key="location", value="/etc/passwd")
                place.attribute.append(helper.make_attribute("value", tensor))
                graph.node.insert(0, place)
            case 7:
                first = helper.make_node("Expand", ["axis", "huge"], ["e0"])
                graph.initializer.append(numpy_helper.from_array(np.array([4000, 1000]), "huge"))
                chain = [
                    helper.make_node("Cast", [f"e{n}"], [f"e{n + 1}"], to=source.choice((1, 7, 11)))
                    for n in range(source.choice((5, 400)))
                ]
                for node in reversed([first, *chain]):
                    graph.node.insert(0, node)
            case 8:
                body = helper.make_graph(list(graph.node), "b", [], list(graph.output))
                node = helper.make_node("If", ["axis"], ["z"], then_branch=body, else_branch=body)
                graph.node.append(node)


class Keras:
    """What Keras itself saved, its JSON and its HDF5 changed."""

    suffixes = (".keras",)

    @staticmethod
    def _normalised(keras, gru):
        """Before the layers and between them, and a head that is left to the host."""
        layers = keras.layers
        statistics = {"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 9.0]}
        return keras.Sequential(
            [
                keras.Input((None, 3)),
                layers.Normalization(**statistics),
                layers.BatchNormalization(),
                gru(3, name="gru"),
                layers.BatchNormalization(),
                layers.TimeDistributed(layers.Dense(2)),
                layers.ReLU(),
            ]
        )

    def __init__(self):
        import os
        import tempfile
        from pathlib import Path

        os.environ.setdefault("KERAS_BACKEND", "torch")
        import keras

        def gru(units, **options):
            return keras.layers.GRU(units, return_sequences=True, **options)

        given = keras.Input((None, 3))
        functional = keras.layers.Dense(2)(keras.layers.LSTM(3, return_sequences=True)(given))
        quantised = keras.Sequential([keras.Input((None, 3)), gru(3), keras.layers.Dense(2)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says of each layer that stays as it is
            quantised.quantize("int8")
        models = [
            keras.Sequential([keras.Input((None, 3)), gru(4), keras.layers.Dense(2)]),
            keras.Sequential([given, gru(3, use_bias=False), keras.layers.Dropout(0.1), gru(2)]),
            keras.Model(given, functional),
            quantised,
            self._normalised(keras, gru),
        ]
        self.seeds = []
        with tempfile.TemporaryDirectory() as folder:
            for model in models:
                path = Path(folder) / "m.keras"
                model.save(path)
                self.seeds.append(path.read_bytes())

    def mutant(self, source):
        data = source.choice(self.seeds)
        members = dict(unpacked(data))
        match source.randrange(10):
            case 0:
                return ".keras", bytewise(source, data)
            case 1:
                return ".keras", repacked(source, members.items())
            case 2 | 3 | 4 | 5:
                config = json.loads(members["config.json"])
                config = mutated_json(source, config, "keras", source.choice((1, 1, 2, 4)))
                members["config.json"] = json.dumps(config).encode()
            case 6:
                text = members["config.json"]
                deep = source.choice((b"[" * 3000, b'{"a":' * 100_000, b"9" * 5000, b"\xff"))
                place = source.randrange(len(text))
                members["config.json"] = text[:place] + deep + text[place:]
            case 7:
                members["model.weights.h5"] = bytewise(source, members["model.weights.h5"])
            case 8 | 9:
                members["model.weights.h5"] = self._hdf5(source, members["model.weights.h5"])
        return ".keras", packed(members.items())

    def _hdf5(self, source, data):
        """One variable replaced by something that is none, or not the one expected."""
        import h5py

        stream = io.BytesIO(data)
        with h5py.File(stream, "r+") as file:
            paths = []
            file.visititems(
                lambda name, item: paths.append(name) if isinstance(item, h5py.Dataset) else None
            )
            path = source.choice(paths)
            old = file[path][()]
            if source.random() < 0.15:  # a group on the way
                path = source.choice([path.rsplit("/", n)[0] for n in (1, 2)])
            del file[path]
            wrong = source.choice(((2**31, 1), (10**5, 10**4), (1,), (0, 3), (3, 3), (7,), ()))
            match source.randrange(11):
                case 0:
                    file[path] = h5py.ExternalLink(source.choice(("/etc/x.h5", "../y.h5")), "/")
                case 1:
                    file[path] = h5py.SoftLink(source.choice(["/", "/nowhere", *paths]))
                case 2:
                    shape, place = np.shape(old) or (1,), source.choice(("/etc/passwd", "../x"))
                    file.create_dataset(path, shape, "f4", external=[(place, 0, 4096)])
                case 3:
                    file.create_dataset(path, wrong or (2,), "f4", chunks=True)
                case 4:
                    file.create_dataset(path, (3000, 1000), "f4", compression="gzip", data=None)
                case 5:
                    layout = h5py.VirtualLayout(np.shape(old) or (1,), "f4")
                    layout[...] = h5py.VirtualSource("/etc/x.h5", "y", np.shape(old) or (1,))
                    file.create_virtual_dataset(path, layout)
                case 6 if np.prod(wrong or (1,)) < 100:
                    file.create_dataset(path, data=np.ones(wrong))
                case 7:
                    kind = source.choice(("f2", "f8", "i1", "u1", "i8", "S4", "c8", "?", "V2"))
                    file.create_dataset(path, np.shape(old), kind)
                case 8:
                    value = np.array(old, dtype=np.float64)
                    value.flat[source.randrange(max(value.size, 1))] = source.choice(WEIRD_FLOATS)
                    file[path] = value
                case 9:
                    file.create_group(path)
                case _:
                    pass
            if source.random() < 0.1:
                file[paths[0].rsplit("/", 1)[0] + "/9"] = np.ones(3)
        return stream.getvalue()


class Torch:
    """state_dicts as torch.save and safetensors write them, and their pickles changed."""

    suffixes = (".pt", ".pth", ".safetensors")

    def __init__(self):
        import torch
        from safetensors.numpy import save

        torch.manual_seed(1)
        gru, lstm = torch.nn.GRU(3, 4), torch.nn.LSTM(3, 3, 2)
        head = torch.nn.Linear(4, 2)
        state = {f"gru.{key}": value for key, value in gru.state_dict().items()}
        state |= {f"head.{key}": value for key, value in head.state_dict().items()}
        cell = {f"lstm.{key}": value for key, value in torch.nn.LSTMCell(3, 4).state_dict().items()}
        cell |= {f"norm.{key}": v for key, v in torch.nn.BatchNorm1d(3).state_dict().items()}
        self.states = [state, lstm.state_dict(), {"epoch": 3, "state_dict": state}]
        self.states += [{"model": {"ema": cell}, "net": state}, cell]
        self.seeds = [self._saved(each) for each in self.states]
        self.tensors = [save({k: v.numpy() for k, v in s.items()}) for s in self.states[:2]]
        legacy = io.BytesIO()
        torch.save(state, legacy, _use_new_zipfile_serialization=False)
        module = io.BytesIO()
        torch.save(gru, module)
        self.others = [legacy.getvalue(), module.getvalue()]

    @staticmethod
    def _saved(state):
        import torch

        file = io.BytesIO()
        torch.save(state, file)
        return file.getvalue()

    def mutant(self, source):
        way = source.randrange(16)
        suffix = source.choice((".pt", ".pth"))
        if way == 0:
            return suffix, bytewise(source, source.choice(self.seeds + self.others))
        if way == 1:
            return suffix, repacked(source, unpacked(source.choice(self.seeds)))
        if way <= 6:
            members = dict(unpacked(source.choice(self.seeds)))
            name = next(name for name in members if name.endswith("data.pkl"))
            members[name] = self._pickle(source, members[name])
            return suffix, packed(members.items())
        if way <= 11:
            return suffix, self._saved(self._state(source))
        return ".safetensors", self._safetensors(source)

    def _pickle(self, source, data):
        """Opcodes and what they are given, changed."""
        operations = [(op, argument, place) for op, argument, place in pickletools.genops(data)]
        ends = [place for _, _, place in operations[1:]] + [len(data)]
        n = source.randrange(len(operations))
        start = operations[n][2]
        end = ends[n]
        match source.randrange(8):
            case 0:
                return bytewise(source, data)
            case 1:
                return data[:start] + data[end:]
            case 2:
                return data[:end] + data[start:end] * source.choice((1, 3, 1000)) + data[end:]
            case 3:
                m = source.randrange(len(operations))
                other = data[operations[m][2] : ends[m]]
                return data[:start] + other + data[end:]
            case 4:
                numbers = [k for k, (each, _, _) in enumerate(operations) if "INT" in each.name]
                k = source.choice(numbers)
                value = source.choice((0, 1, 3, 2**16, 2**31 - 1, -1))
                new = b"J" + struct.pack("<i", value)
                if source.random() < 0.3:
                    new = b"\x8a\x08" + struct.pack("<q", source.choice((2**62, 10**11, -(2**62))))
                return data[: operations[k][2]] + new + data[ends[k] :]
            case 5:
                names = [k for k, (each, _, _) in enumerate(operations) if each.name == "GLOBAL"]
                k = source.choice(names)
                new = source.choice(
                    [
                        "torch HalfStorage",
                        "torch BFloat16Storage",
                        "torch LongStorage",
                        "torch QInt8Storage",
                        "torch._utils _rebuild_sparse_tensor",
                        "torch._utils _rebuild_parameter",
                        "torch._utils _rebuild_qtensor",
                        "torch._utils _rebuild_meta_tensor_no_storage",
                        "torch._utils _rebuild_nested_tensor",
                        "torch Tensor",
                        "torch Size",
                        "torch device",
                        "builtins bytearray",
                        "builtins set",
                        "collections Counter",
                        "os system",
                        "builtins eval",
                        "torch.nn.modules.rnn GRU",
                        "torch float32",
                    ]
                )
                line = b"c" + new.replace(" ", "\n").encode() + b"\n"
                return data[: operations[k][2]] + line + data[ends[k] :]
            case 6:
                texts = [
                    k for k, (each, _, _) in enumerate(operations) if each.name == "BINUNICODE"
                ]
                k = source.choice(texts)
                word = source.choice(WEIRD_TEXTS + tuple(WORDS["torch"].split())).encode()
                new = b"X" + struct.pack("<I", len(word)) + word
                return data[: operations[k][2]] + new + data[ends[k] :]
            case _:
                deep = source.choice((b"]" * 5000, b"(" * 5000, b"]q\x00" + b"h\x00a" * 2000))
                return data[:start] + deep + data[start:]

    def _state(self, source):
        """A state_dict that torch saves willingly."""

        state = dict(source.choice(self.states))
        inner = state.get("state_dict")
        part = dict(inner) if isinstance(inner, dict) else state
        if part is not state:
            state["state_dict"] = part
        for _ in range(source.choice((1, 1, 2))):
            if not part:
                break
            key = source.choice(list(part))
            names = WORDS["torch"].split()
            match source.randrange(4):
                case 0:
                    del part[key]
                case 1:
                    part[source.choice(names + list(WEIRD_TEXTS))] = part.pop(key)
                case 2:
                    part[source.choice(names)] = part[key]
                case 3:
                    part[key] = self._value(source)
        return state

    @staticmethod
    def _value(source):
        """What may stand where a tensor should."""
        import torch

        sizes = ((0,), (3,), (12, 4), (2, 4), (8, 4), (4, 2), (), (1, 1, 1), (16, 4))
        tensor = torch.randn(source.choice(sizes))
        kinds = (torch.float16, torch.bfloat16, torch.complex64, torch.int64)
        return source.choice(
            (
                lambda: torch.zeros(1).expand(*([100_000] * source.choice((1, 2)))),
                lambda: tensor,
                lambda: tensor.to(source.choice(kinds)),
                lambda: torch.randn(3, 3).to_sparse(),
                lambda: torch.quantize_per_tensor(torch.randn(2, 4), 0.1, 0, torch.qint8),
                lambda: torch.randn(4, 8).t(),
                lambda: torch.from_numpy(np.full((2, 4), source.choice(WEIRD_FLOATS))),
                lambda: weird(source, "torch"),
                lambda: torch.empty(3, 3, device="meta"),
                lambda: torch.nn.Parameter(tensor),
                lambda: {"a": torch.ones(2)},
            )
        )()

    def _safetensors(self, source):
        data = source.choice(self.tensors)
        if source.random() < 0.4:
            return bytewise(source, data)
        (size,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + size])
        header = json.dumps(
            mutated_json(source, header, "torch", source.choice((1, 1, 2)))
        ).encode()
        return struct.pack("<Q", len(header)) + header + data[8 + size :]


KINDS = {"onnx": Onnx, "keras": Keras, "torch": Torch}

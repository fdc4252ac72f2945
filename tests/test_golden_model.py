import hashlib
import json
import os
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from golden.fixed import Q
from golden.formats import Formats
from golden.kinds import KIND_NAMES
from golden.model import Model, accumulator_width
from golden.model_file import load_model, save_model
from golden.network import DeltaNetwork
from tests.networks import random_frames, random_model

# 3 inputs, GRU layers of 4 and of 5 units, a read-out of 2 results.
GOOD = replace(random_model((3, 4, 5), 2, theta=(2, 4)), labels=("left", "right"))


def parts(model: Model) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The record and the tensors of a model file, written down from docs/numerics.md."""
    formats = model.parameters.formats
    cell = any(layer.kind == "lstm" for layer in model.parameters.layers)
    record = {
        "version": 1 + any("shift" in vars(w) and w.shift is not None for w in model.weights),
        "name": model.name,
        "labels": list(model.labels),
        "formats": {
            name: [q.m, q.f] for name, q in vars(formats).items() if cell or name != "cell"
        },
        "layers": [
            {"kind": layer.kind, "weight_frac": layer.weight_frac, "theta_x": layer.theta_x}
            | ({"theta_h": layer.theta_h} if layer.recurrent else {})
            for layer in model.parameters.layers
        ],
    }
    tensors = {
        f"layers.{k}.{name}": value
        for k, weights in enumerate(model.weights)
        for name, value in vars(weights).items()
        if value is not None
    }
    return record, tensors


Change = Callable[[dict[str, Any], dict[str, np.ndarray]], None]


def put(value: object, *keys: str | int) -> Change:
    """record[keys[0]][keys[1]]... = value"""

    def change(record: Any, _tensors: dict[str, np.ndarray]) -> None:
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value

    return change


def drop(*keys: str | int) -> Change:
    def change(record: Any, _tensors: dict[str, np.ndarray]) -> None:
        for key in keys[:-1]:
            record = record[key]
        del record[keys[-1]]

    return change


def tensor(name: str, value: np.ndarray | None) -> Change:
    def change(_record: Any, tensors: dict[str, np.ndarray]) -> None:
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value

    return change


def linear_in_the_middle(record: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """Layer 1 becomes linear, with all that a linear layer needs."""
    record["layers"][1] = {"kind": "linear", "weight_frac": 6, "theta_x": 0}
    tensors["layers.1.weight_x"] = np.zeros((5, 4), dtype=np.int8)
    tensors["layers.1.bias"] = np.zeros(5, dtype=np.int32)
    del tensors["layers.1.weight_h"]


def zeros(dtype: type, *shape: int) -> np.ndarray:
    return np.zeros(shape, dtype=dtype)


INT8, INT32 = np.int8, np.int32
THETA = "an integer >= 0"
FRAC = "an integer from 0 to 15"
NAMES = "activation, state, gate, readout, preactivation"
PAIR = "[m, f], two integers from 0 to 30"

# What is wrong: how to make it so, and what a refusal says after the file's name.
BROKEN_RECORDS: dict[str, tuple[Change, str]] = {
    "no version": (drop("version"), "key 'version': found None, expected 1 or 2"),
    "version 3": (put(3, "version"), "key 'version': found 3, expected 1 or 2"),
    "version true": (put(True, "version"), "key 'version': found True, expected 1 or 2"),
    "version 1.0": (put(1.0, "version"), "key 'version': found 1.0, expected 1 or 2"),
    "version as text": (put("1", "version"), "key 'version': found '1', expected 1 or 2"),
    "no name": (drop("name"), "key 'name': found None, expected a text"),
    "an empty name": (put("", "name"), "key 'name': found '', expected a text"),
    "a name of numbers": (put(7, "name"), "key 'name': found 7, expected a text"),
    "no labels": (drop("labels"), "key 'labels': found nothing, expected a list of texts, or null"),
    "one label of two": (put(["left"], "labels"), "key 'labels': found 1 labels, expected 2"),
    "three labels of two": (put(list("abc"), "labels"), "key 'labels': found 3 labels, expected 2"),
    "labels in a text": (put("ab", "labels"), "key 'labels': found 'ab', expected a list"),
    "labels of numbers": (
        put([1, 2], "labels"),
        "key 'labels': found [1, 2], expected a list of texts, or null",
    ),
    "no formats": (drop("formats"), f"key 'formats': found None, expected an object with {NAMES}"),
    "formats in a list": (
        put([[3, 4]], "formats"),
        f"key 'formats': found [[3, 4]], expected an object with {NAMES}",
    ),
    "a format missing": (
        drop("formats", "gate"),
        f"key 'formats.gate': found None, expected {PAIR}",
    ),
    "a format too many": (
        put([0, 7], "formats", "weight"),
        f"key 'formats.weight': found a format, expected only {NAMES}",
    ),
    "a format as text": (
        put("Q3.4", "formats", "state"),
        f"key 'formats.state': found 'Q3.4', expected {PAIR}",
    ),
    "a format of one number": (
        put([3], "formats", "state"),
        f"key 'formats.state': found [3], expected {PAIR}",
    ),
    "a negative format": (
        put([-1, 4], "formats", "readout"),
        f"key 'formats.readout': found [-1, 4], expected {PAIR}",
    ),
    "a format of floats": (
        put([3.0, 4.0], "formats", "activation"),
        f"key 'formats.activation': found [3.0, 4.0], expected {PAIR}",
    ),
    "an activation too wide": (
        put([8, 8], "formats", "activation"),
        "width of format activation: found 17, expected an integer from 2 to 16",
    ),
    "tables too large": (
        put([8, 8], "formats", "preactivation"),
        "width of format preactivation: found 17, expected an integer from 2 to 16",
    ),
    "a state that would wrap": (
        put([30, 30], "formats", "state"),
        "bits of c + u * (h - c) with state Q30.30 and gate Q1.6: found 71, expected",
    ),
    "a gate without 1": (
        put([0, 7], "formats", "gate"),
        "format gate: found Q0.7, expected at least Q1.f, so that 1.0 fits",
    ),
    "no layers": (drop("layers"), "key 'layers': found None, expected a list"),
    "layers in an object": (put({}, "layers"), "key 'layers': found {}, expected a list"),
    "a layer that is no object": (
        put("gru", "layers", 1),
        "key 'layers[1]': found 'gru', expected an object",
    ),
    "a layer less than tensors": (
        drop("layers", 2),
        "tensor 'layers.2.bias': found a tensor, expected none of that name in these layers",
    ),
    "an unknown kind": (
        put("rnn", "layers", 0, "kind"),
        f"key 'layers[0].kind': found 'rnn', expected {KIND_NAMES}",
    ),
    "no kind": (
        drop("layers", 1, "kind"),
        f"key 'layers[1].kind': found None, expected {KIND_NAMES}",
    ),
    "an LSTM layer, of which nobody says what it keeps": (
        put("lstm", "layers", 0, "kind"),
        f"key 'formats.cell': found None, expected {PAIR}",
    ),
    "a cell without an LSTM layer": (
        put([3, 12], "formats", "cell"),
        f"key 'formats.cell': found a format, expected only {NAMES}",
    ),
    "linear in the middle": (
        linear_in_the_middle,
        "layers: found ['gru', 'linear', 'linear'], "
        "expected one or more recurrent layers, then at most one linear layer",
    ),
    "theta_h in the read-out": (
        put(3, "layers", 2, "theta_h"),
        "key 'layers[2]': theta_h: found 3, expected no theta_h in a linear layer",
    ),
    **{
        f"{key} {value!r}": (
            put(value, "layers", 1, key),
            f"key 'layers[1]': {key}: found {value!r}, expected {expected}",
        )
        for key, expected, values in (
            ("theta_x", THETA, (-1, 1.5, 2.0, True, None, "2", [2])),
            ("theta_h", THETA, (-3, 0.5, False, None)),
            ("weight_frac", FRAC, (-1, 16, 2.5, True, None)),
        )
        for value in values
    },
    "no theta_x": (
        drop("layers", 2, "theta_x"),
        f"key 'layers[2]': theta_x: found None, expected {THETA}",
    ),
    "a tensor missing": (
        tensor("layers.0.weight_h", None),
        "tensor 'layers.0.weight_h': found nothing, expected I8 [12, 4]",
    ),
    "a bias missing": (
        tensor("layers.2.bias", None),
        "tensor 'layers.2.bias': found nothing, expected I32 [2]",
    ),
    "a tensor too many": (
        tensor("layers.2.weight_h", zeros(INT8, 2, 2)),
        "tensor 'layers.2.weight_h': found a tensor, expected none of that name in these layers",
    ),
    "a tensor of another name": (
        tensor("optimizer", zeros(INT8, 2)),
        "tensor 'optimizer': found a tensor, expected none of that name in these layers",
    ),
    "weights of floats": (
        tensor("layers.0.weight_x", zeros(np.float32, 12, 3)),
        "tensor 'layers.0.weight_x': found F32, expected I8 [*, *]",
    ),
    "unsigned weights": (
        tensor("layers.1.weight_h", zeros(np.uint8, 15, 5)),
        "tensor 'layers.1.weight_h': found U8, expected I8 [15, 5]",
    ),
    "a wide bias": (
        tensor("layers.1.bias", zeros(np.int64, 20)),
        "tensor 'layers.1.bias': found I64, expected I32 [20]",
    ),
    "weights as wide as a bias": (
        tensor("layers.2.weight_x", zeros(INT32, 2, 5)),
        "tensor 'layers.2.weight_x': found I32, expected I8 [*, 5]",
    ),
    "weights without axes": (
        tensor("layers.0.weight_x", zeros(INT8, 36)),
        "tensor 'layers.0.weight_x': found I8 [36], expected I8 [*, *]",
    ),
    "rows of no three gates": (
        tensor("layers.0.weight_x", zeros(INT8, 13, 3)),
        "tensor 'layers.0.weight_x': found 13 rows, expected rows r, u, c",
    ),
    "no rows": (
        tensor("layers.0.weight_x", zeros(INT8, 0, 3)),
        "tensor 'layers.0.weight_x': found I8 [0, 3], expected I8 [*, *]",
    ),
    "no inputs": (
        tensor("layers.0.weight_x", zeros(INT8, 12, 0)),
        "tensor 'layers.0.weight_x': found I8 [12, 0], expected I8 [*, *]",
    ),
    "a recurrent matrix that is not square": (
        tensor("layers.0.weight_h", zeros(INT8, 12, 5)),
        "tensor 'layers.0.weight_h': found I8 [12, 5], expected I8 [12, 4]",
    ),
    "a bias without hc": (
        tensor("layers.0.bias", zeros(INT32, 12)),
        "tensor 'layers.0.bias': found I32 [12], expected I32 [16]",
    ),
    "a bias with an axis too many": (
        tensor("layers.0.bias", zeros(INT32, 4, 4)),
        "tensor 'layers.0.bias': found I32 [4, 4], expected I32 [16]",
    ),
    "two layers that do not fit": (
        tensor("layers.1.weight_x", zeros(INT8, 15, 3)),
        "tensor 'layers.1.weight_x': found I8 [15, 3], expected I8 [*, 4]",
    ),
    "a read-out that does not fit": (
        tensor("layers.2.weight_x", zeros(INT8, 2, 4)),
        "tensor 'layers.2.weight_x': found I8 [2, 4], expected I8 [*, 5]",
    ),
}


def no_layers_at_all(path: Path, _content: bytes) -> None:
    record = parts(GOOD)[0] | {"layers": []}
    path.write_bytes(save({}, {"deltarnn": json.dumps(record)}))


def metadata(text: str | None) -> Callable[[Path, bytes], None]:
    def write(path: Path, _content: bytes) -> None:
        path.write_bytes(save(parts(GOOD)[1], None if text is None else {"deltarnn": text}))

    return write


class Bomb:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def pickled(path: Path, _content: bytes) -> None:
    path.write_bytes(pickle.dumps(Bomb(path.with_name("unpickled"))))


def bfloat16(path: Path, content: bytes) -> None:
    """NumPy has no such type, so the file is put together by hand: half as many rows, as wide."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["layers.0.weight_x"] |= {"dtype": "BF16", "shape": [6, 3]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


JSON_KEY = "__metadata__['deltarnn']"
FILE = "model file: found no safetensors"
READABLE = "expected a readable safetensors file"

# The same for files that are wrong as files.
BROKEN_FILES: dict[str, tuple[Callable[[Path, bytes], object], str]] = {
    "a missing file": (
        lambda path, _: None,
        f"model file: found No such file or directory, {READABLE}",
    ),
    "a folder": (lambda path, _: path.mkdir(), f"model file: found Is a directory, {READABLE}"),
    "an empty file": (lambda path, _: path.touch(), FILE),
    "a pickled file": (pickled, FILE),
    "a text": (lambda path, _: path.write_text("[1, 2, 3]\n" * 9), FILE),
    "a file cut in its header": (lambda path, content: path.write_bytes(content[:100]), FILE),
    "a file cut in its tensors": (lambda path, content: path.write_bytes(content[:-1]), FILE),
    "a file with a tail": (lambda path, content: path.write_bytes(content + b"\0"), FILE),
    "no metadata": (
        metadata(None),
        f"{JSON_KEY}: found nothing, expected the JSON record of a deltarnn model",
    ),
    "metadata that is no JSON": (
        metadata("{'version': 1}"),
        f"{JSON_KEY}: found no JSON (Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)), expected a JSON object",
    ),
    "metadata in a list": (metadata("[1]"), f"{JSON_KEY}: found list, expected a JSON object"),
    "metadata null": (metadata("null"), f"{JSON_KEY}: found NoneType, expected a JSON object"),
    "metadata nested without end": (metadata("[" * 100_000), f"{JSON_KEY}: found no JSON ("),
    "metadata with an endless number": (metadata("1" * 5000), f"{JSON_KEY}: found no JSON ("),
    "no layers at all": (
        no_layers_at_all,
        "layers: found [], expected one or more recurrent layers, then at most one linear layer",
    ),
    "a type that NumPy lacks": (
        bfloat16,
        "tensor 'layers.0.weight_x': found BF16, expected I8 [*, *]",
    ),
}

BROKEN = [*BROKEN_RECORDS, *BROKEN_FILES]


def write_broken(case: str, path: Path) -> str:
    """Writes the model file of one case; the text of its refusal, after the file's name."""
    record, tensors = parts(GOOD)
    if case in BROKEN_RECORDS:
        change, text = BROKEN_RECORDS[case]
        change(record, tensors)
        path.write_bytes(save(tensors, {"deltarnn": json.dumps(record)}))
    else:
        write, text = BROKEN_FILES[case]
        write(path, save(tensors, {"deltarnn": json.dumps(record)}))
    return text


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_by_name(case, tmp_path):
    path = tmp_path / "broken.safetensors"
    text = write_broken(case, path)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {text}')}") as caught:
        load_model(path)
    assert ", expected " in str(caught.value)
    assert not (tmp_path / "unpickled").exists()


def assert_equal(loaded: Model, expected: Model) -> None:
    for name in ("name", "labels", "parameters", "extra"):
        assert getattr(loaded, name) == getattr(expected, name)
    for a, b in zip(loaded.weights, expected.weights, strict=True):
        assert type(a) is type(b)
        for key, value in vars(b).items():
            found = getattr(a, key)
            assert (found is None) == (value is None)
            if value is not None:
                assert found.dtype == value.dtype
                assert np.array_equal(found, value)


@pytest.mark.parametrize(
    "model",
    [
        GOOD,
        random_model((1, 1)),
        random_model((7, 3, 9), formats=Formats(state=Q(1, 14), activation=Q(2, 5))),
        random_model((7, 3, 9, 4), 2, kinds=("lstm", "gru"), formats=Formats(cell=Q(2, 9))),
        replace(GOOD, labels=None, extra={"scores": {"float": 0.5}, "notes": ["π", None]}),
        random_model((7, 3, 9, 4), 2, kinds=("lstm", "gru"), shifts=2),
    ],
    ids=["read-out", "one unit", "wide state", "both kinds", "more keys", "row shifts"],
)
def test_what_was_saved_is_read_back(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(model, path)
    loaded = load_model(path)
    assert_equal(loaded, model)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    frames = random_frames(model, 30)
    outputs = [DeltaNetwork(m).run(frames).outputs for m in (model, loaded)]
    assert (outputs[0] == outputs[1]).all()


def test_the_same_model_gives_the_same_bytes(tmp_path):
    paths = [tmp_path / name for name in ("first", "second", "again")]
    save_model(GOOD, paths[0])
    save_model(GOOD, paths[1])
    save_model(load_model(paths[0]), paths[2])
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_file_written_from_the_page_is_read(tmp_path):
    record, tensors = parts(GOOD)
    record["trained_by"] = {"seed": 1}  # a reader ignores what it does not know, and keeps it
    record["layers"][0]["note"] = "hello"
    path = tmp_path / "model.safetensors"
    path.write_bytes(save(tensors, {"deltarnn": json.dumps(record), "format": "np"}))
    assert_equal(load_model(path), replace(GOOD, extra={"trained_by": {"seed": 1}}))


def test_weights_in_another_memory_order_are_written_alike(tmp_path):
    turned = tuple(
        type(w)(**{name: np.asfortranarray(v) for name, v in vars(w).items() if v is not None})
        for w in GOOD.weights
    )
    save_model(GOOD, tmp_path / "rows")
    save_model(replace(GOOD, weights=turned), tmp_path / "columns")
    assert (tmp_path / "rows").read_bytes() == (tmp_path / "columns").read_bytes()


def test_an_lstm_layer_written_from_the_page_is_read(tmp_path):
    model = replace(random_model((3, 4, 5), 2, kinds=("lstm",)), labels=("left", "right"))
    record, tensors = parts(model)
    shapes = {name: list(value.shape) for name, value in tensors.items() if "layers.0" in name}
    assert shapes == {
        "layers.0.weight_x": [16, 3],
        "layers.0.weight_h": [16, 4],
        "layers.0.bias": [16],
    }
    assert record["formats"]["cell"] == [3, 12]
    path = tmp_path / "model.safetensors"
    path.write_bytes(save(tensors, {"deltarnn": json.dumps(record)}))
    assert_equal(load_model(path), model)


def test_row_shifts_written_from_the_page_are_read(tmp_path):
    """Layers 0 and 1 have some, layer 2 has none."""
    model = replace(random_model((3, 4, 5, 4), 2, shifts=2), labels=("left", "right"))
    record, tensors = parts(model)
    assert record["version"] == 2
    assert [f"layers.{k}.shift" in tensors for k in range(4)] == [True, True, False, False]
    path = tmp_path / "model.safetensors"
    path.write_bytes(save(tensors, {"deltarnn": json.dumps(record)}))
    loaded = load_model(path)
    assert_equal(loaded, model)
    assert [layer.shift_max for layer in loaded.parameters.layers] == [2, 1, 0, 0]


@pytest.mark.parametrize(
    ("version", "shift", "found"),
    [
        (1, [0] * 16, "tensor 'layers.0.shift': found a tensor, expected none of that name"),
        (2, [0] * 15 + [4], "tensor 'layers.0.shift': found 0 to 4, expected 0 to 3"),
        (2, [-1] + [0] * 15, "tensor 'layers.0.shift': found -1 to 0, expected 0 to 3"),
        (2, [0] * 12, "tensor 'layers.0.shift': found I8 \\[12\\], expected I8 \\[16\\]"),
    ],
)
def test_row_shifts_that_cannot_be_are_refused(version, shift, found, tmp_path):
    record, tensors = parts(GOOD)
    tensors["layers.0.shift"] = np.array(shift, dtype=np.int8)
    path = tmp_path / "model.safetensors"
    path.write_bytes(save(tensors, {"deltarnn": json.dumps({**record, "version": version})}))
    with pytest.raises(ValueError, match=found):
        load_model(path)


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(GOOD, path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_model(replace(GOOD, extra={"scores": object()}), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("labels", [(), ("a",), ("a", "b", "c")])
def test_a_model_refuses_labels_of_another_number(labels):
    with pytest.raises(ValueError, match=rf"^key 'labels': found {len(labels)} labels, expected 2"):
        Model.of("m", GOOD.parameters.formats, GOOD.parameters.layers, GOOD.weights, labels)


@pytest.mark.parametrize("seed", range(3))
def test_no_damage_gets_past_the_reader_as_another_error(seed, tmp_path):
    """Cut anywhere or with any one bit turned, a file is read or refused, never anything else."""
    record, tensors = parts(replace(random_model((2, 2), 2), labels=("a", "b")))
    content = save(tensors, {"deltarnn": json.dumps(record)})
    path = tmp_path / "model.safetensors"
    rng = np.random.default_rng(seed)
    cuts = [content[:n] for n in rng.integers(0, len(content), 60)]
    flips = []
    for n in rng.integers(0, len(content) * 8, 240):
        damaged = bytearray(content)
        damaged[n // 8] ^= 1 << n % 8
        flips.append(bytes(damaged))
    for damaged in cuts + flips:
        path.write_bytes(damaged)
        try:
            load_model(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017  # refusing is not a must here
            continue
        assert damaged not in cuts


@pytest.mark.parametrize(
    ("weight", "bias", "width"),
    [
        # |bias| + 2 inputs * |weight| * 128, then a sign.
        (0, 0, 1),
        (0, -1, 2),
        (1, 0, 10),
        (-1, -255, 10),
        (-1, 256, 11),
        (-128, 0, 17),
        (127, 2**31 - 1, 33),
        (0, -(2**31), 33),
    ],
)
def test_the_accumulator_width_by_hand(weight, bias, width):
    """A read-out of one result behind a layer whose numbers are all 0."""
    model = random_model((2, 2), 1, scale=0)
    hidden, result = model.weights
    hidden.bias[:] = 0
    result.weight_x[:] = weight
    result.bias[:] = bias
    found = accumulator_width(model.parameters.formats, model.weights)
    assert found == width


def test_a_key_of_the_file_s_own_is_no_extra(tmp_path):
    model = replace(random_model((2, 3)), extra={"formats": []})
    with pytest.raises(ValueError, match="extra key 'formats': found a key of the model file's"):
        save_model(model, tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (os.mkfifo, "found a FIFO, expected a readable safetensors file"),
        (
            lambda path: os.truncate(path.touch() or path, 12 << 30),
            "found 12,884,901,888 bytes, expected a readable safetensors file of at most 268,435,",
        ),
    ],
    ids=["a FIFO", "twelve gigabytes"],
)
def test_what_has_no_end_or_a_late_one_is_not_read(make, found, tmp_path):
    path = tmp_path / "model.safetensors"
    make(path)
    with pytest.raises(ValueError, match=re.escape(f"{path}: model file: {found}")):
        load_model(path)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999", "-1e400"])
def test_what_is_no_number_is_refused_wherever_it_stands(constant, tmp_path):
    record, tensors = parts(GOOD)
    text = json.dumps(record | {"scores": {"float": [1.5, "HERE"]}})
    path = tmp_path / "model.safetensors"
    path.write_bytes(save(tensors, {"deltarnn": text.replace('"HERE"', constant)}))
    with pytest.raises(ValueError, match=rf"found no JSON \({constant} is no number\)"):
        load_model(path)


@pytest.mark.parametrize("shape", ["[1099511627776, 3]", "[12, 4611686018427387904]", "[-12, -3]"])
def test_a_header_that_claims_huge_tensors_is_refused(shape, tmp_path):
    path = tmp_path / "model.safetensors"
    record, tensors = parts(GOOD)
    content = save(tensors, {"deltarnn": json.dumps(record)})
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].replace(b"[12,3]", shape.encode().replace(b" ", b""))
    assert header != content[8 : 8 + length]
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    with pytest.raises(ValueError, match="model file: found no safetensors"):
        load_model(path)

"""Imported Keras models against Keras itself, which runs on PyTorch here."""

import json
import os
import warnings
import zipfile

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
pytest.importorskip("h5py")

from tests.mutations_import import packed, unpacked  # noqa: E402
from train.importers import parts_in, read_file, read_network  # noqa: E402

# Keras' own variables, on NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
FRAMES = np.random.default_rng(1).normal(size=(25, 4))


def saved(path, *layers):
    """A Sequential model of these layers with random weights, biases too."""
    model = keras.Sequential([keras.Input((None, 4)), *layers])
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(size=w.shape) * 0.5 for w in model.get_weights()])
    model.save(path)
    return model


def gru(units, **options):
    return keras.layers.GRU(units, return_sequences=True, **options)


def lstm(units, **options):
    return keras.layers.LSTM(units, return_sequences=True, **options)


@pytest.mark.parametrize("kinds", [(gru, gru), (lstm, lstm), (gru, lstm)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_sequential_model_computes_what_keras_does(tmp_path, bias, kinds):
    path = tmp_path / "m.keras"
    below, above = kinds
    model = saved(
        path,
        below(5, name="mine", use_bias=bias),
        keras.layers.Dropout(0.3),
        above(3, use_bias=bias),
        keras.layers.Dense(2, use_bias=bias),
    )
    expected = np.asarray(model.predict(FRAMES[None], verbose=0))[0]
    np.testing.assert_allclose(read_network(path).run(FRAMES), expected, atol=1e-5)


def test_a_functional_model_in_a_row_is_one_too(tmp_path):
    path = tmp_path / "m.keras"
    given = keras.Input((None, 4))
    model = keras.Model(given, keras.layers.Dense(3)(gru(6)(given)))
    model.save(path)
    expected = np.asarray(model.predict(FRAMES[None], verbose=0))[0]
    np.testing.assert_allclose(read_network(path).run(FRAMES), expected, atol=1e-5)


def test_layers_that_branch_are_refused(tmp_path):
    path = tmp_path / "m.keras"
    given = keras.Input((None, 4))
    below = gru(6)(given)
    keras.Model(given, keras.layers.Add()([below, gru(6)(below)])).save(path)
    with pytest.raises(ValueError, match=r"layer 'add.*': found fed by gru"):
        read_network(path)


@pytest.mark.parametrize(
    ("layers", "naming"),
    [
        ([lambda: gru(3, reset_after=False)], "reset_after False, expected reset_after=True"),
        ([lambda: gru(3, activation="relu")], "found activation relu, expected tanh"),
        ([lambda: gru(3, go_backwards=True)], "go_backwards True, expected one direction"),
        ([lambda: keras.layers.Bidirectional(gru(3))], "Bidirectional, which the core does not"),
        ([lambda: lstm(3, activation="relu")], "found activation relu, expected tanh"),
        (
            [lambda: lstm(3, recurrent_activation="hard_sigmoid")],
            "recurrent_activation hard_sigmoid, expected sigmoid",
        ),
        ([lambda: lstm(3, go_backwards=True)], "go_backwards True, expected one direction"),
        (
            [lambda: keras.layers.SimpleRNN(3, return_sequences=True)],
            "SimpleRNN, which the core does not have, expected a GRU or an LSTM",
        ),
        ([lambda: keras.layers.Dense(2)], "Dense, which the core does not have, expected GRU, LS"),
        ([lambda: gru(3), lambda: keras.layers.Dense(2), lambda: gru(3)], "found it behind dense"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_core_cannot_do_is_refused_by_name(tmp_path, layers, naming):
    path = tmp_path / "m.keras"
    saved(path, *(layer() for layer in layers))
    with pytest.raises(ValueError, match=naming) as error:
        read_network(path)
    assert str(error.value).startswith(str(path))


def test_what_is_no_keras_model_is_refused(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(b"nothing")
    with pytest.raises(
        ValueError, match=r"m\.keras: found a broken archive .*, expected what model\.s"
    ):
        read_network(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match=r"found no model\.weights\.h5 in it, but 'config\.json'"):
        read_network(path)


@pytest.mark.parametrize("bias", [True, False])
def test_a_quantised_dense_is_its_integers_over_their_scale(tmp_path, bias):
    """What Keras computes with it differs by one rounding more: that of the frames' states."""
    path = tmp_path / "m.keras"
    model = saved(path, gru(8), keras.layers.Dense(3, use_bias=bias))
    exact = read_network(path).layers[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says of each layer that stays as it is
        model.quantize("int8")
    model.save(path)
    network = read_network(path)
    found, scale = network.layers[1], np.asarray(model.layers[1].kernel_scale.numpy())
    integers = np.asarray(model.layers[1].kernel.numpy(), dtype=np.float64)
    assert (found.weight == (integers / scale.astype(np.float64)).T).all()
    assert (found.bias == exact.bias).all()
    assert (np.abs(found.weight - exact.weight) <= 0.5001 / scale[:, None]).all()
    expected = np.asarray(model.predict(FRAMES[None], verbose=0))[0]
    states = network.layers[0].run(FRAMES)
    rounding = 0.5 * np.abs(states).max(axis=1, keepdims=True) / 127
    bound = rounding * np.abs(found.weight).sum(axis=1) + 1e-5
    assert (np.abs(network.run(FRAMES) - expected) <= bound).all()
    assert np.abs(expected).max() > 10 * bound.max()


@pytest.mark.parametrize("mode", ["int4", "float8"])
def test_other_quantisations_are_refused_by_name(tmp_path, mode):
    path = tmp_path / "m.keras"
    model = saved(path, gru(4), keras.layers.Dense(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.quantize(mode)
    model.save(path)
    with pytest.raises(ValueError, match=rf"'dense.*': found quantisation {mode}.*, expected int8"):
        read_network(path)


def renamed_policy(path, kind, config):
    """Gives the layers of a kind another dtype policy in what the file says of them."""
    members = dict(unpacked(path.read_bytes()))
    model = json.loads(members["config.json"])
    for layer in model["config"]["layers"]:
        if layer["class_name"] == kind:
            layer["config"]["dtype"] = {"class_name": "QuantizedDTypePolicy", "config": config}
    members["config.json"] = json.dumps(model).encode()
    path.write_bytes(packed(members.items()))


@pytest.mark.parametrize(
    ("kind", "mode", "naming"),
    [
        ("Dense", "gptq/4/128", "'dense.*': found quantisation gptq/4/128, expected int8"),
        ("Dense", "awq/4/128", "'dense.*': found quantisation awq/4/128, expected int8"),
        ("Dense", "int8", r"'dense.*': found variables \[4, 2\]|found type float32, expected int8"),
        ("GRU", "int8", "'gru.*': found a quantised recurrent layer, expected its float weights"),
    ],
)
def test_a_policy_must_be_what_the_weights_are(tmp_path, kind, mode, naming):
    path = tmp_path / "m.keras"
    saved(path, gru(4), keras.layers.Dense(2))
    renamed_policy(path, kind, {"mode": mode, "source_name": "float32"})
    with pytest.raises(ValueError, match=naming):
        read_network(path)


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "float64", "mixed_float16"])
def test_weights_of_any_width_are_read_as_they_are(tmp_path, policy):
    path = tmp_path / "m.keras"
    # Keras' own choice for these needs a decomposition that halves do not have here.
    plain = {"recurrent_initializer": "zeros", "dtype": policy}
    model = saved(path, gru(5, **plain), keras.layers.Dense(2, dtype=policy))
    network = read_network(path)
    stored = [np.asarray(w.value.detach().double().numpy()) for w in model.weights]
    order = np.r_[5:10, 0:5, 10:15]  # r, u, c of z, r, h
    assert (network.layers[0].weight_x == stored[0].T[order]).all()
    assert (network.layers[0].weight_h == stored[1].T[order]).all()
    assert (network.layers[0].bias_h == stored[2][1][order]).all()
    assert (network.layers[1].weight == stored[3].T).all()
    expected = model(FRAMES[None]).detach().double().numpy()[0]
    np.testing.assert_allclose(network.run(FRAMES), expected, atol=0.1)


@pytest.mark.parametrize("given", [True, False])
def test_normalisations_are_folded_and_what_is_behind_the_read_out_is_left(tmp_path, given):
    """Before the layers, between them, and before the read-out."""
    path = tmp_path / "m.keras"
    statistics = {"mean": [50.0, 2.0, -3.0, 0.0], "variance": [0.01, 4.0, 1.0, 9.0]}
    norm = keras.layers.Normalization(**(statistics if given else {}))
    if not given:
        norm.adapt(
            np.random.default_rng(3).normal(size=(9, 20, 4)) * [0.1, 2, 1, 3] + [50, 2, -3, 0]
        )
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            norm,
            gru(5),
            keras.layers.BatchNormalization(),
            lstm(3),
            keras.layers.BatchNormalization(scale=False, epsilon=0.01),
            keras.layers.TimeDistributed(keras.layers.Dense(2, activation="tanh")),
            keras.layers.LayerNormalization(),
        ]
    )
    rng = np.random.default_rng(4)
    for n in (2, 4):
        values = model.layers[n].get_weights() if n < len(model.layers) else []
        if isinstance(model.layers[n], keras.layers.BatchNormalization):
            model.layers[n].set_weights([rng.uniform(0.5, 2, v.shape) for v in values])
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, v.shape) for v in layer.get_weights()])
    model.save(path)
    found = read_file(path)
    assert found.left == ("tanh", "LayerNormalization")
    assert found.network.offset == pytest.approx([50, 2, -3, 0], abs=0.5)
    frames = (FRAMES * [0.1, 2, 1, 3] + [50, 2, -3, 0]).astype(np.float32)
    head = keras.Sequential(model.layers[:-1])
    expected = np.asarray(head.predict(frames[None], verbose=0))[0]
    np.testing.assert_allclose(np.tanh(found.network.run(frames)), expected, atol=2e-5)


def test_layers_are_named_and_listed(tmp_path):
    path = tmp_path / "m.keras"
    given = keras.Input((None, 4))
    wide = keras.layers.Dense(6, activation="relu", name="embed")(given)
    below = keras.layers.GRU(5, return_sequences=True, name="below")(wide)
    above = keras.layers.LSTM(3, return_sequences=True, name="above")(below)
    both = keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True), name="both")(
        above
    )
    joined = keras.layers.Concatenate(name="join")([below, both])
    keras.Model(given, keras.layers.Dense(1)(joined)).save(path)
    kinds = {part.name: (part.kind, part.problem is None) for part in parts_in(path)}
    assert kinds == {
        "below": ("GRU", True),
        "above": ("LSTM", True),
        "both": ("Bidirectional", False),
    }
    with pytest.raises(ValueError, match=r"found Dense, .* or --node for a part|found fed by"):
        read_file(path)
    found = read_file(path, ("below", "above"))
    assert [layer.units for layer in found.network.layers] == [5, 3]
    assert (found.fed, found.left[:1]) == ("embed", ("Bidirectional",))
    with pytest.raises(ValueError, match="no node 'x', expected one of 'below', 'above', 'both'"):
        read_file(path, ("x",))
    with pytest.raises(ValueError, match=r"order 'above', 'below', expected that of the network"):
        read_file(path, ("above", "below"))


def changed(path, change):
    """The file with ``change(config)`` done to its JSON."""
    members = dict(unpacked(path.read_bytes()))
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    path.write_bytes(packed(members.items()))


@pytest.mark.parametrize(
    ("change", "naming"),
    [
        (lambda c: c["config"].update(output_layers=[["lstm", 0, 0]]), "output_layers other than"),
        (lambda c: c["config"]["layers"][2].update(inbound_nodes=[]), "found fed by nothing"),
        (
            lambda c: c["config"]["layers"][1]["inbound_nodes"][0]["kwargs"].update(
                initial_state=[1.0]
            ),
            "'lstm': found a call with initial_state, expected one with the frames alone",
        ),
        (
            lambda c: c["config"]["layers"][1].update(registered_name="mine>LSTM", module="mine"),
            "'lstm': found LSTM of package 'mine', expected Keras' own layers",
        ),
        (lambda c: c["config"]["layers"][1]["config"].update(units=7), r"found variables \[4, 12"),
        (lambda c: c["config"]["layers"][2]["config"].pop("use_bias"), "found no use_bias"),
        (
            lambda c: c["config"]["layers"][2]["config"].update(name="\x1b\n"),
            r"layer '\\x1b\\n', expected",
        ),
        (lambda c: c["config"].update(layers={"a": 1}), "layers: found a dict, expected a list"),
        (lambda c: c.update(config=[[]]), "config: found a list, expected a dict"),
    ],
)
def test_a_config_that_means_something_else_is_refused(tmp_path, change, naming):
    path = tmp_path / "m.keras"
    given = keras.Input((None, 4), name="given")
    below = keras.layers.LSTM(3, return_sequences=True, name="lstm")(given)
    keras.Model(given, keras.layers.Dense(2, name="dense")(below)).save(path)
    assert read_network(path).layers[1].units == 2
    changed(path, change)
    with pytest.raises(ValueError, match=naming) as error:
        read_network(path)
    assert str(error.value).isprintable()


def test_a_config_too_deep_to_read_is_refused(tmp_path):
    path = tmp_path / "m.keras"
    saved(path, gru(3))
    members = dict(unpacked(path.read_bytes()))
    members["config.json"] = b"[" * 100_000
    path.write_bytes(packed(members.items()))
    with pytest.raises(ValueError, match=r"config\.json: found no JSON, expected what model\.save"):
        read_network(path)

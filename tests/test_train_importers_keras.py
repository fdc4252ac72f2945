"""Imported Keras models against Keras itself, which runs on PyTorch here."""

import os
import zipfile

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
pytest.importorskip("h5py")

from train.importers import read_network  # noqa: E402

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
        ([lambda: gru(3), lambda: keras.layers.Dense(2, activation="relu")], "activation relu"),
        ([lambda: keras.layers.Dense(2)], "found no GRU or LSTM layer"),
        ([lambda: gru(3), lambda: keras.layers.Dense(2), lambda: gru(3)], "not the last"),
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

"""Random networks and frames for tests: small, seeded, and nasty where asked to be."""

import numpy as np

from golden.model import WEIGHTS, Model
from golden.parameters import Formats, LayerParameters


def random_model(
    sizes: tuple[int, ...],
    outputs: int | None = None,
    *,
    kinds: tuple[str, ...] = ("gru",),
    seed: int = 1,
    formats: Formats | None = None,
    theta: tuple[int, int] = (1, 1),
    weight_frac: int = 6,
    scale: int = 60,
) -> Model:
    """Recurrent layers sizes[0] -> sizes[1] -> ..., then a read-out of ``outputs`` if given.

    Layers are of ``kinds`` in turn, over and over. ``theta`` is (theta_x, theta_h) of every layer;
    ``scale`` bounds the weights. Each layer has one fraction bit less than the one before, so that
    their readouts differ.
    """
    rng = np.random.default_rng(seed)

    def int8(*shape: int) -> np.ndarray:
        return rng.integers(-scale, scale + 1, shape).clip(-128, 127).astype(np.int8)

    def bias(n: int) -> np.ndarray:
        return rng.integers(-400, 401, n).astype(np.int32)

    layers, weights = [], []
    for k in range(1, len(sizes)):
        inputs, units = sizes[k - 1], sizes[k]
        frac = max(0, weight_frac - k + 1)
        layer = LayerParameters(kinds[(k - 1) % len(kinds)], inputs, units, frac, *theta)
        rows = layer.gates * units
        layers.append(layer)
        weights.append(WEIGHTS[layer.kind](int8(rows, inputs), int8(rows, units), bias(4 * units)))
    if outputs is not None:
        layers.append(LayerParameters("linear", sizes[-1], outputs, 5, theta[1]))
        weights.append(WEIGHTS["linear"](int8(outputs, sizes[-1]), bias(outputs)))
    return Model.of("random", formats or Formats(), tuple(layers), tuple(weights))


def random_frames(
    model: Model, length: int, *, seed: int = 1, moving: float = 1.0, saturating: bool = False
) -> np.ndarray:
    """int8 [length, I]: in each frame a fraction ``moving`` of the elements takes a new value.

    ``saturating`` takes only the two ends of the format, else any value of it that int8 holds.
    """
    rng = np.random.default_rng(seed)
    activation = model.parameters.formats.activation
    low, high = max(activation.min, -128), min(activation.max, 127)
    shape = (length, model.parameters.inputs)
    values = rng.choice([low, high], shape) if saturating else rng.integers(low, high + 1, shape)
    moves = rng.random(shape) < moving
    frames = np.zeros(shape, dtype=np.int8)
    current = np.zeros(shape[1], dtype=np.int64)
    for t in range(length):
        current = np.where(moves[t], values[t], current)
        frames[t] = current
    return frames

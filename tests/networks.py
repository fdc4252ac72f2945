"""Random networks and frames for tests: small, seeded, and nasty where asked to be."""

from collections.abc import Sequence

import numpy as np

from golden.fixed import Q
from golden.formats import Formats
from golden.learn.formats import LearningFormats
from golden.model import WEIGHTS, Model
from golden.parameters import LayerParameters

Theta = tuple[int, int]

# Networks that can learn: sizes, results, kinds, lanes, units a cycle.
LEARNERS = {
    "a GRU": ((3, 4), 2, ("gru",), 2, 1),
    "an LSTM, two units a cycle": ((3, 5), 3, ("lstm",), 4, 2),
    "both": ((2, 3, 7), 3, ("gru", "lstm"), 4, 1),
    "three layers, four units a cycle": ((4, 9, 6, 3), 5, ("lstm", "gru", "gru"), 8, 4),
    "one unit": ((1, 1), 1, ("gru",), 1, 1),
}
# Formats of learning, beside the usual ones.
LEARNING = {
    "the longest masters": LearningFormats(master=31),
    "wide": LearningFormats(error=Q(2, 17), slope=Q(1, 12), master=20),
    "narrow": LearningFormats(error=Q(0, 9), slope=Q(0, 4), master=12),
}


def random_model(
    sizes: tuple[int, ...],
    outputs: int | None = None,
    *,
    kinds: tuple[str, ...] = ("gru",),
    seed: int = 1,
    formats: Formats | None = None,
    theta: Theta | Sequence[Theta] = (1, 1),
    weight_frac: int = 6,
    scale: int = 60,
    shifts: int = 0,
) -> Model:
    """Recurrent layers sizes[0] -> sizes[1] -> ..., then a read-out of ``outputs`` if given.

    Layers are of ``kinds`` in turn, over and over; ``scale`` bounds the weights, and ``shifts`` the
    row shifts of the first. Whatever may differ by layer does: each has one fraction bit less than
    the one before, row shifts up to one less, and thresholds of its own. ``theta`` is
    (theta_x, theta_h) of the first one, see ``thetas``, or a pair for each layer.
    """
    rng = np.random.default_rng(seed)
    pairs = thetas(theta, len(sizes)) if isinstance(theta[0], int) else theta

    def int8(*shape: int) -> np.ndarray:
        return rng.integers(-scale, scale + 1, shape).clip(-128, 127).astype(np.int8)

    def bias(n: int) -> np.ndarray:
        return rng.integers(-400, 401, n).astype(np.int32)

    layers, weights = [], []
    for k in range(1, len(sizes)):
        inputs, units = sizes[k - 1], sizes[k]
        frac = max(0, weight_frac - k + 1)
        layer = LayerParameters(kinds[(k - 1) % len(kinds)], inputs, units, frac, *pairs[k - 1])
        rows, sums = layer.gates * units, layer.accumulators * units
        layers.append(layer)
        tensors = int8(rows, inputs), int8(rows, units), bias(sums)
        most = max(0, shifts - k + 1)
        shift = rng.integers(0, most + 1, sums).astype(np.int8) if most else None
        weights.append(WEIGHTS[layer.kind](*tensors, shift))
    if outputs is not None:
        layers.append(LayerParameters("linear", sizes[-1], outputs, 5, pairs[len(sizes) - 1][0]))
        weights.append(WEIGHTS["linear"](int8(outputs, sizes[-1]), bias(outputs)))
    return Model.of("random", formats or Formats(), tuple(layers), tuple(weights))


def thetas(first: Theta, layers: int) -> tuple[Theta, ...]:
    """Thresholds that grow from layer to layer, x's by one and h's by two; but 0 stays 0."""
    theta_x, theta_h = first
    return tuple(
        (theta_x + k * (theta_x > 0), theta_h + 2 * k * (theta_h > 0)) for k in range(layers)
    )


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


def random_formats(rng: np.random.Generator) -> Formats:
    """Any formats that a network may have, wide and narrow against each other."""

    def q(m: tuple[int, int], f: tuple[int, int]) -> Q:
        return Q(int(rng.integers(m[0], m[1] + 1)), int(rng.integers(f[0], f[1] + 1)))

    return Formats(
        activation=q((0, 3), (2, 4)),
        state=q((0, 3), (2, 10)),
        gate=q((1, 2), (1, 8)),
        readout=q((0, 7), (0, 8)),
        preactivation=q((0, 3), (1, 6)),
        cell=q((0, 3), (1, 12)),
    )


def provoking_frames(model: Model, length: int, rng: np.random.Generator) -> np.ndarray:
    """int8 [length, I] of one kind: what a delta network, or a core of one, may stumble over."""
    activation = model.parameters.formats.activation
    low, high = max(activation.min, -128), min(activation.max, 127)
    inputs = model.parameters.inputs
    theta = model.parameters.layers[0].theta_x

    def anything(*shape: int) -> np.ndarray:
        return rng.integers(low, high + 1, shape)

    def plateau_and_jump() -> np.ndarray:
        frames = np.tile(anything(inputs), (length, 1))
        frames[int(rng.integers(length)) :] = anything(inputs)
        return frames

    def one_element_moves() -> np.ndarray:
        frames = np.tile(anything(inputs), (length, 1))
        frames[:, int(rng.integers(inputs))] = anything(length)
        return frames

    def around_the_threshold() -> np.ndarray:
        steps = rng.choice([-theta - 1, -theta, 0, theta, theta + 1], (length, inputs))
        return np.cumsum(steps, axis=0)

    def at_the_ends() -> np.ndarray:
        return rng.choice([low, high], (length, inputs))

    def some_move() -> np.ndarray:
        return random_frames(model, length, seed=int(rng.integers(1 << 30)), moving=0.3)

    def nothing_for_long() -> np.ndarray:
        frames = np.tile(anything(inputs), (length, 1))
        frames[: length // 8] = anything(length // 8, inputs)
        return frames

    kinds = (
        plateau_and_jump,
        one_element_moves,
        around_the_threshold,
        at_the_ends,
        some_move,
        nothing_for_long,
    )
    return np.clip(kinds[int(rng.integers(len(kinds)))](), low, high).astype(np.int8)

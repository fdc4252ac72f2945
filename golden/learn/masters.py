"""Weights while they learn (docs/training-core.md, "Masters")."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from golden.fixed import Integers, rshift, sat
from golden.formats import WEIGHT, Formats
from golden.learn.formats import LearningFormats
from golden.learn.tape import TapeSize
from golden.learn.training import Training
from golden.linear import LinearWeights
from golden.model import WEIGHTS, Model, Weights
from golden.parameters import LayerParameters, NetworkParameters, require_trainable
from golden.recurrent import RecurrentWeights


@dataclass(frozen=True)
class Masters:
    """The masters of a layer, changed in place.

    Attributes
    ----------
    x : int64 [rows, I + 1]
        The last column is the constant one: x's biases.
    h : int64 [rows, H], [rows, H + 1] where the last gate has an accumulator for h, or [rows, 0]
        A GRU's last column is constant: the bias of hc, and second biases of r and u.
    """

    x: Integers
    h: Integers

    def copy(self) -> "Masters":
        return Masters(self.x.copy(), self.h.copy())


OCCUPANCY = 0.5  # of the columns, for which lists have room on the tape


def of_model(model: Model, learning: LearningFormats) -> tuple[Masters, ...]:
    """The masters of each layer of a model. Raises ValueError where the model cannot learn.

    A bias has f_act fraction bits more than a weight. Where a second constant column has the
    same gate, it takes what is beyond a weight; else that is lost.
    """
    layers = model.parameters.layers
    require_trainable(layers)
    formats, made = model.parameters.formats, []
    for layer, weights in zip(layers, model.weights, strict=True):
        rows, (of_x, of_h) = layer.gates * layer.units, layer.trained_columns
        x, h = np.zeros((rows, of_x), np.int64), np.zeros((rows, of_h), np.int64)
        x[:, :-1] = weights.weight_x.astype(np.int64) << learning.below
        bias = rshift(weights.bias.astype(np.int64), formats.activation.f - learning.below)
        x[:, -1] = bias[:rows]
        if isinstance(weights, RecurrentWeights):
            h[:, : layer.units] = weights.weight_h.astype(np.int64) << learning.below
        if layer.constants[1]:
            whole = rows - len(bias[rows:])
            most = bias[:whole] + learning.half >> learning.below
            over = most - most.clip(WEIGHT.min, WEIGHT.max)
            x[:whole, -1] = np.where(over, most - over << learning.below, bias[:whole])
            h[:, -1] = np.concatenate([over << learning.below, bias[rows:]])
        made.append(Masters(*(sat(v + learning.half, learning.range) for v in (x, h))))
    return tuple(made)


def widened(model: Model) -> Model:
    """A model whose accumulators hold every M of its layers for weights of any value.

    As in golden.model.accumulator_width, with every weight at -128, those of constant columns, too.
    """
    formats, layers = model.parameters.formats, model.parameters.layers
    largest, one = 1 << (formats.activation.width - 1), formats.activation.scale
    reach = max(k.columns * largest + sum(k.constants) * one for k in layers)
    width = (reach << (WEIGHT.width - 1)).bit_length() + 1
    return replace(model, parameters=NetworkParameters(formats, layers, width))


def trainable(model: Model, frames: int) -> tuple[Model, Training]:
    """A model as a core has it that trains with at most so many frames, and what that has beside.

    Half of the columns may fire in every frame, and more where whole block RAM have room for them.
    Raises ValueError where it cannot learn.
    """
    layers = model.parameters.layers
    require_trainable(layers)
    tape = TapeSize.of(layers, frames).in_blocks(TapeSize.of(layers, frames, OCCUPANCY))
    return widened(model), Training(tape)


def learned(model: Model, masters: Sequence[Masters], learning: LearningFormats) -> Model:
    """The model with the weights and biases that these masters give it."""
    formats, layers = model.parameters.formats, model.parameters.layers
    made = tuple(weights(formats, learning, *each) for each in zip(layers, masters, strict=True))
    return Model.of(model.name, formats, layers, made, model.labels, model.extra, model.sha256)


def weights(
    formats: Formats, learning: LearningFormats, layer: LayerParameters, masters: Masters
) -> Weights:
    """What inference has of a layer's masters."""
    x, h = (v >> learning.below for v in (masters.x, masters.h))
    bias = x[:, -1] << formats.activation.f
    if not layer.recurrent:
        return LinearWeights(x[:, :-1].astype(np.int8), bias.astype(np.int32))
    of_h, constant = np.split(h, [layer.units], axis=1)
    if layer.has.splits:
        more = constant[:, 0] << formats.activation.f
        whole = len(bias) - layer.units
        bias = np.concatenate([bias[:whole] + more[:whole], bias[whole:], more[whole:]])
    made = (x[:, :-1].astype(np.int8), of_h.astype(np.int8), bias.astype(np.int32))
    return WEIGHTS[layer.kind](*made)

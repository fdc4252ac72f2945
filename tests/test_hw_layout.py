"""The memory images, read back the way the sequencer walks them."""

import numpy as np
import pytest

from golden.parameters import CoreParameters
from hw.layout import CoreLayout
from tests.networks import random_model


@pytest.mark.parametrize("lanes", [1, 3, 4, 16])
@pytest.mark.parametrize(("sizes", "outputs"), [((3, 5), None), ((3, 5), 2), ((2, 5, 7), 3)])
def test_every_weight_and_bias_has_its_place(sizes, outputs, lanes):
    model = random_model(sizes, outputs)
    layout = CoreLayout(CoreParameters(model.parameters, lanes))
    words, bias = layout.weight_words(model), layout.bias_rows(model)
    assert words.shape == (layout.words, lanes)
    assert bias.shape == (layout.rows, lanes)
    word = row = 0
    for layer, weights in zip(model.parameters.layers, model.weights, strict=True):
        units = layer.units
        if layer.recurrent:
            x, h = weights.weight_x, weights.weight_h
            matrix = np.hstack([h, x] if layout.x_last else [x, h])
            order = [0, 1, 3, 2] if layout.x_last else [0, 1, 2, 3]
        else:
            matrix, order = weights.weight_x, [0]
        for block in range(layer.blocks(lanes)):
            first = block * lanes
            used = min(lanes, units - first)
            for gate in range(layer.gates):
                for column in range(layer.columns):
                    rows = matrix[gate * units + first : gate * units + first + used, column]
                    assert words[word].tolist() == rows.tolist() + [0] * (lanes - used)
                    word += 1
            for accumulator in order:
                start = accumulator * units + first
                values = weights.bias[start : start + used].tolist()
                assert bias[row].tolist() == values + [0] * (lanes - used)
                row += 1
    assert (word, row) == (layout.words, layout.rows)

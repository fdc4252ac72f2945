"""Post-training quantisation: float layers to the integers of docs/numerics.md."""

from typing import Any

import numpy as np
from torch import nn

from golden.errors import refusal
from golden.fixed import quantize
from golden.gru import GRUWeights
from golden.linear import LinearWeights
from golden.model import Model, Weights
from golden.parameters import WEIGHT, WEIGHT_FRAC_MAX, Formats, LayerParameters
from train.data import Floats

Layer = tuple[LayerParameters, Weights]


def quantize_network(
    name: str,
    formats: Formats,
    gru: nn.GRU,
    readout: nn.Linear | None = None,
    labels: tuple[str, ...] | None = None,
    extra: dict[str, Any] | None = None,
) -> Model:
    """The integer network of a float GRU and its read-out, with every threshold at 0."""
    quantized = quantize_gru(gru, formats)
    if readout is not None:
        quantized.append(quantize_linear(readout, formats))
    layers, weights = zip(*quantized, strict=True)
    return Model.of(name, formats, layers, weights, labels, extra)


def quantize_gru(gru: nn.GRU, formats: Formats) -> list[Layer]:
    """The layers of a ``torch.nn.GRU``, one by one.

    PyTorch's gates are r, z, n in this order, the specification's r, u, c: the same gates, the
    same order, the same update h = (1 - u) c + u h, and the same reset gate after the product.
    """
    if gru.bidirectional:
        raise refusal("GRU", "bidirectional", "one direction: frames arrive one by one")
    return [_gru_layer(gru, k, formats) for k in range(gru.num_layers)]


def _gru_layer(gru: nn.GRU, k: int, formats: Formats) -> Layer:
    weight_x, weight_h = (_floats(gru, f"weight_{part}_l{k}") for part in ("ih", "hh"))
    if gru.bias:
        bias_x, bias_h = (_floats(gru, f"bias_{part}_l{k}") for part in ("ih", "hh"))
    else:
        bias_x = bias_h = np.zeros(3 * gru.hidden_size)
    frac = weight_frac(weight_x, weight_h)
    # r and u add both products, so one bias serves; c keeps them apart for the reset gate.
    ru = slice(0, 2 * gru.hidden_size)
    c = slice(2 * gru.hidden_size, None)
    bias = np.concatenate([bias_x[ru] + bias_h[ru], bias_x[c], bias_h[c]])
    parameters = LayerParameters("gru", weight_x.shape[1], gru.hidden_size, frac, 0, 0)
    return parameters, GRUWeights(
        quantize_weight(weight_x, frac),
        quantize_weight(weight_h, frac),
        quantize_bias(bias, formats.accumulator_frac(frac)),
    )


def quantize_linear(linear: nn.Linear, formats: Formats) -> Layer:
    """A ``torch.nn.Linear`` as the network's read-out."""
    weight = _floats(linear, "weight")
    bias = np.zeros(linear.out_features) if linear.bias is None else _floats(linear, "bias")
    frac = weight_frac(weight)
    parameters = LayerParameters("linear", linear.in_features, linear.out_features, frac, 0)
    return parameters, LinearWeights(
        quantize_weight(weight, frac), quantize_bias(bias, formats.accumulator_frac(frac))
    )


def weight_frac(*weights: Floats) -> int:
    """The largest f_w from 0 to 15 for which none of ``weights`` saturates at 8 bits."""
    for frac in range(WEIGHT_FRAC_MAX, -1, -1):
        if all(_fits(w, frac) for w in weights):
            return frac
    largest = max(float(np.abs(w).max()) for w in weights)
    raise refusal("largest weight", f"{largest:g}", f"within {WEIGHT.min}..{WEIGHT.max}")


def _fits(weight: Floats, frac: int) -> bool:
    nearest = np.floor(weight * 2.0**frac + 0.5)  # as quantize, but without its saturation
    return bool(((nearest >= WEIGHT.min) & (nearest <= WEIGHT.max)).all())


def quantize_weight(weight: Floats, frac: int) -> np.ndarray:
    """int8, in steps of 2^-frac."""
    return quantize(weight * 2.0 ** (frac - WEIGHT.f), WEIGHT).astype(np.int8)


def quantize_bias(bias: Floats, frac: int) -> np.ndarray:
    """int32 with ``frac`` = f_act + f_w fraction bits: where an accumulator starts."""
    nearest = np.floor(bias * 2.0**frac + 0.5)
    largest = float(np.abs(nearest).max(initial=0.0))
    if not largest < 1 << 31:
        raise refusal("largest bias", f"{largest:g} LSBs", "below 2^31, as the file holds int32")
    return nearest.astype(np.int32)


def _floats(module: nn.Module, name: str) -> Floats:
    return module.get_parameter(name).detach().numpy().astype(np.float64)

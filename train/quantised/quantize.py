"""Post-training quantisation: float layers to the integers of docs/numerics.md."""

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.errors import refusal
from golden.fixed import quantize
from golden.formats import WEIGHT, WEIGHT_FRAC_MAX, Formats
from golden.gru import GRUWeights
from golden.linear import LinearWeights
from golden.lstm import LSTMWeights
from golden.model import Model, Weights
from golden.parameters import LayerParameters
from golden.recurrent import RecurrentWeights
from train.data.recordings import Floats
from train.quantised.float_network import (
    FloatGRU,
    FloatLinear,
    FloatLSTM,
    FloatNetwork,
    FloatRecurrent,
)

Layer = tuple[LayerParameters, Weights]


def quantize_network(
    name: str,
    formats: Formats,
    network: FloatNetwork,
    labels: tuple[str, ...] | None = None,
    extra: dict[str, Any] | None = None,
) -> Model:
    """The integer network of a float one, with every threshold at 0.

    Raises ValueError that names the layer where a weight or bias is too large for any format.
    """
    quantized = []
    for k, layer in enumerate(network.layers):
        try:
            quantized.append(_QUANTIZE[type(layer)](layer, formats))
        except ValueError as error:
            raise ValueError(f"layer {k}: {error}") from None
    layers, weights = zip(*quantized, strict=True)
    return Model.of(name, formats, layers, weights, labels, extra)


def quantize_gru(layer: FloatGRU, formats: Formats) -> Layer:
    """A GRU layer."""
    return _quantize_recurrent("gru", GRUWeights, layer, formats)


def quantize_lstm(layer: FloatLSTM, formats: Formats) -> Layer:
    """An LSTM layer."""
    return _quantize_recurrent("lstm", LSTMWeights, layer, formats)


def _quantize_recurrent(
    kind: str, weights: type[RecurrentWeights], layer: FloatRecurrent, formats: Formats
) -> tuple[LayerParameters, Any]:
    frac = weight_frac(layer.weight_x, layer.weight_h)
    return LayerParameters(kind, layer.inputs, layer.units, frac, 0, 0), weights(
        quantize_weight(layer.weight_x, frac),
        quantize_weight(layer.weight_h, frac),
        quantize_bias(layer.bias, formats.accumulator_frac(frac)),
    )


def quantize_linear(layer: FloatLinear, formats: Formats) -> Layer:
    """The read-out."""
    frac = weight_frac(layer.weight)
    parameters = LayerParameters("linear", layer.inputs, layer.units, frac, 0)
    return parameters, LinearWeights(
        quantize_weight(layer.weight, frac),
        quantize_bias(layer.bias, formats.accumulator_frac(frac)),
    )


_QUANTIZE: dict[type, Callable[[Any, Formats], Layer]] = {
    FloatGRU: quantize_gru,
    FloatLSTM: quantize_lstm,
    FloatLinear: quantize_linear,
}


def weight_frac(*weights: Floats) -> int:
    """The largest f_w from 0 to 15 for which none of ``weights`` saturates at 8 bits."""
    for frac in range(WEIGHT_FRAC_MAX, -1, -1):
        if all(_fits(w, frac) for w in weights):
            return frac
    largest = max(float(np.abs(w).max()) for w in weights)
    raise refusal("largest weight", f"{largest:g}", f"within {WEIGHT.min}..{WEIGHT.max}")


def _fits(weight: Floats, frac: int) -> bool:
    with np.errstate(over="ignore"):
        nearest = np.floor(weight * 2.0**frac + 0.5)  # as quantize, but without its saturation
    return bool(((nearest >= WEIGHT.min) & (nearest <= WEIGHT.max)).all())


def quantize_weight(weight: Floats, frac: int) -> np.ndarray:
    """int8, in steps of 2^-frac."""
    return quantize(weight * 2.0 ** (frac - WEIGHT.f), WEIGHT).astype(np.int8)


def quantize_bias(bias: Floats, frac: int) -> np.ndarray:
    """int32 with ``frac`` = f_act + f_w fraction bits: where an accumulator starts."""
    with np.errstate(over="ignore"):  # infinity is refused as what it was
        nearest = np.floor(bias * 2.0**frac + 0.5)
    largest = float(np.abs(nearest).max(initial=0.0))
    if not largest < 1 << 31:
        raise refusal("largest bias", f"{largest:g} LSBs", "below 2^31, as the file holds int32")
    return nearest.astype(np.int32)

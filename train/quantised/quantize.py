"""Post-training quantisation: float layers to the integers of docs/numerics.md."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from golden.errors import refusal
from golden.fixed import Integers, quantize
from golden.formats import WEIGHT, WEIGHT_FRAC_MAX, Formats
from golden.kinds import KINDS
from golden.linear import LinearWeights
from golden.model import WEIGHTS, Model, Weights
from golden.parameters import LayerParameters
from train.data.recordings import Floats
from train.quantised.float_network import (
    FloatLinear,
    FloatNetwork,
    FloatRecurrent,
    power_of_2,
    rows_of,
)
from train.quantised.rounding import LayerVectors

Layer = tuple[LayerParameters, Weights]


def quantize_network(
    name: str,
    formats: Formats,
    network: FloatNetwork,
    labels: tuple[str, ...] | None = None,
    extra: dict[str, Any] | None = None,
    *,
    shift_max: int = 0,
    seen: Sequence[LayerVectors] | None = None,
) -> Model:
    """The integer network of a float one, with every threshold at 0.

    Parameters
    ----------
    shift_max
        The most that a row may be shifted (docs/numerics.md, "Row shifts"), 0 to 3.
    seen
        What each layer sees: weights are rounded with it in view. None: to the nearest.

    Raises
    ------
    ValueError
        That names the layer, where a weight or bias is too large for any format.
    """
    quantized = []
    for k, layer in enumerate(network.layers):
        vectors = None if seen is None else seen[k]
        try:
            if isinstance(layer, FloatLinear):
                quantized.append(quantize_linear(layer, formats, vectors))
            else:
                quantized.append(quantize_recurrent(layer, formats, shift_max, vectors))
        except ValueError as error:
            raise ValueError(f"layer {k}: {error}") from None
    layers, weights = zip(*quantized, strict=True)
    return Model.of(name, formats, layers, weights, labels, extra)


def quantize_recurrent(
    layer: FloatRecurrent,
    formats: Formats,
    shift_max: int = 0,
    vectors: LayerVectors | None = None,
) -> Layer:
    """A GRU or LSTM layer."""
    kind = layer.kind
    rows, splits = len(layer.weight_x), KINDS[kind].splits
    whole = rows - layer.units * splits  # rows whose accumulator takes both products
    frac, shifts = row_shifts(kind, layer.weight_x, layer.weight_h, shift_max)
    steps = power_of_2(frac + shifts)
    bias = layer.bias
    steps_x, steps_h = rows_of(steps, rows)
    x, h = layer.weight_x * steps_x, layer.weight_h * steps_h
    if vectors is None:
        codes_x, codes_h = nearest_codes(x), nearest_codes(h)
    else:
        inputs = layer.inputs
        assert vectors.both is not None
        assert vectors.h is not None
        codes, lacking = vectors.both.rounded(np.concatenate([x[:whole], h[:whole]], axis=1))
        codes_x, codes_h = codes[:, :inputs], codes[:, inputs:]
        if splits:
            more_x, lacking_x = vectors.x.rounded(x[whole:])
            more_h, lacking_h = vectors.h.rounded(h[whole:])
            codes_x, codes_h = np.concatenate([codes_x, more_x]), np.concatenate([codes_h, more_h])
            lacking = np.concatenate([lacking, lacking_x, lacking_h])
        bias = bias + lacking / steps
    parameters = LayerParameters(kind, layer.inputs, layer.units, frac, 0, 0)
    return parameters, WEIGHTS[kind](
        np.ascontiguousarray(codes_x),
        np.ascontiguousarray(codes_h),
        quantize_bias(bias, formats.accumulator_frac(frac + shifts)),
        shifts.astype(np.int8) if shifts.any() else None,
    )


def quantize_linear(
    layer: FloatLinear, formats: Formats, vectors: LayerVectors | None = None
) -> Layer:
    """The read-out."""
    frac = weight_frac(layer.weight)
    parameters = LayerParameters("linear", layer.inputs, layer.units, frac, 0)
    scaled, bias = layer.weight * 2.0**frac, layer.bias
    if vectors is None:
        codes = nearest_codes(scaled)
    else:
        codes, lacking = vectors.x.rounded(scaled)
        bias = bias + lacking * 2.0**-frac
    return parameters, LinearWeights(
        codes, quantize_bias(bias, np.array(formats.accumulator_frac(frac)))
    )


def row_shifts(
    kind: str, weight_x: Floats, weight_h: Floats, shift_max: int
) -> tuple[int, Integers]:
    """The largest f_w from 0 to 15 for which none of a recurrent layer's weights saturates, and
    each accumulator's shift int64 [K H]: the largest up to ``shift_max``.
    """
    whole = len(weight_x) - weight_h.shape[1] * KINDS[kind].splits
    of_x, of_h = row_fracs(weight_x), row_fracs(weight_h)
    both = np.minimum(of_x, of_h)
    fracs = np.concatenate([both[:whole], of_x[whole:], of_h[whole:]])
    frac = int(fracs.min())
    return frac, np.minimum(fracs - frac, shift_max)


def row_fracs(weight: Floats) -> Integers:
    """int64 [rows]: the largest f_w from 0 to 15 for which no weight of the row saturates."""
    fracs = np.full(len(weight), -1, dtype=np.int64)
    ends = np.stack([weight.min(axis=1), weight.max(axis=1)], axis=1)
    for frac in range(WEIGHT_FRAC_MAX + 1):
        with np.errstate(over="ignore"):
            nearest = np.floor(ends * 2.0**frac + 0.5)  # as quantize, but without its saturation
        fracs[((nearest >= WEIGHT.min) & (nearest <= WEIGHT.max)).all(axis=1)] = frac
    if fracs.min() < 0:
        largest = float(np.abs(weight).max())
        expected = f"within {WEIGHT.min}..{WEIGHT.max} (a first layer's, behind the input scale)"
        raise refusal("largest weight", f"{largest:g}", expected)
    return fracs


def weight_frac(*weights: Floats) -> int:
    """The largest f_w from 0 to 15 for which none of ``weights`` saturates at 8 bits."""
    return min(int(row_fracs(w).min()) for w in weights)


def nearest_codes(scaled: Floats) -> np.ndarray:
    """int8, the nearest to weights in LSBs."""
    return quantize(scaled * 2.0**-WEIGHT.f, WEIGHT).astype(np.int8)


def quantize_bias(bias: Floats, frac: Integers) -> np.ndarray:
    """int32 with ``frac`` = f_act + f_w fraction bits each: where an accumulator starts."""
    with np.errstate(over="ignore"):  # infinity is refused as what it was
        scaled = bias * power_of_2(frac)
        down = np.floor(scaled)
        nearest = down + (scaled - down >= 0.5)  # as quantize, but without its saturation
    largest = float(np.abs(nearest).max(initial=0.0))
    if not largest < 1 << 31:
        raise refusal("largest bias", f"{largest:g} LSBs", "below 2^31, as the file holds int32")
    return nearest.astype(np.int32)

"""A model as one C99 file that computes what docs/numerics.md says, and nothing else.

It shares no arithmetic with golden/: the page is its only source, so that the two can judge each
other. What is the same for all networks lies beside this module as C.
"""

import textwrap
from collections.abc import Iterable, Mapping
from importlib.resources import files

import numpy as np

from deltarnn.reference.tables import sigmoid_table, tanh_table
from golden.fixed import Q
from golden.model import Model, Weights
from golden.parameters import LayerParameters
from golden.recurrent import RecurrentWeights

WIDTH = 100  # characters of a line
NAME = 60  # characters of a model's name that its comment shows
FORMATS = ("activation", "readout", "preactivation", "gate")  # that every network computes with
KEPT = {"gru": "state", "lstm": "cell"}  # the format of what a unit keeps


def emit(model: Model) -> str:
    """The C99 file of ``model``: no malloc, no float, and of the C library only memset."""
    kinds = [kind for kind in ("gru", "lstm", "linear") if kind in _kinds(model)]
    parts = [
        _opening(model),
        _shapes(model),
        _types(model),
        _state(model),
        _kernel("interface"),
        _tables(model),
        *(_constants(model, k) for k in range(len(_layers(model)))),
        *(_kernel(name) for name in ("kernel", *kinds)),
        _reset(model),
        _frame(model),
        _kernel("main"),
    ]
    return "\n".join(parts)


def _kinds(model: Model) -> set[str]:
    return {layer.kind for layer in model.parameters.layers}


def _kernel(name: str) -> str:
    return (files("deltarnn.reference") / f"{name}.c").read_text(encoding="utf-8")


def _opening(model: Model) -> str:
    layers = ", ".join(f"{each.kind} {each.inputs} -> {each.units}" for each in _layers(model))
    return f"""\
/* A delta network in integers: {plain(model.name)}
{textwrap.fill(f"Layers: {layers}", WIDTH, initial_indent=" * ", subsequent_indent=" * ")}
 * SHA-256 of its model file: {model.sha256 or "there is none"}
 *
 * Call deltarnn_reset, then deltarnn_frame for each frame. With -DDELTARNN_MAIN this is a program
 * that takes frames from standard input.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
"""


def plain(text: str) -> str:
    """``text`` as a comment may hold it: nothing that ends the comment or goes on in other lines.

    Letters, digits and a few signs stay; it is cut where it is long.
    """
    return "".join(
        c if c.isascii() and (c.isalnum() or c in " _-.,+") else "_" for c in text[:NAME]
    )


def _bits(q: Q) -> int:
    """Those of a format but the sign: m + f."""
    return q.m + q.f


def _layers(model: Model) -> tuple[LayerParameters, ...]:
    return model.parameters.layers


def _last_recurrent(model: Model) -> int:
    return len(model.parameters.recurrent) - 1


def _shapes(model: Model) -> str:
    """Shapes and formats as macros: of a format Q(m,f) its f, and m + f as its bits."""
    last = _layers(model)[-1]
    formats = model.parameters.formats
    fraction = formats.activation.f + (0 if last.recurrent else last.weight_frac)
    shapes = {
        "INPUTS": _layers(model)[0].inputs,
        "OUTPUTS": last.units,
        "LAYERS": len(_layers(model)),
        "UNITS": _layers(model)[_last_recurrent(model)].units,
    }
    kept = sorted(KEPT[kind] for kind in _kinds(model) & KEPT.keys())
    for name in (*FORMATS, *kept):
        q = getattr(formats, name)
        shapes[f"{name.upper()}_FRACTION"] = q.f
        shapes[f"{name.upper()}_BITS"] = _bits(q)
    return f"""\
/* Elements of a frame, results of one, layers, units of the last recurrent layer. Of each number
 * format the fraction bits, and all bits but the sign. */
{_defines(shapes)}

/* Fraction bits of a result. */
#define DELTARNN_RESULT_FRACTION {fraction}

/* What the last recurrent layer's units keep: h of a GRU, c of an LSTM. */
#define DELTARNN_KEPT(state) ((state)->kept_{_last_recurrent(model)})
"""


def _defines(values: Mapping[str, int]) -> str:
    return "\n".join(f"#define DELTARNN_{name} {value}" for name, value in values.items())


def _types(model: Model) -> str:
    """The narrowest integer types that hold what they have to."""
    formats = model.parameters.formats
    kept = [getattr(formats, KEPT[kind]) for kind in _kinds(model) & KEPT.keys()]
    sums = max(
        sum_width(layer.kind, weights, _bits(formats.activation))
        for layer, weights in zip(_layers(model), model.weights, strict=True)
    )
    widths = {
        "value": 1 + _bits(formats.activation),
        "gate": 1 + _bits(formats.gate),
        "kept": max(1 + _bits(q) for q in kept),
        "sum": max(32, sums),
    }
    result = "value" if _layers(model)[-1].recurrent else "sum"
    lines = [f"typedef {c_type(width)} deltarnn_{name};" for name, width in widths.items()]
    lines.append(f"typedef deltarnn_{result} deltarnn_result;")
    return "/* An activation, a gate, what a unit keeps, an accumulator, a result. */\n" + (
        "\n".join(lines) + "\n"
    )


def c_type(width: int) -> str:
    """The narrowest signed type of ``width`` bits."""
    return f"int{next(bits for bits in (8, 16, 32, 64) if width <= bits)}_t"


def sum_width(kind: str, weights: Weights, bits: int) -> int:
    """Bits, sign included, of a layer's widest accumulator: |M| <= |bias| + sum |W| 2^bits."""
    sums = of_x = _row_sums(weights.weight_x)
    if isinstance(weights, RecurrentWeights):
        of_h = _row_sums(weights.weight_h)
        sums = of_x + of_h
        if kind == "gru":  # the last gate has an accumulator for each vector
            first = 2 * weights.weight_h.shape[1]
            sums = np.concatenate([sums[:first], of_x[first:], of_h[first:]])
    bound = np.abs(weights.bias.astype(np.int64)) + (sums << bits)
    return int(bound.max()).bit_length() + 1


def _row_sums(matrix: np.ndarray) -> np.ndarray:
    return np.abs(matrix.astype(np.int64)).sum(axis=1)


def _state(model: Model) -> str:
    members = []
    for k, layer in enumerate(_layers(model)):
        members.append(f"deltarnn_value sent_x_{k}[{layer.inputs}];")
        members.append(f"deltarnn_sum sums_{k}[{_sums(layer)}];")
        if layer.recurrent:
            members.append(f"deltarnn_value sent_h_{k}[{layer.units}];")
            members.append(f"deltarnn_value a_{k}[{layer.units}];")
            members.append(f"deltarnn_kept kept_{k}[{layer.units}];")
    return f"""\
/* All that the network keeps between frames. For each layer: what was last sent of its inputs, its
 * accumulators; of a recurrent one also what was last sent of its units, their values as others see
 * them, and what they keep. */
typedef struct {{
{_indented(members)}
}} deltarnn_state;
"""


def _sums(layer: LayerParameters) -> int:
    return layer.units * (4 if layer.recurrent else 1)


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def _tables(model: Model) -> str:
    formats = model.parameters.formats
    tables = {"sigmoid": sigmoid_table, "tanh": tanh_table}
    arrays = (
        _array("deltarnn_gate", f"deltarnn_{name}", table(formats.preactivation, formats.gate))
        for name, table in tables.items()
    )
    return "/* What the gates are looked up in, the lowest code first. */\n" + "\n".join(arrays)


def _array(kind: str, name: str, values: Iterable[int]) -> str:
    numbers = [str(value) for value in values]
    return f"static const {kind} {name}[{len(numbers)}] = {{\n{_filled(', '.join(numbers))}}};\n"


def _filled(text: str, indent: int = 4) -> str:
    space = " " * indent
    return textwrap.fill(
        text, WIDTH, initial_indent=space, subsequent_indent=space, break_on_hyphens=False
    )


def _constants(model: Model, k: int) -> str:
    """The arrays and the numbers of layer ``k``."""
    layer, weights = _layers(model)[k], model.weights[k]
    values = {"bias": ("int32_t", weights.bias)}
    for name, array in vars(weights).items():
        if name != "bias" and array is not None:
            values[name] = "int8_t", array.T  # column after column
    arrays = "".join(
        _array(kind, f"deltarnn_{name}_{k}", array.ravel().tolist())
        for name, (kind, array) in values.items()
    )
    pointers = (
        f"deltarnn_{name}_{k}" if name in values else "NULL"
        for name in ("weight_x", "weight_h", "shift")
    )
    # No step is greater: a greater threshold means the same, and need not fit any type.
    most = (2 << _bits(model.parameters.formats.activation)) - 1
    thresholds = (min(theta or 0, most) for theta in (layer.theta_x, layer.theta_h))
    fields = (layer.inputs, layer.units, layer.weight_frac, *thresholds, *pointers)
    return f"""\
/* Layer {k}: {layer.kind} {layer.inputs} -> {layer.units}. */
{arrays}static const deltarnn_layer deltarnn_layer_{k} = {{
{_filled(", ".join(map(str, fields)))}}};
"""


def _reset(model: Model) -> str:
    loads = (
        f"deltarnn_load(state->sums_{k}, deltarnn_bias_{k}, {_sums(layer)});"
        for k, layer in enumerate(_layers(model))
    )
    return f"""\
void deltarnn_reset(deltarnn_state *state)
{{
    memset(state, 0, sizeof *state);
{_indented(loads)}
}}
"""


def _frame(model: Model) -> str:
    last = len(_layers(model)) - 1
    result = "a" if _layers(model)[last].recurrent else "sums"
    calls = "\n".join(_call(k, layer) for k, layer in enumerate(_layers(model)))
    return f"""\
void deltarnn_frame(deltarnn_state *state, const deltarnn_value *x, deltarnn_out *out)
{{
    size_t n;
{calls}
    for (n = 0; n < DELTARNN_OUTPUTS; n++) {{
        out->results[n] = state->{result}_{last}[n];
    }}
}}
"""


def _call(k: int, layer: LayerParameters) -> str:
    """One layer's part of a frame: its input is the frame, or what the layer before it gives."""
    names = ("sent_x", "sent_h", "a", "sums", "kept")
    present = names if layer.recurrent else ("sent_x", "sums")
    memory = (f"state->{name}_{k}" if name in present else "NULL" for name in names)
    x = f"state->a_{k - 1}" if k else "x"
    events = f"&out->events_x[{k}], &out->events_h[{k}]"
    return f"""\
    {{
        const deltarnn_memory its = {{
{_filled(", ".join(memory), 12)}}};
        deltarnn_{layer.kind}(&deltarnn_layer_{k}, {x}, &its, {events});
    }}"""

"""Programs of a network, in C: what is the network's own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from deltarnn.reference.emit import emit
from golden.model import Model
from golden.parameters import LayerParameters
from golden.tables import sigmoid_table, tanh_table

Order = Callable[[np.ndarray], np.ndarray]  # int8 [rows, columns] as weights lie in memory


@dataclass(frozen=True)
class Program:
    """A network's program.

    Attributes
    ----------
    source
        The C file beside this module.
    delta
        Whether it leaves out what did not fire; else it knows no thresholds, and gives what a
        network does whose thresholds are 0.
    order
        How its weights lie; None where the network is the project's own C file.
    words
        Whether they are read in words of four, by a processor that multiplies pairs of 16 bits.
    """

    name: str
    source: str
    delta: bool
    order: Order | None = None
    words: bool = False


def _fours(matrix: np.ndarray) -> np.ndarray:
    """int8 [rows, columns] in words of four columns, the words of four rows side by side."""
    rows, columns = matrix.shape
    return matrix.reshape(rows // 4, 4, columns // 4, 4).transpose(0, 2, 1, 3)


REFERENCE = Program("delta, the reference", "reference.c", True)
DENSE = Program("dense, plain loop", "dense.c", False, lambda matrix: matrix)
DENSE_SIMD = Program("dense, two products an instruction", "dense_simd.c", False, _fours, True)
DELTA_SIMD = Program("delta, sums in registers", "delta_simd.c", True, np.transpose, True)
PROGRAMS = (DENSE, DENSE_SIMD, REFERENCE, DELTA_SIMD)


def sources(program: Program, model: Model) -> dict[str, str]:
    """The network's part of ``program``, by file name.

    Programs other than the reference take GRUs without row shifts, then at most a read-out, in
    formats whose values fit 32 bits; those that read words, inputs and units that are multiples
    of 4 but for a read-out's.
    """
    if program.order is None:
        return {"model.c": emit(model)}
    return {"network.h": _network(model, program.order, program.words)}


def _network(model: Model, order: Order, words: bool) -> str:
    layers, formats = model.parameters.layers, model.parameters.formats
    last = len(layers) - 1
    macros: dict[str, object] = {
        "LAYERS": len(layers),
        "WIDEST": max(max(layer.inputs, layer.units) for layer in layers),
        "RESULTS": f"{'a' if layers[last].recurrent else 'sums'}_{last}",
        "KEPT": f"kept_{len(model.parameters.recurrent) - 1}",
    }
    for name in ("activation", "readout", "preactivation", "gate", "state"):
        q = getattr(formats, name)
        macros |= {f"{name.upper()}_FRACTION": q.f, f"{name.upper()}_BITS": q.m + q.f}
    tables = {"sigmoid": sigmoid_table, "tanh": tanh_table}
    lines = [f"#define {name} {value}" for name, value in macros.items()]
    for name, table in tables.items():
        lines.append(_array("int8_t", name, table(formats.preactivation, formats.gate)))
    lines.append(f"static int8_t x[{layers[0].inputs}] __attribute__((aligned(4)));")
    for k, layer in enumerate(layers):
        lines += _arrays(model, k, layer, order, words)
    structs = ",\n".join(_struct(model, k, layer) for k, layer in enumerate(layers))
    return "\n".join([*lines, f"static const layer layers[LAYERS] = {{\n{structs}}};\n"])


def _arrays(
    model: Model, k: int, layer: LayerParameters, order: Order, words: bool
) -> Iterable[str]:
    """Constants of layer ``k``, and its memory."""
    spare = -layer.units % 4 if words else 0  # of a read-out
    weights = model.weights[k]
    for name in ("weight_x", "weight_h") if layer.recurrent else ("weight_x",):
        matrix = np.pad(getattr(weights, name), ((0, spare), (0, 0)))
        data = np.ascontiguousarray(order(matrix)).ravel()
        yield _array("weight", f"{name}_{k}", data.view("<u4") if words else data)
    yield _array("int32_t", f"bias_{k}", np.pad(weights.bias, (0, spare)))
    memory = {f"int32_t sums_{k}": len(weights.bias) + spare, f"int8_t sent_x_{k}": layer.inputs}
    if layer.recurrent:
        memory |= {
            f"{name}_{k}": layer.units for name in ("int8_t a", "int8_t sent_h", "int16_t kept")
        }
    for name, count in memory.items():
        yield f"static {name}[{count}] __attribute__((aligned(4)));"


def _array(kind: str, name: str, values: Iterable[int]) -> str:
    numbers = [str(int(value)) for value in values]
    return f"static const {kind} {name}[{len(numbers)}] = {{{', '.join(numbers)}}};"


def _struct(model: Model, k: int, layer: LayerParameters) -> str:
    formats = model.parameters.formats
    shift = formats.activation.f + layer.weight_frac - formats.readout.f
    names = ("weight_x", "weight_h", "bias", "sums", "a", "sent_x", "sent_h", "kept")
    absent = () if layer.recurrent else ("weight_h", "a", "sent_h", "kept")
    pointers = ("0" if name in absent else f"{name}_{k}" for name in names)
    numbers = (layer.inputs, layer.units, shift, layer.theta_x, layer.theta_h or 0)
    return f"{{{', '.join([*map(str, numbers), *pointers])}}}"

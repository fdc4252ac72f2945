"""What leaving out columns saves of training on a CPU: one layer, one sequence, one thread.

The same masked layer with sparse and with dense products (the twin), and PyTorch's own layer beside
them, forward and backward. Sparsity is imposed where it arises: in every frame the same number of
inputs, drawn anew, jumps by more than theta_x and no other moves; theta_h is found by bisection, so
that the fraction of units that fire is as wanted, and what is reported is what fired.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import process_time
from typing import Any

import scipy.linalg.cython_blas  # noqa: F401  (numba's products; loaded by now, it can be limited)
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from train.course.fit import reproducible
from train.nets.cells import GRU, LSTM, Cell
from train.nets.dense_bptt import dense_layer
from train.nets.sparse_bptt import sparse_layer

CELLS: dict[str, Cell] = {"gru": GRU, "lstm": LSTM}
NATIVE = {"gru": nn.GRU, "lstm": nn.LSTM}
THETA_X = 0.25
BISECTIONS = 14


@dataclass(frozen=True)
class Setup:
    """A layer of ``units`` on a stream of as many inputs, ``frames`` long."""

    kind: str
    units: int
    frames: int = 100


def measure(setup: Setup, sparsity: float, repetitions: int, seed: int) -> dict[str, Any]:
    """Milliseconds and bytes kept for backward of the three, and what fired.

    They take turns, and a ratio is the median of those of neighbours, which met the same machine.
    The second of a turn's two runs counts: training meets its own data in the caches. Time is
    the process's own.
    """
    with reproducible(seed), threadpool_limits(1):
        x = stream(setup, sparsity).requires_grad_()
        weights = [
            (torch.rand(shape) * 2 - 1).div_(setup.units**0.5)
            for rows in (CELLS[setup.kind].gates * setup.units,)
            for shape in ((rows, setup.units), (rows, setup.units), (rows,), (rows,))
        ]
        theta_h = threshold(setup, x, weights, sparsity)
        layers, parameters = _layers(setup, weights, (THETA_X if sparsity else 0.0, theta_h))
        weigh = torch.randn(setup.frames, setup.units)
        seconds: dict[str, list[float]] = {name: [] for name in layers}
        for _ in range(repetitions):
            for name, layer in layers.items():
                for _ in range(2):
                    start = process_time()
                    outputs = layer(x)
                    torch.autograd.grad(outputs, [x, *parameters[name]], weigh)
                    spent = process_time() - start
                seconds[name].append(spent)
        kept = {name: kept_bytes(layer, x, parameters[name]) for name, layer in layers.items()}
        return {
            "sparsity": sparsity,
            "fired_x": occupancy(x, THETA_X if sparsity else 0.0),
            "fired_h": occupancy(_shifted(layers["dense"](x)), theta_h),
            "theta_h": theta_h,
            "milliseconds": {name: 1e3 * median(each) for name, each in seconds.items()},
            "dense_over_sparse": _ratio(seconds["dense"], seconds["sparse"]),
            "native_over_sparse": _ratio(seconds["native"], seconds["sparse"]),
            "kept_bytes": kept,
        }


def stream(setup: Setup, sparsity: float) -> Tensor:
    """[T, I] of which exactly the fraction 1 - ``sparsity`` jumps in every frame, all others stay.

    An element jumps to the other side of 0, by 0.5 to 1.
    """
    movers = round((1 - sparsity) * setup.units)
    x = torch.empty(setup.frames, setup.units)
    sign = torch.ones(setup.units)
    last = torch.zeros(setup.units)
    for t in range(setup.frames):
        moving = torch.randperm(setup.units)[:movers]
        sign[moving] = -sign[moving]
        last[moving] = sign[moving] * (0.25 + 0.25 * torch.rand(movers)).clamp(min=0.2501)
        x[t] = last
    return x


def threshold(setup: Setup, x: Tensor, weights: list[Tensor], sparsity: float) -> float:
    """theta_h at which the fraction 1 - ``sparsity`` of h fires; 0 for all of it."""
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS if sparsity else 0):
        theta = (low + high) / 2
        with torch.no_grad():
            h = dense_layer(x, *weights, (THETA_X, theta), CELLS[setup.kind])  # type: ignore[arg-type]
        above = occupancy(_shifted(h), theta) > 1 - sparsity
        low, high = (theta, high) if above else (low, theta)
    return high if sparsity else 0.0


@torch.no_grad()
def occupancy(v: Tensor, theta: float) -> float:
    """The fraction of ``v`` [T, n] that fires."""
    memory, fired = torch.zeros_like(v[0]), 0
    for each in v:
        fires = (each - memory).abs() > theta
        memory = torch.where(fires, each, memory)
        fired += int(fires.sum())
    return fired / v.numel()


def kept_bytes(layer: Callable[[Tensor], Tensor], x: Tensor, parameters: list[Tensor]) -> int:
    """Bytes that autograd keeps for the backward pass, weights and the input itself left out."""
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        outputs = layer(x)
    for given in (x, *parameters):
        storages.pop(given.untyped_storage().data_ptr(), None)
    assert outputs.requires_grad
    return sum(storages.values())


def _layers(
    setup: Setup, weights: list[Tensor], thetas: tuple[float, float]
) -> tuple[dict[str, Callable[[Tensor], Tensor]], dict[str, list[Tensor]]]:
    """What to time, by name, and the parameters of each."""
    cell = CELLS[setup.kind]
    dense = [w.clone().requires_grad_() for w in weights]
    tables = [w.t().contiguous() for w in weights[:2]] + [w.clone() for w in weights[2:]]
    tables = [w.requires_grad_() for w in tables]
    native = NATIVE[setup.kind](setup.units, setup.units)
    with torch.no_grad():
        for parameter, value in zip(native.parameters(), weights, strict=True):
            parameter.copy_(value)
    layers: dict[str, Callable[[Tensor], Tensor]] = {
        "sparse": lambda x: sparse_layer(x, *tables, thetas, cell)[0],  # type: ignore[arg-type]
        "dense": lambda x: dense_layer(x, *dense, thetas, cell),  # type: ignore[arg-type]
        "native": lambda x: native(x)[0],
    }
    return layers, {"sparse": tables, "dense": dense, "native": list(native.parameters())}


def _shifted(outputs: Tensor) -> Tensor:
    """What the encoder of h saw: each frame's predecessor."""
    return torch.cat([torch.zeros_like(outputs[:1]), outputs[:-1]])


def _ratio(numerators: list[float], denominators: list[float]) -> float:
    return median(a / b for a, b in zip(numerators, denominators, strict=True))

"""How far the C99 file of an imported network is from PyTorch's floats, and how far it may be.

A frame's error has a bound: each rounding of docs/numerics.md adds half a step, which the slopes of
sigmoid and tanh pass on, and the weights' rounding adds what it makes of the frame's vectors. So a
frame is compared from the state that the integers had before it. Over a whole recording errors feed
back, and a bound would grow without end; there the error is only measured.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deltarnn.reference.program import answers, compiled
from golden.fixed import Q
from golden.formats import Formats
from golden.model import Model
from train.importers import read_network
from train.quantised.float_network import (
    FloatGRU,
    FloatLinear,
    FloatLSTM,
    FloatRecurrent,
    dequantized,
)
from train.quantised.quantize import quantize_network

Floats = NDArray[np.float64]
LARGEST = 2.0  # of a frame


@dataclass(frozen=True)
class Distance:
    """How far integers are from floats.

    Attributes
    ----------
    worst
        The largest error of what a unit keeps after one frame, in its own unit.
    of_bound
        The largest ratio of such an error to its bound: at most 1.
    error
        RMS of the results' error over a recording, over the RMS of the float results.
    """

    worst: float
    of_bound: float
    error: float


def formats_of(fraction: int) -> Formats:
    """Formats with activations of Q3.``fraction``, and all others as much finer."""
    return Formats(
        activation=Q(3, fraction),
        state=Q(1, fraction + 3),
        gate=Q(1, fraction + 2),
        readout=Q(7, fraction + 4),
        preactivation=Q(3, fraction),
        cell=Q(3, fraction + 4),
    )


def module_of(kind: str, inputs: int, units: int, seed: int, steps: int | None) -> torch.nn.Module:
    """A GRU or LSTM in float64 with PyTorch's own random weights.

    ``steps`` rounds them to multiples of 1 / steps, so that eight bits hold them exactly.
    """
    torch.manual_seed(seed)
    module = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind](inputs, units).double()
    if steps is not None:
        with torch.no_grad():
            for tensor in module.parameters():
                tensor.copy_((tensor * steps).round() / steps)
    return module


def recording_of(inputs: int, length: int, seed: int) -> Floats:
    """float [length, inputs]: a walk that stays within LARGEST."""
    walk = np.random.default_rng(seed).normal(size=(length, inputs)).cumsum(axis=0) / 4
    return LARGEST * np.sin(walk)


def distance(module: torch.nn.Module, fraction: int, recording: Floats, folder: Path) -> Distance:
    """Imports ``module`` (of one layer) through its file, and runs it as C and in PyTorch."""
    torch.save(module.state_dict(), folder / "module.pt")
    network = read_network(folder / "module.pt")
    model = quantize_network("module", formats_of(fraction), network, shift_max=3)
    codes = np.floor(recording * 2.0**fraction + 0.5).astype(np.int64)
    found = answers(compiled(model, folder), model, codes)
    frames = codes / 2.0**fraction
    floats, bounds, kept = _one_frame(module, model, frames, found)
    errors = np.abs(kept - floats)
    results = found["outputs"] / 2.0**fraction
    with torch.no_grad():
        whole = module(torch.tensor(recording))[0].numpy()
    return Distance(
        worst=float(errors.max()),
        of_bound=float((errors / bounds).max()),
        error=float(np.sqrt(np.mean((results - whole) ** 2) / np.mean(whole**2))),
    )


def _one_frame(
    module: torch.nn.Module, model: Model, frames: Floats, found: dict[str, Any]
) -> tuple[Floats, Floats, Floats]:
    """[T, H] what each unit keeps after each frame: PyTorch's, its bound, and the integers'."""
    gru = isinstance(module, torch.nn.GRU)
    formats = model.parameters.formats
    kept = found["state"] / 2.0 ** (formats.state if gru else formats.cell).f
    given = found["outputs"] / 2.0**formats.activation.f
    before, others = (np.vstack([np.zeros_like(v[:1]), v[:-1]]) for v in (kept, given))
    floats = _torchs_own(module, frames, before, others)
    (layer,) = dequantized(model).layers
    assert not isinstance(layer, FloatLinear)
    sums = _sums(_of_torch(module), frames, before if gru else others)
    rounded = _sums(layer, frames, others)
    off = [np.abs(a - b) + _half(formats.readout) for a, b in zip(sums, rounded, strict=True)]
    by_hand, bounds = (_gru if gru else _lstm)(formats, sums, off, before)
    np.testing.assert_allclose(floats, by_hand, atol=1e-12)  # what the bound is made of
    return floats, bounds, kept


def _torchs_own(module: torch.nn.Module, x: Floats, before: Floats, others: Floats) -> Floats:
    """What PyTorch's cell keeps after each frame, from what the integers had before it."""
    gru = isinstance(module, torch.nn.GRU)
    cell = (torch.nn.GRUCell if gru else torch.nn.LSTMCell)(x.shape[1], before.shape[1]).double()
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in module.state_dict().items()})
    with torch.no_grad():
        if gru:
            return cell(torch.tensor(x), torch.tensor(before)).numpy()
        return cell(torch.tensor(x), (torch.tensor(others), torch.tensor(before)))[1].numpy()


def _of_torch(module: torch.nn.Module) -> FloatRecurrent:
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    kind = FloatGRU if isinstance(module, torch.nn.GRU) else FloatLSTM
    return kind(*(getattr(module, name).detach().numpy() for name in names))


def _sums(layer: FloatRecurrent, x: Floats, h: Floats) -> list[Floats]:
    """[T, H] each: r, u, xc and hc of a GRU, i, f, g and o of an LSTM."""
    of_x, of_h = x @ layer.weight_x.T + layer.bias_x, h @ layer.weight_h.T + layer.bias_h
    if isinstance(layer, FloatLSTM):
        return np.split(of_x + of_h, 4, axis=1)
    *both, xc = np.split(of_x, 3, axis=1)
    *more, hc = np.split(of_h, 3, axis=1)
    return [*(a + b for a, b in zip(both, more, strict=True)), xc, hc]


def _half(q: Q) -> float:
    """The most that rounding to a format is off."""
    return 2.0 ** -(q.f + 1)


def _sigmoid(v: Floats) -> Floats:
    return 1 / (1 + np.exp(-v))


def _looked_up(formats: Formats, fn: Any, slope: float, v: Floats, off: Floats) -> Floats:
    """How far a table's entry may be from fn(v), where its argument may be ``off`` from v."""
    index = formats.preactivation
    end = 2.0**index.m - 2.0**-index.f
    off = off + _half(index)
    beyond = (np.abs(v) + off > end) * (1 - fn(end))
    return slope * off + beyond + _half(formats.gate)


def _gru(
    formats: Formats, sums: list[Floats], off: list[Floats], h: Floats
) -> tuple[Floats, Floats]:
    m_r, m_u, m_xc, m_hc = sums
    r, u = _sigmoid(m_r), _sigmoid(m_u)
    off_r, off_u = (_looked_up(formats, _sigmoid, 0.25, sums[n], off[n]) for n in (0, 1))
    pre = m_xc + r * m_hc
    off_pre = off[2] + (r + off_r) * off[3] + off_r * np.abs(m_hc)
    c = np.tanh(pre)
    off_c = _looked_up(formats, np.tanh, 1.0, pre, off_pre)
    bound = (1 - u + off_u) * off_c + off_u * np.abs(h - c) + _half(formats.state)
    return (1 - u) * c + u * h, bound


def _lstm(
    formats: Formats, sums: list[Floats], off: list[Floats], c: Floats
) -> tuple[Floats, Floats]:
    i, f = (_sigmoid(sums[n]) for n in (0, 1))
    g = np.tanh(sums[2])
    off_i, off_f = (_looked_up(formats, _sigmoid, 0.25, sums[n], off[n]) for n in (0, 1))
    off_g = _looked_up(formats, np.tanh, 1.0, sums[2], off[2])
    bound = off_f * np.abs(c) + off_i * np.abs(g) + (i + off_i) * off_g + _half(formats.cell)
    return f * c + i * g, bound

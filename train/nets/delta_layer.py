"""What the delta layers in PyTorch share: parameters, rounded weights, encoders of x."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from golden.fixed import Q
from golden.formats import WEIGHT, Formats
from train.data.recordings import Floats
from train.nets.straight_through import held, rounded
from train.quantised.float_network import FloatLinear, FloatRecurrent, power_of_2, rows_of
from train.quantised.quantize import row_shifts, weight_frac

_WEIGHT = Q(WEIGHT.width - 1, 0)  # a weight in steps of its row
_INTEGER = Q(30, 0)  # a bias in steps of its accumulator


class DeltaRecurrentLayer(nn.Module, ABC):
    """A recurrent layer with thresholds ``theta_x`` and ``theta_h`` in activation LSBs.

    Parameters are ``weight_x`` [G H, I], ``weight_h`` [G H, H] and ``bias`` [4H], real numbers with
    the rows of the specification; every pass uses them as the model file will hold them, with row
    shifts of up to ``shift_max``.
    """

    kind: ClassVar[type[FloatRecurrent]]

    def __init__(
        self, layer: FloatRecurrent, formats: Formats, shift_max: int, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.formats, self.shift_max = formats, shift_max
        self.theta_x: int | Tensor = 0
        self.theta_h: int | Tensor = 0
        self.weight_x, self.weight_h, self.bias = (
            nn.Parameter(torch.tensor(value, dtype=dtype))
            for value in (layer.weight_x, layer.weight_h, layer.bias)
        )

    @abstractmethod
    def recurrence(
        self,
        products: Tensor,
        weight_h: Tensor,
        bias: Tensor,
        noise: Tensor | None,
        theta: float | Tensor,
    ) -> tuple[Tensor, Tensor]:
        """a and h^ [T, B, H] of products W_x x^ [T, B, G H], from reset.

        ``noise`` [T, B, H] is added to what the encoder of h sees; ``theta`` is its threshold.
        """

    def floats(self) -> FloatRecurrent:
        """The layer as it is now."""
        return self.kind.with_bias(*(_array(p) for p in (self.weight_x, self.weight_h, self.bias)))

    def forward(self, x: Tensor, noise: float) -> tuple[Tensor, Tensor, Tensor]:
        """a, x^ and h^ [T, B, ...] of activations [T, B, I]; ``noise`` is a deviation, in LSBs."""
        formats, size = self.formats, self.weight_h.shape[1]
        weights = _array(self.weight_x), _array(self.weight_h)
        frac, shifts = row_shifts(self.kind.kind, *weights, self.shift_max)
        steps = power_of_2(frac + shifts)
        lsb = 1 / formats.activation.scale
        pairs = zip((self.weight_x, self.weight_h), rows_of(steps, len(self.weight_x)), strict=True)
        weight_x, weight_h = (_on_grid(w, of_rows, _WEIGHT) for w, of_rows in pairs)
        bias = _on_grid(self.bias, steps * formats.activation.scale, _INTEGER)
        if noise:
            x = rounded(x + noise * lsb * torch.randn_like(x), formats.activation)
        sent_x = held(x, self.theta_x * lsb)
        drawn = noise * lsb * torch.randn(*x.shape[:2], size) if noise else None
        products = sent_x @ weight_x.t()
        a, sent_h = self.recurrence(products, weight_h, bias, drawn, self.theta_h * lsb)
        return a, sent_x, sent_h


class DeltaLinearLayer(nn.Module):
    """A linear read-out with threshold ``theta_x``: ``weight_x`` [O, I], ``bias`` [O]."""

    def __init__(self, layer: FloatLinear, formats: Formats, dtype: torch.dtype) -> None:
        super().__init__()
        self.formats = formats
        self.theta_x: int | Tensor = 0
        self.weight_x = nn.Parameter(torch.tensor(layer.weight, dtype=dtype))
        self.bias = nn.Parameter(torch.tensor(layer.bias, dtype=dtype))

    def floats(self) -> FloatLinear:
        """The layer as it is now."""
        return FloatLinear(_array(self.weight_x), _array(self.bias))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """M and x^ [T, B, ...] of activations [T, B, I]."""
        step = np.array(2.0 ** weight_frac(_array(self.weight_x)))
        scale = self.formats.activation.scale
        sent = held(x, self.theta_x / scale)
        bias = _on_grid(self.bias, step * scale, _INTEGER)
        return sent @ _on_grid(self.weight_x, step, _WEIGHT).t() + bias, sent


def _array(parameter: nn.Parameter) -> Floats:
    return parameter.detach().double().numpy()


def _on_grid(v: Tensor, steps: Floats, q: Q) -> Tensor:
    """``v`` in ``steps`` of its rows to the 1, a power of two each, as ``q`` holds the codes."""
    scale = torch.as_tensor(steps, dtype=v.dtype)
    return rounded(v * scale, q) / scale

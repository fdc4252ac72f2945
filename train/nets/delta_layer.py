"""What the delta layers in PyTorch share: parameters, rounded weights, encoders of x."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from golden.fixed import Q
from golden.formats import WEIGHT, Formats
from train.data.recordings import Floats
from train.nets.straight_through import held, rounded
from train.quantised.float_network import FloatLinear, FloatRecurrent
from train.quantised.quantize import weight_frac


class DeltaRecurrentLayer(nn.Module, ABC):
    """A recurrent layer with thresholds ``theta_x`` and ``theta_h`` in activation LSBs.

    Parameters are ``weight_x`` [G H, I], ``weight_h`` [G H, H] and ``bias`` [4H], real numbers with
    the rows of the specification; every pass uses them as the model file will hold them.
    """

    kind: ClassVar[type[FloatRecurrent]]

    def __init__(self, layer: FloatRecurrent, formats: Formats) -> None:
        super().__init__()
        self.formats = formats
        self.theta_x: int | Tensor = 0
        self.theta_h: int | Tensor = 0
        self.weight_x, self.weight_h, self.bias = (
            nn.Parameter(torch.as_tensor(value).float())
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
        frac = weight_frac(_array(self.weight_x), _array(self.weight_h))
        lsb = 1 / formats.activation.scale
        weight_x, weight_h = (_weight(w, frac) for w in (self.weight_x, self.weight_h))
        bias = _bias(self.bias, formats.accumulator_frac(frac))
        if noise:
            x = rounded(x + noise * lsb * torch.randn_like(x), formats.activation)
        sent_x = held(x, self.theta_x * lsb)
        drawn = noise * lsb * torch.randn(*x.shape[:2], size) if noise else None
        products = sent_x @ weight_x.t()
        a, sent_h = self.recurrence(products, weight_h, bias, drawn, self.theta_h * lsb)
        return a, sent_x, sent_h


class DeltaLinearLayer(nn.Module):
    """A linear read-out with threshold ``theta_x``: ``weight_x`` [O, I], ``bias`` [O]."""

    def __init__(self, layer: FloatLinear, formats: Formats) -> None:
        super().__init__()
        self.formats = formats
        self.theta_x: int | Tensor = 0
        self.weight_x = nn.Parameter(torch.as_tensor(layer.weight).float())
        self.bias = nn.Parameter(torch.as_tensor(layer.bias).float())

    def floats(self) -> FloatLinear:
        """The layer as it is now."""
        return FloatLinear(_array(self.weight_x), _array(self.bias))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """M and x^ [T, B, ...] of activations [T, B, I]."""
        frac = weight_frac(_array(self.weight_x))
        sent = held(x, self.theta_x / self.formats.activation.scale)
        bias = _bias(self.bias, self.formats.accumulator_frac(frac))
        return sent @ _weight(self.weight_x, frac).t() + bias, sent


def _array(parameter: nn.Parameter) -> Floats:
    return parameter.detach().double().numpy()


def _weight(weight: Tensor, frac: int) -> Tensor:
    # frac may exceed the bits of a weight: then all are below 1, and Q has no negative m.
    scale = 2.0 ** (frac - WEIGHT.f)
    return rounded(weight * scale, WEIGHT) / scale


def _bias(bias: Tensor, frac: int) -> Tensor:
    return rounded(bias, Q(30 - frac, frac))

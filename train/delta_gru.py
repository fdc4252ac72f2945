"""The delta network in PyTorch: docs/numerics.md with gradients (Neil et al., ICML 2017).

The forward pass is golden's in every bit. It multiplies with v^ where the core adds up deltas,
which is the same (M = W v^ + bias holds exactly) and what a CPU is fast at; the loop over time of a
layer is one autograd function with a backward pass written out, because there are some forty small
operations to a frame, and recording each would cost more than doing it.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from golden.errors import refusal
from golden.fixed import Q
from golden.model import Model
from golden.parameters import WEIGHT, Formats
from train.data import Floats
from train.forward import Pass
from train.network import FloatGRU, FloatLinear, FloatNetwork
from train.quantize import quantize_network, weight_frac
from train.straight_through import held, rounded, to_grid
from train.thresholds import with_thresholds

EXACT_BITS = 24  # what float32 holds


class _Recurrence(Function):
    """A GRU layer over all frames, from h = h^ = 0 (docs/numerics.md, "GRU layer", steps 1 to 3).

    ``products`` [T, B, 3H] is W_x x^ + bias (r, u, xc). Gives a [T, B, H] and h^ [T, B, H], the
    latter as the frame's products used it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        products: Tensor,
        weight_h: Tensor,
        bias_h: Tensor,
        noise: Tensor | None,
        theta: float | Tensor,
        formats: Formats,
    ) -> tuple[Tensor, Tensor]:
        frames, batch, width = products.shape
        size = width // 3
        new = products.new_empty
        ru, c = new(frames, batch, 2 * size), new(frames, batch, size)
        hc, xc = new(frames, batch, size), to_grid(products[..., 2 * size :], formats.readout)
        h, memory = new(frames + 1, batch, size), new(frames + 1, batch, size)
        a = new(frames, batch, size)
        h[0], memory[0] = 0, 0
        seen = torch.zeros_like(h[0])
        transposed = weight_h.t().contiguous()
        for t in range(frames):
            v = seen if noise is None else to_grid(seen + noise[t], formats.activation)
            torch.where((v - memory[t]).abs() > theta, v, memory[t], out=memory[t + 1])
            product = memory[t + 1] @ transposed
            gates = to_grid(
                product[:, : 2 * size].add_(products[t, :, : 2 * size]), formats.readout
            )
            ru[t] = to_grid(to_grid(gates, formats.preactivation).sigmoid_(), formats.gate)
            hc[t] = to_grid(product[:, 2 * size :].add_(bias_h), formats.readout)
            r, u = ru[t, :, :size], ru[t, :, size:]
            candidate = torch.addcmul(xc[t], r, hc[t])
            c[t] = to_grid(to_grid(candidate, formats.preactivation).tanh_(), formats.gate)
            h[t + 1] = to_grid(torch.addcmul(c[t], u, h[t] - c[t]), formats.state)
            a[t] = h[t + 1] if formats.output_shift == 0 else to_grid(h[t + 1], formats.activation)
            seen = a[t]
        ctx.theta = theta
        ctx.save_for_backward(weight_h, ru, c, hc, h, memory)
        return a, memory[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_a: Tensor, grad_memory: Tensor) -> tuple[Tensor | None, ...]:
        weight_h, ru, c, hc, h, memory = ctx.saved_tensors
        frames, batch, size = c.shape
        of_x = c.new_empty(frames, batch, 3 * size)  # of M_r, M_u, M_xc
        of_hc = torch.empty_like(c)
        carried, carried_memory = torch.zeros_like(c[0]), torch.zeros_like(c[0])
        r, u = ru[..., :size], ru[..., size:]
        slope_r, slope_u, slope_c = r * (1 - r), u * (1 - u), 1 - c * c
        slope_u *= h[:-1] - c
        slope_r *= hc
        slope_c *= 1 - u
        fired = memory[1:] != memory[:-1]
        for t in range(frames - 1, -1, -1):
            grad_h = carried + grad_a[t]
            candidate = grad_h * slope_c[t]
            torch.mul(candidate, slope_r[t], out=of_x[t, :, :size])
            torch.mul(grad_h, slope_u[t], out=of_x[t, :, size : 2 * size])
            of_x[t, :, 2 * size :] = candidate
            torch.mul(candidate, r[t], out=of_hc[t])
            grad = torch.addmm(grad_memory[t], of_x[t, :, : 2 * size], weight_h[: 2 * size])
            grad.addmm_(of_hc[t], weight_h[2 * size :])
            carried = grad_h * u[t]
            if ctx.theta:
                grad += carried_memory
                passed = grad * fired[t]
                carried += passed
                carried_memory = grad - passed
            else:
                carried += grad
        of_h = torch.cat([of_x[..., : 2 * size], of_hc], dim=2).view(-1, 3 * size)
        grad_weight = of_h.t() @ memory[1:].view(-1, size)
        return of_x, grad_weight, of_hc.sum(dim=(0, 1)), None, None, None


class DeltaGRULayer(nn.Module):
    """A GRU layer with thresholds ``theta_x`` and ``theta_h`` in activation LSBs.

    Parameters are ``weight_x`` [3H, I], ``weight_h`` [3H, H] (rows r, u, c) and ``bias`` [4H]
    (r, u, xc, hc), real numbers; every pass uses them as the model file will hold them.
    """

    def __init__(self, layer: FloatGRU, formats: Formats) -> None:
        super().__init__()
        self.formats = formats
        self.theta_x: int | Tensor = 0
        self.theta_h: int | Tensor = 0
        self.weight_x, self.weight_h, self.bias = (
            nn.Parameter(torch.as_tensor(value).float())
            for value in (layer.weight_x, layer.weight_h, layer.bias)
        )

    def floats(self) -> FloatGRU:
        """The layer as it is now."""
        return FloatGRU.with_bias(*(_array(p) for p in (self.weight_x, self.weight_h, self.bias)))

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
        products = sent_x @ weight_x.t() + bias[: 3 * size]
        drawn = noise * lsb * torch.randn(*x.shape[:2], size) if noise else None
        a, sent_h = _Recurrence.apply(  # type: ignore[misc]
            products, weight_h, bias[3 * size :], drawn, self.theta_h * lsb, formats
        )
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


class DeltaGRU(nn.Module):
    """GRU layers and a linear read-out, in the arithmetic of the core.

    Starts as ``network``, with every threshold at 0. Attribute ``noise``: the deviation, in
    activation LSBs, of Gaussian noise on every x and h as neurons see it, while training.
    """

    def __init__(self, network: FloatNetwork, formats: Formats) -> None:
        super().__init__()
        self.formats, self.noise = formats, 0.0
        self.recurrent = nn.ModuleList(
            DeltaGRULayer(layer, formats) for layer in network.layers if isinstance(layer, FloatGRU)
        )
        (readout,) = (layer for layer in network.layers if isinstance(layer, FloatLinear))
        self.readout = DeltaLinearLayer(readout, formats)
        self.set_thresholds((0,) * (2 * len(self.recurrent) + 1))

    def set_thresholds(self, values: tuple[int, ...] | tuple[Tensor, ...]) -> None:
        """theta_x, theta_h of each GRU layer in turn, then theta_x of the read-out, in LSBs.

        Each a number; or, to measure and not to train, [B, 1]: one for every sequence of a batch.
        """
        self._thresholds = values
        *pairs, self.readout.theta_x = values
        for n, layer in enumerate(self._layers()):
            layer.theta_x, layer.theta_h = pairs[2 * n : 2 * n + 2]

    def forward(self, frames: Tensor) -> Pass:
        """Frames [B, T, I], real numbers on the activation format's grid, from reset."""
        noise = self.noise if self.training else 0.0
        x = frames.transpose(0, 1).contiguous()
        sent: list[Tensor] = []
        for layer in self._layers():
            x, sent_x, sent_h = layer(x, noise)
            sent += [sent_x, sent_h]
        outputs, sent_x = self.readout(x)
        return Pass(outputs.transpose(0, 1), (*sent, sent_x), self._rows())

    def exported(self, name: str, labels: tuple[str, ...] | None) -> Model:
        """The integer network, which computes exactly what this one does.

        Raises ValueError where an accumulator is wider than float32 is exact for.
        """
        layers = (*self._layers(), self.readout)
        network = FloatNetwork(tuple(layer.floats() for layer in layers))
        model = quantize_network(name, self.formats, network, labels)
        width = model.parameters.accumulator_width
        if width > EXACT_BITS:
            raise refusal("accumulators", f"{width} bits", f"at most {EXACT_BITS}: smaller weights")
        return with_thresholds(model, tuple(int(value) for value in self._thresholds))

    def _rows(self) -> tuple[int, ...]:
        """Weights of a column, for each encoder in the order of ``Pass.sent``."""
        columns = (n for layer in self._layers() for n in 2 * [len(layer.weight_x)])
        return (*columns, len(self.readout.weight_x))

    def _layers(self) -> list[DeltaGRULayer]:
        return list(self.recurrent)  # type: ignore[arg-type]


def _array(parameter: nn.Parameter) -> Floats:
    return parameter.detach().double().numpy()


def _weight(weight: Tensor, frac: int) -> Tensor:
    # frac may exceed the bits of a weight: then all are below 1, and Q has no negative m.
    scale = 2.0 ** (frac - WEIGHT.f)
    return rounded(weight * scale, WEIGHT) / scale


def _bias(bias: Tensor, frac: int) -> Tensor:
    return rounded(bias, Q(30 - frac, frac))

"""The float network: PyTorch's GRU and a linear read-out of every frame."""

import numpy as np
import torch
from torch import Tensor, nn

from golden.errors import refusal
from train.data import Floats
from train.forward import Pass
from train.network import FloatGRU, FloatLinear, FloatNetwork


class FloatGRUNetwork(nn.Module):
    """GRU layers and a linear read-out of every frame, in PyTorch's own modules.

    Parameters
    ----------
    inputs, units, outputs
        I, H and O: features of a frame, units of each GRU layer, results.
    layers
        GRU layers, one above the other.
    """

    def __init__(self, inputs: int, units: int, outputs: int, layers: int = 1) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, units, layers, batch_first=True)
        self.readout = nn.Linear(units, outputs)

    def forward(self, frames: Tensor) -> Pass:
        """Results [B, T, O] of frames [B, T, I], from h = 0; nothing is sent, so no deltas."""
        states, _ = self.gru(frames)
        return Pass(self.readout(states))

    @torch.no_grad()
    def fold_input(self, gain: Floats, offset: Floats) -> None:
        """From now on takes ``gain * (input + offset)`` where it took ``input`` ([I] each).

        The first layer's weights undo the gain and its input bias undoes the offset, so that what
        is left to do before quantising an input is one multiplication.
        """
        weight = self.gru.get_parameter("weight_ih_l0")
        weight /= torch.as_tensor(gain, dtype=weight.dtype)
        shift = torch.as_tensor(gain * offset, dtype=weight.dtype)
        bias = self.gru.get_parameter("bias_ih_l0")
        bias -= weight @ shift


def float_network(gru: nn.GRU, readout: nn.Linear | None = None) -> FloatNetwork:
    """What torch's modules compute.

    PyTorch's gates are r, z, n in this order, the specification's r, u, c: the same gates, the
    same order, the same update h = (1 - u) c + u h, and the same reset gate after the product.

    Raises ValueError where the GRU is bidirectional.
    """
    if gru.bidirectional:
        raise refusal("GRU", "bidirectional", "one direction: frames arrive one by one")
    layers: list[FloatGRU | FloatLinear] = []
    for k in range(gru.num_layers):
        weights = [_floats(gru, f"weight_{part}_l{k}") for part in ("ih", "hh")]
        none = np.zeros(3 * gru.hidden_size)
        biases = [_floats(gru, f"bias_{p}_l{k}") if gru.bias else none for p in ("ih", "hh")]
        layers.append(FloatGRU(*weights, *biases))
    if readout is not None:
        none = np.zeros(readout.out_features)
        bias = none if readout.bias is None else _floats(readout, "bias")
        layers.append(FloatLinear(_floats(readout, "weight"), bias))
    return FloatNetwork(tuple(layers))


def _floats(module: nn.Module, name: str) -> Floats:
    return module.get_parameter(name).detach().numpy().astype(np.float64)

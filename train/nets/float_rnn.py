"""The float network: PyTorch's GRU or LSTM and a linear read-out of every frame."""

import numpy as np
import torch
from torch import Tensor, nn

from golden.errors import refusal
from train.data.recordings import Floats
from train.nets.forward import Pass
from train.quantised.float_network import (
    FloatGRU,
    FloatLinear,
    FloatLSTM,
    FloatNetwork,
    FloatRecurrent,
)

OPEN = 2.0  # what an LSTM's forget gates begin with, beside torch's random numbers
CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}

_LAYERS: dict[type, type[FloatRecurrent]] = {nn.GRU: FloatGRU, nn.LSTM: FloatLSTM}


class FloatRNN(nn.Module):
    """Recurrent layers of one kind and a linear read-out of every frame, in PyTorch's own modules.

    Parameters
    ----------
    inputs, units, outputs
        I, H and O: features of a frame, units of each recurrent layer, results.
    layers
        Recurrent layers, one above the other.
    cell
        Their kind: one of CELLS.
    """

    def __init__(
        self, inputs: int, units: int, outputs: int, layers: int = 1, cell: str = "gru"
    ) -> None:
        super().__init__()
        self.recurrent = CELLS[cell](inputs, units, layers, batch_first=True)
        self.readout = nn.Linear(units, outputs)
        if isinstance(self.recurrent, nn.LSTM):
            # Cells that begin by keeping what they hold learn longer spans (Jozefowicz et al., ICML
            # 2015), and what moves slowly fires seldom.
            for k in range(layers):
                bias = self.recurrent.get_parameter(f"bias_ih_l{k}")
                bias.data[units : 2 * units] += OPEN

    def forward(self, frames: Tensor) -> Pass:
        """Results [B, T, O] of frames [B, T, I], from reset; nothing is sent, so no deltas."""
        states, _ = self.recurrent(frames)
        return Pass(self.readout(states))

    def floats(self) -> FloatNetwork:
        """The network as it is now."""
        return float_network(self.recurrent, self.readout)

    @torch.no_grad()
    def fold_input(self, gain: Floats, offset: Floats) -> None:
        """From now on takes ``gain * (input + offset)`` where it took ``input`` ([I] each).

        The first layer's weights undo the gain and its input bias undoes the offset, so that what
        is left to do before quantising an input is one multiplication.
        """
        weight = self.recurrent.get_parameter("weight_ih_l0")
        weight /= torch.as_tensor(gain, dtype=weight.dtype)
        shift = torch.as_tensor(gain * offset, dtype=weight.dtype)
        bias = self.recurrent.get_parameter("bias_ih_l0")
        bias -= weight @ shift


def float_network(recurrent: nn.GRU | nn.LSTM, readout: nn.Linear | None = None) -> FloatNetwork:
    """What torch's modules compute.

    PyTorch's gates of a GRU are r, z, n in this order, the specification's r, u, c: the same gates,
    the same order, the same update h = (1 - u) c + u h, and the same reset gate after the product.
    Those of an LSTM are the specification's i, f, g, o.

    Raises ValueError where the recurrent module is bidirectional or has projections.
    """
    kind = type(recurrent).__name__
    if recurrent.bidirectional:
        raise refusal(kind, "bidirectional", "one direction: frames arrive one by one")
    if recurrent.proj_size:
        raise refusal(kind, "projections", "none")
    layers: list[FloatRecurrent | FloatLinear] = []
    for k in range(recurrent.num_layers):
        weights = [_floats(recurrent, f"weight_{part}_l{k}") for part in ("ih", "hh")]
        none = np.zeros(len(weights[0]))
        biases = [
            _floats(recurrent, f"bias_{part}_l{k}") if recurrent.bias else none
            for part in ("ih", "hh")
        ]
        layers.append(_LAYERS[type(recurrent)](*weights, *biases))
    if readout is not None:
        none = np.zeros(readout.out_features)
        bias = none if readout.bias is None else _floats(readout, "bias")
        layers.append(FloatLinear(_floats(readout, "weight"), bias))
    return FloatNetwork(tuple(layers))


def _floats(module: nn.Module, name: str) -> Floats:
    return module.get_parameter(name).detach().numpy().astype(np.float64)

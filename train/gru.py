"""The float network: PyTorch's GRU and a linear read-out of every frame."""

import numpy as np
import torch
from torch import Tensor, nn

from golden.errors import refusal
from train.data import Floats, Sequences
from train.network import FloatGRU, FloatLinear, FloatNetwork


class GRUClassifier(nn.Module):
    """Says which class a sequence is: the largest sum of the read-out over its frames.

    Parameters
    ----------
    inputs, units, classes
        I, H and O: features of a frame, units of each GRU layer, classes.
    layers
        GRU layers, one above the other.
    """

    def __init__(self, inputs: int, units: int, classes: int, layers: int = 1) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, units, layers, batch_first=True)
        self.readout = nn.Linear(units, classes)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [batch, O] of padded frames [batch, T, I] whose mask [batch, T] is 1 on a frame.

        The mean over the frames, not the sum: the same class wins, and the loss of a long
        sequence does not outweigh that of a short one.
        """
        states, _ = self.gru(frames)
        sums = (self.readout(states) * mask[..., None]).sum(dim=1)
        return sums / mask.sum(dim=1, keepdim=True)

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


def padded(data: Sequences) -> tuple[Tensor, Tensor, Tensor]:
    """Frames float32 [n, T, I] padded with zeros to the longest, mask [n, T], labels [n]."""
    longest = max(len(x) for x in data.frames)
    frames = np.zeros((len(data), longest, data.frames[0].shape[1]), dtype=np.float32)
    mask = np.zeros((len(data), longest), dtype=np.float32)
    for n, x in enumerate(data.frames):
        frames[n, : len(x)] = x
        mask[n, : len(x)] = 1
    return torch.from_numpy(frames), torch.from_numpy(mask), torch.from_numpy(data.labels)


@torch.no_grad()
def float_accuracy(network: GRUClassifier, data: Sequences) -> float:
    """The fraction of sequences that the float network gets right."""
    frames, mask, labels = padded(data)
    return float((network(frames, mask).argmax(dim=1) == labels).double().mean())

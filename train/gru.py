"""The float network: PyTorch's GRU and a linear read-out of every frame."""

import numpy as np
import torch
from torch import Tensor, nn

from train.data import Floats, Sequences


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

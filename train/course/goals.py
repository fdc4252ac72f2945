"""What a task asks of a network's results: a goal is a loss and an error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from golden.errors import refusal
from golden.readings import by_frame, by_sum, root_mean_square, transcript, wrong, wrong_labels
from train.data.recordings import Labels


class Goal(Protocol):
    """What a task wants.

    Attributes
    ----------
    readout
        How results are read, for the model file: a key of golden.readings.READINGS.
    unit
        What ``error`` counts.
    output_scale
        What a result, as a real number, is multiplied by to be in that unit; None where results
        are compared with each other.
    """

    @property
    def readout(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def output_scale(self) -> float | None: ...

    def loss(self, outputs: Tensor, mask: Tensor, labels: Labels) -> Tensor:
        """What training lowers: outputs [B, T, O], mask [B, T] (1 on a frame), labels of B."""
        ...

    def error(self, outputs: Sequence[np.ndarray], labels: Labels) -> float:
        """What people ask for: outputs [T, O] of each sequence, in the network's real units."""
        ...


@dataclass(frozen=True)
class OneClass:
    """One class a sequence: the largest sum of the results over its frames.

    The loss takes the mean over the frames, not the sum: the same class wins, and a long
    sequence does not outweigh a short one.
    """

    readout: str = "sum"
    unit: str = "recordings wrong"
    output_scale: None = None

    def loss(self, outputs: Tensor, mask: Tensor, labels: Labels) -> Tensor:
        means = (outputs * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return nn.functional.cross_entropy(means, torch.as_tensor(np.asarray(labels)))

    def error(self, outputs: Sequence[np.ndarray], labels: Labels) -> float:
        return wrong([by_sum(each) for each in outputs], list(np.asarray(labels)))


@dataclass(frozen=True, kw_only=True)
class FirstClasses(OneClass):
    """One class a sequence, of the first ``known``: the others are yet to be learned."""

    known: int

    def loss(self, outputs: Tensor, mask: Tensor, labels: Labels) -> Tensor:
        return super().loss(outputs[..., : self.known], mask, labels)

    def error(self, outputs: Sequence[np.ndarray], labels: Labels) -> float:
        return super().error([o[:, : self.known] for o in outputs], labels)


@dataclass(frozen=True)
class FrameClasses:
    """A class in every frame: the largest result. Labels are int64 [T]."""

    readout: str = "frame"
    unit: str = "frames wrong"
    output_scale: None = None

    def loss(self, outputs: Tensor, mask: Tensor, labels: Labels) -> Tensor:
        wanted = torch.from_numpy(np.concatenate(labels))
        return nn.functional.cross_entropy(outputs[mask.bool()], wanted)

    def error(self, outputs: Sequence[np.ndarray], labels: Labels) -> float:
        return wrong([by_frame(each) for each in outputs], list(labels))


@dataclass(frozen=True)
class Transcript:
    """A string of labels, by connectionist temporal classification (Graves et al., ICML 2006).

    The last result is the blank. The error is the edit distance to what was said, over its length.
    """

    readout: str = "ctc"
    unit: str = "labels wrong"
    output_scale: None = None

    def loss(self, outputs: Tensor, mask: Tensor, labels: Labels) -> Tensor:
        return nn.functional.ctc_loss(
            outputs.log_softmax(dim=2).transpose(0, 1),
            torch.from_numpy(np.concatenate(labels)),
            mask.sum(dim=1).long(),
            torch.tensor([len(label) for label in labels]),
            blank=outputs.shape[2] - 1,
        )

    def error(self, outputs: Sequence[np.ndarray], labels: Labels) -> float:
        return wrong_labels([transcript(each) for each in outputs], list(labels))


@dataclass(frozen=True)
class Value:
    """Numbers in every frame: results times ``output_scale``. Labels are float64 [T, O], or [T]
    for result 0 alone.

    The error is the root of the mean square of what is left. ``second`` is how many frames last
    one.
    """

    output_scale: float
    unit: str
    second: int
    readout: str = "value"

    def loss(self, outputs: Tensor, mask: Tensor, labels: Labels) -> Tensor:
        wanted = torch.from_numpy(_columns(labels) / self.output_scale)
        found = outputs[mask.bool()][:, : wanted.shape[1]].double()
        return nn.functional.mse_loss(found, wanted).float()

    def error(self, outputs: Sequence[np.ndarray], labels: Labels) -> float:
        return root_mean_square([each * self.output_scale for each in outputs], list(labels))

    def persistence(self, labels: Labels) -> float:
        """The error of whoever says what was true a second ago, where there is one."""
        moved = np.concatenate([label[self.second :] - label[: -self.second] for label in labels])
        return float(np.sqrt(np.mean(moved**2)))


def _columns(labels: Labels) -> np.ndarray:
    """Labels of all frames in a row [n, O]."""
    every = np.concatenate(labels)
    return every.reshape(len(every), -1)


def unpadded(outputs: Tensor, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """[T, O] of each sequence, of outputs [n, T, O] of the padded ``frames``."""
    return [o[: len(x)].numpy() for o, x in zip(outputs, frames, strict=True)]


def padded(frames: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """float32 [n, T, k] of arrays [T, k] padded with zeros to the longest, mask [n, T]."""
    if not frames:
        raise refusal("sequences", "none", "at least one")
    longest = max(len(x) for x in frames)
    batch = np.zeros((len(frames), longest, frames[0].shape[1]), dtype=np.float32)
    mask = np.zeros((len(frames), longest), dtype=np.float32)
    for n, x in enumerate(frames):
        batch[n, : len(x)] = x
        mask[n, : len(x)] = 1
    return torch.from_numpy(batch), torch.from_numpy(mask)

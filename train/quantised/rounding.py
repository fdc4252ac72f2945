"""Weights rounded with what they are multiplied by in view.

The nearest code makes the least error of each weight. What counts is the error of the products W v
over the vectors v that a layer sees, and those are far from free: features move together. So the
columns are rounded one after the other, and each makes up for what those before it have done wrong:
Babai's nearest plane, which is GPTQ (Frantar et al., 2210.17323) in another order of the same
steps. What is left on the mean goes into the bias.

The model must be the same on every CPU: sums over frames are of integers and exact, and all else is
element by element, in one order (docs/reproducibility.md).
"""

from dataclasses import dataclass

import numpy as np

from golden.formats import WEIGHT
from train.data.recordings import Floats

_STEPS = 1 << 12  # of an element's size: so finely are vectors looked at
_FRAMES = 1 << 16  # so many at most, so that no sum leaves int64
# What rests in the recording may move later. So each element is taken to move by a quarter of its
# size, for itself, in as many frames more as there are elements.
_MOVES = 0.25


@dataclass(frozen=True)
class Vectors:
    """What the vectors that some columns are multiplied by have in common.

    Attributes
    ----------
    steps : float64 [n]
        The unit of each element in ``factor``.
    mean : float64 [n]
        Mean over the frames.
    order : int64 [n]
        Elements by their variance, the least first.
    factor : float64 [n, n]
        Upper triangular U in that order: U^T U is the covariance in ``steps``, what each element
        may move for itself included.
    """

    steps: Floats
    mean: Floats
    order: np.ndarray
    factor: Floats

    @classmethod
    def of(cls, vectors: Floats, sizes: Floats) -> "Vectors":
        """Of float64 [N, n]; ``sizes`` [n] is how large each element may well become."""
        vectors = vectors[:_FRAMES]
        steps = sizes / _STEPS
        codes = np.rint(vectors / steps)
        frames, sums = len(codes), codes.sum(axis=0).astype(np.int64)
        products = (codes.T @ codes).astype(np.int64)  # of integers: exact in any order
        covariance = (products * frames - np.outer(sums, sums)) / float(frames) ** 2
        variance = np.diag(covariance)
        order = np.argsort(variance, kind="stable")
        covariance = covariance[np.ix_(order, order)]
        own = (_MOVES * _STEPS) ** 2 * len(variance) / frames
        covariance[np.diag_indices_from(covariance)] += own
        return cls(steps, sums / frames * steps, order, _cholesky(covariance))

    def scaled(self, scale: Floats) -> "Vectors":
        """The same of vectors that are multiplied by ``scale`` [n]."""
        return Vectors(self.steps * scale, self.mean * scale, self.order, self.factor)

    def rounded(self, weight: Floats) -> tuple[np.ndarray, Floats]:
        """Codes int8 [rows, n] for ``weight`` [rows, n] in LSBs of each row, and [rows], in LSBs
        times the unit of the vectors, what the codes lack on the mean.
        """
        columns = np.ascontiguousarray(weight.T[self.order])
        steps, factor = self.steps[self.order], self.factor
        carried = np.zeros_like(columns)
        codes = np.empty_like(columns)
        lacking = np.zeros(columns.shape[1])
        means = self.mean[self.order]
        for j in range(len(columns) - 1, -1, -1):
            wanted = columns[j] + carried[j] / (factor[j, j] * steps[j])
            codes[j] = np.clip(np.floor(wanted + 0.5), WEIGHT.min, WEIGHT.max)
            error = columns[j] - codes[j]
            lacking += error * means[j]
            carried[:j] += factor[:j, j, None] * (error * steps[j])
        result = np.empty(columns.shape, dtype=np.int8)
        result[self.order] = codes.astype(np.int8)
        return np.ascontiguousarray(result.T), lacking


@dataclass(frozen=True)
class LayerVectors:
    """What the rows of one layer see: x alone, and in a recurrent layer h alone, and both."""

    x: Vectors
    h: Vectors | None = None
    both: Vectors | None = None

    @classmethod
    def of(cls, x: Floats, h: Floats | None, sizes: Floats) -> "LayerVectors":
        """Of float64 [N, I], of ``sizes`` [I], and [N, H], which may become 1."""
        if h is None:
            return cls(Vectors.of(x, sizes))
        of_h = np.ones(h.shape[1])
        both = Vectors.of(np.concatenate([x, h], axis=1), np.concatenate([sizes, of_h]))
        return cls(Vectors.of(x, sizes), Vectors.of(h, of_h), both)

    def scaled(self, scale: Floats) -> "LayerVectors":
        """The same with every x multiplied by ``scale`` [I]."""
        if self.h is None or self.both is None:
            return LayerVectors(self.x.scaled(scale))
        of_both = np.concatenate([scale, np.ones(len(self.h.steps))])
        return LayerVectors(self.x.scaled(scale), self.h, self.both.scaled(of_both))


def _cholesky(matrix: Floats) -> Floats:
    """Upper triangular U with U^T U = ``matrix``, which is overwritten."""
    for j in range(len(matrix)):
        matrix[j, j:] /= np.sqrt(matrix[j, j])
        right = matrix[j, j + 1 :]
        matrix[j + 1 :, j + 1 :] -= right[:, None] * right
        matrix[j + 1 :, j] = 0
    return matrix

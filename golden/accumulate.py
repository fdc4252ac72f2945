"""Exact integer matrix products, at the speed of floating point."""

import numpy as np

from golden.errors import refusal
from golden.fixed import Integers

_EXACT = 1 << 53  # float64 holds every integer up to here


class ExactMatrix:
    """W of a layer's accumulators: ``d @ W.T`` in integers.

    Integer matrices have no BLAS behind them, float64 ones do. The product is exact as long as no
    partial sum can reach 2^53, which the constructor checks for the largest delta there can be.

    Parameters
    ----------
    weights : int8 [rows, columns]
    delta_bits
        Width of a delta, sign included.
    """

    def __init__(self, weights: np.ndarray, delta_bits: int) -> None:
        bound = int(np.abs(weights.astype(np.int64)).sum(axis=1).max(initial=0)) << (delta_bits - 1)
        if bound >= _EXACT:
            raise refusal("largest sum of a row", bound, f"below 2^53 = {_EXACT}")
        self._transposed = np.ascontiguousarray(weights.T, dtype=np.float64)

    def __call__(self, d: Integers) -> Integers:
        """int64 [batch, rows] of int64 [batch, columns]. All-zero columns are left out."""
        fired = np.flatnonzero(d.any(axis=0))
        if fired.size * 2 > d.shape[1]:
            product = d.astype(np.float64) @ self._transposed
        else:
            product = d[:, fired].astype(np.float64) @ self._transposed[fired]
        return product.astype(np.int64)

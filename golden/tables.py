"""The sigmoid and tanh tables: what the activation unit holds in ROM."""

from functools import cache

import numpy as np

from golden.fixed import Integers, Q, quantize


def _inputs(pre: Q) -> np.ndarray:
    return np.arange(pre.min, pre.max + 1) / pre.scale


@cache
def sigmoid_table(pre: Q, gate: Q) -> Integers:
    """int64 [2^pre.width] in format ``gate``; entry i stands for preactivation i + pre.min."""
    with np.errstate(over="ignore"):  # far to the left: 1 / (1 + infinity) is the 0 it should be
        return _frozen(quantize(1 / (1 + np.exp(-_inputs(pre))), gate))


@cache
def tanh_table(pre: Q, gate: Q) -> Integers:
    """int64 [2^pre.width] in format ``gate``; entry i stands for preactivation i + pre.min."""
    return _frozen(quantize(np.tanh(_inputs(pre)), gate))


def _frozen(table: Integers) -> Integers:
    table.setflags(write=False)  # cached: every caller gets the same array
    return table

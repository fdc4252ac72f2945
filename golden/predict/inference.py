"""The cost of a frame as the delta network paper counts it: fetches and operations, not cycles.

Neil et al. (ICML 2017), section 3.3, count for a dense n x n matrix-vector product n^2 weight
fetches and n^2 multiplications, and for its delta form only the columns that fired, plus the
accesses to the vectors x^ and M that the delta form adds. Here the counts are exact integers for
the network at hand, per frame:

    weight_fetches   one for each weight of a column that fires (dense: each weight)
    macs             one for each weight fetched
    state_accesses   words of x, x^, h, h^ and M read or written
"""

from dataclasses import dataclass

import numpy as np

from golden.fixed import Integers
from golden.network import Trace
from golden.parameters import LayerParameters, NetworkParameters


@dataclass(frozen=True)
class Cost:
    """Counts per frame, int64 [T]."""

    weight_fetches: Integers
    macs: Integers
    state_accesses: Integers


def _dense_state_accesses(layer: LayerParameters) -> int:
    """Read every input, write every unit; a recurrent layer also reads its h as an input."""
    return layer.columns + layer.units


def _delta_state_accesses(layer: LayerParameters, events: Integers) -> Integers:
    """For every column read v and v^, for every event write v^; read and write every M; then, in
    a recurrent layer, read h once more for the update, and write every unit.
    """
    vectors = 2 * layer.columns + events
    accumulators = 2 * layer.accumulators * layer.units
    update = 2 * layer.units if layer.recurrent else layer.units
    return vectors + accumulators + update


def delta_cost(network: NetworkParameters, trace: Trace) -> Cost:
    """What the delta network cost, frame by frame."""
    events = trace.events_x + trace.events_h
    rows = np.array([layer.gates * layer.units for layer in network.layers])
    fetches = (events * rows).sum(axis=1)
    accesses = sum(
        (_delta_state_accesses(layer, events[:, k]) for k, layer in enumerate(network.layers)),
        start=np.zeros(len(events), dtype=np.int64),
    )
    return Cost(fetches, fetches, accesses)


def dense_cost(network: NetworkParameters, frames: int) -> Cost:
    """What the dense network of the same size costs in each of ``frames`` frames."""
    fetches = np.full(frames, network.weights, dtype=np.int64)
    accesses = sum(_dense_state_accesses(layer) for layer in network.layers)
    return Cost(fetches, fetches, np.full(frames, accesses, dtype=np.int64))


def occupancy(network: NetworkParameters, trace: Trace) -> tuple[float, float]:
    """The fraction of columns that fired over all frames and layers: of x, and of h."""
    frames = max(len(trace.outputs), 1)
    columns_x = sum(layer.inputs for layer in network.layers)
    columns_h = sum(layer.units for layer in network.recurrent)
    return (
        float(trace.events_x.sum()) / (frames * columns_x),
        float(trace.events_h.sum()) / (frames * columns_h),
    )

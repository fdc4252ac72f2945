"""From closed rows of accumulators to new states: the readout and the cells."""

"""From a model to a board: synthesis, placement, bitstream, flash."""

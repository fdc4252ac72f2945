"""Networks in PyTorch: with deltas and without, and their derivatives."""

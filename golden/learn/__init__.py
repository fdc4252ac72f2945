"""Backpropagation through time that leaves out what inference left out, also in integers."""

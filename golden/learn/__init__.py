"""Backpropagation through time that leaves out what inference left out, real-valued and in integers."""

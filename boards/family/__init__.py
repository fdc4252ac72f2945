"""Families of chips: their cells, chips, clocks and targets."""

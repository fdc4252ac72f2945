"""Walks: what decides, slot by slot, which row and which column the lanes take next."""

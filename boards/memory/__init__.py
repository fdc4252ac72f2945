"""Memories beside the chip."""

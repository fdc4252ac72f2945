"""Boards: families of chips, the flow to a bitstream, the host link and its two ends."""

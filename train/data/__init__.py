"""Recordings: where they lie, how they are read, what features they give."""

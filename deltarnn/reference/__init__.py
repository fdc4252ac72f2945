"""A network as one C99 file: a second opinion on docs/numerics.md, and code for a processor."""

"""The bench: what is measured of cores, as JSON and as pictures."""

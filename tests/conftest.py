"""What every test is to find: one thread, and a cache of its own."""

import os
from pathlib import Path

# Several tests run at once; with threads of their own besides, they would mostly wait for each
# other. Set before anything imports NumPy or torch, and inherited by what tests start.
for _library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

# Simulations are built once for all workers, and again only where what went into them changed.
os.environ.setdefault("DELTARNN_CACHE", str(Path(__file__).parents[1] / "build" / "simulations"))

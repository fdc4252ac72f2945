"""What every test is to find: one thread, and a cache of its own."""

import os
from pathlib import Path

# Several tests run at once; with threads of their own besides, they would mostly wait for each
# other. Set before anything imports NumPy or torch, and inherited by what tests start.
for _library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

# Built simulations serve all workers, and later runs where nothing that goes into them changed.
_CACHE = Path(__file__).parents[1] / "build" / "tests"
os.environ.setdefault("DELTARNN_CACHE", str(_CACHE))

# What packages else write into the user's home, or send to those who made them.
os.environ.setdefault("KERAS_HOME", str(_CACHE / "keras"))
os.environ.setdefault("MPLCONFIGDIR", str(_CACHE / "matplotlib"))
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

"""Builds a simulation once per configuration, keyed by what went into it."""

import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path

from golden.errors import refusal
from hw.verilog import TOP, Emission
from sim.simulator import Simulation, Simulator

_RECIPE = 3  # a change in how simulations are built makes the old ones stale


def cache_folder() -> Path:
    """Where built simulations are kept: DELTARNN_CACHE, else a folder in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("DELTARNN_CACHE") or Path(base) / "deltarnn")


def build(emission: Emission, simulator: Simulator, *, waves: bool = False) -> Simulation:
    """The simulation of ``emission``, from the cache or built now.

    Raises ValueError where the simulator is missing or cannot build.
    """
    simulator = simulator.tracing if waves else simulator
    simulator.environment()  # refuses before anything is written
    key = _identity(emission, simulator, waves)
    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / f"{key}.lock").open("w")
    except OSError as error:
        raise refusal(str(cache), error.strerror, "a folder that can be written to") from None
    folder = cache / key
    ports = {port["name"]: port["width"] for port in emission.manifest["ports"] if port["width"]}
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two that want it at once, one builds
        if not (folder / "built").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            source, log = folder / f"{TOP}.v", folder / "build.log"
            source.write_text(emission.verilog)
            try:
                simulator.build(source, ports, log, cache, waves=waves)
            except (SystemExit, RuntimeError, OSError) as error:
                tail = log.read_text().splitlines()[-1:] if log.exists() else []
                reason = tail[0] if tail else str(error)
                raise refusal(f"build with {simulator.name}", reason, f"a build ({log})") from None
            (folder / "built").touch()
    return Simulation(simulator, folder, waves, ports)


def _identity(emission: Emission, simulator: Simulator, waves: bool) -> str:
    """What a build depends on."""
    names = [simulator.name, simulator.version, simulator.identity]
    parts = [_RECIPE, *names, waves, emission.verilog]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

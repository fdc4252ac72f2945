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

_RECIPE = 4  # a change in how simulations are built makes the old ones stale


def cache_folder() -> Path:
    """Where built simulations are kept: DELTARNN_CACHE, else a folder in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("DELTARNN_CACHE") or Path(base) / "deltarnn")


def build(
    emission: Emission, simulator: Simulator, *, models: str = "", waves: bool = False
) -> Simulation:
    """The simulation of ``emission``, from the cache or built now.

    ``models`` is the Verilog of the cells that its target uses, if it uses any.

    Raises ValueError where the simulator is missing or cannot build.
    """
    simulator = simulator.tracing if waves else simulator
    simulator.environment()  # refuses before anything is written
    key = _identity(emission, simulator, models, waves)
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
            texts = {f"{TOP}.v": emission.verilog, **({"models.v": models} if models else {})}
            for name, text in texts.items():
                (folder / name).write_text(text)
            sources, log = [folder / name for name in texts], folder / "build.log"
            try:
                simulator.build(sources, ports, log, cache, waves=waves)
            except (SystemExit, RuntimeError, OSError) as error:
                tail = log.read_text().splitlines()[-1:] if log.exists() else []
                reason = tail[0] if tail else str(error)
                raise refusal(f"build with {simulator.name}", reason, f"a build ({log})") from None
            (folder / "built").touch()
    return Simulation(simulator, folder, waves, ports, emission.weights)


def _identity(emission: Emission, simulator: Simulator, models: str, waves: bool) -> str:
    """What a build depends on."""
    names = [simulator.name, simulator.version, simulator.identity]
    parts = [_RECIPE, *names, waves, emission.verilog, models]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

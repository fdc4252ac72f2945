"""Builds a simulation once per configuration, keyed by what went into it."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from golden.errors import refusal
from hw.emit.verilog import TOP, Emission
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
    ports = {port["name"]: port["width"] for port in emission.manifest["ports"] if port["width"]}
    texts = {f"{TOP}.v": emission.verilog, **({"models.v": models} if models else {})}
    names = [simulator.name, simulator.version, simulator.identity]

    def make(folder: Path) -> None:
        sources = [folder / name for name in texts]
        simulator.build(sources, ports, folder / "build.log", folder.parent, waves=waves)

    folder = built(texts, [_RECIPE, *names, waves], make, simulator.name)
    return Simulation(simulator, folder, waves, ports, emission.weights)


def built(
    texts: Mapping[str, str], identity: list[Any], make: Callable[[Path], None], name: str
) -> Path:
    """The folder in the cache where ``make`` has built ``texts``, or does now.

    ``texts`` are files by name, which lie in the folder when ``make`` is called; ``identity`` is
    what else the build depends on, ready for JSON. ``make`` leaves a build.log and fails with
    RuntimeError, OSError or SystemExit. Raises ValueError where that is so; ``name`` says of what.
    """
    key = hashlib.sha256(json.dumps([*identity, *texts.values()]).encode()).hexdigest()[:16]
    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / f"{key}.lock").open("w")
    except OSError as error:
        raise refusal(str(cache), error.strerror, "a folder that can be written to") from None
    folder = cache / key
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two that want it at once, one builds
        if not (folder / "built").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for file, text in texts.items():
                (folder / file).write_text(text)
            log = folder / "build.log"
            try:
                make(folder)
            except (SystemExit, RuntimeError, OSError) as error:
                tail = log.read_text().splitlines()[-1:] if log.exists() else []
                reason = tail[0] if tail else str(error)
                raise refusal(f"build with {name}", reason, f"a build ({log})") from None
            (folder / "built").touch()
    return folder

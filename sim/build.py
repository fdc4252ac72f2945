"""Builds a simulation once per configuration, keyed by what went into it."""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from golden.errors import refusal
from golden.files import aside_folder, temporary_folder
from hw.emit.verilog import TOP, Emission
from sim.simulator import Simulation, Simulator

_RECIPE = 6  # a change in how simulations are built makes the old ones stale


def cache_folder() -> Path:
    """Where built simulations are kept: DELTARNN_CACHE, else a folder in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("DELTARNN_CACHE") or Path(base) / "deltarnn")


def require_waves(simulator: Simulator, waves: Path) -> None:
    """Refuses a file of waveforms whose suffix is none that the simulator can write."""
    if waves.suffix not in simulator.waves:
        expected = f"a name that ends in {' or '.join(simulator.waves)} with {simulator.name}"
        raise refusal(str(waves), f"suffix {waves.suffix!r}", expected)


def build(
    emission: Emission, simulator: Simulator, *, models: str = "", waves: str = ""
) -> Simulation:
    """The simulation of ``emission``, from the cache or built now.

    ``models`` is the Verilog of the cells that its target uses, if it uses any; ``waves`` the
    suffix of the waveforms that it is to write, if it is to write some.

    Raises ValueError where the simulator is missing or cannot build.
    """
    simulator.environment()  # refuses before anything is written
    ports = {port["name"]: port["width"] for port in emission.manifest["ports"] if port["width"]}
    texts = {f"{TOP}.v": emission.verilog, **({"models.v": models} if models else {})}
    names = [simulator.name, simulator.version, simulator.identity]

    def make(folder: Path, shared: Path) -> None:
        sources = [folder / name for name in texts]
        simulator.build(sources, ports, folder / "build.log", shared, waves=waves)

    folder = built(texts, [_RECIPE, *names, waves], make, simulator.name)
    return Simulation(simulator, folder, waves, ports, emission.to_load)


def built(
    texts: Mapping[str, str], identity: list[Any], make: Callable[[Path, Path], None], name: str
) -> Path:
    """The folder in the cache where ``make`` has built ``texts``, or does now.

    ``texts`` are files by name, which lie in the first folder that ``make`` is called with; the
    second one is for what all builds share. ``identity`` is what else the build depends on, ready
    for JSON. ``make`` leaves a build.log and fails with RuntimeError, OSError or SystemExit. Raises
    ValueError where that is so; ``name`` says of what.
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
        if not folder.exists():
            _build(texts, make, name, folder)
    return folder


def _build(
    texts: Mapping[str, str], make: Callable[[Path, Path], None], name: str, folder: Path
) -> None:
    """Builds somewhere else, since make and compilers want plain paths; ``folder`` comes whole."""
    with temporary_folder() as work:
        for file, text in texts.items():
            (work / file).write_text(text, encoding="utf-8")
        log = work / "build.log"
        try:
            make(work, folder.parent)
        except (SystemExit, RuntimeError, OSError) as error:
            reason = str(error)
            kept = folder.with_suffix(".log")
            if log.exists():
                text = log.read_text(errors="backslashreplace").replace(f"{work}/", "")
                kept.write_text(text, errors="backslashreplace")
                reason = _reason(text) or reason
            raise refusal(f"build with {name}", reason, f"a build ({kept})") from None
        with aside_folder(folder.parent, folder.name) as aside:
            # Object files and headers are of use to nobody any more.
            unwanted = shutil.ignore_patterns("*.o", "*.a", "*.d", "*.gch")
            try:
                shutil.copytree(work, aside / "built", ignore=unwanted)
                (aside / "built").replace(folder)
            except OSError as error:
                reason = error.strerror or str(error)
                expected = "a folder that can be written to"
                raise refusal(str(folder.parent), reason, expected) from None


def _reason(log: str) -> str:
    """The line that says why a build failed: the first error, and not how make then gave up."""
    lines = log.splitlines()
    errors = (line for line in lines if re.search(r"(?i)(?<![-\w])error\b", line))
    first = next((line for line in errors if not line.startswith("make")), None)
    return (first or (lines[-1] if lines else "")).strip()

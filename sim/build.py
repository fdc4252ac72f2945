"""Builds a simulation once per configuration, keyed by what went into it."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config

from golden.errors import refusal
from hw.verilog import TOP, Emission
from sim.simulators import Simulator

_RECIPE = 2  # a change in how simulations are built makes the old ones stale


@dataclass(frozen=True)
class Simulation:
    """A built simulation, ready to be run any number of times, also at once."""

    simulator: Simulator
    folder: Path
    waves: bool
    width_in: int
    width_out: int


def cache_folder() -> Path:
    """Where built simulations are kept: DELTARNN_CACHE, else a folder in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("DELTARNN_CACHE") or Path(base) / "deltarnn")


@contextmanager
def working_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """os.environ with ``variables``, for the programs that cocotb's runner starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def build(emission: Emission, simulator: Simulator, *, waves: bool = False) -> Simulation:
    """The simulation of ``emission``, from the cache or built now.

    Raises ValueError where the simulator is missing or cannot build.
    """
    environment = simulator.environment()
    key = _identity(emission, simulator, waves)
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
            with working_environment(environment):
                _build(emission, simulator, folder, waves)
            (folder / "built").touch()
    ports = {port["name"]: port["width"] for port in emission.manifest["ports"]}
    return Simulation(simulator, folder, waves, ports["s_axis_tdata"], ports["m_axis_tdata"])


def _identity(emission: Emission, simulator: Simulator, waves: bool) -> str:
    """What a build depends on; also where cocotb lies, since it is linked by its full path."""
    bindings = [version("cocotb"), str(cocotb_tools.config.libs_dir)]
    parts = [_RECIPE, simulator.name, simulator.version, bindings, waves, emission.verilog]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _build(emission: Emission, simulator: Simulator, folder: Path, waves: bool) -> None:
    source = folder / f"{TOP}.v"
    source.write_text(emission.verilog)
    ports = [port["name"] for port in emission.manifest["ports"] if port["width"]]
    arguments = simulator.build_arguments(folder, TOP, ports)
    log = folder / "build.log"
    try:
        simulator.runner(cache_folder()).build(
            sources=[source, *arguments.pop("extra_sources", [])],
            hdl_toplevel=TOP,
            build_dir=folder,
            timescale=("1ns", "1ps"),
            waves=waves,
            log_file=log,
            **arguments,
        )
    except (SystemExit, RuntimeError, OSError) as error:
        tail = log.read_text().splitlines()[-1:] if log.exists() else []
        reason = tail[0] if tail else str(error)
        raise refusal(f"build with {simulator.name}", reason, f"a build ({log})") from None

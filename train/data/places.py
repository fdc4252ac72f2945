"""Where recordings are found: in the user's folder, or in a package of the registry."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from golden.errors import refusal

VARIABLE = "DELTARNN_DATA"


def folder(name: str) -> Path:
    """``name`` in the folder that the environment variable DELTARNN_DATA names."""
    place = os.environ.get(VARIABLE)
    if not place:
        raise refusal(VARIABLE, "not set", f"a folder that holds {name}")
    path = Path(place) / name
    if not path.is_dir():
        raise refusal(str(path), "no folder", "the recordings (docs/results.md says which)")
    return path


def package(requirement: str, file: str, sha256: str) -> Path:
    """The archive ``file`` of a package, from the cache or with pip; checked in either case."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "deltarnn" / file
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "--only-binary" if file.endswith(".whl") else "--no-binary"
        name = requirement.partition("==")[0]
        command = [sys.executable, "-m", "pip", "download", "--no-deps", kind, name]
        command += ["--disable-pip-version-check", "--dest", str(path.parent), requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not path.exists():
            reason = (done.stderr.strip().splitlines() or ["no file"])[-1]
            raise refusal(f"pip download {requirement}", reason, file)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise refusal(str(path), f"sha256 {found}", f"{sha256}; remove it to fetch it again")
    return path

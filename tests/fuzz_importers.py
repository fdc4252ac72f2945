"""Broken and hostile files for `deltarnn import`, many of them.

    python -m tests.fuzz_importers --count 10000 --seed 1 [--kind onnx|keras|torch] [--keep FOLDER]

Each file is imported by the command itself, in a process that is forked for every few of them, in
a folder of its own and with limits. Either the command accepts it, and then the model file can be
read, or it refuses it in one line on standard error with exit status 2. All else is a violation:
a traceback, another status, more than 20 s, 1 GB above what an idle process takes, a file beside
the output, a warning, a crash. Prints counts, the slowest and the largest; exits with 1 where
there was a violation, and keeps those files in FOLDER.

Mutant n of a seed is the same whatever the count.
"""

import argparse
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.mutations_import import KINDS, bytewise

SECONDS, BYTES, LINE = 20, 1 << 30, 460
NAMED = ("deltarnn: mutant.", "deltarnn: calibration.npy: ")
BATCH = 100
NODES = ("gru0", "below", "gru", "lstm0", "within", "head", "lstm", "n\x1b")  # parts of the seeds


@dataclass
class Report:
    """What became of the mutants."""

    kind: str
    accepted: int = 0
    refused: int = 0
    violations: list[str] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)
    largest: int = 0
    reasons: Counter = field(default_factory=Counter)

    @property
    def mutants(self):
        return self.accepted + self.refused + len(self.violations)

    def __str__(self):
        return (
            f"{self.kind}: {self.mutants} mutants, {self.accepted} accepted, "
            f"{self.refused} refused, {len(self.violations)} violations; "
            f"slowest {self.slowest[0]:.2f} s (mutant {self.slowest[1]}), "
            f"peak {self.largest / 2**20:.0f} MB above idle"
        )


def mutant(made, seed, n):
    """Mutant ``n``: its suffix and bytes."""
    source = random.Random(f"{seed} {n}")
    try:
        return made.mutant(source)
    except Exception:  # a change that the format's own library does not take: bytes take any
        return made.suffixes[0], bytewise(source, made.seeds[0])


def fuzz(kind, count, seed, keep=None, show=lambda report: None):
    """Imports ``count`` mutants of a kind."""
    made, report = KINDS[kind](), Report(kind)
    _preload()
    while (first := report.mutants) < count:
        numbers = range(first, min(first + BATCH, count))
        for n, found in _batch(made, seed, numbers):
            wrong = _judge(report, found, n)
            if wrong and keep is not None:
                suffix, data = mutant(made, seed, n)
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{kind}-{seed}-{n}{suffix}").write_bytes(data)
        show(report)
    return report


def _preload():
    """What every process needs, once."""
    import h5py  # noqa: F401
    import onnx.reference  # noqa: F401
    import torch

    import train.importers.keras_archive
    import train.importers.onnx_graph
    import train.importers.torch_archive  # noqa: F401

    torch.set_num_threads(1)


def _batch(made, seed, numbers):
    """Yields (n, what was found); where a process dies, up to the mutant it died of."""
    folder = Path(tempfile.mkdtemp(prefix="mutants"))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            os.setsid()
            with os.fdopen(writer, "w") as pipe:
                _work(made, seed, numbers, folder, pipe)
        finally:
            os._exit(0)
    os.close(writer)
    left = list(numbers)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        text, deadline = b"", time.monotonic() + 3 * SECONDS
        while left:
            ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0))
            piece = pipe.read(1 << 16) if ready else b""
            if not piece:
                break
            text += piece
            *lines, text = text.split(b"\n")
            for line in lines:
                yield left.pop(0), json.loads(line)
                deadline = time.monotonic() + 3 * SECONDS
    if left:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if left:
        what = "no end" if not ready else f"the process died, status {status}"
        yield left[0], {"dead": what, "seconds": 0.0, "bytes": 0}
    shutil.rmtree(folder, ignore_errors=True)


def _work(made, seed, numbers, folder, pipe):
    """In the forked process: imports each and writes a line of JSON about it."""
    os.chdir(folder)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    logs = Path(tempfile.mkdtemp(prefix="logs"))
    for n in (1, 2):
        os.dup2(os.open(logs / str(n), os.O_RDWR | os.O_CREAT | os.O_APPEND), n)
    # Whoever forks may have put something else in their place.
    sys.stdout, sys.stderr = (open(n, "w", buffering=1, closefd=False) for n in (1, 2))  # noqa: SIM115
    # Above the goal, so that what goes beyond it is seen and not refused for want of memory.
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 3 * BYTES,) * 2)
    np.save("calibration.npy", np.random.default_rng(1).normal(size=(16, 3)))
    try:
        for n in numbers:
            suffix, data = mutant(made, seed, n)
            name = f"mutant{suffix}"
            Path(name).write_bytes(data)
            del data
            before = _files()
            words = [name, "-o", "out.safetensors"]
            if n % 8 == 4:
                words += ["--list"]
            elif n % 4 == 2:
                words += ["--node", NODES[n // 4 % len(NODES)]]
            if n % 8 == 0:
                words += ["--calibration", "calibration.npy"]
            found = _import(words, logs)
            found["files"] = sorted(_files() - before - {"out.safetensors"})
            found["model"] = _model() if Path("out.safetensors").exists() else None
            pipe.write(json.dumps(found) + "\n")
            pipe.flush()
            Path(name).unlink()
            Path("out.safetensors").unlink(missing_ok=True)
    finally:
        shutil.rmtree(logs, ignore_errors=True)


def _files():
    return {str(path) for path in Path().rglob("*")}


def _peak():
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) * 1024


def _import(words, logs):
    """Runs the command; what it said, its status, its seconds and its memory."""
    from deltarnn.command import main

    for n in (1, 2):
        os.truncate(logs / str(n), 0)
    Path("/proc/self/clear_refs").write_text("5")
    idle, begin = _peak(), time.process_time()
    sys.argv = ["deltarnn", "import", *words]
    status, trace = None, ""
    try:
        main()
    except SystemExit as end:
        status = end.code
    except BaseException as error:
        trace = f"{type(error).__name__}: {str(error)[:200]}"
    sys.stdout.flush()
    sys.stderr.flush()
    return {
        "status": status,
        "trace": trace,
        "said": (logs / "2").read_text(errors="replace"),
        "seconds": time.process_time() - begin,
        "bytes": _peak() - idle,
    }


def _model():
    """Whether a model file is one, with numbers in it."""
    from golden.model_file import load_model

    try:
        model = load_model(Path("out.safetensors"))
    except Exception as error:
        return f"unreadable: {error}"
    scale = model.extra["input_scale"]
    offset = model.extra.get("input_offset", [0.0])
    usable = np.isfinite(scale).all() and min(scale) > 0 and np.isfinite(offset).all()
    return "" if usable else f"input scale {scale}, offset {offset}"


def _judge(report, found, n):
    report.slowest = max(report.slowest, (found["seconds"], n))
    report.largest = max(report.largest, found["bytes"])
    if wrong := _wrong(found):
        report.violations.append(f"{n}: {wrong}")
    elif found["status"] == 2:
        report.refused += 1
        reason = re.sub(r"[0-9'\"\n].*", "", found["said"].partition("found ")[2], flags=re.S)
        report.reasons[reason[:50]] += 1
    else:
        report.accepted += 1
    return wrong


def _wrong(found):
    """What is not as it should be; empty where all is."""
    if "dead" in found:
        return found["dead"]
    said = found["said"]
    text = said.removesuffix("\n")
    refused = found["status"] == 2
    return "; ".join(
        what
        for wrong, what in (
            (found["trace"], f"traceback {found['trace']}"),
            (found["status"] not in (0, 2) and not found["trace"], f"status {found['status']}"),
            (found["seconds"] > SECONDS, f"{found['seconds']:.1f} s"),
            (found["bytes"] > BYTES, f"{found['bytes'] / 2**20:.0f} MB"),
            (found["files"], f"files {found['files']}"),
            (refused and not said.startswith(NAMED), f"names no file: {said[:300]!r}"),
            (refused and not text.isprintable(), f"no one line: {said[:300]!r}"),
            (refused and len(text) > LINE, f"a line of {len(text)}: {said[:500]!r}"),
            (refused and found["model"] is not None, "an output beside a refusal"),
            (not refused and said, f"words beside a result: {said[:300]!r}"),
            (found["status"] == 0 and found["model"] not in ("", None), f"model {found['model']}"),
            ("MemoryError" in said, f"memory: {said[:200]!r}"),
        )
        if wrong
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="mutants of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=[*KINDS], action="append")
    parser.add_argument("--keep", type=Path, help="folder for files that were a violation")
    parser.add_argument("--reasons", action="store_true", help="also how often what was refused")
    given = parser.parse_args()
    wrong = False
    for kind in given.kind or KINDS:
        report = fuzz(
            kind, given.count, given.seed, given.keep, lambda so_far: print(so_far, flush=True)
        )
        print(*report.violations, sep="\n")
        if given.reasons:
            print(*(f"{n:6} {reason}" for reason, n in report.reasons.most_common(40)), sep="\n")
        wrong |= bool(report.violations)
    sys.exit(int(wrong))


if __name__ == "__main__":
    main()

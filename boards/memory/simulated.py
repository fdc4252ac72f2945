"""Memories beside a core that has their pins, to be simulated: an SDRAM's chips, a flash."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from boards.board import QuadFlash
from boards.memory.litedram import Controller
from boards.memory.quad_system import PINS as FLASH_PINS
from boards.memory.system import PINS
from hw.emit.enclosed import enclosed
from hw.emit.verilog import Emission

DEVICE, CHIPS, MHZ = "LFE5U-85F-6BG381C", "MT48LC16M16", 100.0  # whose times the chips' model has
FLASH = "flash"  # the file of a simulated board's flash, in the folder that it runs in
STARTS = 50  # cycles: chips that are simulated need no 200 us to wake up


_MODELS = ("sdram.v", "ecp5_pads.v")
# What depends on constants alone an `always @(*)` never makes in Icarus: nothing of it changes.
_BEGUN = "\nreg begun = 1'b0;\ninitial begun <= 1'b1;\n"
_ALWAYS = "always @(*) begin\n"


def awake(controller: Controller) -> Controller:
    """``controller`` for chips that need not be waited for, all of it made at the beginning."""
    writes = [(address, value, min(wait, STARTS)) for address, value, wait in controller.writes]
    text = controller.verilog.replace("\n);\n", f"\n);\n{_BEGUN}", 1)
    text = text.replace(_ALWAYS, f"{_ALWAYS}    if (begun) ;\n")
    return replace(controller, verilog=text, writes=tuple(writes))


def with_chips(
    emission: Emission, image: Path | None = None, hidden: Sequence[str] = ()
) -> Emission:
    """``emission`` (boards.memory.system) and chips, without the pins and what is ``hidden``.

    The chips hold ``image`` ($readmemh reads a word of it from each line).
    """
    names = [str(pin["name"]) for pin in PINS]
    pins = ", ".join(f".{name.removeprefix('sdram_')}({name})" for name in names)
    words = emission.manifest["memories"]["weights"]["words"]
    parameters = f'.FILE("{image or ""}"), .WORDS({words})'
    body = f"  deltarnn_sdram #({parameters}) chips (.clk(clk), {pins});\n"
    models = [(files("boards") / "models" / name).read_text() for name in _MODELS]
    return enclosed(emission, [*names, *hidden], body, "".join(models))


def with_flash_chip(
    emission: Emission,
    flash: QuadFlash,
    image: Path | str = FLASH,
    hidden: Sequence[str] = (),
) -> Emission:
    """``emission`` (boards.memory.quad_system) and a flash, without its pins and what is
    ``hidden``. It holds the file ``image``, from where the weights begin.
    """
    names = [str(pin["name"]) for pin in FLASH_PINS]
    pins = ", ".join(f".{name.removeprefix('quad_')}({name})" for name in names)
    assert emission.weights is not None
    held = f'.FILE("{image}"), .BASE({flash.address}), .SIZE({len(emission.weights)})'
    body = f"  deltarnn_quad_flash #({held}) flash (.clk(clk), {pins});\n"
    model = (files("boards") / "models" / "quad_flash.v").read_text()
    return enclosed(emission, [*names, *hidden], body, model)

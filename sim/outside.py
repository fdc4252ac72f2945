"""Weights that lie outside the core, for networks that are larger than their chip's memories."""

import hashlib
from dataclasses import replace

import numpy as np
from amaranth.hdl import ClockSignal, Instance, Module

from golden.model import Model
from golden.parameters import CoreParameters
from hw.emit.verilog import Emission, emit
from hw.primitive.weights import WeightMemory
from hw.target import GENERIC, Target
from hw.walk.layout import CoreLayout
from sim.build import cache_folder

_MODULE = "weights_outside"


class OutsideWeights(WeightMemory):
    """A memory of which the core knows no more than its ports; each stage of lanes has one."""

    def elaborate(self, platform) -> Module:
        m = Module()
        word = self.port.word.payload.as_value()
        self.never_waits(m)
        m.submodules.outside = Instance(
            _MODULE,
            p_WIDTH=len(word),
            i_clk=ClockSignal(),
            i_address=self.port.request.payload,
            o_word=word,
        )
        return m


def emit_outside(core: CoreParameters, model: Model, target: Target = GENERIC) -> Emission:
    """The core with its weight memory as a black box, for synthesis."""
    return _emit(core, model, target, "(* blackbox *)\n", "")


def emit_simulated(core: CoreParameters, model: Model) -> Emission:
    """The core with its weight memory as a simulator reads it, from a file in the user's cache.

    Bit for bit and cycle for cycle what hw.emit.verilog.emit makes, but quick: not every word of a
    large memory has to become a line of Verilog.
    """
    words = CoreLayout(core).weight_words(model).astype(np.int8)
    # Lane 0 is the word's lowest byte, and a number begins with its highest digit.
    text = "".join(word[::-1].tobytes().hex() + "\n" for word in words)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    file = cache_folder() / f"weights-{name}.hex"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    body = (
        f"  reg [WIDTH-1:0] rom [0:{len(words) - 1}];\n"
        f'  initial $readmemh("{file}", rom);\n'
        "  reg [WIDTH-1:0] read;\n"
        "  always @(posedge clk) read <= rom[address];\n"
        "  assign word = read;\n"
    )
    return _emit(core, model, GENERIC, "", body)


def _emit(
    core: CoreParameters, model: Model, target: Target, attribute: str, body: str
) -> Emission:
    emission = emit(core, model, replace(target, weights=OutsideWeights))
    bits = max(1, (CoreLayout(core).words - 1).bit_length())
    ports = f"input clk, input [{bits - 1}:0] address, output [WIDTH-1:0] word"
    text = f"{attribute}module {_MODULE} #(parameter WIDTH = 8) ({ports});\n{body}endmodule\n"
    return replace(emission, verilog=emission.verilog + text)

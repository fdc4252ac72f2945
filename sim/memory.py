"""A memory beside a core whose weights lie outside it, for simulation."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.errors import refusal, require_int
from golden.files import written_aside
from hw.emit.enclosed import MEMORY, enclosed
from hw.emit.verilog import TOP, Emission
from hw.primitive.columns import ColumnWeights
from hw.target import Target
from hw.walk.column_layout import CHECK
from sim.build import cache_folder

_MEMORY = f"{TOP}_columns"
_PINS = (
    ".clk(clk), .rst(rst), .request(m_columns_tdata), .request_valid(m_columns_tvalid), "
    ".request_ready(m_columns_tready), .word(s_columns_tdata), .word_valid(s_columns_tvalid), "
    ".word_ready(s_columns_tready)"
)
_FILL_PINS = (
    ", .fill(m_weights_tdata), .fill_valid(m_weights_tvalid), .fill_ready(m_weights_tready), "
    ".fill_last(m_weights_tlast)"
)
_NO_FILL = ", .fill(0), .fill_valid(1'b0), .fill_ready(), .fill_last(1'b0)"

# A burst at a time; the next one is asked for while the last word leaves. A word that is offered
# stays on offer. The noise is a shift register with feedback of the period 2^32 - 1.
_TEXT = """
module {memory} (
  input clk, input rst,
  input [63:0] request, input request_valid, output request_ready,
  output [{width}-1:0] word, output word_valid, input word_ready,
  input [{width}-1:0] fill, input fill_valid, output fill_ready, input fill_last
);
  reg [{width}-1:0] memory [0:{words}-1];
  initial if ("{file}" != "") $readmemh("{file}", memory);
  reg [31:0] address, left, wait_for, noise, place;
  reg offers;
  wire takes = word_valid & word_ready;
  wire asked = request_valid & request_ready;
  wire may_take = {stalls} <= noise[7:0], may_offer = {stalls} <= noise[23:16];
  assign request_ready = may_take & (left == 0 | (left == 1 & takes));
  assign fill_ready = may_take;
  assign word_valid = left != 0 & wait_for == 0 & offers;
  assign word = memory[address];
  always @(posedge clk) begin
    noise <= {{noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]}};
    offers <= may_offer | (offers & ~takes & word_valid);
    if (wait_for != 0) wait_for <= wait_for - 1;
    if (takes) begin
      address <= address + 1;
      left <= left - 1;
      wait_for <= {interval} - 1;
    end
    if (asked) begin
      address <= request[31:0] / {bytes} + {checksum};
      left <= request[63:32] / {bytes};
      wait_for <= {latency} + {interval} - 1;
    end
    if (fill_valid & fill_ready) begin
      memory[place] <= fill;
      place <= fill_last ? 0 : place + 1;
    end
    if (rst) begin
      left <= 0;
      offers <= 0;
      place <= 0;
    end
  end
  initial begin
    place = 0;
    left = 0;
    wait_for = 0;
    offers = 0;
    noise = 32'd{seed};
  end
endmodule
"""


@dataclass(frozen=True)
class Memory:
    """How a memory answers.

    Parameters
    ----------
    latency
        Cycles between the request of a burst and its first word, beyond those of a word.
    stalls
        Fraction of cycles, at random, in which it takes no request, and in which it offers no word.
    seed
        What these are drawn from.
    interval
        Cycles that a word takes.
    store
        What the core's target needs beside it.
    """

    latency: int = 0
    stalls: float = 0.0
    seed: int = 1
    interval: int = 1
    store: type[ColumnWeights] = ColumnWeights

    def __post_init__(self) -> None:
        require_int("latency", self.latency, 0)
        require_int("interval", self.interval, 1)
        require_int("seed", self.seed, 1, (1 << 32) - 1)
        if not 0 <= self.stalls < 1:
            raise refusal("stalls", self.stalls, "a fraction below 1")

    def made_of(self, target: Target) -> Target:
        """``target`` for a core beside it."""
        return target.with_columns(self.store)

    def beside(self, emission: Emission) -> Emission:
        """``emission``, of a core with its weights outside, and the memory, as one core. Weights
        that are loaded are in it only then.
        """
        file, words = image_file(emission)
        held = emission.manifest["memories"]["weights"]
        width, loaded = held["width"], held["loaded"]
        text = _TEXT.format(
            memory=_MEMORY,
            width=width,
            bytes=width // 8,
            words=words,
            file="" if loaded else file,
            checksum=CHECK * 8 // width if held["checksums"] else 0,
            latency=self.latency,
            interval=self.interval,
            stalls=round(self.stalls * 256),
            seed=self.seed,
        )
        pins = _PINS + (_FILL_PINS if loaded else _NO_FILL)
        return enclosed(emission, MEMORY, f"  {_MEMORY} memory ({pins});\n", text)


def cached(content: bytes) -> Path:
    """A file in the user's cache that holds ``content``."""
    file = cache_folder() / f"image-{hashlib.sha256(content).hexdigest()[:16]}"
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(file) as part:
        part.write_bytes(content)
    return file


def image_file(emission: Emission) -> tuple[Path, int]:
    """A file in the user's cache that $readmemh reads the weights from, word by word; and how many
    words there are. Raises ValueError where the core's weights are not outside.
    """
    weights = emission.manifest["memories"]["weights"]
    if emission.weights is None or not weights["outside"]:
        raise refusal("weights", "inside", "a core with weights outside")
    data = np.frombuffer(emission.weights, dtype=np.uint8).reshape(-1, weights["width"] // 8)
    # Lane 0 is the word's lowest byte, and a number begins with its highest digit.
    text = "".join(word[::-1].tobytes().hex() + "\n" for word in data)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    file = cache_folder() / f"columns-{name}.hex"
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(file) as part:
        part.write_text(text)
    return file, len(data)

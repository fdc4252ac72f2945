"""A core with its weights in an SPI flash of four lines: what reads it, and the flash's pins."""

from collections.abc import Sequence
from dataclasses import replace

from amaranth.hdl import Module, Shape
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from boards.board import QuadFlash
from boards.link.packets import BYTE
from boards.link.protocol import TAG
from boards.memory.quad import QuadColumns, pins_signature
from boards.memory.survey import Survey
from boards.memory.system import SAID
from golden.errors import refusal
from golden.parameters import CoreParameters
from hw.emit.enclosed import LOAD, MEMORY, enclosed
from hw.emit.verilog import Emission, converted
from hw.primitive.columns import columns_signature
from hw.walk.column_layout import CHECK, ColumnLayout, checked_bytes
from hw.walk.layout import CoreLayout

LANES = 1  # a flash gives half a byte a cycle
_NAME = "deltarnn_quad_columns"
# The flash's pins.
PINS = tuple(
    {
        "name": f"quad_{name}",
        "direction": "out" if member.flow == Out else "in",
        "width": Shape.cast(member.shape).width,
    }
    for name, member in pins_signature().members.items()
)
_BODY = """\
  {name} columns (
    .clk(clk), .rst(rst),
    .columns__request__payload({{m_columns_tdata[32 +: {count}], m_columns_tdata[0 +: {address}]}}),
    .columns__request__valid(m_columns_tvalid), .columns__request__ready(m_columns_tready),
    .columns__word__payload(s_columns_tdata), .columns__word__valid(s_columns_tvalid),
    .columns__word__ready(s_columns_tready),
    {load},
    .pins__cs_n(quad_cs_n), .pins__clocks(quad_clocks), .pins__out(quad_out),
    .pins__drives(quad_drives), .pins__back(quad_back),
    .ready(memory_ready), .failed(memory_failed)
  );
"""


_LOADED = (
    ".load__payload({s_weights_tlast, s_weights_tdata}), .load__valid(s_weights_tvalid), "
    ".load__ready(s_weights_tready)"
)
_NO_LOAD = ".load__payload(), .load__valid(), .load__ready(1'b1)"


class FlashColumns(wiring.Component):
    """Looks at all that is in the flash, loads what rows begin with, and then reads columns.

    ::

        Survey --+--> QuadColumns -> pins
        columns -+

    Parameters
    ----------
    runs : sequence of (int, int)
        Columns that follow one another, with checksums: how many, and the bytes of each.
    flash : QuadFlash
        The flash, and where in it they begin.
    tag : bytes
        The model's.
    length : int
        Bytes of what rows begin with, where that is loaded.
    mhz : float
        The clock.

    Members
    -------
    columns : In
        hw.primitive.columns.columns_signature, of one lane. Nobody asks before it is ``ready``.
    load : Out, stream of boards.link.packets.BYTE
        To the core.
    pins : Out
        boards.memory.quad.pins_signature.
    ready, failed : Out
        All was right and is loaded; or something was not, then or later: nothing is given any more.
    """

    def __init__(
        self,
        runs: Sequence[tuple[int, int]],
        flash: QuadFlash,
        tag: bytes,
        length: int,
        mhz: float,
    ) -> None:
        words = sum(count * (CHECK + column) for count, column in runs)
        columns = columns_signature(words, max(column for _, column in runs), LANES)
        self._survey = Survey(runs, tag, length)
        longest = self._survey.longest
        self._reads = QuadColumns(base=flash.address, longest=longest, ids=flash.ids, mhz=mhz)
        super().__init__(
            {
                "columns": In(columns),
                "load": Out(stream.Signature(BYTE)),
                "pins": Out(pins_signature()),
                "ready": Out(1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.survey = survey = self._survey
        m.submodules.reads = reads = self._reads
        request, word = self.columns.request, self.columns.word
        connect(m, reads.pins, flipped(self.pins))
        connect(m, survey.load, flipped(self.load))
        m.d.comb += [
            self.ready.eq(survey.done),
            self.failed.eq(survey.failed | reads.failed),
            word.payload.as_value().eq(reads.word.payload),
            survey.word.payload.eq(reads.word.payload),
        ]
        with m.If(self.ready):
            m.d.comb += [
                reads.request.valid.eq(request.valid),
                reads.request.payload.address.eq(request.payload.address),
                reads.request.payload.words.eq(request.payload.words),
                request.ready.eq(reads.request.ready),
                word.valid.eq(reads.word.valid),
                reads.word.ready.eq(word.ready),
            ]
        with m.Else():
            m.d.comb += [
                reads.request.valid.eq(survey.request.valid),
                reads.request.payload.eq(survey.request.payload),
                survey.request.ready.eq(reads.request.ready),
                survey.word.valid.eq(reads.word.valid),
                reads.word.ready.eq(survey.word.ready),
            ]
        return m


def tag_of(emission: Emission) -> bytes:
    """The model's, as the link says it (boards.link.protocol.Link.tag)."""
    return bytes.fromhex(emission.manifest["model"]["sha256"] or "00" * TAG)[:TAG]


def image(emission: Emission) -> bytes:
    """What the flash holds: columns with their checksums, then the tag and what rows begin with."""
    assert emission.weights is not None
    behind = checked_bytes(len(emission.weights), tag_of(emission) + (emission.to_load or b""))
    return emission.weights + behind


def room(core: CoreParameters) -> int:
    """Bytes of the image of a core of one lane, at the most."""
    here = CoreLayout(core)
    return ColumnLayout(core, checked=True).words + CHECK + TAG + here.rows * here.begin_bytes


def with_flash(emission: Emission, flash: QuadFlash, mhz: float) -> Emission:
    """``emission``, of a core of one lane that has its weights outside, with checksums, and what
    reads the flash, as one core with the ports PINS and boards.memory.system.SAID. Its ``weights``
    are the image.

    Raises ValueError where the core has other lanes.
    """
    lanes, loads = emission.manifest["lanes"], emission.to_load or b""
    if lanes != LANES:
        raise refusal("lanes of a core with its weights in a flash", lanes, LANES)
    runs = [
        (count, layer["bytes_per_event"])
        for layer in emission.manifest["layers"]
        for count in (layer["inputs"], layer["units"] if layer["kind"] != "linear" else 0)
    ]
    columns = FlashColumns(runs, flash, tag_of(emission), len(loads), mhz)
    request = columns.columns.request.payload
    body = _BODY.format(
        name=_NAME,
        count=len(request.words),
        address=len(request.address),
        load=_LOADED if loads else _NO_LOAD,
    )
    whole = enclosed(emission, [*MEMORY, *LOAD], body, converted(columns, _NAME), [*PINS, *SAID])
    memories = emission.manifest["memories"]
    memories = {**memories, "weights": {**memories["weights"], "in_flash": True}}
    manifest = {**whole.manifest, "memories": memories}
    return replace(whole, manifest=manifest, weights=image(emission), to_load=None)

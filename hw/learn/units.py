"""Units on their way forward and back: what the tape keeps of them, and their errors."""

from amaranth.hdl import Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.fixed import sat
from hw.learn.cell import ERRORS, SLOPES, LearningCell
from hw.pipeline import delayed, staged


class SlopeUnit(wiring.Component):
    """Makes of a unit's gates what the tape keeps of it (golden.learn.cells, ``keep``).

    Parameters
    ----------
    cell : LearningCell
        That of the unit's layer.

    Members
    -------
    i : In, stream (never waits)
        What was seen (LearningCell.seen).
    o : Out, stream (never waits)
        What is kept (LearningCell.kept), ``latency`` cycles later.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``.
    """

    latency = SLOPES

    def __init__(self, cell: LearningCell) -> None:
        self._cell = cell
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout(dict(cell.seen)), always_ready=True)),
                "o": Out(stream.Signature(data.StructLayout(dict(cell.kept)), always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        seen = {key: self.i.payload[key] for key in self._cell.seen}
        m.d.comb += [
            self.o.payload[key].eq(value)
            for key, value in self._cell.slopes(m, "unit", seen).items()
        ]
        valids, _ = staged(m, self.i.valid, self.i.payload, self.latency, "unit")
        m.d.comb += self.o.valid.eq(valids[-1])
        return m


class ErrorUnit(wiring.Component):
    """Takes a unit's errors one frame back (docs/training-core.md, "Backward", steps 1 to 3).

    Parameters
    ----------
    cell : LearningCell
        That of the unit's layer.
    accumulators : int
        K, accumulators of a unit.

    Members
    -------
    i : In, stream (never waits)
        ``kept``, what the tape has; ``of_output``, what comes from above; ``of_h``, from the frame
        behind; ``of_state``; ``g``, dL/dM of the frame behind, K of them. All in format error.
    o : Out, stream (never waits)
        ``g`` and ``of_state`` of this frame, ``latency`` cycles later.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``.
    """

    latency = 1 + ERRORS + 1

    def __init__(self, cell: LearningCell, accumulators: int) -> None:
        self._cell = cell
        error = signed(cell.learning.error.width)
        back = {"of_state": error, "g": data.ArrayLayout(error, accumulators)}
        comes = {"kept": data.StructLayout(dict(cell.kept)), "of_output": error, "of_h": error}
        come, go = data.StructLayout({**comes, **back}), data.StructLayout(back)
        super().__init__(
            {
                "i": In(stream.Signature(come, always_ready=True)),
                "o": Out(stream.Signature(go, always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        cell, come, go = self._cell, self.i.payload, self.o.payload
        q = cell.learning.error
        of_h = delayed(m, sat(come.of_output + come.of_h, q), 1, "of_h")
        of_state = delayed(m, come.of_state, 1, "of_state")
        kept = {key: delayed(m, come.kept[key], 1, f"kept_{key}") for key in cell.kept}
        own, before = cell.errors(m, "unit", kept, of_h, of_state)
        for k, (to, share) in enumerate(zip(go.g, own, strict=True)):
            g = delayed(m, come.g[k], 1 + ERRORS, f"g_{k}")
            m.d.comb += to.eq(delayed(m, sat(g + share, q), 1, f"g_{k}_new"))
        valids, _ = staged(m, self.i.valid, self.i.payload, self.latency, "unit")
        m.d.comb += [
            go.of_state.eq(delayed(m, before, 1, "before")),
            self.o.valid.eq(valids[-1]),
        ]
        return m

"""Where learning meets the engine: what it sees of the way forward, and what it gives for it."""

from amaranth.hdl import signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.parameters import CoreParameters
from hw.learn.tape import walked_layout
from hw.primitive.weights import word_layout
from hw.unit.activation import seen_layout
from hw.walk.layout import CoreLayout


def result_layout(core: CoreParameters) -> data.StructLayout:
    """A result as the read-out makes it: ``m``, and ``last`` of its frame."""
    return data.StructLayout({"m": signed(core.network.accumulator_width), "last": 1})


def learning_port(core: CoreParameters) -> wiring.Signature:
    """What an engine that trains has for those who teach it.

    address, word
        The weights' store: a word of P, asked for by address. It comes as late as that of the
        target's (hw.target.Target.weights), of stage n n cycles after that of the first.
    walked : Out, stream (never waits)
        Events as they are walked for the first time (hw.learn.tape.walked_layout).
    seen_gru, seen_lstm : Out, stream (never waits)
        What units are made of, of each kind that the network has (hw.unit.activation.seen_layout).
    result : Out, stream (never waits)
        result_layout.
    idle : Out
        No frame is under way: all that there was to be seen of those that were taken has been seen.
        Nor is a reset, nor is one asked for.
    restart : Out
        The state is being reset: what comes then belongs to a new sequence.
    records : In
        No layer is skipped.
    hold : In
        No frame begins from the next cycle on.
    busy : In
        No reset begins from the next cycle on.
    reset : In
        Asks for a reset.
    """
    kinds = dict.fromkeys(layer.kind for layer in core.recurrent)
    streams = {
        "walked": walked_layout(core),
        **{f"seen_{kind}": seen_layout(core, kind) for kind in kinds},
        "result": result_layout(core),
    }
    return wiring.Signature(
        {
            "address": Out(ceil_log2(CoreLayout(core).words)),
            "word": In(word_layout(core.lanes)),
            **{name: Out(stream.Signature(of, always_ready=True)) for name, of in streams.items()},
            "idle": Out(1),
            "restart": Out(1),
            "records": In(1),
            "hold": In(1),
            "busy": In(1),
            "reset": In(1),
        }
    )

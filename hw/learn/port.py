"""The two ports of a trainer: that of the engine which it teaches, and that of its host."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.learn.formats import RATE_MAX
from golden.learn.sequence import COST_MAX
from golden.parameters import CoreParameters
from hw.learn.layout import LearningLayout
from hw.learn.tape import walked_layout
from hw.primitive.weights import word_layout
from hw.unit.activation import seen_layout
from hw.walk.layout import CoreLayout


def result_layout(core: CoreParameters) -> data.StructLayout:
    """A result as the read-out makes it: ``m``, and ``last`` of its frame."""
    return data.StructLayout({"m": signed(core.network.accumulator_width), "last": 1})


def sent_layout(core: CoreParameters) -> data.StructLayout:
    """``value``: v^ of A columns of the read-out's x, ``group`` * A and those after it, as they are
    in a frame; ``last`` of the frame.
    """
    width = core.network.formats.activation.width
    values = data.ArrayLayout(signed(width), core.activations)
    return data.StructLayout({"group": ceil_log2(core.groups), "value": values, "last": 1})


def learning_port(core: CoreParameters) -> wiring.Signature:
    """What an engine that trains has for those who teach it.

    address, word
        The weights' store: a word of P, asked for by address. It comes as late as that of the
        target's (hw.target.Target.weights), of stage n n cycles after that of the first.
    walked : Out, stream (never waits)
        Events as they are walked for the first time (hw.learn.tape.walked_layout).
    seen_gru, seen_lstm : Out, stream (never waits)
        What units are made of, of each kind that the network has (hw.unit.activation.seen_layout).
    sent : Out, stream (never waits)
        sent_layout, as soon as the units below are made.
    result : Out, stream (never waits)
        result_layout.
    skips : Out
        A layer is skipped, so that nothing is seen of it in this frame.
    idle : Out
        No frame was under way a cycle before: all that there was to be seen of those that had been
        taken had been seen. Nor is there a reset, nor is one asked for.
    quiet, rests : Out
        No frame is under way, though a reset may be; nor is one, but it may begin in this cycle.
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
        "sent": sent_layout(core),
        "result": result_layout(core),
    }
    return wiring.Signature(
        {
            "address": Out(ceil_log2(CoreLayout(core).words)),
            "word": In(word_layout(core.lanes)),
            **{name: Out(stream.Signature(of, always_ready=True)) for name, of in streams.items()},
            "skips": Out(1),
            "idle": Out(1),
            "quiet": Out(1),
            "rests": Out(1),
            "restart": Out(1),
            "records": In(1),
            "hold": In(1),
            "busy": In(1),
            "reset": In(1),
        }
    )


def host_port(core: CoreParameters) -> wiring.Signature:
    """What a host says of sequences and asks of masters, and what it hears.

    alone : Out
        Nothing but the read-out learns; it stays while a sequence lasts.
    records : Out
        Frames are recorded. A sequence of which one was not is dropped, as if the tape were full.
    rate, known, cost : Out
        Registers RATE, KNOWN (1 or more) and LAMBDA; they stay while the trainer is ``busy``.
    error : Out, stream (never waits)
        e of the mean of the next result, in format error; while not ``busy``. When something is
        heard the next one is that of the first result again.
    forget : Out
        So it is from the next cycle on. Not while ``busy``.
    whole : In
        There is an error of each result.
    said : Out, stream
        The sequence is over: ``by_host``, the errors are its, or else ``label`` is its class.
    busy : In
        It is told what the sequence was, and is not done.
    decided : In
        The class that the last sequence's results decided, from its strobe on.
    learned, full, unknown : In
        Strobes, one of them where a sequence ends: it was learned from; or it was dropped, because
        the tape has not all of it, or because the label is not known.
    saturated : In
        Together with ``learned``: a master moved and was then at an end of its range.
    master : Out, struct
        A master that is wanted: of word ``address`` that of ``lane``. Where ``write``, it becomes
        ``written``; ``read`` lasts until it was ``found``. Where it is ``denied`` nothing happens.
    found, found_master : In
        The master that is read, as long as ``read`` lasts.
    denied : In
        Masters may not be read or written: a frame is under way, or the trainer is ``busy``.
    """
    layout, outputs = LearningLayout(core), core.network.outputs
    learning = layout.training.learning
    error, master, label = signed(learning.error.width), signed(learning.master), bits_for(outputs)
    wanted = {
        "address": unsigned(ceil_log2(layout.words)),
        "lane": unsigned(ceil_log2(core.lanes)),
        "read": 1,
        "write": 1,
        "written": master,
    }
    return wiring.Signature(
        {
            "records": Out(1),
            "alone": Out(1),
            "rate": Out(bits_for(RATE_MAX)),
            "known": Out(bits_for(outputs)),
            "cost": Out(bits_for(COST_MAX)),
            "error": Out(stream.Signature(error, always_ready=True)),
            "forget": Out(1),
            "whole": In(1),
            "said": Out(stream.Signature(data.StructLayout({"label": label, "by_host": 1}))),
            "busy": In(1),
            "decided": In(ceil_log2(outputs)),
            "learned": In(1),
            "full": In(1),
            "unknown": In(1),
            "saturated": In(1),
            "master": Out(data.StructLayout(wanted)),
            "found": In(1),
            "found_master": In(master),
            "denied": In(1),
        }
    )

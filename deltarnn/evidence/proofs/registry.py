"""All proofs: what each is about, what holds and how far, and the faults that it has to find."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from boards.memory.native import NativeColumns
from deltarnn.evidence.proofs.bus import (
    CounterTellsTheCount,
    EachAccessOnce,
    GateClosesBetweenRounds,
    LatchedWordsBelongTogether,
    ResultsLeaveInOrder,
    RoomIsKept,
    SkidIsAQueueOfTwo,
)
from deltarnn.evidence.proofs.claim import Claim, variant
from deltarnn.evidence.proofs.columns import LoadsAreWhole, RowsRest, WordsAsAskedFor, WordsHaveRoom
from deltarnn.evidence.proofs.engine import EveryFrameEnds
from deltarnn.evidence.proofs.events import (
    EachListIsWhole,
    FiresIfAndOnlyIfItMoved,
    FramesStayInStep,
    ListsKeepWhatComes,
    MergedInOrder,
    NothingWaitsForEver,
)
from deltarnn.evidence.proofs.lanes import AccumulatorsFit, SlotsLeaveInOrder
from deltarnn.evidence.proofs.unit import StillStays
from deltarnn.evidence.proofs.walk import NothingIsUnderWay, SlotsWait, StillIsUnmoved
from hw.bus.axi_lite import AxiLitePort
from hw.bus.counter import Counter, LatchedCounter
from hw.bus.gate import FrameGate
from hw.bus.output import OutputBuffer
from hw.bus.skid import Skid
from hw.events.encoder import DeltaEncoder
from hw.events.lists import EventBuffer
from hw.events.merge import EventMerge
from hw.events.path import EventPath
from hw.events.reader import FrameReader
from hw.lanes.columns import ColumnSweep
from hw.lanes.fetch import Fetch
from hw.primitive.columns import ColumnLoad
from hw.unit.activation import ActivationUnit
from hw.unit.gru import GRUCell
from hw.unit.lstm import LSTMCell
from hw.walk.columns import ColumnWalk
from hw.walk.sequencer import Sequencer
from hw.walk.standstill import Standstill

ALWAYS = None  # a depth: no bound, by an invariant that the solver finds


@dataclass(frozen=True)
class Proof:
    """What is proved of a part.

    Attributes
    ----------
    part
        The file that it is about.
    states
        What holds.
    claim
        Makes the assertions around the part.
    twins
        By what is wrong with them, claims about the same part with a fault in it.
    depth
        Cycles from reset that the ordinary tests look at, or ALWAYS.
    deep
        The same of the measurement.
    fault
        Cycles from reset within which each fault shows.
    """

    part: str
    states: str
    claim: Callable[[], Claim]
    twins: dict[str, Callable[[], Claim]]
    depth: int | None = ALWAYS
    deep: int | None = ALWAYS
    fault: int = 16


def faulty(claim: Callable[..., Claim], kind: type, right: str, wrong: str, **how) -> Callable:
    """A claim about ``kind`` with ``wrong`` in the place of ``right``."""
    return lambda: claim(variant(kind, (right, wrong)), **how)


def faulty_cell(kind: str, cell: type, right: str, wrong: str) -> Callable[[], Claim]:
    def claim() -> Claim:
        twin = variant(cell, (right, wrong))
        return StillStays(kind, variant(ActivationUnit, cell_of=lambda _: twin))

    return claim


def shared_half() -> type:
    """An event path in which all vectors' events go to the half that grows of the last one."""
    return variant(
        EventPath,
        (
            "lists.i.payload.vector.eq(grown(comes.vector))",
            "lists.i.payload.vector.eq("
            "Cat(grows[-1], comes.vector) if self._halves == 2 else comes.vector)",
        ),
    )


def stuck_merge() -> type:
    """An event path whose merge is never through with two events at once."""
    return variant(EventPath, EventMerge=variant(EventMerge, ("done | ~rest, 0)", "done, 0)")))


_FAR = {"within": 100, "units": 8, "quiet": 80}  # the layers are at rest, and a merge may lag

PROOFS = {
    "skid": Proof(
        "hw/bus/skid.py",
        "is a queue of two: loses, doubles and reorders nothing; its output stays while it waits",
        SkidIsAQueueOfTwo,
        {
            "what is kept is overwritten": faulty(
                SkidIsAQueueOfTwo, Skid, "with m.If(~full):", "with m.If(1):"
            )
        },
    ),
    "gate": Proof(
        "hw/bus/gate.py",
        "passes frames as they are; closes as soon as no frame is under way, and no sooner",
        GateClosesBetweenRounds,
        {
            "it closes a cycle late": faulty(
                GateClosesBetweenRounds, FrameGate, "close & ~next_under_way", "close & ~under_way"
            )
        },
    ),
    "gate of three streams": Proof(
        "hw/bus/gate.py",
        "the same with rounds of three frames; knows whose turn it is",
        partial(GateClosesBetweenRounds, streams=3),
        {
            "it closes in mid-round": faulty(
                GateClosesBetweenRounds, FrameGate, " & (next_stream == 0)", "", streams=3
            )
        },
    ),
    "results": Proof(
        "hw/bus/output.py",
        "loses, doubles and reorders no result; a skipped frame's are those of two frames before; "
        "its output stays while it waits",
        ResultsLeaveInOrder,
        {"room for three": faulty(ResultsLeaveInOrder, OutputBuffer, "owed != 2", "owed != 3")},
    ),
    "results of a slow memory": Proof(
        "hw/bus/output.py",
        "the same with two cycles of reading",
        partial(ResultsLeaveInOrder, read_latency=2),
        {
            "a value that waits goes on": faulty(
                ResultsLeaveInOrder,
                OutputBuffer,
                "            with m.If(moves):\n                m.d.sync += value_next.eq(value)",
                "            with m.If(1):\n                m.d.sync += value_next.eq(value)",
                read_latency=2,
            )
        },
    ),
    "results of two streams": Proof(
        "hw/bus/output.py",
        "the same of each of two streams, in whatever order their frames are done; they leave in "
        "turn",
        partial(ResultsLeaveInOrder, streams=2),
        {
            "a stream's skip forgets what another has made": faulty(
                ResultsLeaveInOrder,
                OutputBuffer,
                "self.done.bit_select(writes, 1)",
                "self.done.any()",
                streams=2,
            ),
            "what one stream has made counts for the other": faulty(
                ResultsLeaveInOrder, OutputBuffer, " & (wrote == sends)", "", streams=2
            ),
        },
    ),
    "room": Proof(
        "hw/bus/output.py",
        "never promises room that it has not, and has room again as soon as a frame is sent",
        RoomIsKept,
        {
            "room for three": faulty(RoomIsKept, OutputBuffer, "owed != 2", "owed != 3"),
            "room for one": faulty(RoomIsKept, OutputBuffer, "owed != 2", "owed == 0"),
        },
    ),
    "AXI4-Lite": Proof(
        "hw/bus/axi_lite.py",
        "each write and each read is carried out and answered once, in order; answers stay while "
        "they wait; no access waits for ever",
        EachAccessOnce,
        {
            "an answer that waits is overwritten": faulty(
                EachAccessOnce, AxiLitePort, "has_data & ~bus.bvalid", "has_data"
            ),
            "a read comes too soon": faulty(
                EachAccessOnce, AxiLitePort, "~asked & ~bus.rvalid", "~asked"
            ),
        },
    ),
    "counter": Proof(
        "hw/bus/counter.py",
        "shows the count of two cycles ago, and nothing that the count has not been (6 bits)",
        CounterTellsTheCount,
        {
            "the carry comes late": faulty(
                CounterTellsTheCount, Counter, "(1 << self._half) - 2", "(1 << self._half) - 1"
            )
        },
    ),
    "latched counter": Proof(
        "hw/bus/counter.py",
        "the two words that are read are one count (4 and 3 bits)",
        LatchedWordsBelongTogether,
        {
            "the carry is not latched": faulty(
                LatchedWordsBelongTogether,
                LatchedCounter,
                "self.latched.eq(high + low.carry)",
                "self.latched.eq(high)",
            )
        },
        fault=24,
    ),
    "reader": Proof(
        "hw/events/reader.py",
        "one frame for each last that is taken, column by column, into the list of its turn; no "
        "element follows itself within the encoder's latency",
        FramesStayInStep,
        {
            "a pause is a cycle short": faulty(
                FramesStayInStep, FrameReader, "latency - column, 0", "latency - column - 1, 0"
            )
        },
    ),
    "frames of two streams": Proof(
        "hw/events/reader.py",
        "the same where the frames of two streams come in turn; it is held between rounds alone",
        partial(FramesStayInStep, streams=2),
        {
            "the half changes with every frame": faulty(
                FramesStayInStep, FrameReader, "half ^ last", "~half", streams=2
            )
        },
    ),
    "encoder": Proof(
        "hw/events/encoder.py",
        "v^ changes if and only if the element fires, which is if and only if |v - v^| > theta; "
        "what is sent is v - v^ (3 bits, 2 ways)",
        partial(FiresIfAndOnlyIfItMoved, width=3),
        {
            "v^ changes with every element": faulty(
                FiresIfAndOnlyIfItMoved,
                DeltaEncoder,
                "outcome.fires & valid.replicate(ways)",
                "valid.replicate(ways)",
            ),
            "one LSB too near": faulty(
                FiresIfAndOnlyIfItMoved, DeltaEncoder, "(~(v + theta))", "(-(v + theta))"
            ),
        },
    ),
    "encoder of a slow memory": Proof(
        "hw/events/encoder.py",
        "the same with two cycles of reading",
        partial(FiresIfAndOnlyIfItMoved, read_latency=2),
        {
            "thresholds of another cycle": faulty(
                FiresIfAndOnlyIfItMoved,
                DeltaEncoder,
                "delayed(m, theta - v, latency,",
                "delayed(m, theta - v, 1,",
                read_latency=2,
            )
        },
    ),
    "merge": Proof(
        "hw/events/merge.py",
        "loses, doubles and reorders no event of a vector; its last one ends the list (2 "
        "vectors of 2 groups of 2)",
        MergedInOrder,
        {
            "a second event is lost": faulty(
                MergedInOrder, EventMerge, "left & (left - 1)", "0 * left"
            ),
            "the queue is too short": faulty(
                MergedInOrder, EventMerge, "vectors * groups + 2", "vectors * groups - 2"
            ),
        },
        depth=10,
    ),
    "merge ends": Proof(
        "hw/events/merge.py",
        "a vector is through within 6 cycles of its end (2 groups of 2)",
        NothingWaitsForEver,
        {
            "an event is sent again and again": faulty(
                NothingWaitsForEver, EventMerge, "done | ~rest, 0)", "done, 0)"
            )
        },
    ),
    "lists": Proof(
        "hw/events/lists.py",
        "a list holds what was appended to it, in order, until it is left; an event stays until "
        "another one is asked for (2 lists of 2)",
        ListsKeepWhatComes,
        {
            "an event does not wait": faulty(
                ListsKeepWhatComes, EventBuffer, "read.en.eq(self.step)", "read.en.eq(1)"
            )
        },
    ),
    "lists of a slow memory": Proof(
        "hw/events/lists.py",
        "the same with two cycles of reading",
        partial(ListsKeepWhatComes, read_latency=2),
        {
            "a second register does not wait": faulty(
                ListsKeepWhatComes,
                EventBuffer,
                '"event_read", self.step)',
                '"event_read")',
                read_latency=2,
            )
        },
    ),
    "event path": Proof(
        "hw/events/path.py",
        "a complete list has exactly the events that fired, whatever other vectors do meanwhile (2 "
        "vectors, 2 ways)",
        EachListIsWhole,
        {
            "one half for all vectors": lambda: EachListIsWhole(shared_half()),
            "a skip moves all halves": faulty(
                EachListIsWhole,
                EventPath,
                "m.d.sync += grows[k].eq(~grows[k])",
                "m.d.sync += grows.eq(~grows)",
            ),
        },
        depth=10,
    ),
    "slots wait": Proof(
        "hw/walk/sequencer.py",
        "a slot stays while it waits, and so does the walk, which strobes nothing",
        SlotsWait,
        {
            "a skip is told again": faulty(
                SlotsWait, Sequencer, "self.skip.eq(skips & self.o.ready)", "self.skip.eq(skips)"
            )
        },
    ),
    "quiesce": Proof(
        "hw/walk/quiesce.py",
        "while it is idle no slot is younger than it takes to drain, and nothing else goes on",
        NothingIsUnderWay,
        {"a cycle too soon": partial(NothingIsUnderWay, drain=NothingIsUnderWay.DRAIN - 1)},
    ),
    "standstill": Proof(
        "hw/walk/standstill.py",
        "a layer that counts as still has not moved since thresholds last changed, and a "
        "read-out's result is out",
        StillIsUnmoved,
        {
            "a threshold is not heeded": faulty(
                StillIsUnmoved,
                Standstill,
                "with m.If(self.theta_changes | self.restart):",
                "with m.If(self.restart):",
            )
        },
    ),
    "fetch": Proof(
        "hw/lanes/fetch.py",
        "slots leave in the order in which they came, each once, whatever the store lets wait; a "
        "request stays while it waits",
        SlotsLeaveInOrder,
        {
            "it does not wait to ask": faulty(
                SlotsLeaveInOrder, Fetch, "step.eq(may_ask & may_go)", "step.eq(may_go)"
            )
        },
    ),
    "visits wait": Proof(
        "hw/walk/columns.py",
        "a visit stays while it waits, and so does the walk, which strobes nothing",
        partial(SlotsWait, ColumnWalk),
        {
            "a list is left again": faulty(
                SlotsWait,
                ColumnWalk,
                "self.leave.eq(leaves & self.o.ready)",
                "self.leave.eq(leaves)",
            )
        },
    ),
    "rows rest": Proof(
        "hw/lanes/columns.py",
        "a row is opened no sooner than it has been written back, whatever visits come and words "
        "wait; a visit without an event takes no word",
        RowsRest,
        {
            "a cycle too soon": partial(RowsRest, reopen=RowsRest.REOPEN - 1),
            "a layer of few rows does not rest": faulty(
                RowsRest, ColumnSweep, "with m.If(few | ~visit.event):", "with m.If(~visit.event):"
            ),
        },
    ),
    "words as asked for": Proof(
        "hw/lanes/columns.py",
        "no word is wanted that was not asked for, and all that were are taken before rest; a "
        "request stays while it waits",
        WordsAsAskedFor,
        {
            "the queue is full": partial(
                WordsAsAskedFor,
                ("valid & visit.event & queue.w_rdy)", "valid & visit.event)"),
            ),
            "the memory does not take the request": partial(
                WordsAsAskedFor,
                ("queue.w_rdy & (request.ready | ~visit.event)", "queue.w_rdy"),
            ),
        },
        depth=10,
        deep=16,
        fault=20,
    ),
    "loads": Proof(
        "hw/primitive/columns.py",
        "what is written outside is what has come, from the first byte of a load on; loaded, "
        "exactly if a whole load was written and none has begun since; a word stays while it waits",
        LoadsAreWhole,
        {
            "a byte comes beside a word that waits": faulty(
                LoadsAreWhole, ColumnLoad, "ready & ~o.valid", "ready"
            ),
            "loaded before it is written": faulty(
                LoadsAreWhole,
                ColumnLoad,
                "self.loaded.eq(0),",
                "self.loaded.eq(load.payload.last & ends),",
            ),
        },
    ),
    "room for words": Proof(
        "boards/memory/native.py",
        "each word of a right column goes on, in order, however late a memory that never waits "
        "gives it; it stays while it waits",
        WordsHaveRoom,
        {
            "it asks for more than there is room for": faulty(
                WordsHaveRoom, NativeColumns, "full.eq(owed == self._room)", "full.eq(0)"
            ),
            "a checksum goes on, too": faulty(
                WordsHaveRoom, NativeColumns, "port.rvalid & ~first)", "port.rvalid)"
            ),
        },
        depth=10,
        deep=16,
        fault=18,
    ),
    "accumulators": Proof(
        "hw/lanes/lanes.py",
        "M is bias + sum of w v^ after every event, in the width that is derived from w and bias "
        "(all values of 3 bits; 2 columns, activations of 2 bits)",
        partial(AccumulatorsFit, bits=5, weight=3),
        {
            "one bit less": partial(AccumulatorsFit, bits=5, weight=3, given=4),
        },
        depth=4,
        deep=5,
        fault=6,
    ),
    "still GRU": Proof(
        "hw/unit/gru.py",
        "an update that moves nothing, done again, moves nothing and fires nothing; so it may be "
        "skipped (states of 3 bits)",
        partial(StillStays, "gru"),
        {
            "a state moves unseen": faulty_cell(
                "gru",
                GRUCell,
                "f.activation), h != was, seen)",
                "f.activation), (h >> 1) != (was >> 1), seen)",
            )
        },
        depth=30,
        deep=44,
        fault=30,
    ),
    "still LSTM": Proof(
        "hw/unit/lstm.py",
        "the same; o moves h while c stands still (states of 3 bits)",
        partial(StillStays, "lstm"),
        {
            "only c counts": faulty_cell(
                "lstm", LSTMCell, "(c_now != c_was) | (a != a_was)", "c_now != c_was"
            )
        },
        depth=30,
        deep=44,
        fault=30,
    ),
    "every frame ends": Proof(
        "hw/engine.py",
        "a frame is out 56 cycles after it has wholly come, or after the one before it: two layers "
        "of 2 and 1 units, 2 a cycle; sums and cells are anything",
        partial(EveryFrameEnds, 56),
        {"a merge sends an event again and again": lambda: EveryFrameEnds(56, path=stuck_merge())},
        depth=80,
        deep=100,
        fault=130,
    ),
    "every frame ends, after a rest": Proof(
        "hw/engine.py",
        "the same within 100 cycles, once the layers, of 8 and 1 units, have come to rest",
        partial(EveryFrameEnds, **_FAR),
        {
            "one half for all vectors": lambda: EveryFrameEnds(
                **_FAR, path=shared_half(), steady=True
            )
        },
        depth=185,
        deep=200,
        fault=230,
    ),
}

"""An engine that learns: results, tape, decision and every master against golden.learn."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from golden.learn.formats import LearningFormats
from golden.learn.masters import widened
from golden.learn.sequence import LearningNetwork, Settings
from golden.learn.tape import TapeSize
from golden.learn.trace import Trace
from golden.learn.training import Training
from golden.parameters import CoreParameters
from hw.learn.engine import LearningEngine
from hw.learn.layout import LearningLayout
from hw.primitive.multiply_add import SplitMultiplyAdd
from hw.primitive.serializer import MuxSerializer
from hw.primitive.weights import WeightMemory
from hw.target import GENERIC, Target
from sim.lessons import Lesson
from tests.bench import run_bench, send_frame
from tests.networks import LEARNERS, random_frames, random_model
from tests.slow_lane import SlowLane

FRAMES = 7
DROPPED = {"tape full": "full", "too many frames": "full", "unknown label": "unknown"}


@dataclass
class Expected:
    """What golden makes of a lesson: its trace, the master words after it, how it ended."""

    lesson: Lesson
    trace: Trace
    after: np.ndarray

    @property
    def ended(self) -> str:
        return DROPPED.get(self.trace.dropped, "learned")


@dataclass
class Seen:
    """What an engine did in one sequence."""

    results: list = field(default_factory=list)
    ended: str = ""
    decided: int = 0
    saturated: int = 0
    masters: np.ndarray | None = None


def lessons_of(model, golden, layout, rng, count, *, rates=(5, 8, 0, 3), costs=(0, 64)):
    """Sequences of any length, with labels that are known and that are not, or errors; golden has
    learned from them."""
    outputs, lessons = model.parameters.outputs, []
    q = golden.learning.error
    for n in range(count):
        frames = random_frames(model, int(rng.integers(1, FRAMES + 1)), seed=n + 1, moving=0.5)
        known = int(rng.integers(1, outputs + 1))
        alone = bool(n % 4 >= 2)
        settings = Settings(int(rng.choice(rates)), known, int(rng.choice(costs)), alone)
        said = rng.integers(q.min, q.max + 1, outputs) if n % 3 == 1 else int(rng.integers(known))
        if n % 7 == 6:
            said = known
        lessons.append(learned(golden, layout, Lesson(frames, settings, said)))
    return lessons


def learned(golden, layout, lesson):
    trace = golden.learn(lesson.frames, lesson.settings, lesson.said)
    return Expected(lesson, trace, layout.master_words(golden.masters))


def made(sizes, outputs, kinds, lanes, activations, target, *, theta=(1, 1)):
    model = widened(random_model(sizes, outputs, kinds=kinds, theta=theta, scale=30))
    learning = LearningFormats()
    tape = TapeSize.of(model.parameters.layers, FRAMES)
    golden = LearningNetwork.of(model, learning, tape)
    training = Training(tape, learning)
    core = CoreParameters(model.parameters, lanes, activations, training=training)
    dut = LearningEngine(core, model, target)
    return model, golden, LearningLayout(core), dut


def taught(dut, layout, lessons, target, seed=1, gap=0.2, pause=0.2, unrecorded=()):
    """What the engine did in each of ``lessons``, which come one behind the other; before them come
    ``unrecorded`` frames, and a reset."""
    rng = np.random.default_rng(seed)
    stages, network = target.stages(layout.core), layout.core.network
    masters = dut._trainer._memory
    held = layout.master_words(LearningNetwork.of(dut._engine._model).masters)
    seen = [Seen() for _ in lessons]

    async def send(ctx):
        for k, layer in enumerate(network.layers):
            ctx.set(dut.theta_x[k], layer.theta_x)
            ctx.set(dut.theta_h[k], layer.theta_h or 0)
        host = dut.host
        for frame in unrecorded:
            await send_frame(ctx, dut.i, frame, idle=lambda: False)
        if len(unrecorded):
            ctx.set(dut.reset_request, 1)
            await ctx.tick()
            ctx.set(dut.reset_request, 0)
            await ctx.tick()
            while ctx.get(dut.resetting):
                await ctx.tick()
        ctx.set(host.records, 1)
        for lesson in (each.lesson for each in lessons):
            for frame in lesson.frames:
                await send_frame(ctx, dut.i, frame, idle=lambda: rng.random() < gap)
            ctx.set(host.rate, lesson.settings.rate)
            ctx.set(host.known, lesson.settings.known)
            ctx.set(host.cost, lesson.settings.cost)
            ctx.set(host.alone, lesson.settings.readout_only)
            by_host = not isinstance(lesson.said, int)
            ctx.set(host.error.valid, by_host)
            for e in lesson.said.tolist() if by_host else ():
                ctx.set(host.error.payload, e)
                await ctx.tick()
            ctx.set(host.error.valid, 0)
            assert ctx.get(host.whole) == by_host
            label = 0 if by_host else lesson.said
            ctx.set(host.said.payload, {"label": label, "by_host": by_host})
            ctx.set(host.said.valid, 1)
            await ctx.tick().until(host.said.ready)
            ctx.set(host.said.valid, 0)
            while ctx.get(host.busy):
                await ctx.tick()

    async def receive(ctx):
        number, row, ignored = 0, [], len(unrecorded)
        while number < len(lessons):
            ctx.set(dut.o.ready, int(rng.random() >= pause))
            _, _, valid, ready, last, value = await ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o.payload.last, dut.o.payload.value[0]
            )
            if valid and ready:
                row.append(value)
                if last and ignored:
                    ignored, row = ignored - 1, []
                elif last:
                    seen[number].results.append(row)
                    number += len(seen[number].results) == len(lessons[number].lesson.frames)
                    row = []

    async def watch(ctx):
        late = [(0, 0)] * len(stages)
        host = dut.host
        strobes = host.learned, host.full, host.unknown
        signals = masters.write, masters.write_address, *masters.written
        ends = (*strobes, host.decided, host.saturated)
        number, cycles = 0, 0
        while number < len(lessons):
            _, _, writes, address, *rest = await ctx.tick().sample(*signals, *ends)
            written, (*strobed, decided, saturated) = rest[: len(held[0])], rest[len(held[0]) :]
            late = [(writes, address), *late[:-1]]
            for stage, (now, where) in zip(stages, late, strict=True):
                for lane in stage:
                    if now >> lane & 1:
                        held[where, lane] = written[lane]
            if any(strobed):
                names = ("learned", "full", "unknown")
                here = seen[number]
                here.ended = names[strobed.index(1)]
                here.decided, here.saturated = decided, saturated
                here.masters = held.copy()
                number, cycles = number + 1, 0
            cycles += 1
            assert cycles < 30_000, f"sequence {number} does not end"

    run_bench(dut, send, receive, watch)
    return seen


def check(lessons, seen):
    for n, (expected, here) in enumerate(zip(lessons, seen, strict=True)):
        trace = expected.trace
        assert np.array_equal(here.results, trace.results), n
        assert here.ended == expected.ended, n
        assert here.decided == trace.verdict.decided, n
        wrong = np.argwhere(here.masters != expected.after)
        assert not len(wrong), (n, len(wrong), wrong[:5])
        if here.ended == "learned":
            assert here.saturated == trace.saturated, n


class LateWeights(WeightMemory):
    """As late as the slowest that there are."""

    latency = 3


# Of the same timing as an ECP5's, without the cells that Amaranth's simulator does not know.
STAGED = Target(
    weights=LateWeights,
    lane=SlowLane,
    multiply_add=SplitMultiplyAdd(),
    read_latency=2,
    stage_lanes=3,
    serializer=MuxSerializer,
)


@pytest.mark.parametrize("name", LEARNERS)
def test_an_engine_learns_as_golden_does(name):
    target = STAGED if len(name) % 2 else GENERIC
    model, golden, layout, dut = made(*LEARNERS[name], target)
    lessons = lessons_of(model, golden, layout, np.random.default_rng(3), 8)
    check(lessons, taught(dut, layout, lessons, target))


@pytest.mark.parametrize("still", range(4, 9))
def test_layers_that_were_skipped_leave_nothing_behind(still):
    """Frames that stand still, not recorded, so that the read-out is skipped; then a lesson."""
    model, golden, layout, dut = made((2, 3), 2, ("lstm",), 2, 1, GENERIC, theta=(0, 0))
    lesson = learned(golden, layout, Lesson(random_frames(model, 3), Settings(6, 2), 0))

    frames = np.full((12 + still, 2), 50)
    check([lesson], taught(dut, layout, [lesson], GENERIC, unrecorded=frames))

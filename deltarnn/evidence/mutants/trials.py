"""Three small cores, and what the bench does with each."""

from dataclasses import dataclass

import numpy as np

from deltarnn.evidence.case import FRAME_STYLES, Step, played
from golden.model import Model
from golden.network import DeltaNetwork, Trace, run_sequences
from golden.parameters import CoreParameters
from hw.bus.registers import (
    ADDRESS_WIDTH,
    CONTROL_CLEAR_COUNTERS,
    STATUS_FRAME_LONG,
    STATUS_FRAME_SHORT,
    register_map,
)
from sim.job import BYTES_IN_A_ROW, Job, merged
from tests.networks import provoking_frames, random_frames, random_model


@dataclass(frozen=True)
class Subject:
    """A model and the core whose netlist is mutated."""

    model: Model
    core: CoreParameters

    @classmethod
    def of(cls, model: Model, lanes: int, activations: int) -> "Subject":
        return cls(model, CoreParameters(model.parameters, lanes, activations))


# Thresholds differ from layer to layer wherever there is more than one.
SUBJECTS = {
    "GRU 3 -> 4": Subject.of(random_model((3, 4), theta=(1, 2)), 2, 1),
    "LSTM 3 -> 5, 2 units a cycle": Subject.of(
        random_model((3, 5), kinds=("lstm",), theta=(1, 2)), 4, 2
    ),
    "GRU 3 -> 4, LSTM 4 -> 3, read-out 3 -> 2, row shifts": Subject.of(
        random_model((3, 4, 3), 2, kinds=("gru", "lstm"), theta=(1, 2), shifts=2), 2, 1
    ),
}


# With these commands of Yosys the counters begin 16 counts before half their range is over (that of
# cycles: its upper word), so that each of their bits soon changes.
LATE = (1 << 31) - 16
_BEGINS = {
    f"{name}.{part}": value
    for name, high in (("cycles.low", 0xFFFF), ("frames", 0x7FFF), ("events_[xh]_?", 0x7FFF))
    for part, value in (("$signal$sdffe", LATE & 0xFFFF), ("high$sdff", high))
} | {"cycles.high$sdff": 0x7FFF}
LATE_COUNTERS = "".join(
    f"setparam -set SRST_VALUE 16'd{value} c:{register}\n" for register, value in _BEGINS.items()
)


@dataclass(frozen=True)
class Trial:
    """A job, and what golden makes of it.

    Attributes
    ----------
    expected
        All frames' trace; None where thresholds are written while frames run, so that golden has
        to follow the events (sim.replay).
    timed
        Whether the replies have a count of cycles in them: slower cores give others, and are right.
    reset_after
        The job is begun, cut off by ``rst`` after so many cycles, and played from its start.
    replies
        What registers are to say, where golden knows; None for other accesses.
    late
        The job is played on a core whose counters begin as LATE_COUNTERS says.
    """

    name: str
    job: Job
    expected: Trace | None
    timed: bool = False
    reset_after: int = 0
    replies: tuple[int | None, ...] = ()
    late: bool = False


def trials(subject: Subject) -> list[Trial]:
    """What the bench tries, in this order."""
    return _Trials(subject).all()


class _Trials:
    def __init__(self, subject: Subject) -> None:
        self._model = model = subject.model
        self._address = {r.name: r.address for r in register_map(model.parameters)}
        self._access = {r.name: r.access for r in register_map(model.parameters)}
        self._rng = np.random.default_rng(1)

    def all(self) -> list[Trial]:
        return [
            self._frames("full speed", 40, Job()),
            self._frames("gaps and back-pressure", 16, Job(0.5, 0.5)),
            self._frames("gaps", 16, Job(0.7, 0)),
            self._frames("back-pressure", 16, Job(0, 0.7)),
            self._provoking("provoking frames", Job()),
            self._provoking("provoking frames, gaps and back-pressure", Job(0.4, 0.4)),
            self._resets(),
            self._counters(),
            self._thresholds(),
            self._written_at_once("thresholds in mid-stream", Job(seed=3)),
            self._written_at_once("thresholds in mid-stream, gaps", Job(0.5, 0.5, seed=4)),
            self._still(),
            self._registers("registers", Job(), 1),
            self._registers("registers, gaps and back-pressure", Job(0.5, 0.5), 16),
            self._broken("broken frames", Job()),
            self._broken("broken frames, gaps", Job(0.5, 0.5)),
            self._one_beat(),
            self._cycles(),
            *self._restarts(),
            self._many(),
            self._still_for_long(),
            self._late(),
            self._bytes(),
            self._often_still(),
            self._reset_in_mid_frame(),
            self._random(1, 0, 0),
            self._random(2, 0.5, 0.5),
            self._random(3, 0, 0.9),
        ]

    def _frames(self, name: str, length: int, job: Job) -> Trial:
        frames = random_frames(self._model, length, seed=length, moving=0.6)
        return Trial(name, job.frames(frames), DeltaNetwork(self._model).run(frames))

    def _provoking(self, name: str, job: Job) -> Trial:
        sequences = [provoking_frames(self._model, 16, self._rng) for _ in range(10)]
        for n, frames in enumerate(sequences):
            if n:
                job.reset()
            job.frames(frames)
        return Trial(name, job, Trace.joined(run_sequences(self._model, sequences)))

    def _resets(self) -> Trial:
        """Resets before every number of frames, the second one also right behind the first."""
        sequences = [random_frames(self._model, n, seed=n) for n in (3, 1, 2, 8)]
        job = Job(0.3, 0.3).frames(sequences[0])
        for frames in sequences[1:]:
            job.reset().reset().frames(frames)
        return Trial("resets", job, Trace.joined(run_sequences(self._model, sequences)))

    def _counters(self) -> Trial:
        frames = random_frames(self._model, 40, seed=2, moving=0.6)
        names = [n for n in self._address if n == "FRAMES" or n.startswith("EVENTS")]
        job = Job().frames(frames).settle()
        self._read(job, *names, "CYCLES_HI", "STATUS")
        job.write(self._address["CONTROL"], 1 << CONTROL_CLEAR_COUNTERS)
        self._read(job, *names, "CYCLES_LO", "CYCLES_HI")
        return Trial("counters", job, DeltaNetwork(self._model).run(frames))

    def _thresholds(self) -> Trial:
        """x is compared as it comes, h as it is made: a new theta_h is first seen a frame later."""
        network, job, parts = DeltaNetwork(self._model), Job(), []
        frames = random_frames(self._model, 24, moving=0.8)
        for part, (theta_x, theta_h) in enumerate([(0, 9), (30, 4), (255, 255)]):
            for k, layer in enumerate(self._model.parameters.layers):
                job.write(self._address[f"THETA_X_{k}"], theta_x + k)
                network.layers[k].theta_x = theta_x + k
                if layer.recurrent:
                    job.write(self._address[f"THETA_H_{k}"], theta_h + k)
            job.frames(frames[8 * part : 8 * part + 8]).settle()
            parts.append(network.run(frames[8 * part : 8 * part + 1]))
            for k in range(len(self._model.parameters.recurrent)):
                network.layers[k].theta_h = theta_h + k  # type: ignore[union-attr]
            parts.append(network.run(frames[8 * part + 1 : 8 * part + 8]))
        return Trial("thresholds", job, Trace.joined(parts))

    def _written_at_once(self, name: str, job: Job) -> Trial:
        thetas = [a for n, a in self._address.items() if n.startswith("THETA")]
        for moving in (0.5, 0.05):
            seed = int(self._rng.integers(1000))
            job.frames(random_frames(self._model, 20, seed=seed, moving=moving))
            for _ in range(30):
                job.wait(int(self._rng.integers(0, 40)))
                value = int(self._rng.choice(24) ** 2 // 8)
                job.write_at_once(int(self._rng.choice(thetas)), value)
            job.reset()
        return Trial(name, job.settle(), None)

    def _still(self) -> Trial:
        """Constant input until nothing moves; lower thresholds, new input, a reset."""
        inputs = self._model.parameters.inputs
        still, other = np.repeat(random_frames(self._model, 2), 40, axis=0).reshape(2, 40, inputs)
        network = DeltaNetwork(self._model)
        parts, job = [network.run(still)], Job().frames(still).settle()
        for k, layer in enumerate(self._model.parameters.layers):
            job.write(self._address[f"THETA_X_{k}"], 0)
            network.layers[k].theta_x = 0
            if layer.recurrent:
                job.write(self._address[f"THETA_H_{k}"], 0)
        job.frames(still).settle()
        parts.append(network.run(still[:1]))
        for k in range(len(self._model.parameters.recurrent)):
            network.layers[k].theta_h = 0  # type: ignore[union-attr]
        parts.append(network.run(still[1:]))
        job.frames(other).reset().frames(other)
        parts.append(network.run(other))
        network.reset()
        parts.append(network.run(other))
        return Trial("standing still", job, Trace.joined(parts))

    def _registers(self, name: str, job: Job, each: int) -> Trial:
        """All registers, each ``each``th other address; thresholds with each of 32 bits.

        A frame now and then shows that the core lives. It finds the thresholds as they were.
        """
        names = [n for n in self._address if n != "CYCLES_LO"]
        thetas = {
            self._address[f"THETA_{vector}_{k}"]: theta
            for k, layer in enumerate(self._model.parameters.layers)
            for vector, theta in (("X", layer.theta_x), ("H", layer.theta_h))
            if theta is not None
        }
        frames = iter(random_frames(self._model, 200, moving=0.6))
        sent = []

        def live() -> None:
            sent.append(next(frames))
            job.frames(sent[-1][None]).settle()

        self._read(job, *names)
        mapped = set(self._address.values())
        for address in range(0, 1 << ADDRESS_WIDTH, 4):
            if address not in mapped and address // 4 % each == 0:
                job.read(address).write(address, 1)
            if address % 64 == 0:
                live()
        for n in names:
            if self._access[n] == "ro":
                job.write(self._address[n], 0xFFFFFFFF)
        live()
        for bit in range(32):
            for theta in thetas:
                job.write(theta, 1 << bit)
            for theta in thetas:
                job.read(theta)
            for theta, value in thetas.items():
                job.write(theta, value)
            live()
        self._read(job, *names)
        return Trial(name, job, DeltaNetwork(self._model).run(np.array(sent)))

    def _broken(self, name: str, job: Job) -> Trial:
        """Frames that are too short and too long, between whole ones; flags, and flags cleared."""
        inputs = self._model.parameters.inputs
        frames = random_frames(self._model, 40)
        network, parts = DeltaNetwork(self._model), []
        status = self._address["STATUS"]
        for n, length in enumerate((1, inputs - 1, inputs + 1, 2 * inputs, inputs, 3 * inputs + 1)):
            whole, broken = frames[4 * n : 4 * n + 3], np.resize(frames[4 * n + 3], (1, length))
            job.frames(whole).frames(broken).settle().read(status)
            parts.append(network.run(whole))
            sent = network.layers[0].encoder_x.memory.copy()
            sent[0, : min(length, inputs)] = broken[0, : min(length, inputs)]
            parts.append(network.run(sent))
            for flag in (STATUS_FRAME_SHORT, STATUS_FRAME_LONG):
                job.write(status, 1 << flag).read(status)
        return Trial(name, job, Trace.joined(parts))

    def _one_beat(self) -> Trial:
        """The shortest broken frames, back to back: the encoder must not meet itself."""
        broken = random_frames(self._model, 30)[:, :1]
        network, parts = DeltaNetwork(self._model), []
        for frame in broken:
            x = network.layers[0].encoder_x.memory.copy()
            x[0, 0] = frame[0]
            parts.append(network.run(x))
        return Trial("frames of one beat", Job().frames(broken), Trace.joined(parts))

    def _cycles(self) -> Trial:
        frames = random_frames(self._model, 30, seed=5, moving=0.6)
        job = Job().frames(frames).settle()
        self._read(job, "CYCLES_LO", "CYCLES_HI")
        return Trial("cycles", job, DeltaNetwork(self._model).run(frames), timed=True)

    def _many(self) -> Trial:
        """Counters reach into their upper halves, and are read at many counts on the way."""
        sequences = [random_frames(self._model, 90 + n, seed=n) for n in range(30)]
        names = [n for n in self._address if n == "FRAMES" or n.startswith("EVENTS")]
        job = Job()
        for n, frames in enumerate(sequences):
            if n:
                job.reset()
            job.frames(frames).settle()
            self._read(job, *names, "CYCLES_LO", "CYCLES_HI")
        expected = Trace.joined(run_sequences(self._model, sequences))
        return Trial("many frames", job, expected, timed=True)

    def _late(self) -> Trial:
        """All counters go through the middle of their range, and are read before and behind it."""
        sequence = random_frames(self._model, 40, seed=6, moving=0.9)
        trace = DeltaNetwork(self._model).run(sequence)
        job, replies = Job(), []
        for n in range(0, 42, 2):
            for k in range(len(self._model.parameters.layers)):
                self._read(job, f"EVENTS_X_{k}")
                replies.append(LATE + int(trace.events_x[:n, k].sum()))
            for k in range(len(self._model.parameters.recurrent)):
                self._read(job, f"EVENTS_H_{k}")
                replies.append(LATE + int(trace.events_h[:n, k].sum()))
            self._read(job, "FRAMES", "CYCLES_LO", "CYCLES_HI")
            replies += [LATE + n, None, None]
            if n < len(sequence):
                job.frames(sequence[n : n + 2])
            if not n:  # the upper word is latched before it changes
                self._read(job, "CYCLES_LO")
                self._read(job.wait(60), "CYCLES_HI")
                replies += [None, 0x7FFF]
            job.settle()
        return Trial("late counters", job, trace, True, replies=tuple(replies), late=True)

    def _bytes(self) -> Trial:
        """Writes of some bytes of a register; frames between them show that the core lives."""
        frames = random_frames(self._model, 40, seed=7, moving=0.6)
        job, replies, sent = Job(0.3, 0.3), [], 0
        greatest = (1 << self._model.parameters.formats.activation.width) - 1
        for k, layer in enumerate(self._model.parameters.layers):
            address = self._address[f"THETA_X_{k}"]
            for now in (0, greatest, 0x55 & greatest):
                job.write(address, now)
                replies.append(None)
                for strobe in BYTES_IN_A_ROW:
                    ones = merged(0, (1 << 32) - 1, strobe)
                    # Upper bytes that are written would make it the greatest one, nearly always.
                    value = int(self._rng.integers(1 << 32)) & (
                        0xFF if strobe & 1 else ~(ones << 8)
                    )
                    now = min(merged(now, value, strobe), greatest)
                    job.write(address, value, strobe).read(address)
                    replies += [None, now]
                    if not strobe & 1:  # zeros in those bytes, ones in all that are left alone
                        now = int(self._rng.integers(greatest + 1))
                        others = merged((1 << 32) - 1, 0, strobe)
                        job.write(address, now).write(address, others, strobe).read(address)
                        replies += [None, None, now]
            job.write(address, layer.theta_x).frames(frames[sent : sent + 1]).settle()
            replies.append(None)
            sent += 1
        # Bytes of these registers in which no bit does anything.
        ones = (1 << 32) - 1
        job.write(self._address["CONTROL"], ones, 0b1110).write(self._address["STATUS"], ones, 1)
        job.frames(frames[sent : sent + 2]).settle().read(self._address["FRAMES"])
        replies += [None, None, sent + 2]
        expected = DeltaNetwork(self._model).run(frames[: sent + 2])
        return Trial("bytes", job, expected, replies=tuple(replies))

    def _reset_in_mid_frame(self) -> Trial:
        """A reset that is asked for while a frame comes in is done behind it."""
        job, sequences = Job(0.7, 0), []
        for n in range(12):
            frames = random_frames(self._model, 3, seed=n, moving=0.6)
            job.frames(frames[:1]).wait(4 + n).write_at_once(self._address["CONTROL"], 1)
            job.frames(frames[1:]).settle()
            sequences += [frames[:1], frames[1:]]
            job.reset()
        expected = Trace.joined(run_sequences(self._model, sequences))
        return Trial("resets in mid-frame", job, expected)

    def _random(self, seed: int, gaps: float, pauses: float) -> Trial:
        """Steps as a soak draws them."""
        rng, layers = np.random.default_rng(seed), self._model.parameters.layers
        steps: list[Step] = []
        for _ in range(150):
            k = int(rng.integers(len(layers)))
            vector = "xh"[int(rng.integers(2))] if layers[k].recurrent else "x"
            steps += [("frames", str(rng.choice(list(FRAME_STYLES))), int(rng.integers(1, 24)))]
            steps += [
                [],
                [("reset",)],
                [("threshold", k, vector, int(rng.choice((0, 1, 2, 6, 20, 80, 255, 256))))],
                [("broken", int(rng.integers(1, 2 * self._model.parameters.inputs)))],
                [("counters",)],
            ][int(rng.integers(5))]
        random = played(self._model, steps, Job(gaps, pauses, seed))
        replies = tuple(value for _, value in random.replies)
        return Trial(f"random steps {seed}", random.job, random.trace, replies=replies)

    def _often_still(self) -> Trial:
        """Layers come to rest in many states, and are woken again."""
        frames = np.repeat(random_frames(self._model, 40, seed=8), 50, axis=0)
        job, network = Job(), DeltaNetwork(self._model)
        for k in range(len(self._model.parameters.recurrent)):
            job.write(self._address[f"THETA_H_{k}"], 6)
            network.layers[k].theta_h = 6  # type: ignore[union-attr]
        return Trial("standing still often", job.frames(frames).settle(), network.run(frames))

    def _still_for_long(self) -> Trial:
        """So coarse a threshold of h, and so long, that an LSTM's c stands still as well."""
        job, network = Job(), DeltaNetwork(self._model)
        for k in range(len(self._model.parameters.recurrent)):
            job.write(self._address[f"THETA_H_{k}"], 20)
            network.layers[k].theta_h = 20  # type: ignore[union-attr]
        frames = np.repeat(random_frames(self._model, 4, seed=3), 60, axis=0)
        return Trial("standing still for long", job.frames(frames).settle(), network.run(frames))

    def _restarts(self) -> list[Trial]:
        """rst at any time: what comes after it is what comes after power-up."""
        trials = []
        for cycles in (97, 150, 203, 331):
            job = Job(0.2, 0.2)
            self._read(job, "FRAMES")
            frames = random_frames(self._model, 12, seed=cycles, moving=0.6)
            job.frames(frames[:2])
            for n in self._address:
                if n.startswith("THETA"):
                    job.write(self._address[n], 11).write(self._address[n], 2)
            job.frames(frames[2:]).settle()
            self._read(job, "FRAMES", "STATUS")
            trials.append(Trial(f"reset after {cycles} cycles", job, None, reset_after=cycles))
        return trials

    def _read(self, job: Job, *names: str) -> None:
        for name in names:
            job.read(self._address[name])

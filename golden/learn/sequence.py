"""A network that learns from one sequence after another: docs/training-core.md, every bit of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from golden.errors import refusal, require_int
from golden.fixed import Integers, rshift, sat
from golden.formats import Formats
from golden.kinds import arithmetic
from golden.learn import loss, masters
from golden.learn.carried import Carried, begun
from golden.learn.cells import CELLS
from golden.learn.formats import RATE_MAX, LearningFormats
from golden.learn.loss import Verdict
from golden.learn.masters import Masters
from golden.learn.tape import FRAMES_MAX, LayerTape, TapeSize
from golden.learn.trace import Pass, Trace
from golden.learn.update import Step, encoder_errors
from golden.model import Model
from golden.parameters import LayerParameters

COST_MAX = 4095  # of the register LAMBDA


@dataclass(frozen=True)
class Settings:
    """The registers of learning.

    Attributes
    ----------
    rate
        Learning rate 2^(rate - 11); 0 is none: all errors are made, and no master changes.
    known
        Classes that the network knows, the first ones of its results.
    cost
        lambda of the L1 cost on deltas, in error LSBs.
    readout_only
        Nothing but the read-out learns, and no tape is kept.
    """

    rate: int
    known: int
    cost: int = 0
    readout_only: bool = False

    def __post_init__(self) -> None:
        require_int("rate", self.rate, 0, RATE_MAX)
        require_int("known", self.known, 1)
        require_int("cost of deltas", self.cost, 0, COST_MAX)


class LearningNetwork:
    """A network that learns, with the masters that it has now.

    Attributes
    ----------
    masters
        Of each layer, changed by ``learn``.
    """

    def __init__(
        self,
        formats: Formats,
        layers: Sequence[LayerParameters],
        masters: Sequence[Masters],
        learning: LearningFormats | None = None,
        tape: TapeSize | None = None,
    ) -> None:
        self.formats, self.layers = formats, tuple(layers)
        self.learning = learning or LearningFormats()
        self.masters = tuple(each.copy() for each in masters)
        self.tape = tape or TapeSize.of(self.layers, FRAMES_MAX)

    @classmethod
    def of(
        cls, model: Model, learning: LearningFormats | None = None, tape: TapeSize | None = None
    ) -> "LearningNetwork":
        """What a model becomes. Raises ValueError where it cannot learn."""
        learning = learning or LearningFormats()
        parameters = model.parameters
        made = masters.of_model(model, learning)
        return cls(parameters.formats, parameters.layers, made, learning, tape)

    def model(self, name: str) -> Model:
        """What inference has of it now."""
        made = tuple(
            masters.weights(self.formats, self.learning, *each)
            for each in zip(self.layers, self.masters, strict=True)
        )
        return Model.of(name, self.formats, self.layers, made)

    def infer(self, frames: Integers) -> tuple[Integers, tuple[LayerTape, ...]]:
        """Results [T, O] of frames [T, I] in activation LSBs, from reset, and the tapes."""
        return self._infer(frames, None)[:2]

    def _infer(
        self, frames: Integers, before: Sequence[Carried] | None
    ) -> tuple[Integers, tuple[LayerTape, ...], tuple[Carried, ...]]:
        if not len(frames):
            raise refusal("frames", 0, "at least one")
        if frames.ndim != 2 or frames.shape[1] != self.layers[0].inputs:
            raise refusal("frames", list(frames.shape), f"[T, {self.layers[0].inputs}]")
        v, tapes, after = np.asarray(frames, dtype=np.int64), [], []
        begins = begun(self.layers, before)
        for layer, of_layer, begin in zip(self.layers, self.masters, begins, strict=True):
            v, tape, carried = self._forward(layer, of_layer, v, begin)
            tapes.append(tape)
            after.append(carried)
        return v, tuple(tapes), tuple(after)

    def _forward(
        self, parameters: LayerParameters, of_layer: Masters, v: Integers, begin: Carried
    ) -> tuple[Integers, LayerTape, Carried]:
        made = masters.weights(self.formats, self.learning, parameters, of_layer)
        layer = arithmetic(parameters.kind).Delta(self.formats, parameters, made)
        begin.into(layer)
        units, frames, recurrent = parameters.units, len(v), parameters.recurrent
        of_x, of_h = parameters.trained_columns
        x, h = np.zeros((frames, of_x), np.int64), np.zeros((frames, of_h), np.int64)
        m = np.zeros((frames, parameters.accumulators, units), np.int64)
        states, outputs = np.zeros((frames + 1, units), np.int64), np.zeros((frames, units), int)
        if recurrent:
            states[0] = begin.state
        for t, frame in enumerate(v):
            outputs[t] = layer.step(frame[None])[0]
            x[t, :-1], m[t] = layer.deltas_x[0], layer.m.reshape(-1, units)
            if recurrent:
                h[t, :units], states[t + 1] = layer.deltas_h[0], layer.state[0]
        x[0, -1] = h[0, units:] = self.formats.activation.scale
        slope, frac = self.learning.slope, parameters.weight_frac
        kept = CELLS[parameters.kind].keep(self.formats, slope, frac, m, states)
        return outputs, LayerTape(x, h, kept), Carried.of(layer)

    def learn(
        self,
        frames: Integers,
        settings: Settings,
        said: int | np.integer | Integers,
        before: Sequence[Carried] | None = None,
    ) -> Trace:
        """Learns from frames [T, I] and a label, or errors e [O] of each result's mean.

        Errors are in error LSBs. The frames are a sequence, or a chunk that goes on from
        ``before``, which is ``after`` of the chunk before it. Raises ValueError where settings,
        errors or what is carried do not fit the network.
        """
        require_int("known", settings.known, 1, self.layers[-1].units)
        results, tapes, after = self._infer(frames, before)
        found = loss.verdict(results, settings.known)
        e, dropped = self._errors(found, settings, said)
        if not settings.readout_only and not self.tape.holds(tapes):
            dropped = "tape full"
        if len(frames) > FRAMES_MAX:
            dropped = "too many frames"
        e = e * (not dropped)
        of_result = loss.of_each_frame(e, found)
        passes: tuple[Pass, ...] = ()
        if not dropped:
            back = self._backward(tapes, settings, of_result)
            if settings.readout_only:
                back = self._readout(tapes[-1], found, settings, e)
            passes = tuple(back)
        saturated = any(self._saturated(each) for each in passes)
        return Trace(results, tapes, found, dropped, e, of_result, passes, saturated, after)

    def learn_in_chunks(
        self, frames: Integers, window: int, settings: Settings, label: int | np.integer
    ) -> tuple[Trace, ...]:
        """Learns frames [T, I] in chunks of ``window`` frames, the last one perhaps shorter.

        T may be more than the tape holds: a chunk has to fit. Each is judged by itself, by the
        same label. Raises ValueError as ``learn`` does, and where ``window`` is below 1.
        """
        require_int("window", window, 1)
        traces: list[Trace] = []
        for first in range(0, max(len(frames), 1), window):  # no frames are for ``learn`` to refuse
            before = traces[-1].after if traces else None
            traces.append(self.learn(frames[first : first + window], settings, label, before))
        return tuple(traces)

    def _errors(
        self, found: Verdict, settings: Settings, said: int | np.integer | Integers
    ) -> tuple[Integers, str]:
        readout, q = self.layers[-1], self.learning.error
        if isinstance(said, int | np.integer):
            if not 0 <= said < settings.known:
                return np.zeros(readout.units, dtype=np.int64), "unknown label"
            frac = self.formats.accumulator_frac(readout.weight_frac)
            return loss.hinge(found, frac, self.learning, int(said), settings.known), ""
        if said.shape != (readout.units,):
            raise refusal("errors", list(said.shape), f"[{readout.units}]")
        if said.dtype.kind not in "iu" or (sat(said, q) != said).any():
            raise refusal("errors", said.tolist(), f"integers in format {q}")
        return np.where(np.arange(readout.units) < settings.known, said, 0), ""

    def _step(self, layer: LayerParameters, settings: Settings) -> Step:
        frac, shift = layer.weight_frac, None
        if settings.rate:
            shift = self.learning.step_shift(self.formats, frac, settings.rate)
        return Step(self.learning, frac, shift, settings.cost)

    def _backward(
        self, tapes: Sequence[LayerTape], settings: Settings, of_result: Integers
    ) -> Iterator[Pass]:
        layers = [
            _LayerBackward(self, k, tapes[k], self._step(layer, settings))
            for k, layer in enumerate(self.layers)
        ]
        for t in reversed(range(len(tapes[0].x))):
            of_output = of_result
            for layer in reversed(layers):
                done, of_output = layer.frame(t, of_output)
                yield done

    def _readout(
        self, tape: LayerTape, found: Verdict, settings: Settings, e: Integers
    ) -> Iterator[Pass]:
        """One pass with the mean of v^ in place of deltas: dL/dW is e times it."""
        last = len(self.layers) - 1
        means = rshift(tape.x.cumsum(axis=0).sum(axis=0), found.halvings)
        kept = np.zeros((1, 0, len(e)), np.int64)
        one = LayerTape(means[None], np.zeros((1, 0), np.int64), kept)
        step = replace(self._step(self.layers[last], settings), cost=0)
        yield _LayerBackward(self, last, one, step, asked=False).frame(0, e)[0]

    def _saturated(self, done: Pass) -> bool:
        q = self.learning.range
        return any(
            bool((((s.new == q.min) | (s.new == q.max)) & (s.new != s.old)).any())
            for s in (done.x, done.h)
            if s is not None
        )


def order(recordings: int, epochs: int, seed: int) -> Iterator[int]:
    """Which of so many recordings comes when: all in each epoch, in another order each time."""
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        yield from rng.permutation(recordings).tolist()


class _LayerBackward:
    """A layer on its way from the last frame to the first."""

    def __init__(
        self, network: LearningNetwork, k: int, tape: LayerTape, step: Step, asked: bool = True
    ) -> None:
        self.network, self.k, self.tape, self.step = network, k, tape, step
        self.asked = asked and k > 0  # for errors of x: the network's own input needs none
        layer = network.layers[k]
        self.cell, self.masters = CELLS[layer.kind], network.masters[k]
        self.g = np.zeros((layer.accumulators, layer.units), dtype=np.int64)
        self.of_state, self.of_h = np.zeros((2, layer.units), dtype=np.int64)
        self.held_x, self.held_h = np.zeros_like(tape.x[0]), np.zeros_like(tape.h[0])

    def frame(self, t: int, of_output: Integers) -> tuple[Pass, Integers]:
        """What is done in frame ``t``, and dL/dx [I], which is dL/doutput of the layer below."""
        formats, learning = self.network.formats, self.network.learning
        masters, tape, cell = self.masters, self.tape, self.cell
        e = sat(of_output + self.of_h, learning.error)
        own, self.of_state = cell.errors(formats, learning, tape.kept[t], e, self.of_state)
        self.g = sat(self.g + own, learning.error)
        x = self.step.sweep(masters.x, self.g[list(cell.rows_x)].ravel(), tape.x[t], self.asked)
        of_x, h = encoder_errors(self.held_x, x, learning), None
        if cell.rows_h:
            h = self.step.sweep(masters.h, self.g[list(cell.rows_h)].ravel(), tape.h[t], True)
            self.of_h = encoder_errors(self.held_h, h, learning)[: len(e)]
        return Pass(t, self.k, e, own, self.g, self.of_state, x, h), of_x[:-1]

"""Frames through a board: what `deltarnn run` does."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from boards.host.lessons import begin, layout_at, settle
from boards.host.session import Host, LinkError
from golden.fixed import Integers
from golden.learn.masters import of_model
from golden.learn.training import Training
from golden.model import Model
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.bus.registers import (
    CONTROL,
    CONTROL_CLEAR_COUNTERS,
    CONTROL_RESET_STATE,
    LANES,
    STATUS,
    STATUS_UNLOADED,
    WORD,
    register_map,
)
from hw.emit.verilog import weight_bytes
from hw.target import GENERIC, Target


@dataclass(frozen=True)
class Piece:
    """What the board did with some frames.

    Attributes
    ----------
    outputs : int64 [n, O]
        Results, LSBs.
    events : int
        Columns that fired.
    cycles : int
        Cycles with a frame under way.
    wrong : str
        The first thing in which golden/ differs; empty where nothing does or it was not asked.
    """

    outputs: Integers
    events: int
    cycles: int
    wrong: str = ""


def prepare(
    host: Host,
    model: Model,
    training: Training | None = None,
    target: Target = GENERIC,
    report: Callable[[str], None] = lambda _: None,
) -> None:
    """The state of a fresh start: weights, the model's thresholds, h = 0, counters 0.

    ``target`` is that of the core; ``report`` is told what takes long.

    Weights are loaded where the board has none, in the order that its lanes want. Where the core
    trains all masters are written, whatever it has learned since, and nothing is recorded.
    """
    report("waiting for weights to be copied from flash")
    host.booted()
    if training is not None:
        settle(host)
    if host.read(STATUS) >> STATUS_UNLOADED & 1:
        core = CoreParameters(model.parameters, host.read(LANES))
        host.load(weight_bytes(core, model, target), report)
    for register in register_map(model.parameters):
        kind, _, layer = register.name.rpartition("_")
        if kind in ("THETA_X", "THETA_H"):
            of_layer = model.parameters.layers[int(layer)]
            theta = of_layer.theta_x if kind == "THETA_X" else of_layer.theta_h
            assert theta is not None
            host.write(register.address, min(theta, WORD))  # both act as the greatest that fits
    host.write(CONTROL, 1 << CONTROL_RESET_STATE | 1 << CONTROL_CLEAR_COUNTERS)
    if training is not None:
        layout = layout_at(host, model.parameters, training)
        begin(host, layout, of_model(model, training.learning))


def run(
    host: Host, model: Model, frames: Iterable[Integers | None], check: bool
) -> Iterator[Piece]:
    """Sends pieces [n, I] of at most ``host.link.frames`` frames, after ``prepare``.

    None among them puts the state back to where it began: another recording follows. With
    ``check`` the results, and how many columns fired, are held against golden/.
    """
    golden, link = (DeltaNetwork(model) if check else None), host.link
    opens = link.trains  # in a recording's first frame constant columns fire
    before = dict.fromkeys((name for name, _ in link.counters), 0)
    for piece in frames:
        if piece is None:
            host.write(CONTROL, 1 << CONTROL_RESET_STATE)
            if golden is not None:
                golden.reset()
            opens = link.trains
            continue
        answer = host.frames(piece)
        gone = {name: value - before[name] & 0xFFFFFFFF for name, value in answer.counters.items()}
        before = answer.counters
        wrong = ""
        if gone["FRAMES"] != len(piece):
            raise LinkError(f"the board counts {gone['FRAMES']} frames of {len(piece)}")
        if golden is not None:
            wrong = _difference(golden, piece, answer.outputs, gone, opens)
        opens = False
        events = sum(n for name, n in gone.items() if name.startswith("EVENTS_"))
        yield Piece(answer.outputs, events, gone["CYCLES_LO"], wrong)


def pieces(recordings: Iterable[Integers], size: int) -> Iterator[Integers | None]:
    """Recordings [T, I] in pieces of ``size`` frames, None between one and the next."""
    for n, frames in enumerate(recordings):
        if n:
            yield None
        for low in range(0, len(frames), size):
            yield frames[low : low + size]


def _difference(
    golden: DeltaNetwork,
    frames: Integers,
    outputs: Integers,
    counted: dict[str, int],
    opens: bool,
) -> str:
    trace = golden.run(np.asarray(frames))
    differ = np.argwhere(trace.outputs != outputs)
    if len(differ):
        frame, result = differ[0]
        found, expected = outputs[frame, result], trace.outputs[frame, result]
        return f"frame {frame} of the piece, result {result}: {found}, golden has {expected}"
    for n, events in enumerate((trace.events_x, trace.events_h)):
        for layer, of_layer in enumerate(golden.model.parameters.layers[: events.shape[1]]):
            name = f"EVENTS_{'XH'[n]}_{layer}"
            expected = int(events[:, layer].sum()) + opens * of_layer.constants[n]
            found = counted.get(name, 0)
            if found != expected:
                return f"{name}: {found} events, golden has {expected}"
    return ""

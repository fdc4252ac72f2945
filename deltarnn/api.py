"""From Python: a network of PyTorch, ONNX or Keras to answers, Verilog and a board.

import deltarnn

network = deltarnn.convert(module, recordings, readout="last", labels=["yes", "no"])
network.evaluate("test.npz").error
network.save("model.safetensors")
network.build("icebreaker")
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.errors import refusal
from golden.features import Features
from golden.learn.masters import trainable
from golden.model import Model
from golden.model_file import load_model, save_model
from golden.network import run_sequences
from golden.parameters import CoreParameters
from golden.readings import Answers, with_meaning
from golden.recordings import Recordings

if TYPE_CHECKING:
    import torch

    from boards.flow.build import Built
    from deltarnn.evaluation.evaluate import Evaluation
    from sim.simulate import Result
    from train.importers.conversion import Fidelity
    from train.importers.verdict import Verdict
    from train.quantised.float_network import FloatNetwork

Floats = NDArray[np.float64]
Data = str | Path | np.ndarray | Sequence[np.ndarray]


@dataclass(frozen=True)
class Network:
    """An integer network, and what can be done with it.

    Attributes
    ----------
    model
        Weights, formats and thresholds, as the model file holds them.
    dense, delta
        How near it is to the float network that it was made of, at thresholds 0 and as it is;
        None where it was not calibrated, or comes from a file.
    verdict
        Where what it lost is lost; None likewise.
    """

    model: Model
    dense: "Fidelity | None" = None
    delta: "Fidelity | None" = None
    verdict: "Verdict | None" = None

    def save(self, path: str | Path) -> None:
        """Writes the model file, which every command takes."""
        save_model(self.model, Path(path))

    def predict(self, data: ArrayLike | Sequence[np.ndarray]) -> Any:
        """Results, as the core computes them bit for bit, in their unit.

        Parameters
        ----------
        data
            Float features [T, I], [N, T, I], or several [T, I]; every recording begins at reset.
            int8 and int16 arrays are frames in activation LSBs already.

        Returns
        -------
        float64 [T, O], [N, T, O], or a list of [T, O].
        """
        recordings = Recordings.of(data)  # type: ignore[arg-type]
        answers = Answers.of(self.model)
        traces = run_sequences(self.model, recordings.frames(self.model))
        results = [answers.results(trace.outputs) for trace in traces]
        if not isinstance(data, np.ndarray):
            return results
        return results[0] if data.ndim == 2 else np.stack(results)

    def answers(self, data: ArrayLike | Sequence[np.ndarray]) -> list[Any]:
        """What is said of each recording: a label, labels, or numbers; see `readout`.

        Raises ValueError where the model does not say how results are read.
        """
        found = self.evaluate(data)
        if found.said is None:
            raise refusal("readout", "none", "one: deltarnn.convert(.., readout=..)")
        return [found.answers.words(each) for each in found.said]

    def evaluate(self, data: Any, wanted: ArrayLike | Sequence[Any] | None = None) -> "Evaluation":
        """Answers, their error, confusion and cost, of data as ``predict`` takes or of a file.

        ``wanted`` says what is right, one a recording or one a frame, where the data does not.
        """
        from deltarnn.evaluation.evaluate import evaluate

        recordings = Recordings.of(data)
        if wanted is not None:
            recordings = recordings.wanting(wanted)
        return evaluate(self.model, recordings)

    def simulate(
        self, data: Data, *, lanes: int = 8, streams: int = 1, simulator: str = "verilator"
    ) -> "Result":
        """The RTL on data, held against ``predict`` bit by bit: ``mismatch`` is None, then."""
        from sim.simulate import simulate
        from sim.simulators import find_simulator

        frames = Recordings.of(data).frames(self.model)
        core = self._core(lanes, streams=streams)
        return simulate(core, self.model, frames, find_simulator(simulator))

    def generate(
        self,
        folder: str | Path,
        *,
        lanes: int = 8,
        activations: int = 1,
        streams: int = 1,
        target: str = "generic",
        frames: int | None = None,
    ) -> list[Path]:
        """Writes Verilog, manifest, C header and weights, where those must be loaded; the paths.

        With ``frames`` the core learns (docs/learning.md), from sequences of so many at most.
        """
        from boards.family.targets import find_target
        from hw.emit.verilog import emit

        model, training = (self.model, None) if frames is None else trainable(self.model, frames)
        core = self._core(lanes, activations, streams)
        core = replace(core, network=model.parameters, training=training)
        return list(emit(core, model, find_target(target).target).write(Path(folder)))

    def build(
        self,
        board: str,
        folder: str | Path | None = None,
        *,
        lanes: int | None = None,
        activations: int | None = None,
        clock: float | None = None,
        frames: int | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> "Built":
        """A bitstream for a board (docs/boards.md), and what it takes and how fast it is.

        With ``frames`` its core learns, as in ``generate``.
        """
        from boards.board import find_board
        from boards.flow.build import build

        place = Path("build") / f"{self.model.name}-{board}" if folder is None else Path(folder)
        found = find_board(board)
        return build(self.model, found, place, lanes, clock, report, activations, frames)

    def frames(self, features: ArrayLike) -> np.ndarray:
        """int64 [.., I], features as the core takes them: in activation LSBs."""
        return Features.of(self.model).frames(np.asarray(features, np.float64))

    def _core(self, lanes: int, activations: int = 1, streams: int = 1) -> CoreParameters:
        network = self.model.parameters
        return CoreParameters(network, min(lanes, network.most_lanes), activations, streams)


def load(path: str | Path) -> Network:
    """The network in a model file. Raises ValueError that names the file and what is wrong."""
    return Network(load_model(Path(path)))


def convert(
    source: "torch.nn.Module | FloatNetwork | str | Path",
    recordings: Data | None = None,
    *,
    name: str = "network",
    readout: str | None = None,
    labels: Sequence[str] | None = None,
    theta_x: int | None = None,
    theta_h: int | None = None,
    budget: float | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Network:
    """The integer network of a float one: what `deltarnn import` does (docs/importing.md).

    Parameters
    ----------
    source
        A torch module, taken as its state_dict is, or a file that `deltarnn import` reads.
    recordings
        Float features that the network is likely to see: they choose formats and input scales,
        and weights are rounded with them in view. Without any, inputs are taken as they are.
    readout, labels
        How results are read, a key of golden.readings.READINGS, and what the classes are called.
    theta_x, theta_h
        Thresholds of every x and h, in activation LSBs.
    budget
        Instead: what thresholds may add to the results' error, as a fraction of their spread.
    report
        Is told of every step in words.

    Raises
    ------
    ValueError
        Where the network is none that the core computes, or the recordings are none for it.
    """
    from train.importers import read_network
    from train.importers.conversion import Calibration
    from train.importers.conversion import convert as converted
    from train.importers.torch_module import network_in
    from train.importers.verdict import judge
    from train.quantised.float_network import FloatNetwork

    if isinstance(source, str | Path):
        network = read_network(Path(source))
    else:
        network = source if isinstance(source, FloatNetwork) else network_in(source)
    calibration = None
    if recordings is not None:
        calibration = Calibration(network, Recordings.of(recordings).sequences)
    found = converted(name, network, calibration, (theta_x, theta_h), budget, report)
    verdict = None if calibration is None else judge(found, calibration)
    model = with_meaning(found.model, readout, labels)
    return Network(model, found.dense, found.delta, verdict)

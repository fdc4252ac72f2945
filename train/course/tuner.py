"""Training in the core's arithmetic: of a float network that is trained already, or of none."""

from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from golden.fixed import Q
from golden.formats import Formats
from train.course.fit import Fit, FitParameters, FitRecord
from train.course.goals import Goal
from train.course.methods import Method
from train.course.operations import Meter
from train.course.recipe import Recipe
from train.data.recordings import Dataset, Floats
from train.nets.delta_rnn import DeltaRNN
from train.nets.float_rnn import FloatRNN
from train.quantised.float_network import FloatNetwork


def input_scale(std: Floats, activation: Q, span: float) -> Floats:
    """What each feature is multiplied by, float64 [I]: ``span`` deviations reach the range's end.

    Six digits: what the file says is what was used.
    """
    return np.array([float(f"{2.0**activation.m / (span * s):.6g}") for s in std])


def scaled(
    network: FloatRNN, mean: Floats, std: Floats, activation: Q, span: float
) -> tuple[FloatNetwork, Floats]:
    """Makes a network that takes scaled features of one that takes standardised ones."""
    scale = input_scale(std, activation, span)
    folded = deepcopy(network)
    folded.fold_input(gain=scale * std, offset=mean / std)
    return folded.floats(), scale


@dataclass(frozen=True)
class Tuner:
    """Trains delta networks on features that are multiplied by ``scale`` [I]."""

    goal: Goal
    recipe: Recipe
    method: Method
    formats: Formats
    scale: Floats

    def network(self, beginning: FloatNetwork) -> DeltaRNN:
        """A delta network to train, with the thresholds and the noise of the method."""
        recipe, delta_rnn = self.recipe, DeltaRNN(beginning, self.formats)
        if self.method.deltas:
            delta_rnn.set_thresholds((recipe.theta_x, *[recipe.theta_h] * (2 * recipe.layers)))
        if self.method.noise:
            delta_rnn.noise = recipe.noise
        return delta_rnn

    def fit(
        self,
        network: DeltaRNN,
        data: Dataset,
        parameters: FitParameters,
        progress: bool,
        checkpoint: Path | None,
        meter: Meter | None = None,
    ) -> FitRecord:
        """Trains ``network`` in place."""
        # The noise of a recipe is in standard deviations, of which the format holds ``span``.
        deviation = 2.0**self.formats.activation.m / self.recipe.span
        fit = Fit(
            self.goal,
            replace(
                parameters,
                sequence_noise=deviation * parameters.sequence_noise,
                frame_noise=deviation * parameters.frame_noise,
            ),
            self.recipe.delta_cost if self.method.cost else 0.0,
            self.formats.activation,
            checkpoint,
            "delta network",
            meter,
        )
        train, validation = (
            part.standardized(np.zeros(len(self.scale)), 1 / self.scale)
            for part in (data.train, data.validation)
        )
        return fit.run(network, train, validation, progress)

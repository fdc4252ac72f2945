"""A network with its weights."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from golden.errors import refusal
from golden.formats import Formats
from golden.kinds import KINDS, arithmetic
from golden.linear import LinearWeights
from golden.parameters import LayerParameters, NetworkParameters
from golden.recurrent import RecurrentWeights

Weights = RecurrentWeights | LinearWeights
WEIGHTS: dict[str, Callable[..., Weights]] = {kind: arithmetic(kind).Weights for kind in KINDS}


def accumulator_width(formats: Formats, weights: tuple[Weights, ...]) -> int:
    """The bits, sign included, that hold every M of every layer at all times.

    In every frame and after any number of its events M = bias + sum_j W_j v_j for some v_j that
    were sent, so |M| <= |bias| + sum_j |W_j| 2^(m+f) whatever the order of the events.
    """
    largest = 1 << (formats.activation.width - 1)
    bound = max((int(w.reach(largest).max()) for w in weights), default=0)
    return bound.bit_length() + 1


@dataclass(frozen=True)
class Model:
    """A network with its weights.

    Attributes
    ----------
    name, labels
        What it is called and what its outputs mean; ``labels`` may be None.
    parameters
        Formats and layer shapes, accumulator width included.
    weights
        For each layer, the ``Weights`` of its kind (golden.kinds).
    extra
        Further keys of the metadata (features, training record, scores), kept as they are.
    sha256
        That of the file it was read from; empty where there is none.
    """

    name: str
    parameters: NetworkParameters
    weights: tuple[Weights, ...]
    labels: tuple[str, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        formats: Formats,
        layers: tuple[LayerParameters, ...],
        weights: tuple[Weights, ...],
        labels: tuple[str, ...] | None = None,
        extra: dict[str, Any] | None = None,
        sha256: str = "",
    ) -> "Model":
        """A model of these layers, with the row shifts and accumulator width that they need."""
        width = accumulator_width(formats, weights)
        layers = tuple(
            replace(layer, shift_max=int(w.shifts.max(initial=0)))
            for layer, w in zip(layers, weights, strict=True)
        )
        parameters = NetworkParameters(formats, layers, width)
        if labels is not None and len(labels) != parameters.outputs:
            raise refusal("key 'labels'", f"{len(labels)} labels", f"{parameters.outputs}")
        return cls(name, parameters, weights, labels, extra or {}, sha256)

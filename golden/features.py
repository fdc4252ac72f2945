"""A user's numbers to frames: the keys `input_scale` and `input_offset` of a model file."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.errors import refusal
from golden.fixed import Q, quantize
from golden.model import Model


@dataclass(frozen=True)
class Features:
    """What becomes of each feature.

    Attributes
    ----------
    scale, offset : float64 [I]
        A frame is quantize((features - offset) * scale).
    activation
        In this format.
    """

    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    activation: Q

    @classmethod
    def of(cls, model: Model) -> "Features":
        """By the model's keys; features are taken as they are where there are none.

        Raises ValueError where one is neither a number nor as many as there are inputs.
        """
        inputs = model.parameters.inputs

        def key(name: str, default: float) -> NDArray[np.float64]:
            value: Any = model.extra.get(name, default)
            expected = f"a number, or {inputs} of them"
            try:
                numbers = np.array(value)
            except ValueError:
                raise refusal(f"key '{name}'", "a list in lists", expected) from None
            if numbers.dtype.kind not in "if" or numbers.shape not in ((), (inputs,)):
                found = f"{numbers.dtype} {list(numbers.shape)}"
                raise refusal(f"key '{name}'", found, expected)
            return np.broadcast_to(numbers.astype(np.float64), (inputs,))

        return cls(
            key("input_scale", 1.0), key("input_offset", 0.0), model.parameters.formats.activation
        )

    def frames(self, features: np.ndarray) -> np.ndarray:
        """int64 [.., I] in activation LSBs of features [.., I]; NaN is refused."""
        return quantize((features - self.offset) * self.scale, self.activation)

"""The delta network in PyTorch: docs/numerics.md with gradients (Neil et al., ICML 2017).

The forward pass is golden's in every bit. It multiplies with v^ where the core adds up deltas,
which is the same (M = W v^ + bias holds exactly) and what a CPU is fast at.
"""

import torch
from torch import Tensor, nn

from golden.formats import Formats
from golden.model import Model
from train.nets.delta_gru import DeltaGRULayer
from train.nets.delta_layer import DeltaLinearLayer, DeltaRecurrentLayer
from train.nets.delta_lstm import DeltaLSTMLayer
from train.nets.forward import Pass
from train.nets.straight_through import require_exact
from train.quantised.float_network import (
    FloatGRU,
    FloatLinear,
    FloatLSTM,
    FloatNetwork,
    FloatRecurrent,
    dequantized,
)
from train.quantised.quantize import quantize_network
from train.quantised.thresholds import thresholds, with_thresholds

_LAYERS = {FloatGRU: DeltaGRULayer, FloatLSTM: DeltaLSTMLayer}


class DeltaRNN(nn.Module):
    """Recurrent layers, and perhaps a linear read-out, in the arithmetic of the core.

    Starts as ``network``, with every threshold at 0. Attribute ``noise``: the deviation, in
    activation LSBs, of Gaussian noise on every x and h as neurons see it, while training.

    Parameters
    ----------
    shift_max
        The most that a row may be shifted (docs/numerics.md, "Row shifts"), 0 to 3.
    dtype
        float32, or float64 where formats or accumulators are too wide for it.

    Raises
    ------
    ValueError
        Where ``dtype`` does not hold what a neuron computes exactly.
    """

    def __init__(
        self,
        network: FloatNetwork,
        formats: Formats,
        shift_max: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.formats, self.shift_max, self.dtype, self.noise = formats, shift_max, dtype, 0.0
        self.recurrent = nn.ModuleList(
            _LAYERS[type(layer)](layer, formats, shift_max, dtype)
            for layer in network.layers
            if isinstance(layer, FloatRecurrent)
        )
        last = network.layers[-1]
        self.readout = (
            DeltaLinearLayer(last, formats, dtype) if isinstance(last, FloatLinear) else None
        )
        self.set_thresholds((0,) * (2 * len(self.recurrent) + (self.readout is not None)))

    @classmethod
    def of(cls, model: Model, dtype: torch.dtype | None = None) -> "DeltaRNN":
        """The twin of a model, thresholds and row shifts included; by default in the narrowest
        dtype that is exact for it.
        """
        network = model.parameters
        shift_max = max(layer.shift_max for layer in network.layers)

        def made(dtype: torch.dtype) -> "DeltaRNN":
            require_exact("accumulators", network.accumulator_width, dtype)
            return cls(dequantized(model), network.formats, shift_max, dtype)

        try:
            twin = made(dtype or torch.float32)
        except ValueError:
            if dtype is not None:
                raise
            twin = made(torch.float64)
        twin.set_thresholds(thresholds(model))
        return twin

    def set_thresholds(self, values: tuple[int, ...] | tuple[Tensor, ...]) -> None:
        """theta_x, theta_h of each recurrent layer in turn, then theta_x of the read-out, in LSBs.

        Each a number; or, to measure and not to train, [B, 1]: one for every sequence of a batch.
        """
        self._thresholds = values
        for n, layer in enumerate(self._layers()):
            layer.theta_x, layer.theta_h = values[2 * n : 2 * n + 2]
        if self.readout is not None:
            self.readout.theta_x = values[-1]

    def forward(self, frames: Tensor) -> Pass:
        """Frames [B, T, I], real numbers on the activation format's grid, from reset."""
        noise = self.noise if self.training else 0.0
        x = frames.to(self.dtype).transpose(0, 1).contiguous()
        sent: list[Tensor] = []
        for layer in self._layers():
            x, sent_x, sent_h = layer(x, noise)
            sent += [sent_x, sent_h]
        if self.readout is not None:
            x, sent_x = self.readout(x)
            sent.append(sent_x)
        return Pass(x.transpose(0, 1), tuple(sent), self._rows())

    def exported(self, name: str, labels: tuple[str, ...] | None) -> Model:
        """The integer network, which computes exactly what this one does.

        Raises ValueError where an accumulator is wider than ``dtype`` is exact for.
        """
        model = quantize_network(
            name, self.formats, self.floats(), labels, shift_max=self.shift_max
        )
        require_exact("accumulators", model.parameters.accumulator_width, self.dtype)
        return with_thresholds(model, tuple(int(value) for value in self._thresholds))

    def floats(self) -> FloatNetwork:
        """The network as it is now."""
        layers = tuple(layer.floats() for layer in self._layers())
        return FloatNetwork(layers if self.readout is None else (*layers, self.readout.floats()))

    def _rows(self) -> tuple[int, ...]:
        """Weights of a column, for each encoder in the order of ``Pass.sent``."""
        columns = [n for layer in self._layers() for n in 2 * [len(layer.weight_x)]]
        if self.readout is not None:
            columns.append(len(self.readout.weight_x))
        return tuple(columns)

    def _layers(self) -> list[DeltaRecurrentLayer]:
        return list(self.recurrent)  # type: ignore[arg-type]

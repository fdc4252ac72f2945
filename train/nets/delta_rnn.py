"""The delta network in PyTorch: docs/numerics.md with gradients (Neil et al., ICML 2017).

The forward pass is golden's in every bit. It multiplies with v^ where the core adds up deltas,
which is the same (M = W v^ + bias holds exactly) and what a CPU is fast at.
"""

from torch import Tensor, nn

from golden.errors import refusal
from golden.formats import Formats
from golden.model import Model
from train.nets.delta_gru import DeltaGRULayer
from train.nets.delta_layer import DeltaLinearLayer, DeltaRecurrentLayer
from train.nets.delta_lstm import DeltaLSTMLayer
from train.nets.forward import Pass
from train.nets.straight_through import EXACT_BITS
from train.quantised.float_network import (
    FloatGRU,
    FloatLinear,
    FloatLSTM,
    FloatNetwork,
    FloatRecurrent,
)
from train.quantised.quantize import quantize_network
from train.quantised.thresholds import with_thresholds

_LAYERS = {FloatGRU: DeltaGRULayer, FloatLSTM: DeltaLSTMLayer}


class DeltaRNN(nn.Module):
    """Recurrent layers and a linear read-out, in the arithmetic of the core.

    Starts as ``network``, with every threshold at 0. Attribute ``noise``: the deviation, in
    activation LSBs, of Gaussian noise on every x and h as neurons see it, while training.
    """

    def __init__(self, network: FloatNetwork, formats: Formats) -> None:
        super().__init__()
        self.formats, self.noise = formats, 0.0
        self.recurrent = nn.ModuleList(
            _LAYERS[type(layer)](layer, formats)
            for layer in network.layers
            if isinstance(layer, FloatRecurrent)
        )
        (readout,) = (layer for layer in network.layers if isinstance(layer, FloatLinear))
        self.readout = DeltaLinearLayer(readout, formats)
        self.set_thresholds((0,) * (2 * len(self.recurrent) + 1))

    def set_thresholds(self, values: tuple[int, ...] | tuple[Tensor, ...]) -> None:
        """theta_x, theta_h of each recurrent layer in turn, then theta_x of the read-out, in LSBs.

        Each a number; or, to measure and not to train, [B, 1]: one for every sequence of a batch.
        """
        self._thresholds = values
        *pairs, self.readout.theta_x = values
        for n, layer in enumerate(self._layers()):
            layer.theta_x, layer.theta_h = pairs[2 * n : 2 * n + 2]

    def forward(self, frames: Tensor) -> Pass:
        """Frames [B, T, I], real numbers on the activation format's grid, from reset."""
        noise = self.noise if self.training else 0.0
        x = frames.transpose(0, 1).contiguous()
        sent: list[Tensor] = []
        for layer in self._layers():
            x, sent_x, sent_h = layer(x, noise)
            sent += [sent_x, sent_h]
        outputs, sent_x = self.readout(x)
        return Pass(outputs.transpose(0, 1), (*sent, sent_x), self._rows())

    def exported(self, name: str, labels: tuple[str, ...] | None) -> Model:
        """The integer network, which computes exactly what this one does.

        Raises ValueError where an accumulator is wider than float32 is exact for.
        """
        layers = (*self._layers(), self.readout)
        network = FloatNetwork(tuple(layer.floats() for layer in layers))
        model = quantize_network(name, self.formats, network, labels)
        width = model.parameters.accumulator_width
        if width > EXACT_BITS:
            raise refusal("accumulators", f"{width} bits", f"at most {EXACT_BITS}: smaller weights")
        return with_thresholds(model, tuple(int(value) for value in self._thresholds))

    def _rows(self) -> tuple[int, ...]:
        """Weights of a column, for each encoder in the order of ``Pass.sent``."""
        columns = (n for layer in self._layers() for n in 2 * [len(layer.weight_x)])
        return (*columns, len(self.readout.weight_x))

    def _layers(self) -> list[DeltaRecurrentLayer]:
        return list(self.recurrent)  # type: ignore[arg-type]

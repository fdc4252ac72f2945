"""Delta networks as PyTorch modules: `DeltaGRU` and `DeltaLSTM` in place of `nn.GRU`, `nn.LSTM`.

They have the parameters, the state_dict and the results of PyTorch's, and beside them thresholds:
what moves by no more than a threshold is not sent, forward or backward. With every threshold at 0
they compute what PyTorch's do. docs/training.md shows them in use.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from golden.errors import refusal
from golden.formats import Formats
from golden.model import Model
from golden.model_file import save_model
from train.importers.conversion import Calibration, Converted, convert
from train.nets.delta_gru import DeltaGRULayer
from train.nets.delta_layer import DeltaRecurrentLayer
from train.nets.delta_lstm import DeltaLSTMLayer
from train.nets.forward import Pass
from train.nets.straight_through import EXACT_BITS, rounded
from train.quantised.float_network import (
    FloatGRU,
    FloatLinear,
    FloatLSTM,
    FloatNetwork,
    FloatRecurrent,
)
from train.quantised.quantize import quantize_network
from train.quantised.thresholds import with_thresholds

Thetas = float | Sequence[float]
Recordings = np.ndarray | Tensor | Sequence[np.ndarray] | Sequence[Tensor]


@dataclass(frozen=True)
class _Last:
    """The last forward call.

    Attributes
    ----------
    sent
        What every encoder had sent, frame by frame.
    mask : [B, T]
        1 on a frame that counts.
    firing : per encoder [T, B, n]
        1 where it fired, with the gradient of a sigmoid; none unless thresholds are learned.
    """

    sent: Pass
    mask: Tensor
    firing: tuple[Tensor, ...]


class _Encoder:
    """A delta encoder in float, from a memory of 0; docs/numerics.md, "Delta encoder".

    The mask of what fired is a constant in the gradient of the values, as in train/nets. A learned
    threshold gets its gradient as if values came through in the measure of
    sigmoid((|d| - theta) / tau).
    """

    def __init__(self, theta: float | Tensor, tau: float) -> None:
        self._theta, self._tau = theta, tau
        self.sent: list[Tensor] = []
        self.firing: list[Tensor] = []

    def __call__(self, v: Tensor) -> Tensor:
        """v^ [B, n] of the next ``v``."""
        theta, memory = self._theta, self.sent[-1] if self.sent else torch.zeros_like(v)
        if isinstance(theta, Tensor):
            d = v - memory
            fires = d.abs() > theta
            rest = d.detach()
            measure = torch.sigmoid((rest.abs() - theta) / self._tau)
            memory = torch.where(fires, v, memory) + (measure - measure.detach()) * rest
            measure = torch.sigmoid((d.abs() - theta) / self._tau)
            self.firing.append(measure + (fires.to(v.dtype) - measure).detach())
        elif theta:
            memory = torch.where((v - memory).abs() > theta, v, memory)
        else:
            memory = v  # whatever did not move is the same, and its gradient passes
        self.sent.append(memory)
        return memory


class _Delta(nn.RNNBase):
    """What both modules share; it comes before PyTorch's own in their bases."""

    layer_kind: ClassVar[type[DeltaRecurrentLayer]]
    float_kind: ClassVar[type[FloatRecurrent]]

    theta_x: Tensor
    theta_h: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        theta_x: Thetas = 0.0,
        theta_h: Thetas = 0.0,
        learn_theta: bool = False,
        tau: float = 0.1,
        formats: Formats | None = None,
    ) -> None:
        if dropout:
            raise refusal("dropout", dropout, "0: a core has none; add noise to the inputs instead")
        if bidirectional:
            raise refusal("bidirectional", "True", "False: frames come one by one")
        if proj_size:
            raise refusal("proj_size", proj_size, "0: no projections")
        if learn_theta and formats is not None:
            expected = "formats=None: in integers a threshold has no gradient"
            raise refusal("learn_theta", "True with formats", expected)
        if not tau > 0:
            raise refusal("tau", tau, "a width greater than 0")
        sizes: Any = (input_size, hidden_size, num_layers, bias, batch_first)
        super().__init__(*sizes, device=device, dtype=dtype)  # nn.GRU's or nn.LSTM's
        self.learn_theta, self.tau, self.formats = learn_theta, tau, formats
        self._last: _Last | None = None
        for name, given in (("theta_x", theta_x), ("theta_h", theta_h)):
            values = _thetas(name, given, num_layers).to(self._all()[0])
            if learn_theta:
                self.register_parameter(name, nn.Parameter(values))
            else:
                self.register_buffer(name, values, persistent=False)

    def reset_parameters(self) -> None:
        """As PyTorch's; thresholds stay."""
        stdv = self.hidden_size**-0.5
        for weight in self._all():
            nn.init.uniform_(weight, -stdv, stdv)

    def delta_cost(self) -> Tensor:
        """What to add to a loss, times some weight, so that less moves; of the last forward call.

        The mean size of a delta, as Neil et al. (ICML 2017) have it, of all encoders but that of
        the module's input, which training cannot move. With learned thresholds instead: the
        fraction of all columns that fired, with a gradient that lowers deltas and raises
        thresholds.
        """
        last = self._of_last()
        if not last.firing:
            return last.sent.moved(last.mask)
        counts = [(firing.sum(dim=2) * last.mask.t()).sum() for firing in last.firing]
        columns = sum(firing.shape[2] for firing in last.firing)
        return torch.stack(counts).sum() / (last.mask.sum() * columns)

    def occupancy(self) -> tuple[float, float]:
        """The fractions of columns that fired, of x and of h, in the last forward call."""
        last = self._of_last()
        return last.sent.occupancy(last.mask)

    def export(
        self,
        path: str | Path,
        recordings: Recordings | None = None,
        head: nn.Linear | None = None,
        name: str | None = None,
    ) -> Converted:
        """Writes the model file of this network, with the read-out ``head`` if one follows.

        A core compares in steps of its activation format: thresholds are rounded to the nearest
        step. Every feature has a scale of its own, but all of a layer's inputs have one threshold:
        it is the one of the feature with the smallest scale, so that no feature is held longer
        than it was here.

        Parameters
        ----------
        path
            Of the model file.
        recordings
            Float [T, I], several of them, or [N, T, I], as this module takes them; put in a row,
            they choose formats and input scale (docs/importing.md, "Calibration frames"). None:
            inputs are taken as they are, in the first formats. A module with ``formats`` has
            chosen already; recordings then only measure.
        head
            Results are its outputs; None: the last layer's units.
        name
            Of the model; None: the file's.

        Returns
        -------
        Converted
            ``model``, ``input_scale`` and, where there are recordings, ``dense`` and ``delta``:
            how near it is to this network in float and without thresholds, with its own at 0 and
            as they are.

        Raises
        ------
        ValueError
            Where ``head`` does not fit, a recording is none, or no integers hold the network.
        """
        path = Path(path)
        network = self._float_network(head)
        frames = None if recordings is None else _in_a_row(recordings)
        calibration = None if frames is None else Calibration(network, frames)
        title = path.stem if name is None else name
        if self.formats is None:
            found = convert(title, network, calibration)
        else:
            scale = np.ones(self.input_size)
            extra = {"input_scale": scale.tolist()}
            model = quantize_network(title, self.formats, network, extra=extra)
            self._require_exact(model.parameters.accumulator_width)
            dense = calibration and calibration.fidelity(model, scale)
            found = Converted(model, scale, dense, dense)
        model = with_thresholds(found.model, self._steps(found.model, found.input_scale))
        delta = calibration and calibration.fidelity(model, found.input_scale)
        save_model(model, path)
        return replace(found, model=model, delta=delta)

    def __getstate__(self) -> dict[str, Any]:
        # What a loss still hangs on cannot be copied, and is nobody's but this object's.
        return {**super().__getstate__(), "_last": None}

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        metadata: Any,
        strict: bool,
        missing_keys: Any,
        *more: Any,
    ) -> None:
        """PyTorch's own state_dict has no thresholds: they stay what they are."""
        absent: list[str] = []
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, absent, *more)
        thetas = {f"{prefix}theta_x", f"{prefix}theta_h"}
        missing_keys += [key for key in absent if key not in thetas]

    def extra_repr(self) -> str:
        thetas = (f"{name}={getattr(self, name).tolist()}" for name in ("theta_x", "theta_h"))
        return ", ".join((super().extra_repr(), *thetas))

    # Forward

    def _run(
        self, given: Tensor | PackedSequence, first: tuple[Tensor, ...] | None
    ) -> tuple[Tensor | PackedSequence, tuple[Tensor, ...]]:
        """Outputs as ``given`` was, and what units remember [layers, B, H] each behind the end.

        ``first`` is what they remember at the beginning; None: 0.
        """
        if isinstance(given, PackedSequence):
            x, lengths = pad_packed_sequence(given)
            batched = True
        else:
            batched = given.dim() == 3
            x = given if batched else given.unsqueeze(1)
            x = x.transpose(0, 1) if batched and self.batch_first else x
            lengths = torch.full((x.shape[1],), x.shape[0])
            if first is not None and not batched:
                first = tuple(each.unsqueeze(1) for each in first)
        shape = (self.num_layers, x.shape[1], self.hidden_size)
        self._require(x, shape, first)
        ends = lengths.to(x.device) - 1
        mask = torch.arange(len(x), device=x.device) <= ends[:, None]
        sent: list[Tensor] = []
        firing: list[Tensor] = []
        last = []
        for k in range(self.num_layers):
            start = None if first is None else tuple(each[k] for each in first)
            kept, of_x, of_h = self._layer(k, x, start)
            x = kept[0]
            last.append([each[ends, torch.arange(len(ends), device=x.device)] for each in kept])
            for encoder in (of_x, of_h):
                sent.append(torch.stack(encoder.sent))
                firing += [torch.stack(encoder.firing)] if encoder.firing else []
        rows = (len(self._all()[0]),) * len(sent)
        self._last = _Last(Pass(x, tuple(sent), rows), mask.to(x.dtype), tuple(firing))
        end = tuple(torch.stack(each) for each in zip(*last, strict=True))
        if isinstance(given, PackedSequence):
            return self._packed(x, lengths, given), end
        if not batched:
            return x.squeeze(1), tuple(each.squeeze(1) for each in end)
        return x.transpose(0, 1) if self.batch_first else x, end

    def _layer(
        self, k: int, x: Tensor, first: tuple[Tensor, ...] | None
    ) -> tuple[tuple[Tensor, ...], _Encoder, _Encoder]:
        """What units show, and what else they remember, [T, B, H] each; both encoders."""
        theta_x, theta_h = (self._theta(name, k) for name in ("theta_x", "theta_h"))
        of_x, of_h = _Encoder(theta_x, self.tau), _Encoder(theta_h, self.tau)
        if self.formats is not None:
            floats = self._floats(k)
            layer = self.layer_kind(floats, self.formats, 0, x.dtype)  # type: ignore[arg-type]
            scale = self.formats.activation.scale
            layer.theta_x, layer.theta_h = (_nearest(float(t) * scale) for t in (theta_x, theta_h))
            weight_x, weight_h, bias = self._core(k)
            mine = {"weight_x": weight_x, "weight_h": weight_h, "bias": bias}
            on_grid = rounded(x, self.formats.activation)
            a, sent_x, sent_h = functional_call(layer, mine, (on_grid, 0.0))
            of_x.sent, of_h.sent = list(sent_x), list(sent_h)
            return (a,), of_x, of_h
        weight_x, weight_h, bias_x, bias_h = self._weights(k)
        products = nn.functional.linear(torch.stack([of_x(v) for v in x]), weight_x, bias_x)
        state = first
        if state is None:
            state = tuple(x.new_zeros(x.shape[1], self.hidden_size) for _ in range(self._kept))
        states = []
        for product in products:
            own = nn.functional.linear(of_h(state[0]), weight_h, bias_h)
            state = self._unit(product, own, state)
            states.append(state)
        return tuple(torch.stack(each) for each in zip(*states, strict=True)), of_x, of_h

    _kept: ClassVar[int]  # how many values a unit remembers

    def _unit(self, x: Tensor, h: Tensor, before: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What units show and remember [B, H], of products [B, G H] and what they remembered."""
        raise NotImplementedError

    def _packed(self, x: Tensor, lengths: Tensor, like: PackedSequence) -> PackedSequence:
        order = like.sorted_indices
        if order is not None:
            x, lengths = x[:, order], lengths[order.to(lengths.device)]
        packed = pack_padded_sequence(x, lengths)
        return PackedSequence(packed.data, packed.batch_sizes, order, like.unsorted_indices)

    def _require(self, x: Tensor, shape: tuple[int, ...], first: tuple[Tensor, ...] | None) -> None:
        if x.dim() != 3 or x.shape[2] != self.input_size or not len(x):
            found, expected = list(x.shape), f"[T, B, {self.input_size}], T >= 1"
            raise refusal("input", f"shape {found}, time first", expected)
        for each in first or ():
            if each.shape != shape:
                raise refusal("hx", f"shape {list(each.shape)}", f"{list(shape)}")
        if first is not None and self.formats is not None:
            raise refusal("hx", "one beside formats", "None: a core begins at reset")

    # Parameters

    def _weights(self, k: int) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """As PyTorch has them: weight_ih, weight_hh, bias_ih, bias_hh."""
        weights = [getattr(self, name) for name in self._all_weights[k]]
        bias_x, bias_h = weights[2:] if self.bias else (None, None)
        return weights[0], weights[1], bias_x, bias_h

    def _all(self) -> list[nn.Parameter]:
        return [getattr(self, name) for names in self._all_weights for name in names]

    def _core(self, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, and one bias for each accumulator (docs/numerics.md)."""
        weight_x, weight_h, bias_x, bias_h = self._weights(k)
        if bias_x is None or bias_h is None:
            bias_x = bias_h = weight_x.new_zeros(len(weight_x))
        return weight_x, weight_h, self._accumulators(bias_x, bias_h)

    def _accumulators(self, bias_x: Tensor, bias_h: Tensor) -> Tensor:
        """[4H] of torch's two biases [G H]."""
        raise NotImplementedError

    def _theta(self, name: str, k: int) -> float | Tensor:
        theta = getattr(self, name)[k]
        if not self.learn_theta:
            return float(theta)
        return theta + (theta.clamp(min=0) - theta).detach()  # below 0 it is 0, and can come back

    def _floats(self, k: int) -> FloatRecurrent:
        return self.float_kind.with_bias(*(_array(each) for each in self._core(k)))

    def _float_network(self, head: nn.Linear | None) -> FloatNetwork:
        layers: list[FloatRecurrent | FloatLinear] = [
            self._floats(k) for k in range(self.num_layers)
        ]
        if head is not None:
            if not isinstance(head, nn.Linear):
                raise refusal("head", f"a {type(head).__name__}", "an nn.Linear")
            bias = np.zeros(head.out_features) if head.bias is None else _array(head.bias)
            layers.append(FloatLinear(_array(head.weight), bias))
        return FloatNetwork(tuple(layers))

    def _steps(self, model: Model, input_scale: np.ndarray) -> tuple[int, ...]:
        """Thresholds of all layers in steps of the model's activation."""
        activation = model.parameters.formats.activation
        scales = [float(input_scale.min()), *[1.0] * (self.num_layers - 1)]
        steps = [
            min(_nearest(theta * scale * activation.scale), activation.max)
            for k, scale_x in enumerate(scales)
            for theta, scale in (
                (float(self._theta("theta_x", k)), scale_x),
                (float(self._theta("theta_h", k)), 1.0),
            )
        ]
        return (*steps, *[0] * (len(model.parameters.layers) - self.num_layers))

    def _require_exact(self, width: int) -> None:
        """Refuses accumulators that a forward pass in float32 may have rounded."""
        most = EXACT_BITS[self._all()[0].dtype]
        if width > most:
            expected = f"at most {most}: smaller weights or coarser formats"
            raise refusal("accumulators", f"{width} bits", expected)

    def _of_last(self) -> _Last:
        if self._last is None:
            raise refusal(type(self).__name__, "no forward call", "one before this")
        return self._last


class DeltaGRU(_Delta, nn.GRU):
    """A GRU that sends only what moved; in place of `torch.nn.GRU`.

    Takes what `nn.GRU` takes, but no dropout and one direction only, and has its parameters by
    name and shape, so that either loads the other's state_dict.

    Parameters
    ----------
    theta_x, theta_h
        Thresholds of each layer's x and h, in their units; one for all layers, or one each. What
        moves by no more than that is not sent.
    learn_theta
        Thresholds are parameters, one a layer each, that a loss with ``delta_cost()`` moves. Then
        the state_dict has ``theta_x`` and ``theta_h`` [layers] as well.
    tau
        Width of the sigmoid that gives a learned threshold its gradient, in the units of x and h.
    formats
        Computes in a core's integers, bit for bit as ``export`` writes them: inputs are rounded to
        the activation format, thresholds to its steps, and gradients pass straight through.

    Raises
    ------
    ValueError
        Where a core could not do what is asked.
    """

    layer_kind, float_kind, _kept = DeltaGRULayer, FloatGRU, 1

    def forward(  # type: ignore[override]
        self, input: Tensor | PackedSequence, hx: Tensor | None = None
    ) -> tuple[Any, Tensor]:
        """Outputs and h behind the last frame, shaped as those of `nn.GRU`.

        ``input`` is [T, B, I], [B, T, I] with ``batch_first``, [T, I], or packed. Encoders begin
        with a memory of 0 in every call, and h with ``hx`` [layers, B, H]: in the first frame, all
        of hx that exceeds the threshold is sent. Not with ``formats``, where hx must be None.

        Raises ValueError where a shape is another.
        """
        outputs, (h,) = self._run(input, None if hx is None else (hx,))
        return outputs, h

    def _unit(self, x: Tensor, h: Tensor, before: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        of_x, of_h = x.chunk(3, dim=1), h.chunk(3, dim=1)
        r, u = (torch.sigmoid(of_x[n] + of_h[n]) for n in range(2))
        c = torch.tanh(of_x[2] + r * of_h[2])
        return (c + u * (before[0] - c),)

    def _accumulators(self, bias_x: Tensor, bias_h: Tensor) -> Tensor:
        ru = 2 * self.hidden_size
        return torch.cat([bias_x[:ru] + bias_h[:ru], bias_x[ru:], bias_h[ru:]])


class DeltaLSTM(_Delta, nn.LSTM):
    """An LSTM that sends only what moved; in place of `torch.nn.LSTM`.

    Takes what `nn.LSTM` takes, but no dropout, no projections and one direction only. Parameters
    beside these are those of `DeltaGRU`.

    Raises
    ------
    ValueError
        Where a core could not do what is asked.
    """

    layer_kind, float_kind, _kept = DeltaLSTMLayer, FloatLSTM, 2

    def forward(  # type: ignore[override]
        self, input: Tensor | PackedSequence, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Any, tuple[Tensor, Tensor | None]]:
        """Outputs and (h, c) behind the last frame, shaped as those of `nn.LSTM`.

        As `DeltaGRU`. With ``formats`` c is None: it stays within the core.
        """
        outputs, end = self._run(input, hx)
        return outputs, (end[0], end[1] if self.formats is None else None)

    def _unit(self, x: Tensor, h: Tensor, before: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        i, f, g, o = (x + h).chunk(4, dim=1)
        c = torch.sigmoid(f) * before[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def _accumulators(self, bias_x: Tensor, bias_h: Tensor) -> Tensor:
        return bias_x + bias_h


def _thetas(name: str, given: Thetas, layers: int) -> Tensor:
    values = torch.as_tensor(given, dtype=torch.float64)
    if values.dim() == 0:
        values = values.expand(layers)
    if values.shape != (layers,):
        raise refusal(name, f"{len(values)} thresholds", f"one, or {layers}, one a layer")
    if not (torch.isfinite(values) & (values >= 0)).all():
        raise refusal(name, str(values.tolist()), "numbers from 0 on")
    return values.clone()


def _nearest(value: float) -> int:
    return int(np.floor(value + 0.5))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def _in_a_row(recordings: Recordings) -> np.ndarray:
    """Float64 [T, I] of one recording or several."""
    single = isinstance(recordings, np.ndarray | Tensor) and recordings.ndim == 2
    every = [recordings] if single else recordings
    arrays = [np.asarray(torch.as_tensor(each).detach().cpu().double()) for each in every]
    for array in arrays:
        if array.ndim != 2 or array.shape[1:] != arrays[0].shape[1:]:
            raise refusal("recordings", f"shape {list(array.shape)}", "[T, I] each, of one width")
    if not arrays:
        raise refusal("recordings", "none", "one at least")
    return np.concatenate(arrays)

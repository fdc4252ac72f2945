"""What an import lost, and where: the error layer by layer, and which format limits it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from golden.fixed import Q
from golden.formats import ACTIVATION_BITS_MAX, Formats
from golden.model import Model
from train.data.recordings import Floats
from train.importers.conversion import Calibration, Fidelity

_FINER = 4  # fraction bits more, which leave next to nothing of a format's share
_GOOD, _USABLE = 0.05, 0.3  # of the results' spread
_SHARE = 0.8  # what is left with a format made finer, where it limits

USABLE = _USABLE  # with a larger error nobody would know the network again


@dataclass(frozen=True)
class Verdict:
    """How good a model is.

    Attributes
    ----------
    layers
        For each layer the RMS of its results' error over their spread, all before it included.
    finer
        The error in all, were one format finer by four bits: by its name.
    limit
        What limits: the name of a format, or "weights" where no finer format would help.
    text
        All that in a sentence, with what would help.
    """

    layers: tuple[float, ...]
    finer: dict[str, float]
    limit: str
    text: str


def judge(model: Model, calibration: Calibration, scale: Floats, fidelity: Fidelity) -> Verdict:
    """The verdict on ``model`` at thresholds 0, whose ``fidelity`` is known."""
    finer = {}
    for name, change in _CHANGES.items():
        try:
            finer[name] = calibration.fidelity(change(model), scale).loss
        except ValueError:  # beyond what any core holds
            continue
    best = min(finer, key=lambda name: finer[name], default="weights")
    limit = best if best in finer and finer[best] < _SHARE * fidelity.loss else "weights"
    if fidelity.loss <= _GOOD:
        says = f"good: an error of {fidelity.loss:.1%}"
    elif fidelity.loss <= _USABLE:
        says = f"an error of {fidelity.loss:.1%}: check the answers with `deltarnn eval`"
    else:
        says = f"not usable: an error of {fidelity.loss:.0%}"
    text = f"{says}; the {limit} limit{'s' * (limit != 'weights')} it, {_HELP[limit]}"
    return Verdict(calibration.layer_losses(model, scale), finer, limit, text)


def _with(model: Model, formats: Formats, more: int = 0) -> Model:
    """The same weights in other formats; biases have ``more`` fraction bits."""
    weights = tuple(replace(w, bias=w.bias.astype("int64") << more) for w in model.weights)
    return Model.of(model.name, formats, model.parameters.layers, weights)


def _finer_activation(model: Model) -> Model:
    formats = model.parameters.formats
    more = min(_FINER, ACTIVATION_BITS_MAX - formats.activation.width)
    return _with(model, replace(formats, activation=_more(formats.activation, more)), more)


def _finer_gate(model: Model) -> Model:
    formats = model.parameters.formats
    finer = {name: _more(getattr(formats, name), _FINER) for name in ("gate", "preactivation")}
    return _with(model, replace(formats, **finer))


def _finer_state(model: Model) -> Model:
    formats = model.parameters.formats
    finer = {name: _more(getattr(formats, name), _FINER) for name in ("state", "cell")}
    return _with(model, replace(formats, **finer))


def _more(q: Q, bits: int) -> Q:
    return Q(q.m, q.f + bits)


_CHANGES: dict[str, Callable[[Model], Model]] = {
    "activation": _finer_activation,
    "gate": _finer_gate,
    "state": _finer_state,
}
_HELP = {
    "activation": "which a wider calibration range or features of a like size would help",
    "gate": "and its tables have no finer format",
    "state": "which has no finer format",
    "weights": "which have 8 bits: `deltarnn tune` trains them further",
}

"""What an import lost, and where: the error layer by layer, and which format limits it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from golden.fixed import Q
from golden.formats import ACTIVATION_BITS_MAX, Formats
from golden.model import Model
from train.importers.conversion import Calibration, Converted
from train.quantised.thresholds import thresholds, with_thresholds

_FINER = 4  # fraction bits more, which leave next to nothing of a format's share
GOOD, USABLE = 0.05, 0.3  # of the results' spread: beyond, nobody would know the network again
_SHARE = 0.8  # what is left with a format made finer, where it limits


@dataclass(frozen=True)
class Verdict:
    """How good a model is.

    Attributes
    ----------
    usable
        Whether it follows its network at all.
    layers
        For each layer the RMS of its results' error over their spread, all before it included.
    finer
        The error in all, were one format finer by four bits: by its name.
    limit
        What limits: the name of a format, or "weights" where no finer format would help.
    text
        All that in a sentence, with what would help.
    """

    usable: bool
    layers: tuple[float, ...]
    finer: dict[str, float]
    limit: str
    text: str


def judge(found: Converted, calibration: Calibration) -> Verdict:
    """The verdict on what was made with this calibration, at thresholds 0."""
    assert found.dense is not None
    scale, loss = found.input_scale, found.dense.loss
    model = with_thresholds(found.model, (0,) * len(thresholds(found.model)))
    finer = {}
    for name, change in _CHANGES.items():
        try:
            finer[name] = calibration.fidelity(change(model), scale).loss
        except ValueError:  # beyond what any core holds
            continue
    best = min(finer, key=lambda name: finer[name], default="weights")
    limit = best if best in finer and finer[best] < _SHARE * loss else "weights"
    if loss <= GOOD:
        says = f"good, an error of {loss:.1%}"
    elif loss <= USABLE:
        says = f"an error of {loss:.1%}, look at the answers with `deltarnn eval`"
    else:
        says = f"an error of {loss:.0%} of their spread"
    text = f"{says}; {_LIMITS[limit]}"
    return Verdict(loss <= USABLE, calibration.layer_losses(model, scale), finer, limit, text)


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
_LIMITS = {
    "activation": "the activation limits it: features that spread alike would help",
    "gate": "gates and their tables limit it",
    "state": "the format of the state limits it",
    "weights": "8-bit weights limit it: `deltarnn tune` trains them further",
}

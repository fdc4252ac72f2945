"""PyTorch: the state_dict of a module, as safetensors or as torch.save wrote it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from golden.errors import refusal
from train.data import Floats
from train.network import FloatGRU, FloatLinear, FloatLSTM, FloatNetwork, FloatRecurrent

_CELL = re.compile(
    r"(?P<prefix>.*?)(?P<what>weight|bias)_(?P<of>ih|hh|hr)_l(?P<k>\d+)(?P<back>_\w+)?"
)
_KINDS: dict[int, type[FloatRecurrent]] = {3: FloatGRU, 4: FloatLSTM}  # by the gates there are
_WANTED = "nn.GRU or nn.LSTM, and one nn.Linear"

State = dict[str, Floats]


def read(path: Path) -> FloatNetwork:
    """The network in a file of tensors with the names of ``nn.GRU``, ``nn.LSTM``, ``nn.Linear``."""
    state = _safetensors(path) if path.suffix == ".safetensors" else _saved(path)
    return network_of(state, str(path))


def network_of(state: State, source: str) -> FloatNetwork:
    """Layers in the order of their names' first appearance; ``source`` is what errors begin with.

    PyTorch's gates r, z, n are the specification's r, u, c, and so is its update; i, f, g, o are
    named alike.
    """
    cells: dict[tuple[str, int], State] = {}
    linear: dict[str, State] = {}
    for key, tensor in state.items():
        cell = _CELL.fullmatch(key)
        if cell is None:
            prefix, _, name = key.rpartition(".")
            if name not in ("weight", "bias") or tensor.ndim != (2 if name == "weight" else 1):
                shape = list(tensor.shape)
                raise refusal(f"{source}, {key}", f"a tensor {shape}", _WANTED)
            linear.setdefault(prefix, {})[name] = tensor
            continue
        if cell["back"]:
            raise refusal(f"{source}, {key}", "bidirectional", "one direction: frames come singly")
        if cell["of"] == "hr":
            raise refusal(f"{source}, {key}", "an LSTM with projections", "one without")
        layer = cells.setdefault((cell["prefix"], int(cell["k"])), {})
        layer[f"{cell['what']}_{cell['of']}"] = tensor
    if len(linear) > 1:
        found = ", ".join(repr(prefix) for prefix in linear)
        raise refusal(source, f"linear layers {found}", "one read-out at most")
    layers: list[FloatRecurrent | FloatLinear] = [
        _recurrent(tensors, f"{source}, {prefix}layer {k}")
        for (prefix, k), tensors in cells.items()
    ]
    for prefix, tensors in linear.items():
        if "weight" not in tensors:
            raise refusal(f"{source}, {prefix}", "a bias without a weight", "nn.Linear")
        weight = tensors["weight"]
        layers.append(FloatLinear(weight, tensors.get("bias", np.zeros(len(weight)))))
    try:
        return FloatNetwork(tuple(layers))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _recurrent(tensors: State, name: str) -> FloatRecurrent:
    for key in ("weight_ih", "weight_hh"):
        if key not in tensors:
            raise refusal(name, f"no {key}", "both weights of a layer")
    weight_x, weight_h = tensors["weight_ih"], tensors["weight_hh"]
    units = weight_h.shape[-1]
    gates, rest = divmod(len(weight_h), units)
    if rest or gates not in _KINDS:
        found = (
            "an RNN" if gates == 1 and not rest else f"shape {list(weight_h.shape)} of weight_hh"
        )
        raise refusal(name, found, "[3H, H] of a GRU or [4H, H] of an LSTM")
    rows = len(weight_h)
    expected = {
        "weight_ih": (rows, weight_x.shape[-1]),
        "bias_ih": (rows,),
        "bias_hh": (rows,),
    }
    for key, shape in expected.items():
        if key in tensors and tensors[key].shape != shape:
            raise refusal(f"{name} {key}", f"shape {list(tensors[key].shape)}", f"{list(shape)}")
    biases = (tensors.get(key, np.zeros(rows)) for key in ("bias_ih", "bias_hh"))
    return _KINDS[gates](weight_x, weight_h, *biases)


def _safetensors(path: Path) -> State:
    try:
        with safe_open(path, framework="np") as file:
            return {key: file.get_tensor(key).astype(np.float64) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError) as error:
        raise refusal(str(path), str(error), "tensors of floats") from None


def _saved(path: Path) -> State:
    import torch

    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken archive raises nearly anything
        reason = str(error).partition("\n")[0][:120]
        raise refusal(str(path), reason, "what torch.save(module.state_dict()) writes") from None
    # Checkpoints keep it beside what else training needs to go on.
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(torch.is_tensor(t) for t in state.values()):
        raise refusal(str(path), type(state).__name__, "a state_dict: tensors by name")
    return {key: tensor.double().numpy() for key, tensor in state.items()}

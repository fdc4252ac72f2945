"""PyTorch: the state_dict of a module as torch.save wrote it."""

import io
import pickle
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import torch

from golden.errors import refusal
from train.importers.suspicion import listed, members_of, one_line, shape_of, shown
from train.importers.torch_state import network_of, require_count
from train.quantised.float_network import FloatNetwork

_EXPECTED = "what torch.save(module.state_dict(), FILE) writes"
# Checkpoints keep it beside what else training needs to go on.
_KEYS = ("state_dict", "model_state_dict", "model")


def read(content: bytes, source: str) -> FloatNetwork:
    """The network of a state_dict; its layers are in the order in which the module has them."""
    if not content.startswith(b"PK"):
        found = "no archive" if not content.startswith(b"\x80") else "PyTorch's format before 1.6"
        raise refusal(source, found, _EXPECTED)
    members = members_of(content, source, _EXPECTED)
    if any(name.endswith("/constants.pkl") for name in members):
        expected = "torch.save(torch.jit.load(FILE).state_dict(), NAME)"
        raise refusal(source, "a TorchScript module", expected)
    # Packed anew, it is what was checked, whatever else another reader might see in the file.
    checked = io.BytesIO()
    with zipfile.ZipFile(checked, "w") as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member)
    checked.seek(0)
    try:
        state: Any = torch.load(checked, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if code is None:
            raise refusal(source, "a broken pickle", _EXPECTED) from None
        found = f"pickled code ({shown(code[1])})"
        expected = f"tensors alone: {_EXPECTED}"
        raise refusal(source, found, expected) from None
    except RuntimeError as error:
        raise refusal(source, one_line(str(error), 100), _EXPECTED) from None
    for key in _KEYS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise refusal(source, f"a {type(state).__name__}", f"a state_dict: {_EXPECTED}")
    others = [key for key, value in state.items() if not torch.is_tensor(value)]
    if others or not state:
        found = f"a dict with keys {listed(state)}"
        raise refusal(source, found, f"a state_dict, or one under {' or '.join(_KEYS)}")
    require_count({str(key): value.numel() for key, value in state.items()}, source)
    tensors = {_key(key, source): _array(key, t, source) for key, t in state.items()}
    return network_of(tensors, source, in_order=True)


def _key(key: object, source: str) -> str:
    if not isinstance(key, str):
        raise refusal(source, f"a key of type {type(key).__name__}", "tensors by name")
    return key


def _array(key: object, tensor: torch.Tensor, source: str) -> Any:
    """float64; a tensor may also be spread over its storage, or be none that lies in memory."""
    name = f"{source}, {shown(key)}"
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or not tensor.is_floating_point():
        kind = f"{tensor.dtype}".removeprefix("torch.")
        raise refusal(name, f"a tensor of {kind} {shape_of(tensor.shape)}", "one of floats")
    return tensor.detach().double().numpy()

"""PyTorch: the state_dict of a module as torch.save wrote it."""

import io
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from golden.errors import refusal
from train.importers.parts import Given, Part, Reading
from train.importers.suspicion import listed, members_of, one_line, shape_of, shown
from train.importers.torch_state import (
    chosen,
    module_of,
    network_of,
    parts_of,
    require_count,
)

_EXPECTED = "what torch.save(module.state_dict(), FILE) writes"
_DEPTH, _DICTS = 8, 1000  # of dicts in one another, and of all that are looked at

Tensors = dict[str, torch.Tensor]


def read(given: Given) -> Reading:
    """The network of a state_dict; its layers are in the order in which the module has them."""
    source = given.source
    tensors = chosen(_tensors(given), given)
    require_count({key: value.numel() for key, value in tensors.items()}, source)
    state = {key: _array(key, tensor, source) for key, tensor in tensors.items()}
    return Reading(network_of(state, source, in_order=True))


def parts(given: Given) -> list[Part]:
    """The recurrent modules of every state_dict in a file."""
    shapes = {key: tuple(value.shape) for key, value in _tensors(given, every=True).items()}
    return parts_of(shapes, given.source)


def _tensors(given: Given, every: bool = False) -> Tensors:
    """The tensors of the one state_dict in a file that holds a recurrent module.

    Of several all, each under the keys that lead to it, where nodes are named or ``every`` is set.
    """
    whole = _loaded(given.content, given.source)
    if not isinstance(whole, Mapping):
        found = f"a {type(whole).__name__}"
        raise refusal(given.source, found, f"a state_dict: {_EXPECTED}")
    found = dict(_state_dicts(whole))
    if not found:
        found = {"": whole}
    if len(found) > 1 and not (given.nodes or every):
        raise refusal(given.source, f"state_dicts {listed(found)}", "one, or --node with its key")
    tensors: Tensors = {}
    for path, state in found.items():
        others = [key for key, value in state.items() if not torch.is_tensor(value)]
        if not state or (others and not (given.nodes or every)):
            what = f"a dict with keys {listed(state)}"
            raise refusal(given.source, what, "a state_dict, or one under any key")
        prefix = f"{path}." if len(found) > 1 else ""
        tensors |= {
            f"{prefix}{_key(key, given.source)}": value
            for key, value in state.items()
            if torch.is_tensor(value) and not str(key).endswith("num_batches_tracked")
        }
    return tensors


def _state_dicts(whole: Mapping[Any, Any]) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Every dict that has a recurrent module's tensor, with the keys that lead to it."""
    left: list[tuple[str, Mapping[Any, Any], int]] = [("", whole, 0)]
    for n, (path, each, depth) in enumerate(left):
        if any(
            isinstance(key, str) and torch.is_tensor(value) and module_of(key) is not None
            for key, value in each.items()
        ):
            yield path, each
        for key, value in each.items():
            if isinstance(value, Mapping) and depth < _DEPTH and max(n, len(left)) < _DICTS:
                left.append((f"{path}.{key}" if path else str(key), value, depth + 1))


def _loaded(content: bytes, source: str) -> Any:
    if not content.startswith(b"PK"):
        old = content.startswith(b"\x80")
        found = "PyTorch's format before 1.6" if old else "no archive"
        again = ": torch.save(torch.load(FILE, weights_only=True), NAME) makes it new"
        raise refusal(source, found, _EXPECTED + again * old)
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
        return torch.load(checked, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if code is None:
            raise refusal(source, "a broken pickle", _EXPECTED) from None
        found = f"pickled code ({shown(code[1])})"
        expected = f"tensors alone: {_EXPECTED}"
        raise refusal(source, found, expected) from None
    except RuntimeError as error:
        raise refusal(source, one_line(str(error), 100), _EXPECTED) from None


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

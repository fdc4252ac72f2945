"""Networks that somebody else trained: each reader makes a float network of one kind of file.

A reader takes GRU and LSTM layers and one linear read-out, and refuses by name whatever it can't
say in these terms.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from golden.errors import refusal
from train.network import FloatNetwork

# Loaded when asked for: each wants another package.
READERS = {
    ".keras": "train.importers.keras_archive",
    ".onnx": "train.importers.onnx_graph",
    ".pt": "train.importers.torch_state",
    ".pth": "train.importers.torch_state",
    ".safetensors": "train.importers.torch_state",
}


def read_network(path: Path) -> FloatNetwork:
    """The float network in ``path``.

    Raises
    ------
    ValueError
        Where it is no such file, or holds something that the core cannot do.
    ModuleNotFoundError
        Where the package that reads such files is not installed.
    """
    if path.suffix not in READERS:
        raise refusal(str(path), f"suffix {path.suffix!r}", " or ".join(READERS))
    if not path.is_file():
        raise refusal(str(path), "no such file", "a network")
    read: Callable[[Path], FloatNetwork] = import_module(READERS[path.suffix]).read
    return read(path)

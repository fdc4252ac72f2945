"""Networks that somebody else trained: each reader makes a float network of one kind of file.

A reader takes GRU and LSTM layers and one linear read-out, and refuses by name whatever it can't
say in these terms. What it meets may be broken or hostile: whatever goes wrong inside a reader or
a library that it calls becomes one line here, at the only border there is.
"""

import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np

from golden.errors import refusal
from train.importers.parts import Given, Part, Reading
from train.importers.suspicion import content_of, one_line, quoted, source_of
from train.quantised.float_network import FloatNetwork

# Loaded when asked for: each wants another package.
READERS = {
    ".keras": "train.importers.keras_archive",
    ".onnx": "train.importers.onnx_graph",
    ".pt": "train.importers.torch_archive",
    ".pth": "train.importers.torch_archive",
    ".safetensors": "train.importers.torch_state",
    ".ckpt": "train.importers.torch_archive",
    ".tar": "train.importers.torch_archive",
}


_T = TypeVar("_T")


def read_network(path: Path, nodes: Sequence[str] = ()) -> FloatNetwork:
    """The float network in ``path``: ``read_file`` without what is not in it."""
    return read_file(path, nodes).network


def read_file(path: Path, nodes: Sequence[str] = ()) -> Reading:
    """The float network in ``path``, or in those ``nodes`` of it, and what it leaves out.

    Raises
    ------
    ValueError
        Where it is no such file, is broken or larger than docs/importing.md says, or holds
        something that the core cannot do; where there are no such nodes. Its text is one line that
        begins with the file.
    ModuleNotFoundError
        Where the package that reads such files is not installed.
    """
    return _asked(path, nodes, lambda reader: reader.read)


def parts_in(path: Path) -> list[Part]:
    """The recurrent parts of the network in ``path``. Raises as ``read_file`` does."""
    return _asked(path, (), lambda reader: reader.parts)


def _asked(
    path: Path, nodes: Sequence[str], question: Callable[[ModuleType], Callable[[Given], _T]]
) -> _T:
    """What a file's reader says to a question: the border of all that may go wrong in it."""
    source = source_of(path)
    if path.suffix not in READERS:
        raise refusal(source, f"suffix {quoted(path.suffix)}", " or ".join(READERS))
    given = Given(content_of(path, source, "a network"), source, path, tuple(nodes))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # libraries warn of what is refused here anyway
        answer = question(import_module(READERS[path.suffix]))
        try:
            return answer(given)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a library in Rust panics outside of Exception
            text = str(error)
            if isinstance(error, ValueError) and text.startswith(source):
                raise ValueError(one_line(text)) from None
            reason = f"{type(error).__name__}: {one_line(text, 80)}".rstrip(": ")
            expected = "a whole file, as its framework wrote it"
            raise refusal(source, f"what no reader understands ({reason})", expected) from None

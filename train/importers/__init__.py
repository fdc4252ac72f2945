"""Networks that somebody else trained: each reader makes a float network of one kind of file.

A reader takes GRU and LSTM layers and one linear read-out, and refuses by name whatever it can't
say in these terms. What it meets may be broken or hostile: whatever goes wrong inside a reader or
a library that it calls becomes one line here, at the only border there is.
"""

import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from golden.errors import refusal
from train.importers.suspicion import content_of, one_line, quoted, source_of
from train.quantised.float_network import FloatNetwork

# Loaded when asked for: each wants another package.
READERS = {
    ".keras": "train.importers.keras_archive",
    ".onnx": "train.importers.onnx_graph",
    ".pt": "train.importers.torch_archive",
    ".pth": "train.importers.torch_archive",
    ".safetensors": "train.importers.torch_state",
}


def read_network(path: Path) -> FloatNetwork:
    """The float network in ``path``.

    Raises
    ------
    ValueError
        Where it is no such file, is broken or larger than docs/importing.md says, or holds
        something that the core cannot do. Its text is one line that begins with the file.
    ModuleNotFoundError
        Where the package that reads such files is not installed.
    """
    source = source_of(path)
    if path.suffix not in READERS:
        raise refusal(source, f"suffix {quoted(path.suffix)}", " or ".join(READERS))
    content = content_of(path, source, "a network")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # libraries warn of what is refused here anyway
        read: Callable[[bytes, str], FloatNetwork] = import_module(READERS[path.suffix]).read
        try:
            return read(content, source)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a library in Rust panics outside of Exception
            text = str(error)
            if isinstance(error, ValueError) and text.startswith(source):
                raise ValueError(one_line(text)) from None
            reason = f"{type(error).__name__}: {one_line(text, 80)}".rstrip(": ")
            expected = "a whole file, as its framework wrote it"
            raise refusal(source, f"what no reader understands ({reason})", expected) from None

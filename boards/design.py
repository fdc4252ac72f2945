"""A model on a board as Verilog: the core, and the shell around it."""

from dataclasses import dataclass

from boards.boot import image
from boards.protocol import Link
from boards.shell import Shell
from golden.model import Model
from golden.parameters import CoreParameters
from hw.target import Target
from hw.verilog import Emission, converted, emit

TOP = "deltarnn_board"


@dataclass(frozen=True)
class Design:
    """What goes onto a board.

    Attributes
    ----------
    emission
        The core.
    shell
        What stands around it.
    """

    emission: Emission
    shell: Shell

    @property
    def link(self) -> Link:
        return Link.of(self.emission.manifest)

    @property
    def flash(self) -> bytes | None:
        """What the flash must hold where the shell boots from it."""
        if not self.shell.boots:
            return None
        assert self.emission.weights is not None
        return image(self.link.tag, self.emission.weights)

    def verilog(self) -> dict[str, str]:
        """Both as files by name, the shell's top (TOP) with plain pins, for simulators."""
        return {"core.v": self.emission.verilog, "board.v": converted(self.shell, TOP)}


def design(
    core: CoreParameters, model: Model, target: Target, divisor: int, flash: int | None = None
) -> Design:
    """``divisor`` and ``flash`` as boards.shell.Shell takes them."""
    emission = emit(core, model, target)
    return Design(emission, Shell(emission.manifest, divisor, flash))

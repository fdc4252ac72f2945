"""A model on a board as Verilog: the core, and the shell around it."""

from dataclasses import dataclass

from boards.link.protocol import Link
from boards.memory.boot import image
from boards.shell import Shell
from golden.model import Model
from golden.parameters import CoreParameters
from hw.emit.verilog import Emission, converted

TOP = "deltarnn_board"


@dataclass(frozen=True)
class Design:
    """What goes onto a board.

    Attributes
    ----------
    emission
        The core.
    link
        Its sizes, for the host.
    shell
        What stands around it.
    """

    emission: Emission
    link: Link
    shell: Shell

    @property
    def flash(self) -> bytes | None:
        """What the flash must hold where the shell boots from it, or the core's weights stay."""
        if self.shell.reads:
            return self.emission.weights
        if not self.shell.boots:
            return None
        assert self.emission.weights is not None
        return image(self.link.tag, self.emission.weights)

    def verilog(self) -> dict[str, str]:
        """Both as files by name, the shell's top (TOP) with plain pins, for simulators."""
        return {"core.v": self.emission.verilog, "board.v": converted(self.shell, TOP)}


def design(
    core: CoreParameters,
    model: Model,
    emission: Emission,
    mhz: float,
    baud: int,
    flash: int | None,
) -> Design:
    """Puts a shell around ``emission``, which is ``model`` on ``core``.

    ``mhz``, ``baud`` and ``flash`` are as boards.shell.Shell takes them.
    """
    link = Link.of(core, model, emission.to_load is not None)
    return Design(emission, link, Shell(emission.manifest, link, mhz, baud, flash))

"""What a core that trains has beside one that does not."""

from dataclasses import dataclass

from golden.learn.formats import LearningFormats
from golden.learn.tape import TapeSize


@dataclass(frozen=True)
class Training:
    """The parameters of learning of one core.

    Attributes
    ----------
    tape
        The room of its tape.
    learning
        Formats of errors, slopes and masters.
    """

    tape: TapeSize
    learning: LearningFormats = LearningFormats()  # noqa: RUF009  # frozen

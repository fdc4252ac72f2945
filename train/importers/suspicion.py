"""What a file from elsewhere may be at most, and how it is spoken of: it may be broken or hostile.

Nothing here trusts a size, a name or a text that the file declares.
"""

import io
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from golden.errors import refusal
from golden.files import unreadable

FILE_BYTES = 1 << 27  # of a file, and of all that an archive unpacks to
VALUES = 1 << 24  # of a network's weights and biases, all together
MEMBERS = 10_000  # of an archive
LAYERS = 64

LINE = 300  # characters of a message
_PATH, _TEXT = 120, 60


def source_of(path: Path) -> str:
    """The name of a file as errors begin with it: one line, its end kept where it is long."""
    text = printable(str(path))
    return text if len(text) <= _PATH else "..." + text[3 - _PATH :]


def printable(text: str) -> str:
    """``text`` with what is no printable character escaped, as repr does."""
    return text if text.isprintable() else repr(text)[1:-1]


def shown(value: object, most: int = _TEXT) -> str:
    """Whatever a file holds as a short printable text: a str as it is, others by their repr."""
    if isinstance(value, str):
        text = value[: most + 1]  # escaping makes it longer, never shorter
    elif value is None or isinstance(value, bool | float | np.generic):
        text = str(value)
    elif isinstance(value, int):  # the decimal digits of a very long one take an error or an age
        text = str(value) if value.bit_length() < 200 else "a very large number"
    else:
        return f"a {type(value).__name__}"
    return cut(printable(text), most)


def quoted(name: object) -> str:
    """A name out of a file, in quotes."""
    return repr(shown(name)) if shown(name) == name else f"'{shown(name)}'"


def cut(text: str, most: int = _TEXT) -> str:
    """``text`` of at most ``most`` characters, cut between two words where it has some."""
    if len(text) <= most:
        return text
    head = text[: most - 3]
    border = head.rfind(" ")
    return (head[:border] if border > most // 2 else head) + "..."


def listed(names: Iterable[object], most: int = 3) -> str:
    """'a', 'b', 'c' and 7 more."""
    every = list(names)
    more = len(every) - most
    text = ", ".join(cut(quoted(name), 40) for name in every[:most])
    return f"{text} and {more} more" if more > 0 else text or "none"


def shape_of(shape: Collection[object]) -> str:
    """[3, 4], as it stands in an error."""
    return cut(
        f"[{', '.join(shown(n) for n in list(shape)[:8])}{', ...' if len(shape) > 8 else ''}]"
    )


def one_line(text: str, most: int = LINE) -> str:
    """``text`` without line breaks or control characters, cut at the end of a word."""
    return cut(printable(" ".join(text[: 4 * most].split())), most)


def content_of(path: Path, source: str, expected: str, most: int = FILE_BYTES) -> bytes:
    """All of a file, once it is known to be one and not too large.

    Raises ValueError where it is missing, no regular file (a device or pipe never ends), too
    large, or cannot be read.
    """
    reason = unreadable(path, most)
    if reason is not None:
        raise refusal(source, reason, f"{expected} of at most {most:,} bytes")
    try:
        return path.read_bytes()
    except OSError as error:
        raise refusal(source, error.strerror or type(error).__name__, expected) from None


def members_of(
    content: bytes, source: str, expected: str, most: int = FILE_BYTES
) -> dict[str, bytes]:
    """What is in a zip archive, by name, where all of it together is not too large.

    Raises ValueError where it is none, is broken, or unpacks to too much.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if len(infos) > MEMBERS:
                raise refusal(source, f"{len(infos):,} members", f"at most {MEMBERS:,}")
            names = {info.filename for info in infos}
            if len(names) < len(infos):
                raise refusal(source, "two members of one name", expected)
            size = sum(info.file_size for info in infos)
            if size > most:
                raise refusal(source, f"{size:,} bytes unpacked", f"at most {most:,}")
            for info in infos:
                # Other methods may ask for gigabytes before they give a byte.
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    found = f"member {quoted(info.filename)} in an unusual compression"
                    raise refusal(source, found, "it stored or deflated")
                if info.flag_bits & 1:
                    found = f"member {quoted(info.filename)} encrypted"
                    raise refusal(source, found, "an open one")
            return {info.filename: archive.read(info) for info in infos}
    except zipfile.BadZipFile as error:
        raise refusal(source, f"a broken archive ({one_line(str(error), 60)})", expected) from None


def from_bfloat16(halves: np.ndarray) -> np.ndarray:
    """float32 of the upper halves of them: bfloat16, which NumPy lacks, as unsigned integers."""
    return (halves.astype(np.uint32) << 16).view(np.float32)

"""Output files that are whole or absent: write aside, then rename."""

import atexit
import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from golden.errors import refusal
from golden.processes import shielded

# What is neither a file nor a folder, as it stands in st_mode.
_KINDS = {
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}
# A path that make, the shell and all programs take as it stands.
_PLAIN = re.compile(r"[A-Za-z0-9_./+,@=~-]*")

_folders: set[Path] = set()  # those to be removed


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yields a path to write to; it becomes ``path`` when the block ends without an error.

    A link stays one: what it points to is written. Into a character device or a FIFO the file is
    copied. Raises ValueError where the folder or the file cannot be written to.
    """
    require_file(path)
    kind = _kind(path)
    try:
        if kind in (stat.S_IFCHR, stat.S_IFIFO):
            with temporary_folder() as folder:
                part = folder / "part"
                yield part
                with part.open("rb") as source, path.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
            return
        final = _final(path)
        with aside_folder(final.parent, final.name) as folder:
            part = folder / final.name
            yield part
            part.replace(final)
    except OSError as error:
        reason = error.strerror or str(error)
        raise refusal(str(path), reason, "a file that can be written") from None


def _final(path: Path) -> Path:
    """What a link points to, be it there or not; else the path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def require_file(path: Path) -> None:
    """Refuses what cannot be written as a file is, however its folder may be."""
    kind = _kind(path)
    if kind == stat.S_IFDIR:
        raise refusal(str(path), "a folder", "a file that can be written")
    if kind in (stat.S_IFBLK, stat.S_IFSOCK):
        raise refusal(str(path), _KINDS[kind], "a file that can be written")


def require_writable_file(path: Path) -> None:
    """Refuses a file to be written as ``written_aside`` would, before there is anything to write.

    A FIFO is not opened: that would wait for its reader.
    """
    require_file(path)
    if _kind(path) not in (stat.S_IFCHR, stat.S_IFIFO):
        final = _final(path)
        with aside_folder(final.parent, final.name):
            pass


def require_writable_folder(path: Path, files: Iterable[str] = ()) -> None:
    """Refuses a folder that ``write_files`` could not make or write to; leaves nothing behind."""
    expected = "a folder that can be written to"
    if path.is_symlink() and not path.exists():
        raise refusal(str(path), "a link to nothing", expected)
    whole = Path(os.path.abspath(path))  # noqa: PTH100  # as mkdir goes: links are not followed
    there = next(each for each in (whole, *whole.parents) if os.path.lexists(each))
    if not there.is_dir():
        raise refusal(str(path), "File exists" if there == whole else "Not a directory", expected)
    with aside_folder(there, "probe"):
        pass
    for name in files:
        _require_regular(path / name)


def _require_regular(path: Path) -> None:
    """Refuses what a rename would replace although it is more than a file's content."""
    require_file(path)
    kind = _kind(path, follow=False)
    if kind not in (None, stat.S_IFREG):
        raise refusal(str(path), _KINDS.get(kind, "a link"), "a file, or nothing yet")


def write_files(folder: Path, contents: Mapping[str, bytes | Path]) -> None:
    """Writes files by name into ``folder``, made if need be: bytes, or copies of other files.

    Raises ValueError where that cannot be done; then none of them is touched.
    """
    make_folder(folder)
    for name in contents:
        _require_regular(folder / name)
    with aside_folder(folder, "part") as aside:
        try:
            for name, content in contents.items():
                if isinstance(content, bytes):
                    (aside / name).write_bytes(content)
                else:
                    shutil.copyfile(content, aside / name)
            for name in contents:
                (aside / name).replace(folder / name)
        except OSError as error:
            reason = error.strerror or str(error)
            raise refusal(str(folder), reason, "a folder that can be written to") from None


def _kind(path: Path, *, follow: bool = True) -> int | None:
    """The kind of what is at ``path``, as in st_mode; None where nothing is.

    Raises ValueError where that cannot be known: a link to itself, a folder closed to the user.
    """
    try:
        return stat.S_IFMT(path.stat(follow_symlinks=follow).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refusal(str(path), error.strerror, "a file that can be written") from None


def unreadable(path: Path, limit: int) -> str | None:
    """Why ``path`` is no regular file of at most ``limit`` bytes; None where it is one.

    To be asked before it is opened: a FIFO would wait for its writer, and a device has no end.
    """
    try:
        found = path.stat()
    except OSError as error:
        return error.strerror
    if stat.S_ISDIR(found.st_mode):
        return os.strerror(errno.EISDIR)
    if not stat.S_ISREG(found.st_mode):
        return _KINDS[stat.S_IFMT(found.st_mode)]
    return f"{found.st_size:,} bytes" if found.st_size > limit else None


def require_distinct(outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | None]) -> None:
    """Refuses an output that is one of ``inputs`` or another output: by name, link or hard link.

    Nor may it be a file that a folder among the inputs has already. Both are paths by what the
    command calls them. Devices and FIFOs may be the same: nothing in them is lost.
    """
    seen = {name: path for name, path in inputs.items() if path is not None}
    for name, path in outputs.items():
        if path is None:
            continue
        for other, there in seen.items():
            if _same(path, there):
                raise refusal(str(path), f"the same file for {name} and {other}", "two files")
            if path.is_file() and there.is_dir() and path.resolve().is_relative_to(there.resolve()):
                raise refusal(str(path), f"a file of {other} for {name}", "another one")
        seen[name] = path


def _same(path: Path, other: Path) -> bool:
    if _kind(path) in (stat.S_IFCHR, stat.S_IFIFO):
        return False
    with suppress(OSError):
        return path.samefile(other)
    return os.path.realpath(path) == os.path.realpath(other)


def make_folder(path: Path) -> None:
    """Makes a folder that can be written to, unless it is there; ValueError where it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refusal(str(path), error.strerror, "a folder that can be written to") from None
    with aside_folder(path, "probe"):
        pass


@contextmanager
def aside_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder beside the final place, so that renaming out of it is atomic; gone at the end."""
    folder = _fresh(f".{name[:40]}.", parent)
    try:
        yield folder
    finally:
        _remove(folder)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """An empty folder whose path all programs take as it stands; gone at the end.

    It lies where tempfile would put it, unless that has a name with characters that make or a
    shell reads in a way of their own. Raises ValueError where it can be nowhere.
    """
    usual = Path(tempfile.gettempdir())
    places = [place for place in (usual, Path("/tmp"), Path("/var/tmp")) if is_plain(place)]
    writable = [place for place in places if os.access(place, os.W_OK | os.X_OK)]
    folder = _fresh("deltarnn-", writable[0] if writable else usual)
    if not is_plain(folder):
        _remove(folder)
        raise refusal("TMPDIR", repr(str(usual)), "a folder named with letters, digits and ._-+@")
    try:
        yield folder
    finally:
        _remove(folder)


def is_plain(path: Path) -> bool:
    """Whether all programs take this path as it stands: no spaces, quotes, colons and the like."""
    return _PLAIN.fullmatch(str(path)) is not None


def _fresh(prefix: str, parent: Path) -> Path:
    try:
        with shielded():  # else a signal could come before anyone knows that it is there
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            _folders.add(folder)
    except OSError as error:
        raise refusal(str(parent), error.strerror, "a folder that can be written to") from None
    return folder


def _remove(folder: Path) -> None:
    with shielded():  # rmtree closes what it has closed once more where a signal cuts it in two
        shutil.rmtree(folder, ignore_errors=True)
        _folders.discard(folder)


@atexit.register
def _remove_all() -> None:
    """Removes what a signal kept from being removed."""
    for folder in tuple(_folders):
        _remove(folder)

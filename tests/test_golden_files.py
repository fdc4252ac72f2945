import errno
import os
import re
import tempfile
import threading
from pathlib import Path

import pytest

from golden.files import (
    aside_folder,
    require_distinct,
    require_writable_file,
    require_writable_folder,
    temporary_folder,
    unreadable,
    write_files,
    written_aside,
)


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def write_half(path: Path, error: BaseException) -> None:
    with written_aside(path) as part:
        part.write_text("half")
        raise error


@pytest.mark.parametrize("old", [None, "old"])
def test_the_file_is_there_when_the_block_has_ended_and_not_before(old, tmp_path):
    path = tmp_path / "result.txt"
    if old is not None:
        path.write_text(old)
    with written_aside(path) as part:
        part.write_text("new")
        assert (path.read_text() if path.exists() else None) == old
    assert path.read_text() == "new"
    assert everything(tmp_path) == {path}


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), KeyError("key")])
def test_a_block_that_raises_leaves_nothing_but_the_old_file(old, error, tmp_path):
    path = tmp_path / "result.txt"
    if old is not None:
        path.write_text(old)
    before = everything(tmp_path)
    with pytest.raises(type(error)) as caught:
        write_half(path, error)
    assert caught.value is error
    assert everything(tmp_path) == before
    assert old is None or path.read_text() == old


def test_a_full_disk_is_refused_by_the_files_name(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")
    text = f"{path}: found No space left on device, expected a file that can be written"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        write_half(path, OSError(errno.ENOSPC, "No space left on device", "part"))
    assert path.read_text() == "old"
    assert everything(tmp_path) == {path}


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    path = tmp_path / "result"
    path.mkdir()
    text = f"{path}: found a folder, expected a file that can be written"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"), written_aside(path):
        pytest.fail("the block must not be entered")
    assert everything(tmp_path) == {path}


@pytest.mark.parametrize(
    ("make", "found"),
    [(lambda parent: None, "No such file or directory"), (Path.touch, "Not a directory")],
    ids=["missing", "a file"],
)
def test_a_parent_that_is_no_folder_is_refused(make, found, tmp_path):
    parent = tmp_path / "parent"
    make(parent)
    before = everything(tmp_path)
    text = f"{parent}: found {found}, expected a folder that can be written to"
    with (
        pytest.raises(ValueError, match=f"^{re.escape(text)}$"),
        written_aside(parent / "result.txt"),
    ):
        pytest.fail("the block must not be entered")
    assert everything(tmp_path) == before


def test_a_folder_aside_is_beside_hidden_and_gone_at_the_end(tmp_path):
    with aside_folder(tmp_path, "core") as folder:
        assert folder.parent == tmp_path
        assert folder.name.startswith(".core.")
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("text")
    assert everything(tmp_path) == set()


def write(path: Path, text: str = "new") -> None:
    require_writable_file(path)
    with written_aside(path) as part:
        part.write_text(text)


@pytest.mark.parametrize("old", [None, "old"])
def test_a_link_stays_one_and_what_it_points_to_is_written(old, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    if old is not None:
        (there / "target").write_text(old)
    (tmp_path / "link").symlink_to("there/target")
    (tmp_path / "linked link").symlink_to(tmp_path / "link")
    write(tmp_path / "linked link")
    assert (tmp_path / "link").readlink() == Path("there/target")
    assert (there / "target").read_text() == "new"
    assert not (there / "target").is_symlink()
    assert len(everything(tmp_path)) == 4


def test_links_that_lead_nowhere_are_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "lost").symlink_to("absent/target")
    before = everything(tmp_path)
    for name, found in (("loop", "Too many levels"), ("lost", "No such file or directory")):
        with pytest.raises(ValueError, match=found):
            write(tmp_path / name)
    assert everything(tmp_path) == before


def test_a_fifo_is_written_through(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()), daemon=True)
    reader.start()
    write(fifo)
    reader.join(60)
    assert read == ["new"]
    assert fifo.is_fifo()


def nodes(folder: Path) -> tuple[Path, Path]:
    """The null device, and a block device that nothing is behind, as nodes of our own."""
    null, disk = folder / "null", folder / "disk"
    try:
        os.mknod(null, 0o666 | 0o020000, os.makedev(1, 3))
        os.mknod(disk, 0o666 | 0o060000, os.makedev(240, 77))
        null.write_text("")  # not where nodes count for nothing
    except OSError:
        pytest.skip("only root makes devices")
    return null, disk


def test_devices_stay_devices(tmp_path):
    null, disk = nodes(tmp_path)
    (tmp_path / "link").symlink_to(null)
    for path in (null, tmp_path / "link"):
        write(path)
    assert null.is_char_device()
    assert (tmp_path / "link").is_symlink()
    with pytest.raises(ValueError, match="disk: found a block device, expected a file"):
        write(disk)
    assert disk.is_block_device()


def test_a_long_name_is_as_good_as_a_short_one(tmp_path):
    path = tmp_path / ("n" * 255)
    write(path)
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("outputs", "inputs", "naming"),
    [
        ({"-o": "file"}, {"MODEL": "file"}, "file: found the same file for -o and MODEL"),
        ({"-o": "./there/../file"}, {"MODEL": "file"}, "for -o and MODEL, expected two files"),
        ({"-o": "link"}, {"MODEL": "file"}, "link: found the same file for -o and MODEL"),
        ({"-o": "file"}, {"MODEL": "link"}, "file: found the same file for -o and MODEL"),
        ({"-o": "hard"}, {"MODEL": "other", "FRAMES": "file"}, "for -o and FRAMES"),
        ({"-o": "new", "--waves": "new"}, {}, "new: found the same file for --waves and -o"),
        ({"-o": "there/new", "--waves": "linked/new"}, {}, "for --waves and -o"),
        ({"-o": "lost", "--waves": "there/lost"}, {}, "for --waves and -o"),
    ],
    ids=str,
)
def test_an_output_that_is_something_else_is_refused(outputs, inputs, naming, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("file")
    (tmp_path / "other").write_text("other")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "hard").hardlink_to(tmp_path / "file")
    (tmp_path / "linked").symlink_to("there")
    (tmp_path / "lost").symlink_to("there/lost")
    placed = [{name: tmp_path / path for name, path in each.items()} for each in (outputs, inputs)]
    with pytest.raises(ValueError, match=naming):
        require_distinct(*placed)
    require_distinct({"-o": tmp_path / "new", "--waves": None}, {"MODEL": tmp_path / "file"})
    require_distinct({"-o": tmp_path / "new"}, {"RECORDINGS": tmp_path})
    with pytest.raises(ValueError, match="found a file of RECORDINGS for -o, expected another one"):
        require_distinct({"-o": tmp_path / "file"}, {"RECORDINGS": tmp_path})


def test_devices_are_no_files_that_could_be_lost(tmp_path):
    null, _ = nodes(tmp_path)
    require_distinct({"-o": null, "--waves": null}, {"MODEL": null})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("file", "File exists"),
        ("file/in/it", "Not a directory"),
        ("lost", "a link to nothing"),
        ("taken", "a folder, expected a file that can be written"),
        ("linked", "a link, expected a file, or nothing yet"),
        ("piped", "a FIFO, expected a file, or nothing yet"),
    ],
)
def test_a_folder_that_cannot_be_written_is_refused_in_advance(name, found, tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "lost").symlink_to("absent")
    for folder in ("taken", "linked", "piped"):
        (tmp_path / folder).mkdir()
    (tmp_path / "taken" / "core.v").mkdir()
    (tmp_path / "linked" / "core.v").symlink_to("../file")
    os.mkfifo(tmp_path / "piped" / "core.v")
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=found):
        require_writable_folder(tmp_path / name, ["core.h", "core.v"])
    with pytest.raises(ValueError, match="found"):
        write_files(tmp_path / name, {"core.h": b"h", "core.v": b"v"})
    assert everything(tmp_path) == before
    assert (tmp_path / "file").read_text() == "old"


def test_files_are_written_into_a_folder_or_a_link_to_one(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    (tmp_path / "copied").write_text("copied")
    for name in ("deep/down", "link"):
        require_writable_folder(tmp_path / name, ["a", "b"])
        write_files(tmp_path / name, {"a": b"first"})
        write_files(tmp_path / name, {"a": b"second", "b": tmp_path / "copied"})
        found = {path.name: path.read_text() for path in (tmp_path / name).iterdir()}
        assert found == {"a": "second", "b": "copied"}
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("character", " :#$';%&\"(")
def test_a_temporary_folder_has_a_plain_path(character, tmp_path, monkeypatch):
    odd = tmp_path / f"a{character}b"
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    with temporary_folder() as folder:
        assert re.fullmatch(r"[\w./-]+", str(folder))
        assert not list(folder.iterdir())
    assert not folder.exists()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder() as folder:
        assert folder.parent == tmp_path


def test_what_is_no_file_of_some_size_is_not_read(tmp_path):
    file, fifo = tmp_path / "file", tmp_path / "fifo"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    os.mkfifo(fifo)
    assert unreadable(file, 1 << 40) is None
    assert unreadable(file, (1 << 40) - 1) == "1,099,511,627,776 bytes"
    assert unreadable(fifo, 1) == "a FIFO"
    assert unreadable(tmp_path, 1) == "Is a directory"
    assert unreadable(tmp_path / "absent", 1) == "No such file or directory"
    assert unreadable(nodes(tmp_path)[0], 1) == "a character device"

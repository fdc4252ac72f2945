import errno
import re
from pathlib import Path

import pytest

from golden.files import aside_folder, written_aside


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

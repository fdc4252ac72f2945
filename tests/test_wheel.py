"""What is installed from a wheel: one package, which needs no clone and meets no file of a user."""

import json
import os
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from golden.model_file import save_model
from setup import PARTS, namespaced
from tests.networks import random_frames
from tests.test_command import deltarnn as of_clone
from tests.test_golden_model import GOOD

ROOT = Path(__file__).parents[1]
BYTES_MAX = 1 << 20
# What a shell in any folder has: neither the clone nor its tests.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
SDIST = """
import sys
from setuptools import build_meta
build_meta.build_sdist(sys.argv[1], {"--global-option": ["egg_info", "--egg-base", sys.argv[1]]})
"""


def said(command: list[str | Path], folder: Path, **environment: str) -> str:
    """What a command that succeeds says on standard output."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """The source archive of this clone, and the wheel that is made of that alone."""
    folder = tmp_path_factory.mktemp("dist")
    said([sys.executable, "-c", SDIST, folder], ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    said([*pip, "--wheel-dir", folder, sdist], folder)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it, and a user's folder with scripts of his own."""

    environment: Path
    folder: Path

    def python(self, *words: str | Path) -> str:
        return said([self.environment / "bin/python", *words], self.folder)

    def deltarnn(self, *words: str | Path, **environment: str) -> str:
        return said([self.environment / "bin/deltarnn", *words], self.folder, **environment)


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Installed:
    environment, folder = tmp_path_factory.mktemp("venv"), tmp_path_factory.mktemp("user")
    venv.create(environment, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", environment / "bin/python", "install"]
    said([*pip, "--quiet", "--no-deps", "--no-index", built[1]], folder)
    # The packages beside it. No .pth file of theirs is read, so no editable install of the clone.
    (package,) = environment.glob("lib/*/site-packages/deltarnn")
    (package.parent / "beside.pth").write_text("\n".join(site.getsitepackages()))
    for part in PARTS:
        (folder / f"{part}.py").write_text("raise RuntimeError('a script of the user')")
    save_model(GOOD, folder / "model.safetensors")
    np.save(folder / "frames.npy", random_frames(GOOD, 20, moving=0.6))
    for file in (ROOT / "models").glob("japanese_vowels.*"):
        shutil.copy(file, folder)
    return Installed(environment, folder)


def test_a_wheel_holds_one_package_and_a_source_archive_what_it_is_made_of(built):
    sdist, wheel = built
    assert max(sdist.stat().st_size, wheel.stat().st_size) < BYTES_MAX
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (listed,) = (n for n in names if n.endswith("top_level.txt"))
        assert archive.read(listed).split() == [b"deltarnn"]
    assert {name.partition("/")[0] for name in names} == {"deltarnn", listed.partition("/")[0]}
    with tarfile.open(sdist) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    tops = {name.partition("/")[0] for name in files}
    pages, recipe = {"README.md", "CHANGELOG.md", "LICENSE"}, {"setup.py", "pyproject.toml"}
    made = {"", "MANIFEST.in", "PKG-INFO", "setup.cfg"}
    assert tops == {"deltarnn", *PARTS} | pages | recipe | made
    # Whatever is no module and no page goes along: sources in C, Verilog and JavaScript, models.
    of_clone = {
        file.relative_to(ROOT)
        for part in ("deltarnn", *PARTS)
        for file in (ROOT / part).rglob("*")
        if file.is_file() and file.suffix not in (".pyc", ".md")
    }
    assert {file.as_posix() for file in of_clone} <= files
    below = (file if file.parts[0] == "deltarnn" else "deltarnn" / file for file in of_clone)
    assert {file.as_posix() for file in below} == {n for n in names if ".dist-info/" not in n}


def test_what_is_installed_is_not_the_clone(installed):
    code = "import deltarnn, deltarnn.golden as g; print(deltarnn.__file__, g.__file__, sep='\\n')"
    for name in installed.python("-c", code).split():
        assert Path(name).is_relative_to(installed.environment)
    for part in PARTS:
        with pytest.raises(AssertionError, match=f"No module named '{part}'"):
            installed.python("-I", "-c", f"import {part}")


IMPORT_ALL = """
import sys
from importlib import import_module
for name in sys.argv[1:]:
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        assert error.name == "tests" and name.startswith("deltarnn.evidence."), (name, error)
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_every_module_finds_the_others(built, installed):
    with zipfile.ZipFile(built[1]) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py")]
    modules = [name[:-3].removesuffix("/__init__").replace("/", ".") for name in names]
    assert len(modules) > 300
    tops = installed.python("-I", "-W", "ignore", "-c", IMPORT_ALL, *modules).split()
    assert "deltarnn" in tops
    assert not {*tops} & {*PARTS}


def test_the_command_does_what_it_does_in_the_clone(installed, tmp_path):
    """The clone is asked in another folder: it would take the user's scripts for its packages."""
    assert "generate" in installed.deltarnn("--help")
    for file in installed.folder.glob("japanese_vowels.*"):
        shutil.copy(file, tmp_path)
    model, frames = "japanese_vowels.safetensors", "japanese_vowels.frames.npz"
    for words in (
        ["info", model, "--json"],
        ["eval", model, frames, "--json"],
        ["generate", model, "-o", "core", "--lanes", "4", "--json"],
        ["reference", model, "-o", "core/model.c", "--json"],
    ):
        expected = of_clone(tmp_path, *words)
        assert expected.returncode == 0, expected.stderr
        assert installed.deltarnn(*words) == expected.stdout
    files = sorted(file.name for file in (tmp_path / "core").iterdir())
    assert {"deltarnn_core.v", "model.c"} <= {*files}
    for name in files:
        found, made = (folder / "core" / name for folder in (installed.folder, tmp_path))
        assert found.read_bytes() == made.read_bytes(), name
    # Its page alone differs: the evidence lies in the clone.
    installed.deltarnn("report", model, "-o", "page.html", "--timeline", "0")
    assert "</html>" in (installed.folder / "page.html").read_text()


def test_the_rtl_of_what_is_installed_equals_golden(installed):
    words = ("simulate", "model.safetensors", "frames.npy", "--simulator", "icarus", "--json")
    report = json.loads(installed.deltarnn(*words, DELTARNN_CACHE=str(installed.folder / "cache")))
    assert report["equal"] is True
    assert report["frames"] == 20
    assert report["words_compared"] > 0


def test_modules_and_files_that_strings_name_are_found(installed):
    asked = {"_DELTARNN_COMPLETE": "bash_complete", "COMP_CWORD": "3"}
    completed = installed.deltarnn(COMP_WORDS="deltarnn generate --target ", **asked)
    assert "plain,up5k" in completed.split()
    code = """
from importlib import import_module
from deltarnn.boards.family.targets import TARGETS
from deltarnn.demo import held_out
from deltarnn.sim.fast.harness import harness_source
from deltarnn.train.importers import READERS
from deltarnn.train.tasks import find_task
assert len(held_out()[1]) == 74
assert len(harness_source()) > 1000
assert len(TARGETS["ecp5"].cells.models()) > 1000
assert find_task("digits").__class__.__module__ == "deltarnn.train.course.recipe"
assert [import_module(reader) for reader in READERS.values()]
print("found")
"""
    assert installed.python("-c", code) == "found\n"


def test_what_needs_a_clone_says_so(installed):
    command = [installed.environment / "bin/python", "-m", "deltarnn.evidence.verify", "soak"]
    done = subprocess.run(
        command,
        cwd=installed.folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "expected a clone" in line


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from golden.fixed import Q", "from deltarnn.golden.fixed import Q"),
        ("if x:\n    from hw import emit", "if x:\n    from deltarnn.hw import emit"),
        ("from goldens import x; import simple", None),
        ("from . import train; from .train import x", None),
        ("import golden", "import deltarnn.golden; from deltarnn import golden"),
        ("import sim.run", "import deltarnn.sim.run; from deltarnn import sim"),
        ("import sim.run as r", "import deltarnn.sim.run as r"),
        ("'ü'; x = 'boards.board'", "'ü'; x = 'deltarnn.boards.board'"),
        ("x = 'golden.js', 'golden', 'golden.fixed.Q'", None),
        ("files('models'); other('models')", "files('deltarnn.models'); other('models')"),
        ("import_module(f'golden.{k}')", "import_module(f'deltarnn.golden.{k}')"),
        ("x = f'golden is {k}'", None),
    ],
)
def test_imports_and_strings_say_where_the_wheel_has_a_module(source, expected):
    assert namespaced(source, "x.py") == (source if expected is None else expected)


def test_an_import_that_cannot_be_changed_is_refused():
    with pytest.raises(ValueError, match=r"x.py:2: found something else, expected from golden"):
        namespaced("\nfrom  golden import Q", "x.py")

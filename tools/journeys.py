"""docs/journeys.md: its commands, run again. `python tools/journeys.py` writes what they say now.

A block of `python` is run as it stands; in a block of `console` a line that begins with $ is a
command, and what follows is what it said.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from golden.files import written_aside

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "journeys.md"
COMMAND = [sys.executable, "-c", "from deltarnn.command import main; main()"]
VARYING = re.compile(
    r"^│ (frames/s over the link|onnxruntime's int8|time) .*\n", re.MULTILINE
)  # with the machine


def replayed(page: str, folder: Path) -> str:
    """The page with what its commands say now, rows that vary from run to run left out.

    Raises RuntimeError where one of them fails.
    """

    def block(found: re.Match[str]) -> str:
        kind, text = found.groups()
        if kind == "python":
            _said([sys.executable, "-c", text], folder)
            return found[0]
        commands = [line for line in text.splitlines() if line.startswith("$ ")]
        said = [_said([*COMMAND, *shlex.split(c)[2:]], folder) for c in commands]
        return "".join(
            ["```console\n", *(f"{c}\n{s}" for c, s in zip(commands, said, strict=True)), "```\n"]
        )

    return re.sub(r"```(python|console)\n(.*?)```\n", block, page, flags=re.DOTALL)


def _said(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[2:]}: {done.stderr}")
    lines = (line.rstrip() + "\n" for line in VARYING.sub("", done.stdout).splitlines())
    return "".join(lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        text = replayed(PAGE.read_text(), Path(name))
    with written_aside(PAGE) as part:
        part.write_text(text)

"""Pages whose commands are run again. `python tools/journeys.py` writes what they say now.

A block of `python` is run as it stands, or saved if its first line is a comment with a file's name.
In a block of `console` a line that begins with $ is a command, and what follows is what it said.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from golden.files import written_aside

ROOT = Path(__file__).parents[1]
JOURNEYS, TUTORIAL = (ROOT / "docs" / name for name in ("journeys.md", "tutorial.md"))
COMMANDS = {
    "deltarnn": [sys.executable, "-c", "from deltarnn.command import main; main()"],
    "python": [sys.executable],
}
# With the machine, and with the evidence that a page of `report` shows.
VARYING = re.compile(
    r"^│ (frames/s over the link|onnxruntime's int8|time|bytes|sections) .*\n", re.MULTILINE
)


def replayed(page: str, folder: Path) -> str:
    """The page with what its commands say now, rows that vary from run to run left out.

    Raises RuntimeError where one of them fails.
    """

    def block(found: re.Match[str]) -> str:
        kind, text = found.groups()
        if kind == "python":
            name = re.match(r"# (\w+\.py)\n", text)
            if name:
                (folder / name[1]).write_text(text)
            else:
                _said(["python", "-c", text], folder)
            return found[0]
        commands = [line for line in text.splitlines() if line.startswith("$ ")]
        said = [_said(shlex.split(command)[1:], folder) for command in commands]
        return "".join(
            ["```console\n", *(f"{c}\n{s}" for c, s in zip(commands, said, strict=True)), "```\n"]
        )

    return re.sub(r"```(python|console)\n(.*?)```\n", block, page, flags=re.DOTALL)


def _said(words: list[str], folder: Path) -> str:
    command = [*COMMANDS[words[0]], *words[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stderr}")
    lines = (line.rstrip() + "\n" for line in VARYING.sub("", done.stdout).splitlines())
    return "".join(lines)


if __name__ == "__main__":
    for page in (TUTORIAL, JOURNEYS):
        with tempfile.TemporaryDirectory() as name:
            replay = replayed(page.read_text(), Path(name))
        with written_aside(page) as part:
            part.write_text(replay)

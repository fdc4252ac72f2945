"""What the README tells a newcomer to type does what it says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tools.stillness import draw

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMAND = [sys.executable, "-c", "from deltarnn.command import main; main()"]


def test_pytorch_to_verilog_in_four_lines(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    section = README.partition("## PyTorch to Verilog in four lines\n")[2].partition("\n## ")[0]
    (script,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (shell,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    lines = [shlex.split(line) for line in shell.splitlines()]
    assert [words[:2] for words in lines] == [
        ["deltarnn", command] for command in ("import", "generate", "simulate")
    ]
    said = ""
    for command in ([sys.executable, "-c", script], *(COMMAND + words[1:] for words in lines)):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said = done.stdout
    assert re.search(r"equal\W+True", said)
    assert (tmp_path / "gru/deltarnn_core.v").stat().st_size > 10_000


def test_the_picture_shows_the_same_again(tmp_path):
    drawn = [draw(tmp_path / name) for name in ("a.png", "b.png")]
    assert drawn[0] == drawn[1] == (14_880, 109_824)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


NUMBER = re.compile(r"\d+[\d,.]*\d|\d")


def tables(text):
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith("|"))


def test_results_are_those_of_the_pages_they_come_from():
    pages = ("results.md", "performance.md", "sound.md")
    docs = [(ROOT / "docs" / page).read_text() for page in pages]
    summary, rest = docs[0].partition("## In short\n")[2].split("\n## ", 1)
    known = set(NUMBER.findall(tables(rest)))
    assert set(NUMBER.findall(tables(summary).partition("8 lanes |")[2])) <= known
    known |= set(NUMBER.findall(tables("\n".join(docs[1:]))))
    results = README.partition("## Results\n")[2].partition("\n## ")[0]
    assert set(NUMBER.findall(tables(results))) <= known

"""What docs/training.md tells a user to write runs, in the order in which it stands there."""

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("aeon")

from golden.model_file import load_model
from golden.recordings import ARRAYS
from train.tasks.own import own_task

PAGE = (Path(__file__).parents[1] / "docs" / "training.md").read_text()


def test_its_code_writes_recordings_and_a_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec("".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)), {})
    data = own_task(Path("my.npz")).load()
    assert data.labels == ("low", "high")
    assert len(data.train) + len(data.validation) + len(data.test) == 60
    kinds = [layer.kind for layer in load_model(Path("mine.safetensors")).parameters.layers]
    assert kinds == ["gru", "linear"]
    assert re.fullmatch(r"\d+% of x, \d+% of h; error .*% of .*\n", capsys.readouterr().out)


def test_it_lists_every_array():
    assert set(re.findall(r"^\| `(\w+)` \| (?:numbers|integers|texts)", PAGE, re.M)) == set(ARRAYS)

"""Tables of documents: what one says was measured is what was measured."""

import json
import re
from pathlib import Path

import pytest
from rich.table import Table

from deltarnn.bench.sound import SOUND
from deltarnn.bench.training_core import TRAINING_CORE
from deltarnn.markdown import fill, of_terminal

DOCS = Path(__file__).parent.parent / "docs"


def test_a_table_in_markdown():
    table = Table("name", "value", title="not shown")
    table.add_row("a", "1")
    table.add_row("b", "2")
    assert of_terminal(table) == "| name | value |\n| --- | --- |\n| a | 1 |\n| b | 2 |"


def test_a_table_is_filled_in_and_what_stands_around_it_stays(tmp_path):
    document = tmp_path / "d.md"
    document.write_text("a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\n<!-- end -->\n")
    for _ in range(2):
        fill(document, {"two": "2", "one": "1"})
        assert document.read_text() == (
            "a\n<!-- one -->\n\n1\n\n<!-- end -->\nb\n<!-- two -->\n\n2\n\n<!-- end -->\n"
        )


def test_a_document_without_marks_is_refused(tmp_path):
    document = tmp_path / "results.md"
    with pytest.raises(ValueError, match=r"results\.md: found No such file"):
        fill(document, {"ladder": ""})
    document.write_text("no tables here")
    with pytest.raises(ValueError, match=r"results\.md: found no mark, expected <!-- ladder -->"):
        fill(document, {"ladder": ""})
    assert document.read_text() == "no tables here"


@pytest.mark.parametrize(
    ("name", "n"), [("accuracy", 0), ("speed", 1), ("memory", 2), ("chunks", 3)]
)
def test_the_tables_of_the_training_core_are_its_report(name, n):
    report = json.loads((DOCS / "bench" / "training-core.json").read_text())
    document = (DOCS / "training-core.md").read_text()
    (shown,) = re.findall(rf"<!-- {name} -->\n\n(.*?)\n\n<!-- end -->", document, re.DOTALL)
    assert shown == of_terminal(TRAINING_CORE.tables(report)[n])


def test_the_table_of_the_front_end_is_its_report():
    report = json.loads((DOCS / "bench" / "sound.json").read_text())
    document = (DOCS / "sound.md").read_text()
    (shown,) = re.findall(r"<!-- area -->\n\n(.*?)\n\n<!-- end -->", document, re.DOTALL)
    assert shown == of_terminal(SOUND.tables(report)[0])

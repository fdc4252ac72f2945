"""What a document says was measured is what was measured."""

import json
import re
from pathlib import Path

import pytest
from rich.table import Table

from deltarnn.bench.markdown import markdown
from deltarnn.bench.training_core import TRAINING_CORE

DOCS = Path(__file__).parent.parent / "docs"


def test_a_table_in_markdown():
    table = Table("name", "value", title="not shown")
    table.add_row("a", "1")
    table.add_row("b", "2")
    assert markdown(table) == "| name | value |\n| --- | --- |\n| a | 1 |\n| b | 2 |"


@pytest.mark.parametrize(("name", "n"), [("accuracy", 0), ("speed", 1), ("memory", 2)])
def test_the_tables_of_the_training_core_are_its_report(name, n):
    report = json.loads((DOCS / "bench" / "training-core.json").read_text())
    document = (DOCS / "training-core.md").read_text()
    (shown,) = re.findall(rf"<!-- {name} -->\n\n(.*?)\n\n<!-- end -->", document, re.DOTALL)
    assert shown == markdown(TRAINING_CORE.tables(report)[n])

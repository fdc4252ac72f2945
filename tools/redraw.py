"""Draws the pictures of docs/ again from the data beside them, without measuring anything.

python tools/redraw.py
"""

import json
from pathlib import Path

from deltarnn.bench.benches import BENCHES
from deltarnn.results.pictures import draw_costs

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    for name, bench in BENCHES.items():
        report = json.loads((DOCS / f"bench/{name}.json").read_text())
        bench.draw(report, DOCS / f"bench/{name}.png")
    found = json.loads((DOCS / "results/results.json").read_text())
    draw_costs(found, DOCS / "results/cost.png")


if __name__ == "__main__":
    main()

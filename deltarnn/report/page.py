"""The page itself: template, style, scripts and data in one file that needs nothing else."""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from deltarnn.evaluation.evaluate import Evaluation
from deltarnn.report.data import checksum, model_record, recording_records
from golden.errors import refusal
from golden.files import written_aside
from golden.model import Model
from golden.parameters import CoreParameters
from golden.readings import Answers
from golden.recordings import Recordings, joined, load

BYTES_MAX = 3_000_000  # of a page: it opens at once, and can still be sent by mail
SECTIONS_MAX = 400_000  # bytes of it that sections may take
SCRIPTS = ("golden.js", "figures.js", "pictures.js", "page.js")


def read_recordings(model: Model, paths: Sequence[Path]) -> Recordings:
    """The recordings of all ``paths``, with what is wanted as the model gives it.

    Raises ValueError as golden.recordings.load does, where some have labels and some have not, and
    where one is none for the model.
    """
    parts = [load(path).classes(model.labels) for path in paths]
    recordings = parts[0] if len(parts) == 1 else joined(parts, ", ".join(map(str, paths)))
    reading = Answers.of(model).reading
    if recordings.wanted is None or reading is None:
        return recordings
    return recordings.fitting(reading, model.parameters.outputs)


def shown_on_page(model: Model, recordings: Recordings) -> Recordings:
    """As many as a page has room for: all of them, or every second, third... one.

    Raises ValueError where not even the first finds room, or one is none for the model.
    """
    records = recording_records(model, recordings, recordings.frames(model))
    sizes = np.array([len(_json(record)) + 1 for record in records])
    taken = len(_composed(model.name, {"model": model_record(model)})) + SECTIONS_MAX
    steps = range(1, len(sizes) + 1)
    step = next((n for n in steps if taken + sizes[::n].sum() <= BYTES_MAX), None)
    if step is None:
        found = f"{taken + sizes[0]:,} bytes with {recordings.names[0]} alone"
        raise refusal("page", found, f"at most {BYTES_MAX:,}")
    return replace(
        recordings,
        names=recordings.names[::step],
        sequences=recordings.sequences[::step],
        wanted=None if recordings.wanted is None else recordings.wanted[::step],
        split=None,
    )


def page_of(found: Evaluation, of: int, core: CoreParameters, sections: dict[str, Any]) -> str:
    """The page of a model and the recordings that it was evaluated on.

    Parameters
    ----------
    of
        How many recordings there were to choose from.
    core
        That whose cycles the page counts first.
    sections
        What else is on it, by the name that page.js has for it; None where it is left out.
    """
    model = found.model
    data = {
        "model": model_record(model),
        "recordings": recording_records(model, found.recordings, list(found.frames)),
        "of": of,
        "first": first_shown(found.recordings),
        "lanes": core.lanes,
        "saturated": found.saturated,
        "mostLanes": model.parameters.most_lanes,
        "expected": {
            "events": found.events.sum(axis=0).tolist(),
            "checksum": sum(map(checksum, found.outputs)) % 2**32,
            "error": found.error,
        },
        **sections,
    }
    return _composed(model.name, data)


def first_shown(recordings: Recordings) -> int:
    """The recording that a page opens with: the longest."""
    return int(np.argmax(recordings.lengths))


def write_page(page: str, path: Path) -> int:
    """Writes the page; returns its bytes.

    Raises ValueError where it has more than BYTES_MAX, and as golden.files.written_aside does.
    """
    content = page.encode()
    if len(content) > BYTES_MAX:  # more sections than there was room kept for
        raise refusal("page", f"{len(content):,} bytes", f"at most {BYTES_MAX:,}: less --timeline")
    with written_aside(path) as part:
        part.write_bytes(content)
    return len(content)


def _composed(title: str, data: dict[str, Any]) -> str:
    room = files("deltarnn.report")

    def text(name: str) -> str:
        return (room / name).read_text(encoding="utf-8")

    parts = {
        "title": html.escape(title),
        "style": text("page.css"),
        "data": _json(data),
        "scripts": "\n".join(f"<script>\n{text(name)}</script>" for name in SCRIPTS),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], text("page.html"))


def _json(value: Any) -> str:
    """JSON that cannot end the element that it stands in, whatever names it has."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")

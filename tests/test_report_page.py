"""The page of `deltarnn report` in a real browser, without a network."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from deltarnn.evaluation.evaluate import evaluate
from deltarnn.report.engine import timeline_record
from deltarnn.report.page import first_shown, page_of, read_recordings, shown_on_page, write_page
from golden.fixed import Q
from golden.formats import Formats
from golden.model import Model
from golden.model_file import load_model
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from golden.readings import with_meaning
from golden.recordings import Recordings
from tests.networks import random_frames, random_model

sync_api = pytest.importorskip("playwright.sync_api")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")  # of Debian, and of others
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium")

SHIPPED = Path(__file__).parents[1] / "models/japanese_vowels"
FIRED, LATER, STILL = (0xD1, 0x49, 0x5B), (0xF3, 0xCC, 0xD2), (0xE9, 0xEC, 0xEF)

# What the middle of each cell of the raster shows, and where it is: group, frame, column.
CELLS = """() => {
  const canvas = element("raster");
  const ratio = canvas.width / layout.wide;
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  return layout.groups.map((group) => Array.from({ length: state.trace.length }, (_, t) =>
    Array.from({ length: group.size }, (_, j) => {
      const x = Math.round((layout.x(t) + layout.cell / 2 - 1) * ratio);
      const y = Math.round((group.top + (j + 0.5) * layout.row - 1) * ratio);
      return Array.from(data.slice(4 * (y * canvas.width + x), 4 * (y * canvas.width + x) + 3));
    })));
}"""
FIGURES = "figuresOf(model, state.summaries, state.lanes)"
DONE = "state.summaries.filter(Boolean).length === recordings.length"

AREA = {
    "board": "a board",
    "chip": "a chip",
    "lanes": 4,
    "resources": {"lut": "LUT4", "ff": "FF"},
    "files": {
        "hw/core.py": {"lut": 30, "ff": 0},
        "hw/walk/sequencer.py": {"lut": 50, "ff": 9},
        "boards/family/ice40.py": {"lut": 20, "ff": 3},
    },
}
EVIDENCE = [{"kind": "soak", "found": "<i>none</i> was wrong", "share": 0.2, "minutes": 74}]


@dataclass
class Opened:
    """A page in a browser, with what went wrong and what was asked of the network."""

    page: "sync_api.Page"
    wrong: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return " ".join(self.page.locator(selector).inner_text().split())

    def theta(self, name: str, layer: int, value: int) -> None:
        self.page.get_by_label(f"threshold of {name}, layer {layer}", exact=True).fill(str(value))
        self.until(DONE)

    def until(self, condition: str) -> None:
        """Waits; not as Playwright does, whose way the page's own policy forbids."""
        end = time.monotonic() + 20
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, condition
            time.sleep(0.02)


@pytest.fixture(scope="module")
def browser() -> "Iterator[sync_api.Browser]":
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: "sync_api.Browser", path: Path, wide: int = 1280) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": wide, "height": 800}, offline=True)
    page = context.new_page()
    page.set_default_timeout(20_000)
    found = Opened(page)
    page.on("console", lambda message: found.wrong.append(message.text))
    page.on("pageerror", lambda error: found.wrong.append(str(error)))
    page.on("request", lambda request: found.asked.append(request.url))
    page.goto(path.as_uri())
    found.until(DONE)
    yield found
    assert found.wrong == []
    assert [url for url in found.asked if not url.startswith("data:")] == [path.as_uri()]
    context.close()


def written(model: Model, recordings: Recordings, path: Path, frames: int) -> Path:
    shown = shown_on_page(model, recordings)
    found = evaluate(model, shown)
    first = first_shown(shown)
    core = CoreParameters(model.parameters, 4)
    some = found.frames[first][:frames]
    timeline = timeline_record(core, model, some, first) if frames else None
    sections = {"timeline": timeline}
    sections |= {"area": AREA, "evidence": EVIDENCE} if frames else {}
    write_page(page_of(found, len(shown.names), core, sections), path)
    return path


@pytest.fixture(scope="module")
def shipped() -> tuple[Model, Recordings]:
    model = load_model(SHIPPED.with_suffix(".safetensors"))
    return model, read_recordings(model, [SHIPPED.with_suffix(".frames.npz")])


@pytest.fixture(scope="module")
def page(shipped, tmp_path_factory) -> Path:
    return written(*shipped, tmp_path_factory.mktemp("page") / "a page.html", frames=3)


def with_thresholds(model: Model, pairs: list[list[int]]) -> Model:
    layers = tuple(
        replace(layer, theta_x=x, theta_h=h if layer.recurrent else None)
        for layer, (x, h) in zip(model.parameters.layers, pairs, strict=True)
    )
    return replace(model, parameters=replace(model.parameters, layers=layers))


def assert_shows(found: Opened, model: Model, recordings: Recordings, n: int) -> None:
    """The raster lights each event of recording ``n``, and the figures are those of NumPy."""
    trace = DeltaNetwork(model).run(recordings.frames(model)[n])
    found.page.evaluate("chooseFrame(state.trace.length - 1)")
    groups = [trace.deltas_x[0], trace.deltas_h[0], trace.deltas_x[1]]
    for shown, deltas in zip(found.page.evaluate(CELLS), groups, strict=True):
        colours = np.array(shown)
        assert (colours[deltas != 0] == FIRED).all()
        assert (colours[deltas == 0] == STILL).all()
    expected = evaluate(model, recordings)
    figures = found.page.evaluate(FIGURES)
    assert figures["events"] == expected.events.sum(axis=0).tolist()
    assert figures["error"] == pytest.approx(expected.error)
    wrong = round((expected.error or 0) * len(recordings.names))
    assert f"{len(recordings.names) - wrong} of 74 recordings" in found.text("#right")
    fetched = expected.fetches * model.parameters.weights
    assert f"{fetched:,.1f} of {model.parameters.weights:,}" in found.text("#fetches")
    dense = CoreParameters(model.parameters, 4).dense_cycles
    assert f"{expected.bound(4):.1f} of {dense:,}" in found.text("#cycles")
    columns = expected.events.sum() / len(expected.events)
    assert f"{columns:.1f} of 76" in found.text("#columns")


def test_it_shows_what_golden_does_at_any_thresholds(browser, page, shipped):
    model, recordings = shipped
    assert page.stat().st_size < 3_000_000
    with opened(browser, page) as found:
        assert found.page.get_attribute("#equality", "data-same") == "true"
        n = found.page.evaluate("state.recording")
        assert_shows(found, model, recordings, n)
        before = [found.text(f"#{name}") for name in ("right", "fetches", "cycles", "columns")]
        assert found.page.is_disabled("#back")
        found.theta("x", 0, 12)
        found.theta("h", 0, 0)
        found.theta("x", 1, 9)
        assert_shows(found, with_thresholds(model, [[12, 0], [9, 0]]), recordings, n)
        assert "file\u2019s 95.95 %" in found.text("#right")
        found.page.click("#zero")
        found.until(DONE)
        assert_shows(found, with_thresholds(model, [[0, 0], [0, 0]]), recordings, n)
        found.page.click("#back")
        found.until(DONE)
        assert [found.text(f"#{i}") for i in ("right", "fetches", "cycles", "columns")] == before
        assert found.page.get_attribute("#equality", "data-same") == "true"
        found.page.select_option("#lanes", "16")
        assert " of 296 " in found.text("#cycles")


def test_it_plays(browser, page):
    with opened(browser, page) as found:
        assert found.page.input_value("#recording") == "33"  # the longest
        found.page.select_option("#speed", "5")
        assert found.page.evaluate("state.frame") == found.page.evaluate("state.trace.length") - 1
        found.page.click("#play")
        found.until("state.frame >= 3")
        found.page.click("#play")
        assert not found.page.evaluate("state.playing")
        t = found.page.evaluate("state.frame")
        assert found.text("#frame").startswith(f"frame {t + 1} of ")
        found.page.select_option("#speed", "50")
        found.page.click("#play")
        found.until("!state.playing")  # at its end
        assert found.page.evaluate("state.frame") == found.page.evaluate("state.trace.length") - 1
        found.page.fill("#scrub", "2")
        cells = found.page.evaluate(CELLS)
        for group in cells:  # what has not come yet is pale
            assert {tuple(colour) for frame in group[3:] for colour in frame} <= {LATER, STILL}
            assert {tuple(colour) for frame in group[:2] for colour in frame} <= {FIRED, STILL}
        found.page.click("#after")
        assert found.page.evaluate("state.recording") == 34
        found.page.click("#before")
        assert found.page.evaluate("state.recording") == 33
        found.page.locator("#strip button").nth(34).click()
        assert found.page.input_value("#recording") == "34"
        assert "wrong" in found.text("#verdict")


def test_it_shows_the_engine_in_the_frames_that_were_recorded(browser, page):
    with opened(browser, page) as found:
        found.page.evaluate("chooseFrame(1)")
        note = found.text("#timeline-note")
        assert "at the file\u2019s thresholds and with 4 lanes. Frame 2 of recording 33:" in note
        assert "not recorded" not in note
        drawn = "element('timeline').toDataURL()"
        pictures = [found.page.evaluate(f"(chooseFrame({t}), {drawn})") for t in range(3)]
        assert len(set(pictures)) == 3
        found.page.evaluate("chooseFrame(9)")
        assert "The frame above was not recorded" in found.text("#timeline-note")


def test_it_shows_areas_and_evidence(browser, page):
    with opened(browser, page) as found:
        boxes = found.page.locator("#area > div")
        assert [boxes.nth(n).get_attribute("title") for n in range(boxes.count())] == [
            "hw/walk/sequencer.py: 50 LUT4",
            "hw/core.py: 30 LUT4",
            "boards/family/ice40.py: 20 LUT4",
        ]
        assert "100 LUT4" in found.text("#area-note")
        found.page.get_by_role("button", name="FF").click()
        assert found.page.locator("#area > div").count() == 2
        rows = found.text("#evidence")
        assert rows == "kind what was found share minutes soak <i>none</i> was wrong 20 % 74"


def test_it_fits_a_phone(browser, page):
    with opened(browser, page, wide=390) as found:
        assert found.page.evaluate("document.documentElement.scrollWidth") <= 390
        assert found.page.evaluate("layout.wide") < 390
        found.page.set_viewport_size({"width": 1000, "height": 700})
        found.until("layout.wide > 500")


def test_it_shows_any_network_without_labels(browser, tmp_path):
    """Two kinds of layers, steps of more bits than a Number has, names that are nasty."""
    formats = Formats(state=Q(20, 30), gate=Q(1, 6), cell=Q(18, 30))
    model = random_model((3, 5, 4), kinds=("gru", "lstm"), formats=formats, shifts=2)
    model = Model.of("<b>&amp;</b></script>", formats, model.parameters.layers, model.weights)
    frames = [random_frames(model, n, moving=0.3) for n in (300, 900)]
    path = written(model, Recordings.of(frames), tmp_path / "page.html", frames=0)
    with opened(browser, path) as found:
        assert found.text("#name") == model.name
        assert found.page.get_attribute("#equality", "data-same") == "true"
        assert found.page.locator("#tiles > *").count() == 3
        for section in ("all", "timeline-section", "area-section", "evidence-section"):
            assert not found.page.is_visible(f"#{section}")
        trace = DeltaNetwork(model).run(frames[1])
        shown = found.page.evaluate("Array.from(state.trace.outputs)")
        assert shown == trace.outputs.ravel().tolist()
        pages = found.page.evaluate("[0, 899].map((t) => layout.first(t))")
        assert pages[0] == 0 < pages[1]  # too long for one
        found.page.focus("#raster")
        found.page.keyboard.press("ArrowLeft")
        assert found.text("#frame") == "frame 899 of 900"


def test_it_has_room_for_many_long_names(browser, tmp_path):
    """The list has 16 of 40 classes, the wanted one among them; inputs at their ends are said."""
    labels = [f"{n:02}" + 60 * "x" for n in range(40)]
    model = with_meaning(random_model((3, 5), 40, theta=(2, 1)), "sum", labels)
    frames = [random_frames(model, 9, seed=n) for n in range(2)]
    frames[0][:, 0] = 127
    lowest = int(DeltaNetwork(model).run(frames[0]).outputs.sum(axis=0).argmin())
    recordings = Recordings.of(frames).wanting([np.array(lowest), np.array(1)])
    path = written(model, recordings, tmp_path / "page.html", frames=0)
    with opened(browser, path, wide=360) as found:
        assert found.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert found.text("#answer-title").endswith(": 16 of 40")
        assert found.page.locator("#answer .class.wanted .label").inner_text() == labels[lowest]
        share = evaluate(model, recordings).saturated
        assert found.text("#saturated").startswith(f"{100 * share:.1f} % of all inputs")
        assert found.page.locator("#progress").inner_text() == ""


def test_a_box_shows_the_threshold_that_is_in_use(browser, page):
    with opened(browser, page) as found:
        box = found.page.get_by_label("threshold of x, layer 0, exactly")
        for typed, shown in [("3.7", "7"), ("", "7"), ("-5", "0"), ("99999", "255")]:
            box.fill(typed)
            box.press("Tab")
            found.until(DONE)
            assert box.input_value() == shown
            assert found.page.evaluate("state.thresholds[0][0]") == int(shown)


@pytest.mark.parametrize("readout", ["value", "frame", "ctc"])
def test_it_judges_answers_of_every_kind(readout, browser, tmp_path):
    model = with_meaning(random_model((3, 5), 4, theta=(2, 1)), readout, None)
    frames = [random_frames(model, n, seed=n, moving=0.3) for n in (20, 30)]
    said = evaluate(model, Recordings.of(frames)).said or []
    wanted = [said[0], said[1] + 0.5 if readout == "value" else np.minimum(said[1], 1)]
    recordings = Recordings.of(frames).wanting(wanted)
    error = evaluate(model, recordings).error
    assert error is not None
    with opened(browser, written(model, recordings, tmp_path / "page.html", frames=0)) as found:
        shown = {"value": f"{error:.4g}", "ctc": f"{error:.2%}", "frame": f"{1 - error:.2%}"}
        assert shown[readout].replace("%", " %") in found.text("#right")
        assert found.page.is_visible("#numbers") == (readout == "value")
        assert found.page.is_visible("#all") == (readout != "value")
        assert "Wanted" in found.text("#verdict")

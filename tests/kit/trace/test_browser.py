"""The picture in a real browser: what a reader sees, by what the browser says of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from dslab.kit.trace.diagram import Caption, write_html
from dslab.kit.trace.event import Event

Scenario = tuple[list[Event], Caption, tuple[str, ...]]
Scenarios = Mapping[str, Callable[[], Scenario]]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Chromium's own traffic is no concern of ours; on a machine without a network it would wait for it.
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)"),
    # Playwright's event loop and Chromium's pipes are closed by the browser's own teardown.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


class Reader:
    """Opens pictures, and keeps account of what the browser complains about and asks the network for."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.browser = browser
        self.folder = folder
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def open(self, scenario: Scenario, **options: Any) -> Page:
        events, caption, services = scenario
        path = self.folder / "picture.html"
        write_html(events, services, "test_something", path, caption=caption)
        page = self.browser.new_page(**{"viewport": {"width": 1440, "height": 900}, **options})
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())
        return page


@pytest.fixture
def reader(browser: Browser, tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(browser, tmp_path)
    yield reader
    for context in browser.contexts:
        context.close()
    assert reader.complaints == []
    assert [url for url in reader.requests if not url.startswith(("file:", "data:"))] == []


def test_pointing_at_an_arrow_shows_its_bytes(reader: Reader, scenarios: Scenarios) -> None:
    page = reader.open(scenarios["byte_by_byte"]())
    page.locator(".arrow.chunk", has_text="h").first.hover()
    aside = page.locator("aside")
    assert "grader → server" in aside.inner_text()
    assert "0000  68  h" in aside.inner_text()


def test_the_keyboard_reaches_every_arrow(reader: Reader, scenarios: Scenarios) -> None:
    page = reader.open(scenarios["two_thousand"]())
    page.keyboard.press("Tab")
    aside = page.locator("aside")
    assert "last on*" in aside.inner_text()
    page.keyboard.press("ArrowUp")
    assert "last one" in aside.inner_text()
    for _ in range(7):
        page.keyboard.press("ArrowUp")
    assert "1,984 more messages" in aside.inner_text()
    assert page.evaluate("document.activeElement.classList.contains('fold')")
    for _ in range(50):
        page.keyboard.press("ArrowUp")
    assert "open" in aside.inner_text()
    page.keyboard.press("ArrowDown")
    assert "echo request" in aside.inner_text()


def test_a_fold_lists_what_it_hides(reader: Reader, scenarios: Scenarios) -> None:
    page = reader.open(scenarios["two_thousand"]())
    page.locator(".fold").click()
    listed = page.locator("aside ol button")
    assert listed.count() == 800
    assert "and 1,184 more" in page.locator("aside").inner_text()
    listed.nth(3).click()
    assert "cut here: 5,937 more bytes" in page.locator("aside").inner_text()


def test_a_click_holds_what_is_shown(reader: Reader, scenarios: Scenarios) -> None:
    page = reader.open(scenarios["lossy"]())
    page.locator(".arrow.lost").first.click()
    held = page.locator("aside").inner_text()
    page.locator(".arrow.corrupted").hover()
    assert page.locator("aside").inner_text() == held
    page.keyboard.press("Escape")
    page.locator(".arrow.duplicate").hover()
    assert "duplicate" in page.locator("aside").inner_text()


def test_it_opens_where_the_story_ends(reader: Reader, scenarios: Scenarios) -> None:
    page = reader.open(scenarios["lossy"]())
    assert "reordered" in page.locator("aside").inner_text()


def test_without_scripts_the_picture_is_whole(reader: Reader, scenarios: Scenarios) -> None:
    page = reader.open(scenarios["restarted"](), java_script_enabled=False)
    assert page.locator(".arrow").count() > 15
    assert page.locator("aside").is_hidden()
    assert (
        page.locator(".arrow title").first.text_content()
        == "client to server, at 100.0 ms, connection 0, connect"
    )


def test_hostile_text_is_shown_and_not_obeyed(
    reader: Reader, scenarios: Scenarios, hostile_text: str
) -> None:
    page = reader.open(scenarios["hostile"]())
    for arrow in page.locator("#picture .arrow").all():
        arrow.focus()
    assert page.locator("img").count() == 0
    assert hostile_text[:26] in page.locator("aside").inner_text()
    assert hostile_text[:26] in page.locator("h1").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_can_be_read(reader: Reader, scenarios: Scenarios, scheme: str) -> None:
    """Contrast of at least 4.5 to 1 (WCAG 2, AA) for all that is not faint on purpose."""
    page = reader.open(scenarios["lossy"](), color_scheme=scheme)
    paper = _luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (paper > 0.5) == (scheme == "light")
    inks = page.evaluate(
        """[...document.querySelectorAll('svg text tspan, svg .tick, svg .notice text, svg .mark text')]
           .filter((text) => !text.closest('.after')).map((text) => getComputedStyle(text).fill)"""
    )
    assert inks
    for ink in set(inks):
        low, high = sorted((paper, _luminance(ink)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, ink


def _luminance(color: str) -> float:
    """Relative luminance of ``rgb(r, g, b)``, as WCAG 2 defines it."""
    channels = [int(part) / 255 for part in color.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


BOXES = """(selector) => [...document.querySelectorAll(selector)].map((element) => {
    const box = element.getBBox();
    const [right, bottom] = [box.x + box.width, box.y + box.height];
    return {text: element.textContent, x: box.x, y: box.y, right, bottom};
})"""


def test_no_text_leaves_the_picture_or_touches_another(reader: Reader, scenario: Scenario) -> None:
    page = reader.open(scenario)
    size = page.evaluate(
        "(() => { const {width, height} = picture.viewBox.baseVal; return {width, height}; })()"
    )
    boxes = page.evaluate(BOXES, "#picture text")
    assert boxes
    for box in boxes:
        assert box["x"] >= 0, box
        assert box["right"] <= size["width"], box
        assert box["bottom"] <= size["height"], box
    for one, other in combinations(boxes, 2):
        across = min(one["right"], other["right"]) - max(one["x"], other["x"])
        down = min(one["bottom"], other["bottom"]) - max(one["y"], other["y"])
        # A line's box is higher than its letters: two pixels of it may overlap.
        assert across <= 0 or down <= 2, (one, other)


def test_every_text_fits_its_box(reader: Reader, scenario: Scenario) -> None:
    page = reader.open(scenario)
    for shapes in (".chip", ".fold", ".head"):
        rects = page.evaluate(BOXES, f"{shapes} rect")
        texts = page.evaluate(BOXES, f"{shapes} rect ~ text")
        assert len(rects) == len(texts)
        for rect, text in zip(rects, texts, strict=True):
            assert rect["x"] <= text["x"] and text["right"] <= rect["right"], text


@pytest.mark.parametrize("width", [360, 768, 1180, 2560])
def test_the_page_fits_any_window(reader: Reader, scenarios: Scenarios, width: int) -> None:
    """A window narrower than the picture scrolls; nothing lies on top of anything else."""
    page = reader.open(scenarios["restarted"](), viewport={"width": width, "height": 800})
    page.locator(".arrow").first.focus()
    aside = page.locator("aside").bounding_box()
    header = page.locator("header").bounding_box()
    assert aside is not None
    assert header is not None
    assert aside["width"] <= width
    assert aside["y"] >= header["y"] + header["height"] or width <= 1180

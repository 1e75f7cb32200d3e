from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dslab.kit.trace.diagram import Caption, render, write_html
from dslab.kit.trace.event import Event, Kind

Scenario = tuple[list[Event], Caption, tuple[str, ...]]
Scenarios = Mapping[str, Callable[[], Scenario]]

SVG = "{http://www.w3.org/2000/svg}"
MAX_PAGE_BYTES = 2_500_000


def page_of(scenario: Scenario, title: str = "test_something") -> str:
    events, caption, services = scenario
    return render(events, services, title, None, caption)


def picture_in(page: str) -> ElementTree.Element:
    """The inline SVG; it has to be well-formed XML, so that it can be cut out and used elsewhere."""
    [svg] = re.findall(r'<svg id="picture".*?</svg>', page, re.DOTALL)
    return ElementTree.fromstring(svg)


def classes(picture: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in picture.iter() if name in element.get("class", "").split()]


def details_in(page: str) -> dict[str, Any]:
    [text] = re.findall(r'<script type="application/json" id="details">(.*?)</script>', page, re.DOTALL)
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def texts(element: ElementTree.Element) -> str:
    return "".join("".join(text.itertext()) for text in element.iter(f"{SVG}text"))


def test_there_is_an_arrow_for_every_message(scenarios: Scenarios) -> None:
    picture = picture_in(page_of(scenarios["byte_by_byte"]()))
    arrows = [arrow.get("class", "").split()[1] for arrow in classes(picture, "arrow")]
    assert Counter(arrows) == {"chunk": 18, "open": 1, "close": 1}
    assert len(classes(picture, "shaft")) == len(arrows)
    assert len(classes(picture, "last")) == 1
    assert "the check fails here" in texts(picture)


def test_every_arrow_can_be_asked_and_says_what_it_is(scenario: Scenario) -> None:
    picture = picture_in(page_of(scenario))
    for shape in [*classes(picture, "arrow"), *classes(picture, "fold")]:
        assert shape.get("tabindex") == "0"
        assert shape.get("role") == "img"
        title = shape.find(f"{SVG}title")
        assert title is not None
        assert title.text == shape.get("aria-label")


def test_the_order_of_focus_is_the_order_of_time(scenario: Scenario) -> None:
    page = page_of(scenario)
    picture = picture_in(page)
    numbers = [int(shape.get("data-arrow", "0")) for shape in classes(picture, "arrow")]
    assert numbers == sorted(numbers)
    assert len(details_in(page)["arrows"]) == len(numbers)


def test_the_picture_has_a_title_and_a_description(scenario: Scenario) -> None:
    picture = picture_in(page_of(scenario))
    named = {picture.find(f"{SVG}{name}") for name in ("title", "desc")}
    assert picture.get("aria-labelledby") == "picture-title picture-summary"
    assert {element.get("id") for element in named if element is not None} == {
        "picture-title",
        "picture-summary",
    }


def test_lost_corrupted_duplicated_and_held_are_marked(scenarios: Scenarios) -> None:
    picture = picture_in(page_of(scenarios["lossy"]()))
    for name in ("lost", "corrupted", "duplicate", "reordered"):
        assert classes(picture, name), name
    assert len(classes(picture, "wound")) == 1
    assert classes(picture_in(page_of(scenarios["stalled"]())), "held")


def test_what_comes_after_the_failure_is_faint(scenarios: Scenarios) -> None:
    picture = picture_in(page_of(scenarios["byte_by_byte"]()))
    assert len(classes(picture, "after")) == 3


def test_the_legend_lists_only_what_occurs(scenarios: Scenarios) -> None:
    calm = page_of(scenarios["silent_client"]())
    assert "a connection opens or closes" in calm
    for absent in (
        "lost",
        "changed on the way",
        "nothing gets through",
        "not running",
        "said by the program",
    ):
        assert f"</svg>{absent}" not in calm
    rough = page_of(scenarios["lossy"]())
    for present in ("lost", "delivered again", "changed on the way", "a fault is at work"):
        assert f"</svg>{present}" in rough


def test_the_caption_stands_above_with_the_first_difference_marked(scenarios: Scenarios) -> None:
    page = page_of(scenarios["byte_by_byte"](), title="test_message_in_pieces")
    assert "<h1>A message delivered one byte at a time is answered whole.</h1>" in page
    assert "test_message_in_pieces" in page
    assert "2,763,306 bytes" in page
    # The difference begins with a whole byte, not in the middle of its two digits.
    assert "<dd>00 <ins>00 00 06 &#34;hello*&#34;</ins></dd>" in page
    assert "<dd>00 <del>2a 00 2a" in page


def test_without_a_caption_the_name_is_the_headline() -> None:
    assert "<h1>test_it</h1>" in render([], (), "test_it")


def test_bytes_are_there_for_the_script_and_cut_where_long(scenarios: Scenarios) -> None:
    details = details_in(page_of(scenarios["two_thousand"]()))
    first = next(entry for entry in details["arrows"] if entry["size"] == 6_000)
    assert len(base64.b64decode(first["bytes"])) == 2_048
    [folded] = details["folds"]
    assert folded["whole"] == 1_984
    assert len(folded["events"]) == 800
    assert len(base64.b64decode(folded["events"][0]["bytes"])) == 64


@pytest.mark.parametrize("count", [200, 5_000])
@pytest.mark.parametrize("size", [10, 4_096])
def test_a_page_has_a_bounded_size(count: int, size: int) -> None:
    """Even if nothing can be folded, since every message is of another sort."""
    events = [
        Event(
            t_s=number / 100,
            link=f"n{number % 40}->n{number % 39 + 1}",
            kind=Kind.MESSAGE,
            direction="forward",
            data=number.to_bytes(4, "big") * (size // 4),
            size=size,
            label=f"{number} " + "<&>'\"" * 200,
            note="corrupted " + "<&>" * 1_000,
            arrive_s=number / 100 + 0.02,
        )
        for number in range(count)
    ]
    long = "<" * 10**6
    caption = Caption(statement=long, message=long, sent=long, expected=long, actual=long, stderr=long)
    assert len(render(events, (), "x" * 10_000, None, caption).encode()) < MAX_PAGE_BYTES


def test_hostile_text_stays_text(scenarios: Scenarios, hostile_text: str) -> None:
    page = page_of(scenarios["hostile"](), title=hostile_text)
    assert "<img" not in page
    assert "onload=alert(2)>" not in page
    assert page.count("</script>") == 2
    assert page.count("<script") == 2
    assert "\x1b" not in page
    picture = picture_in(page)
    assert not [element for element in picture.iter() if element.tag.endswith(("script", "img"))]
    assert not [name for element in picture.iter() for name in element.attrib if name.startswith("on")]
    sent = details_in(page)["arrows"][1]
    assert base64.b64decode(sent["bytes"]) == hostile_text.encode()


def test_nothing_but_its_own_script_may_run_and_nothing_is_fetched(scenario: Scenario) -> None:
    page = page_of(scenario)
    [policy] = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for name, text in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in unescape(policy)
    assert "default-src 'none'" in unescape(policy)
    assert "style=" not in re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    assert set(re.findall(r'https?://[^"\s)<]*', page)) <= {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r'(?:href|src)="(.*?)"', page)) == {"data:,"}


def test_a_page_replaces_the_one_before_it(tmp_path: Path, scenarios: Scenarios) -> None:
    events, caption, services = scenarios["stalled"]()
    path = tmp_path / "picture.html"
    path.write_text("old")
    write_html(events, services, "test_it", path, caption=caption)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [file.name for file in tmp_path.iterdir()] == ["picture.html"]


def test_text_that_no_encoding_knows_does_no_harm(tmp_path: Path) -> None:
    write_html([], ("\ud800",), "\udfff", tmp_path / "picture.html")
    assert (tmp_path / "picture.html").exists()

"""Every format against its schema, or against what its readers insist on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

import jsonschema
import pytest

import dslab.kit.grader
from dslab.kit.grader.reports import Reports
from dslab.kit.grader.reports.comment import MAX_CHARACTERS, to_markdown
from dslab.kit.grader.reports.gradescope import to_json as to_gradescope
from dslab.kit.grader.reports.page import to_html
from dslab.kit.grader.verdict import RunResult, Verdict

ALL = {"result.json", "junit.xml", "results.csv", "results.json", "report.html", "report.md"}
RESULT_SCHEMA = json.loads((Path(dslab.kit.grader.__file__).parent / "result.schema.json").read_text())
GRADESCOPE_SCHEMA = json.loads(Path(__file__).with_name("gradescope.schema.json").read_text())


@pytest.fixture
def report(result: RunResult, run_folder: Path, tmp_path: Path) -> Path:
    """A folder with every format."""
    folder = tmp_path / "new" / "report"
    Reports(run_folder, folder).write(result)
    return folder


def test_all_formats_and_nothing_else(report: Path, run_folder: Path) -> None:
    assert {path.name for path in report.iterdir()} == ALL
    assert {path.name for path in run_folder.iterdir()} == {"result.json", "test_two"}


def test_without_a_report_folder_only_result_json(result: RunResult, run_folder: Path) -> None:
    Reports(run_folder).write(result)
    assert {path.name for path in run_folder.iterdir()} == {"result.json", "test_two"}


def test_result_json(report: Path) -> None:
    found = json.loads((report / "result.json").read_text())
    jsonschema.validate(found, RESULT_SCHEMA)
    assert (found["score"], found["max_score"], found["undecided"]) == (6.67, 100, 6.67)
    assert found["steps"][0]["checks"][1]["property"] == "The reply is the text and a star."
    assert found["steps"][1]["hints_used"] == 2


def test_the_schema_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(RESULT_SCHEMA)
    jsonschema.Draft202012Validator.check_schema(GRADESCOPE_SCHEMA)


def test_gradescope(report: Path) -> None:
    found = json.loads((report / "results.json").read_text())
    jsonschema.validate(found, GRADESCOPE_SCHEMA)
    assert found["score"] == 6.67
    tests = {test["extra_data"]["check"]: test for test in found["tests"]}
    assert [tests[name]["max_score"] for name in ("test_one", "test_two", "test_three")] == [6.67, 6.66, 6.67]
    assert [tests[name]["status"] for name in tests] == ["passed", "failed", "failed", "failed", "failed"]
    assert [name for name, test in tests.items() if test["visibility"] != "visible"] == ["test_five"]
    assert tests["test_five"]["visibility"] == "after_published"
    assert "Byte 5 differs." in tests["test_two"]["output"]
    assert "not the student's fault" in tests["test_three"]["output"]
    assert found["extra_data"]["hints_used"] == {"1.2": 2}


def test_gradescope_tells_no_total_as_long_as_a_check_is_private(result: RunResult) -> None:
    assert to_gradescope(result)["output"] == "seed 7"
    public = replace(result, steps=result.steps[:2])
    assert to_gradescope(public)["output"].startswith("6.67 of 30 points, seed 7\n6.67 points are undecided")


def test_junit(report: Path) -> None:
    (suite,) = Xml.parse(report / "junit.xml").getroot()
    assert suite.tag == "testsuite"
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    cases = suite.findall("testcase")
    assert counts == {
        "tests": len(cases),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    assert counts == {"tests": 5, "failures": 2, "errors": 1, "skipped": 1}
    assert suite.attrib["timestamp"] == "2026-03-14T09:30:00"
    assert [child.tag for child in suite] == ["properties"] + ["testcase"] * 5
    for case in cases:
        assert set(case.attrib) == {"classname", "name", "time"}
        assert float(case.attrib["time"]) >= 0
        assert len(case) <= 1
    for outcome in suite.iterfind("testcase/*"):
        assert set(outcome.attrib) == {"message", "type"}


def test_csv(report: Path) -> None:
    with (report / "results.csv").open(newline="") as file:
        heading, row = csv.reader(file)
    cells = dict(zip(heading, row, strict=True))
    assert cells["submission"] == "'=SUM(A1)"
    assert (cells["score"], cells["step 1.1"], cells["errors"], cells["complete"]) == (
        "6.67",
        "6.67",
        "1",
        "yes",
    )


def test_markdown_shows_no_private_check_and_nothing_breaks_out(report: Path, result: RunResult) -> None:
    text = (report / "report.md").read_text()
    assert "| 1.1 | Answer | 1 of 3 | 6.67 of 20 |" in text
    assert "Byte 5 differs." in text
    assert "test_five" not in text
    secret = replace(result.checks[-1], private=False)
    step = replace(result.steps[-1], checks=(secret,))
    shown = to_markdown(replace(result, steps=(step,)))
    assert "\n`````text\n" in shown  # a fence longer than the one in the text
    assert shown.rstrip().endswith("`````\n\n</details>")


def test_markdown_is_bounded(result: RunResult) -> None:
    long = replace(result.checks[1], stderr="x" * 1_000)
    step = replace(result.steps[0], checks=(long,) * 200)
    text = to_markdown(replace(result, steps=(step,)))
    assert len(text) < MAX_CHARACTERS + 200
    assert "more failures are left out here." in text


class Page(HTMLParser):
    """Collects what a page consists of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.frames: list[dict[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "iframe":
            self.frames.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_holds_the_pictures_and_obeys_nobody(report: Path, run_folder: Path) -> None:
    page = Page()
    page.feed((report / "report.html").read_text())
    (frame,) = page.frames
    assert frame["srcdoc"] == (run_folder / "test_two" / "picture.html").read_text()
    assert frame["sandbox"] == "allow-scripts"
    assert "script" not in page.tags
    assert "</script>" in page.text  # what the program wrote, as text
    assert "The reply is the text and a star." in page.text
    assert "6.67 undecided" in page.text


def test_html_without_the_picture_names_its_file(result: RunResult, tmp_path: Path) -> None:
    assert "test_two/picture.html" in to_html(result, tmp_path)


def test_run_that_was_cut_short_says_so(result: RunResult, run_folder: Path, tmp_path: Path) -> None:
    Reports(run_folder, tmp_path / "report").write(replace(result, complete=False))
    assert json.loads((tmp_path / "report" / "result.json").read_text())["complete"] is False
    for name in ("results.json", "report.html"):
        assert "had its turn" in (tmp_path / "report" / name).read_text()


def test_every_verdict_is_in_the_fixture(result: RunResult) -> None:
    assert {check.verdict for check in result.checks} == set(Verdict)

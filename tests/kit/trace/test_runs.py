from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dslab.kit.trace.event import Event, Kind, to_json
from dslab.kit.trace.runs import load, runs


def make_run(folder: Path, name: str, checks: dict[str, str], **result: Any) -> Path:
    """A run's folder with a trace of each of these checks, given with their verdicts."""
    path = folder / name
    listed = [
        {
            "name": check,
            "property": f"{check} holds.",
            "verdict": verdict,
            "message": "no",
            "sent": "",
            "stderr": "",
        }
        for check, verdict in checks.items()
    ]
    path.mkdir(parents=True)
    facts = {"lab": "1", "seed": 7, "backend": "local", "epoch_s": 1_700_000_000.0}
    (path / "run.json").write_text(json.dumps(facts))
    steps = [{"id": "1.1", "checks": listed}]
    (path / "result.json").write_text(json.dumps({"lab": "01-sockets", "steps": steps, **result}))
    for check in checks:
        event = Event(t_s=1, link="grader->server", kind=Kind.CHUNK, direction="forward", data=b"hi", size=2)
        (path / check.replace("[", "-").replace("]", "")).mkdir()
        trace = path / check.replace("[", "-").replace("]", "") / "trace.jsonl"
        trace.write_text(to_json(event) + "\n")
    return path


def test_the_newest_run_comes_first(tmp_path: Path) -> None:
    make_run(tmp_path, "20260101-120000-lab1-aaaa", {})
    make_run(tmp_path, "20260102-120000-lab1-bbbb", {}, score=3, max_score=9)
    newest, oldest = runs(tmp_path)
    assert newest.name.endswith("bbbb")
    assert (newest.lab, newest.result["score"]) == ("01-sockets", 3)
    assert newest.started == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert oldest.name.endswith("aaaa")


def test_checks_with_long_names_are_told_apart(tmp_path: Path) -> None:
    long = "test_" + "very_" * 12 + "long"
    names = {f"{long}[{model}]": "pass" for model in ("iterative", "asyncio")}
    run = load(make_run(tmp_path, "r", names))
    assert [(check.name, check.verdict) for check in run.checks] == list(names.items())


def test_checks_are_matched_with_their_folders(tmp_path: Path) -> None:
    run = load(make_run(tmp_path, "r", {"test_models[asyncio]": "pass", "test_reset": "fail"}))
    assert [(check.name, check.step, check.verdict) for check in run.checks] == [
        ("test_models[asyncio]", "1.1", "pass"),
        ("test_reset", "1.1", "fail"),
    ]
    assert run.failed == ["test_reset"]
    assert [event.data for event in run.checks[0].events] == [b"hi"]


def test_a_caption_says_what_the_result_says(tmp_path: Path) -> None:
    run = load(make_run(tmp_path, "r", {"test_reset": "fail"}))
    caption = run.checks[0].caption(run)
    assert (caption.statement, caption.verdict, caption.message) == ("test_reset holds.", "fail", "no")
    assert caption.facts == {"lab": "01-sockets", "step": "1.1", "seed": "7", "backend": "local"}


@pytest.mark.parametrize("text", [None, "", "[]", '{"steps": ', "\x00"])
def test_a_run_that_was_killed_is_shown_as_far_as_it_came(tmp_path: Path, text: str | None) -> None:
    path = make_run(tmp_path, "r", {"test_reset": "fail"})
    for name in ("run.json", "result.json"):
        if text is None:
            (path / name).unlink()
        else:
            (path / name).write_text(text)
    run = load(path)
    assert (run.lab, run.started, run.failed) == ("", None, [])
    assert [(check.name, check.verdict) for check in run.checks] == [("test_reset", "unknown")]


def test_there_may_be_no_runs(tmp_path: Path) -> None:
    assert runs(tmp_path / "nowhere") == []

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest

from dslab.kit.cli.app import main
from dslab.kit.trace.event import Event, Kind, to_json

OLDER, NEWER = "20260101-120000-lab1-aaaa", "20260102-120000-lab1-bbbb"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course with two runs; the newer one failed two checks of three."""
    (tmp_path / "labs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    folder = tmp_path / ".dslab" / "runs"
    _run(folder / OLDER, {"test_reset": "pass"})
    _run(folder / NEWER, {"test_reset": "pass", "test_pieces": "fail", "test_pieces_of_one": "error"})
    return folder


def _run(path: Path, verdicts: dict[str, str]) -> None:
    checks = [
        {"name": name, "property": f"The property of {name}.", "verdict": verdict, "message": "[red]it broke"}
        for name, verdict in verdicts.items()
    ]
    for name, verdict in verdicts.items():
        (path / name).mkdir(parents=True)
        sent = Event(
            t_s=1, link="grader->server", kind=Kind.CHUNK, direction="forward", data=b"hello", size=5
        )
        failed = Event(t_s=2, link="", kind=Kind.CHECK, label="failed")
        lines = [sent] if verdict == "pass" else [sent, failed]
        (path / name / "trace.jsonl").write_text("".join(to_json(event) + "\n" for event in lines))
    (path / "run.json").write_text(json.dumps({"lab": "1", "seed": 99, "backend": "local", "epoch_s": 1.7e9}))
    steps = [{"id": "1.1", "checks": checks}]
    result = {"lab": "01-sockets", "score": 5, "max_score": 9, "steps": steps}
    (path / "result.json").write_text(json.dumps(result))


def test_it_lists_the_runs_newest_first(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[0] == NEWER
    assert "5 of 9" in lines[1]
    assert "pieces, pieces_of_one" in lines[1]
    assert lines[2].split()[0] == OLDER


def test_a_narrow_terminal_counts_the_failures(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["trace"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("2     ")


def test_a_run_alone_lists_its_checks(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "last"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[1:3] for line in out.splitlines()[1:4]] == [
        ["reset", "pass"],
        ["pieces", "fail"],
        ["pieces_of_one", "error"],
    ]


@pytest.mark.parametrize("key", [OLDER, OLDER[:8], "aaaa", None])
def test_a_run_has_several_names(runs: Path, key: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", key or str(runs / OLDER), "--text"]) == 0
    assert '"hello"' in capsys.readouterr().out


def test_text_draws_the_first_failure(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "last", "--text"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("The property of test_pieces.\n[red]it broke\n")
    assert "the check fails here" in out


def test_open_draws_the_picture_and_opens_it(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)  # type: ignore[func-returns-value]
    assert main(["trace", "last", "test_pieces_of_one", "--open"]) == 0
    picture = runs / NEWER / "test_pieces_of_one" / "picture.html"
    assert opened == [picture.as_uri()]
    assert capsys.readouterr().out.strip() == str(picture)
    assert "The property of test_pieces_of_one." in picture.read_text(encoding="utf-8")


def test_a_check_alone_prints_the_path_of_its_picture(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "last", "reset"]) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()


def test_any_part_of_a_name_finds_a_check(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "last", "ese"]) == 0
    assert capsys.readouterr().out.strip().endswith("test_reset/picture.html")


def test_without_a_browser_it_says_what_to_open(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    assert main(["trace", "last", "--open"]) == 2
    assert "Open this file in one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["2025"], "There is no run called '2025'"),
        (["2026"], "'2026' fits more than one run"),
        (["last", "nothing"], "There is no check in " + NEWER),
        (["last", "piece"], "'piece' fits more than one check"),
        (["last", "iece"], "Type more of one of these: pieces, pieces_of_one."),
    ],
)
def test_a_wrong_name_gets_one_clear_message(
    runs: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_run_without_failures_wants_a_check(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(runs / "20260103-120000-lab1-cccc", {"test_a": "pass", "test_b": "pass"})
    assert main(["trace", "last", "--text"]) == 2
    assert "test_a, test_b" in capsys.readouterr().err


def test_there_may_be_no_runs_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["trace"]) == 0
    assert "no runs yet" in capsys.readouterr().out
    assert main(["trace", "last"]) == 2
    assert "dslab test 1" in capsys.readouterr().err


def test_a_run_may_have_left_no_trace(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "20260104-120000-lab1-dddd").mkdir()
    (runs / "20260104-120000-lab1-dddd" / "run.json").write_text("{}")
    assert main(["trace", "dddd"]) == 0
    assert "left no trace" in capsys.readouterr().out
    assert main(["trace", "dddd", "--text"]) == 2

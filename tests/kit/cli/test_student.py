"""labs, progress, hint and reset: what a student has, has earned, was told, and can have back."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import typing
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dslab.kit.cli.clock import ago, stamp
from dslab.kit.topology import runfolder

Run = Callable[..., typing.Any]
Record = Callable[..., None]
OpenTerminal = Callable[..., typing.Any]


@pytest.fixture
def record(course: Path) -> Record:
    """Leave a run's result.json, as the grader would."""

    def leave(
        minute: int, *, submission: str = "labs/01-greeting", complete: bool = True, **earned: float
    ) -> None:
        points = {"s1_1": 60, "s1_2": 40}
        folder = course / ".dslab" / "runs" / f"2026030{1}-0000{minute:02}-lab1-abcd"
        folder.mkdir(parents=True)
        result = {
            "lab": "01-greeting",
            "submission": str(course / submission),
            "started": f"2026-03-01T00:{minute:02}:00+00:00",
            "complete": complete,
            "steps": [
                {"id": key[1:].replace("_", "."), "points": points[key], "earned": value}
                for key, value in earned.items()
            ],
        }
        (folder / "result.json").write_text(json.dumps(result))

    return leave


def test_labs(course: Path, run: Run, record: Record) -> None:
    assert course.is_dir()
    before = run("labs").out.splitlines()
    assert before[0].split() == ["Lab", "Title", "Chapter", "Time", "Points", "Yours"]
    assert before[1].split() == ["1", "Greetings", "4.3", "30", "min", "100", "-"]
    assert before[3] == "Begin with labs/01-greeting/README.md, then: dslab test 1"
    record(1, s1_1=60, s1_2=13.33)
    assert run("labs").out.splitlines()[1].split()[-1] == "73.33"


def test_progress(course: Path, run: Run, record: Record) -> None:
    assert run("progress").out.splitlines()[1].split() == [
        "01-greeting",
        "0",
        "of",
        "100",
        "none",
        "1.1",
        "never",
    ]
    record(1, s1_1=60, s1_2=0)
    row = run("progress").out.splitlines()[1]
    assert row.startswith("01-greeting  60 of 100  1.1           1.2 ")
    assert row.endswith(" ago")
    assert (course / ".dslab" / "progress.json").is_file()


def test_progress_takes_each_step_from_its_last_run(run: Run, record: Record) -> None:
    record(1, s1_1=60, s1_2=0)
    record(2, s1_2=40)
    record(3, s1_1=0, submission="solutions/01-greeting")
    record(4, s1_1=0, complete=False)
    assert "100 of 100  1.1 1.2       done" in run("progress").out
    record(5, s1_1=30)
    assert "70 of 100  1.2           1.1 " in run("progress").out


def test_progress_outlives_the_run_folders(course: Path, run: Run, record: Record) -> None:
    record(1, s1_1=60)
    run("progress")
    [folder] = (course / ".dslab" / "runs").iterdir()
    (folder / "result.json").unlink()
    assert "60 of 100" in run("progress").out


def test_progress_survives_a_half_written_result(course: Path, run: Run, record: Record) -> None:
    record(1, s1_1=60)
    [folder] = (course / ".dslab" / "runs").iterdir()
    (folder / "result.json").write_text('{"lab": ')
    assert run("progress").status == 0


def test_no_later_runs_make_progress_forget(course: Path, run: Run, record: Record) -> None:
    shutil.copy(course / "solutions" / "01-greeting" / "greeter.py", course / "labs" / "01-greeting")
    assert run("test", "1").status == 0
    shutil.rmtree(course / ".dslab" / "runs")
    assert run("progress").out.splitlines()[1].startswith("01-greeting  100 of 100")


def test_a_run_carries_over_what_earlier_ones_could_not_enter(
    course: Path, run: Run, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runfolder.prune, "__defaults__", (1,))
    record(1, s1_1=60)
    assert run("test", "1", "--step", "1.2", "--submission", "solutions/01-greeting").status == 0
    assert len(list((course / ".dslab" / "runs").iterdir())) == 1
    assert run("progress").out.splitlines()[1].startswith("01-greeting  60 of 100")


def test_a_run_that_was_interrupted_changes_nothing(
    course: Path, terminal: OpenTerminal, run: Run, record: Record
) -> None:
    record(1, s1_1=60, s1_2=20)
    solution = (course / "solutions" / "01-greeting" / "greeter.py").read_text()
    (course / "labs" / "01-greeting" / "greeter.py").write_text(
        solution.replace('return f"goodbye', 'import time; time.sleep(1000); return f"goodbye')
    )
    one = terminal("test", "1")
    one.until("2 of 2")
    one.process.send_signal(signal.SIGINT)
    assert one.end() == 130
    assert run("progress").out.splitlines()[1].startswith("01-greeting  80 of 100")


def test_runs_that_end_at_once_are_all_entered(tmp_path: Path) -> None:
    names = [f"{number:02}-lab" for number in range(1, 9)]
    program = (
        "import sys; from pathlib import Path; from dslab.kit.grader.course import Course\n"
        "from dslab.kit.grader.history import enter\n"
        "root, name = Path(sys.argv[1]), sys.argv[2]; print(flush=True); input()\n"
        "steps = [{'id': '1.1', 'earned': 1, 'points': 2}]\n"
        "enter(Course(root), dict(lab=name, submission=str(root / 'labs' / name), complete=True,\n"
        "                         started='2026-03-01T00:00:00+00:00', steps=steps))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    pipe = subprocess.PIPE
    running = [subprocess.Popen([*command, name], stdin=pipe, stdout=pipe, text=True) for name in names]
    for one in running:
        assert one.stdout
        one.stdout.readline()  # it is ready
    for one in running:
        assert one.stdin
        one.stdin.write("\n")
        one.stdin.flush()
    for one in running:
        one.communicate()
        assert one.returncode == 0
    assert sorted(json.loads((tmp_path / ".dslab" / "progress.json").read_text())) == names


DAMAGED = [
    "[]",
    '{"01-greeting": 5}',
    '{"01-greeting": null}',
    '{"01-greeting": {"1.1": "x"}}',
    '{"01-greeting": {"1.1": {"share": "1/0", "at": "2026-03-01T00:01:00+00:00"}}}',
    '{"01-greeting": {"1.1": {"share": "1", "at": "yesterday"}}}',
    '"\\ud800"',
]


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_records_are_as_if_they_were_not_there(
    text: str, course: Path, run: Run, record: Record
) -> None:
    record(1, s1_1=60)
    (course / ".dslab" / "progress.json").write_text(text)
    (course / ".dslab" / "hints.json").write_text(text)
    assert "60 of 100" in run("progress").out
    assert "60" in run("labs").out
    assert "Hint 1 of 3" in run("hint", "1.1").out


def test_folders_in_the_place_of_records_are_as_if_they_were_not_there(
    course: Path, run: Run, record: Record
) -> None:
    record(1, s1_1=60)
    for name in ("progress.json", "hints.json"):
        (course / ".dslab" / name).unlink(missing_ok=True)
        (course / ".dslab" / name).mkdir()
    assert "60 of 100" in run("progress").out
    assert "Hint 1 of 3" in run("hint", "1.1").out
    assert "Hint 2 of 3" in run("hint", "1.1").out


@pytest.mark.parametrize(
    "more",
    [
        '"steps": [{"id": "1.2", "points": "x", "earned": 40}]',
        '"steps": [{"id": "1.2", "points": 0, "earned": 40}]',
        '"steps": [{"id": "1.2", "points": null, "earned": 40}]',
        '"lab": "\\u0000"',
        '"submission": "\\u0000"',
        '"submission": "loop"',
        f'"more": {"[" * 100_000}{"]" * 100_000}',
        f'"more": {"9" * 5_000}',
    ],
    ids=lambda more: more[:30],
)
def test_progress_survives_a_result_that_is_none(course: Path, run: Run, record: Record, more: str) -> None:
    (course / "loop").symlink_to("loop")
    record(1, s1_1=60)
    record(2, s1_2=40)
    *_, newest = sorted((course / ".dslab" / "runs").glob("*/result.json"))
    newest.write_text(newest.read_text().rstrip().removesuffix("}") + f", {more}}}")
    assert "60 of 100" in run("progress").out


@pytest.mark.parametrize("earned", ["1e300", "41"])
def test_no_result_has_more_than_all_points(course: Path, run: Run, record: Record, earned: str) -> None:
    record(1, s1_1=60)
    record(2, s1_2=40)
    *_, newest = sorted((course / ".dslab" / "runs").glob("*/result.json"))
    newest.write_text(newest.read_text().replace('"earned": 40', f'"earned": {earned}'))
    assert "100 of 100" in run("progress").out
    assert "100 of 100" in run("progress").out  # as entered in the record


def test_progress_for_programs(run: Run, record: Record) -> None:
    record(1, s1_1=60)
    run("hint", "1.2")
    assert json.loads(run("progress", "--json").out) == {
        "labs": [
            {
                "lab": "01-greeting",
                "title": "Greetings",
                "points": 60,
                "max_points": 100,
                "last_run": "2026-03-01T00:01:00+00:00",
                "steps": [
                    {"id": "1.1", "title": "Say hello", "points": 60, "earned": 60, "hints_used": 0},
                    {"id": "1.2", "title": "Say goodbye", "points": 40, "earned": None, "hints_used": 1},
                ],
            }
        ]
    }


def test_a_hint_tells_more_each_time(course: Path, run: Run) -> None:
    assert run("hint", "1.1").out.splitlines() == [
        "Step 1.1, Say hello",
        "Hint 1 of 3:",
        "  Think of a word.",
        "dslab hint 1.1 tells more; 2 left.",
    ]
    run("hint", "1.1")
    third = run("hint", "1.1").out
    assert third == run("hint", "1.1").out == run("hint", "1.1", "--again").out
    assert third.splitlines()[-3:] == ["Hint 3 of 3:", "  It is hello.", "That is all there is."]
    assert "  A short one." in third
    assert json.loads((course / ".dslab" / "hints.json").read_text()) == {"01-greeting": {"1.1": 3}}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("1.9", "dslab: Lab 1 has no step '1.9'. Its steps are: 1.1, 1.2.\n"),
        ("5.1", "dslab: There is no step '5.1'. A step is written as in 1.3; the labs are: 01-greeting.\n"),
    ],
)
def test_no_such_step(step: str, message: str, course: Path, run: Run) -> None:
    assert course.is_dir()
    ran = run("hint", step)
    assert (ran.status, ran.err) == (2, message)


@pytest.mark.parametrize("name", ["", "greeter.py", "labs/01-greeting/greeter.py"])
def test_reset_keeps_a_backup(name: str, course: Path, run: Run) -> None:
    path = course / "labs" / "01-greeting" / "greeter.py"
    given = path.read_text()
    path.write_text("my own work\n")
    ran = run("reset", "1", *([name] if name else []))
    assert ran.status == 0
    [kept] = (course / ".dslab" / "backups").glob("*/01-greeting/greeter.py")
    assert kept.read_text() == "my own work\n"
    assert path.read_text() == given
    assert ran.out == f"Kept your greeter.py in {kept.parent.relative_to(course)}/\ngreeter.py is as given.\n"


def test_reset_from_skeletons_where_there_are_no_solutions(course: Path, run: Run) -> None:
    path = course / "labs" / "01-greeting" / "greeter.py"
    (course / "skeletons").mkdir()
    (course / "solutions" / "01-greeting").rename(course / "skeletons" / "01-greeting")
    (course / "skeletons" / "01-greeting" / "greeter.py").write_text("given\n")
    path.unlink()
    assert run("reset", "1").out == "greeter.py is as given.\n"
    assert path.read_text() == "given\n"


def test_nothing_to_reset(course: Path, run: Run) -> None:
    assert run("reset", "greeting").out == "Nothing to reset: greeter.py is as given.\n"
    assert not (course / ".dslab").exists()


def test_reset_of_an_unknown_file(course: Path, run: Run) -> None:
    assert course.is_dir()
    ran = run("reset", "1", "lab.toml")
    assert (ran.status, ran.err) == (
        2,
        "dslab: 'lab.toml' is none of the files that you edit here. They are: greeter.py.\n",
    )


def test_two_backups_within_a_second(course: Path, run: Run) -> None:
    path = course / "labs" / "01-greeting" / "greeter.py"
    for text in ("one", "two", "three"):
        path.write_text(text)
        run("reset", "1")
    kept = sorted(one.read_text() for one in (course / ".dslab" / "backups").glob("*/01-greeting/greeter.py"))
    assert kept == ["one", "three", "two"]


def test_times_for_people() -> None:
    now = datetime(2026, 3, 1, 14, 15, 30, tzinfo=UTC)
    gaps = [
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(hours=30),
        timedelta(hours=5),
        -timedelta(hours=1),
    ]
    assert [ago(now - gap, now) for gap in gaps] == [
        "just now",
        "5 min ago",
        "1 d ago",
        "5 h ago",
        "just now",
    ]
    assert len(stamp(now)) == len("2026-03-01T141530")

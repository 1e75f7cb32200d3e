"""Every verdict, in a run of a tiny lab."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from html import unescape
from pathlib import Path

import jsonschema
import pytest

import dslab.kit.grader
from dslab.kit.errors import ConfigError, KitError
from dslab.kit.grader import run
from dslab.kit.grader.course import Course
from dslab.kit.grader.progress import Watcher
from dslab.kit.grader.request import make_request
from dslab.kit.grader.run import grade
from dslab.kit.grader.verdict import CheckResult, RunResult, Verdict

Grade = Callable[..., RunResult]
Write = Callable[[str], None]

SCHEMA = json.loads((Path(dslab.kit.grader.__file__).parent / "result.schema.json").read_text())


def check(result: RunResult, name: str) -> CheckResult:
    return next(check for check in result.checks if check.name == name)


def test_full_marks(lab: Path, grade_lab: Grade) -> None:
    result = grade_lab()
    assert [found.verdict for found in result.checks] == [Verdict.PASS] * 3
    assert result.score == result.max_score == 100
    assert result.exit_status == 0
    assert result.complete


def test_failed_comparison_shows_both_sides(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1")
        def test_wrong(topology):
            """It echoes."""
            assert ask(topology, b"Hello") == b"Hello"
    ''')
    found = check(grade_lab(), "test_wrong")
    assert found.verdict is Verdict.FAIL
    assert found.message == "1 byte too much came back."
    assert (found.actual, found.expected) == ('"Hello*" (6 bytes)', '"Hello" (5 bytes)')
    assert found.sent == '"Hello" (5 bytes)'
    assert found.hint == "1.1"
    assert found.repeat == "dslab test 1 --seed 7 --step 1.1"
    assert found.trace == "test_wrong/picture.html"


def test_long_values_are_compared_in_no_time_on_ci_too(
    write_checks: Write, grade_lab: Grade, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There pytest shows whole diffs. Of these two that takes hours, and a check's last resort would come."""
    monkeypatch.setenv("CI", "true")
    write_checks('''
        @step("1.1", starts=(), timeout_s=20)
        def test_film(rng):
            """It is the film."""
            film, other = rng.randbytes(500_000), rng.randbytes(500_000)
            assert film == other
    ''')
    found = check(grade_lab(), "test_film")
    assert (found.verdict, found.message) == (Verdict.FAIL, "Byte 0 differs.")


def test_last_resort_where_no_line_of_the_source_is_running(write_checks: Write, grade_lab: Grade) -> None:
    """An alarm may find the program at an instruction of no line: here there are no others.

    In a code object's table of lines, 0xFF says so of the next eight code units.
    """
    write_checks('''
        def wait():
            while True:
                pass

        wait.__code__ = wait.__code__.replace(co_linetable=b"\\xff" * len(wait.__code__.co_code))

        @step("1.1", starts=(), timeout_s=0.3)
        def test_alone():
            """It ends."""
            wait()

        @step("1.3", starts=(), timeout_s=2)
        def test_on_the_way_to_another_exception():
            """It ends. Its time suffices to begin, though it may lose its turn."""
            try:
                wait()
            finally:
                raise KitError("That, too.")
    ''')
    result = grade_lab()
    assert result.complete
    found = check(result, "test_alone")
    assert (found.verdict, found.message) == (
        Verdict.ERROR,
        "The check still ran after its last resort of 0.3 s.",
    )
    found = check(result, "test_on_the_way_to_another_exception")
    assert (found.verdict, found.message) == (Verdict.ERROR, "That, too.")


def test_picture_says_what_was_sent_expected_received_and_written_to_stderr(
    lab: Path, write_checks: Write, grade_lab: Grade
) -> None:
    write_checks('''
        @step("1.1")
        def test_wrong(topology):
            """It echoes."""
            assert ask(topology, b"Hello") == b"World"
    ''')
    server = (lab / "server.py").read_text()
    (lab / "server.py").write_text(
        server.replace("import ", "import sys; print('up', file=sys.stderr); import ")
    )
    found = check(grade_lab(), "test_wrong")
    (picture,) = (lab.parent.parent / ".dslab" / "runs").glob(f"*/{found.trace}")
    drawn = re.sub(r"<[^>]+>", "", unescape(picture.read_text(encoding="utf-8")))
    for told in (found.sent, found.expected, found.actual, found.stderr):
        assert told
        assert told in drawn


def test_own_words_of_the_check(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1", starts=())
        def test_words():
            """Words."""
            sent(b"what it says")
            assert not True, "The server did not close"
    ''')
    found = check(grade_lab(), "test_words")
    assert (found.verdict, found.message) == (Verdict.FAIL, "The server did not close")
    assert found.sent == '"what it says" (12 bytes)'
    assert found.actual == ""


def test_condition_without_words_is_shown_as_it_stands(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1", starts=())
        def test_condition():
            """Words."""
            closed = False
            assert closed
    ''')
    assert check(grade_lab(), "test_condition").message == "This does not hold: closed"


def test_comparison_that_was_survived_is_not_told(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1", starts=())
        def test_survived():
            """Words."""
            with pytest.raises(AssertionError):
                assert 1 == 2
            raise PeerSilent("It said nothing for 5 s.")
    ''')
    found = check(grade_lab(), "test_survived")
    assert (found.message, found.actual, found.detail) == ("It said nothing for 5 s.", "", "")


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("assert 1 == 2", Verdict.FAIL),
        ("pytest.fail('no')", Verdict.FAIL),
        ("raise PeerClosed('It closed the connection.')", Verdict.FAIL),
        ("raise ExceptionGroup('two', [AssertionError('a'), PeerSilent('b')])", Verdict.FAIL),
        ("raise ExceptionGroup('two', [AssertionError('a'), ValueError('b')])", Verdict.ERROR),
        ("raise RuntimeError('broken check')", Verdict.ERROR),
        ("raise KitError('broken kit')", Verdict.ERROR),
        ("raise SystemExit(0)", Verdict.ERROR),
        ("time.sleep(30)", Verdict.ERROR),
        ("pytest.skip('not here')", Verdict.SKIPPED),
    ],
)
def test_verdicts(write_checks: Write, grade_lab: Grade, line: str, verdict: Verdict) -> None:
    last_resort_s = 0.3 if "sleep" in line else 60  # who decides at once may lose its turn for a while
    write_checks(f'''
        @step("1.3", starts=(), timeout_s={last_resort_s})
        def test_one():
            """One."""
            {line}
    ''')
    result = grade_lab()
    assert check(result, "test_one").verdict is verdict
    assert result.exit_status == (3 if verdict is Verdict.ERROR else 1)
    assert result.undecided == (0 if verdict is Verdict.FAIL else 70)


def test_timeout_that_a_check_tries_to_swallow(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.3", starts=(), timeout_s=0.3)
        def test_stubborn():
            """One."""
            try:
                time.sleep(30)
            except Exception:
                pass
    ''')
    found = check(grade_lab(), "test_stubborn")
    assert (found.verdict, found.message) == (
        Verdict.ERROR,
        "The check still ran after its last resort of 0.3 s.",
    )


def test_assertion_inside_dslab_is_an_error(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        from types import SimpleNamespace
        from dslab.kit.topology.runfolder import RunFolder

        @step("1.3", starts=())
        def test_ours():
            """One."""
            # What it shares is of the wrong kind; an assertion in dslab says so.
            RunFolder.shared(SimpleNamespace(_shared={int: SimpleNamespace(alive=True)}), int, None)
    ''')
    found = check(grade_lab(), "test_ours")
    assert found.verdict is Verdict.ERROR
    assert "AssertionError" in found.detail


def test_exception_in_a_thread_of_the_check_is_an_error(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        import threading

        @step("1.3", starts=())
        def test_thread():
            """One."""
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
    ''')
    assert check(grade_lab(), "test_thread").verdict is Verdict.ERROR


def test_teardown_that_breaks_makes_a_pass_an_error(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @pytest.fixture
        def breaks():
            yield
            raise OSError("teardown")

        @step("1.3", starts=())
        def test_teardown(breaks):
            """One."""
    ''')
    assert check(grade_lab(), "test_teardown").verdict is Verdict.ERROR


def test_server_that_cannot_start_is_a_fail_with_its_last_words(lab: Path, grade_lab: Grade) -> None:
    (lab / "server.py").write_text(
        'def serve():\n    raise NotImplementedError("lab 1, step 1.1")\n\n\nserve()\n'
    )
    result = grade_lab()
    found = check(result, "test_answer")
    assert found.verdict is Verdict.FAIL
    assert found.message == (
        "Not written yet: server raised NotImplementedError: lab 1, step 1.1 (server.py, line 2)."
    )
    assert found.stderr.endswith("NotImplementedError: lab 1, step 1.1")
    assert str(lab) not in found.stderr
    assert result.score == 70


def test_import_that_fails_is_told_once_with_a_short_path(lab: Path, grade_lab: Grade) -> None:
    (lab / "framing.py").write_text("")
    (lab / "server.py").write_text("from framing import frame\n")
    found = check(grade_lab(), "test_answer")
    raised = "ImportError: cannot import name 'frame' from 'framing' (framing.py)"
    assert found.message.count("ImportError") == 1
    assert f"{raised} (server.py, line 1)" in found.message
    assert found.stderr.endswith(raised)


def test_syntax_error_is_told_once(lab: Path, grade_lab: Grade) -> None:
    (lab / "server.py").write_text("def serve(:\n    pass\n")
    result = grade_lab()
    assert result.notes == ("server.py, line 1: SyntaxError: invalid syntax",)
    assert "(server.py, line 1)" in check(result, "test_answer").message


SURVIVED = """\
try:
    1 / 0
except ZeroDivisionError:
    traceback.print_exc()
"""


@pytest.mark.parametrize("end", ["sys.exit('for another reason')", "sys.exit(3) if again else 1 / 0"])
def test_what_did_not_end_a_program_is_not_named(
    end: str, lab: Path, write_checks: Write, grade_lab: Grade
) -> None:
    """It was caught, or raised in an earlier life of the program in the same check."""
    (lab / "server.py").write_text(
        "import os, sys, traceback\nagain = os.path.exists(os.environ['HOME'] + '/again')\n"
        f"open(os.environ['HOME'] + '/again', 'w').close()\n{SURVIVED if 'another' in end else ''}{end}\n"
    )
    write_checks('''
        @step("1.1", starts=())
        def test_ends(topology):
            """It ends well."""
            server = topology["server"]
            for _ in range(2):
                server.launch()
                status = server.wait()
            assert status == 0, f"server ended with exit status {status}."
    ''')
    found = check(grade_lab(), "test_ends")
    assert found.message == f"server ended with exit status {1 if 'another' in end else 3}."
    assert ("ZeroDivisionError" in found.stderr) == ("another" in end)


def test_server_that_breaks_in_the_middle_is_named(lab: Path, write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        from dslab.kit.errors import PeerClosed

        @step("1.1")
        def test_breaks(topology):
            """It answers."""
            address = topology["server"].address()
            with socket.create_connection(address.pair, timeout=5) as connection:
                connection.sendall(b"x")
                if not connection.recv(1024):
                    raise PeerClosed(f"{address} closed the connection.")
    ''')
    (lab / "server.py").write_text((lab / "server.py").read_text().replace("sendall(piece", "sendall(peace"))
    found = check(grade_lab(), "test_breaks")
    assert found.message == (
        "server closed the connection. "
        "server raised NameError: name 'peace' is not defined. Did you mean: 'piece'? (server.py, line 9)."
    )


def test_server_that_is_slow_to_say_why_it_hung_up_is_waited_for(
    lab: Path, write_checks: Write, grade_lab: Grade
) -> None:
    write_checks('''
        @step("1.1")
        def test_breaks(topology):
            """It answers."""
            with socket.create_connection(topology["server"].address().pair, timeout=5) as connection:
                connection.sendall(b"x")
                if not connection.recv(1024):
                    raise PeerClosed("It closed the connection.")
    ''')
    slow = "connection.close(); import time; time.sleep(0.6); raise ValueError('too late')"
    (lab / "server.py").write_text(
        (lab / "server.py").read_text().replace('connection.sendall(piece + b"*")', slow)
    )
    assert "server raised ValueError: too late" in check(grade_lab(), "test_breaks").message


def test_fault_that_never_fires_is_an_error(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1")
        def test_idle(topology):
            """It answers."""
            topology.link("grader", "server").delay(s=0.1)
    ''')
    found = check(grade_lab(), "test_idle")
    assert found.verdict is Verdict.ERROR
    assert "never fired" in found.message


def test_fault_that_fires_is_none(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1")
        def test_busy(topology):
            """It answers."""
            topology.link("grader", "server").delay(s=0.01)
            assert ask(topology, b"x") == b"x*"
    ''')
    assert check(grade_lab(), "test_busy").verdict is Verdict.PASS


def test_failed_check_with_an_idle_fault_stays_failed(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1")
        def test_idle(topology):
            """It answers."""
            topology.link("grader", "server").delay(s=0.1)
            assert False
    ''')
    assert check(grade_lab(), "test_idle").verdict is Verdict.FAIL


def test_steps_that_need_a_failed_one_are_skipped(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.2", starts=())
        def test_second():
            """Second."""

        @step("1.1", starts=())
        def test_first():
            """First."""
            assert False
    ''')
    result = grade_lab()
    assert [found.name for found in result.checks] == ["test_first", "test_second", "test_filler_1_3"]
    skipped = check(result, "test_second")
    assert (skipped.verdict, skipped.message) == (Verdict.SKIPPED, "It needs step 1.1, which did not pass.")
    assert result.score == 70
    assert result.undecided == 0
    assert result.exit_status == 1


def test_steps_that_need_a_broken_one_are_undecided(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1", starts=())
        def test_first():
            """First."""
            raise OSError("the machine")
    ''')
    result = grade_lab()
    assert check(result, "test_filler_1_2").message == "It needs step 1.1, which could not be decided."
    assert result.undecided == 30
    assert result.exit_status == 3


def test_one_step_and_what_it_needs(grade_lab: Grade) -> None:
    result = grade_lab(step=["1.2"])
    assert [step.id for step in result.steps] == ["1.1", "1.2"]
    assert result.score == result.max_score == 30
    assert result.exit_status == 0


def test_points_are_shared_exactly(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1", starts=())
        @pytest.mark.parametrize("n", [1, 2, 3])
        def test_third(n):
            """A third."""
    ''')
    result = grade_lab()
    assert [found.points for found in result.checks][:3] == [Fraction(20, 3)] * 3
    assert [found.statement for found in result.checks][:2] == ["A third. [1]", "A third. [2]"]
    assert result.score == 100


def test_equal_seeds_give_equal_payloads(lab: Path, write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.3", starts=())
        def test_payload(rng, seed):
            """One."""
            sent(rng.randbytes(4))
            assert seed == 0
    ''')
    first, again, other = (check(grade_lab(seed=seed), "test_payload").sent for seed in (7, 7, 8))
    assert first == again != other


def test_equal_seeds_give_equal_results(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1")
        def test_wrong(topology, rng):
            """It echoes."""
            message = rng.randbytes(200)
            assert ask(topology, message) == message
    ''')

    def timeless(result: RunResult) -> object:
        found = result.to_json()
        for one in [found, *(check for step in found["steps"] for check in step["checks"])]:
            one.pop("duration_s")
            one.pop("started", None)
        return found

    assert timeless(grade_lab()) == timeless(grade_lab())


def test_result_is_valid_after_every_check(lab: Path, write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1", starts=())
        def test_first():
            """First."""
            assert 1 == 2
    ''')
    seen: list[tuple[bool, float]] = []

    class Reader(Watcher):
        folder = Path()

        def begun(self, request: object, folder: Path, plan: RunResult) -> None:
            self.folder = folder
            self.read()

        def check_ended(self, check: object, result: CheckResult) -> None:
            self.read()

        def read(self) -> None:
            found = json.loads((self.folder / "result.json").read_text())
            jsonschema.validate(found, SCHEMA)
            seen.append((found["complete"], found["score"]))

    grade_lab(Reader())
    assert seen == [(False, 0), (False, 0), (False, 0), (True, 70)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('@step("9.9", starts=())\ndef test_x():\n    """X."""\n', "has no such step"),
        ('def test_x():\n    """X."""\n', "belongs to no step"),
        ('@step("1.1", starts=())\ndef test_x():\n    pass\n', "has no docstring"),
    ],
)
def test_checks_that_are_wrong(write_checks: Write, grade_lab: Grade, text: str, message: str) -> None:
    write_checks(text)
    with pytest.raises(ConfigError, match=message):
        grade_lab()


def test_step_without_a_check(lab: Path, grade_lab: Grade) -> None:
    (lab / "test_tiny.py").write_text("")
    with pytest.raises(ConfigError, match=r"step 1\.1 has no check"):
        grade_lab()


def test_checks_that_cannot_be_loaded(lab: Path, grade_lab: Grade) -> None:
    (lab / "test_tiny.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(KitError, match="the checks cannot be loaded: ModuleNotFoundError"):
        grade_lab()


def test_picture_that_cannot_be_drawn_takes_no_points(
    write_checks: Write, grade_lab: Grade, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checks('''
        @step("1.1")
        def test_wrong(topology):
            """It echoes."""
            assert ask(topology, b"Hello") == b"Hello"
    ''')
    monkeypatch.setattr("dslab.kit.trace.diagram.render", None)
    result = grade_lab()
    assert check(result, "test_wrong").verdict is Verdict.FAIL
    assert check(result, "test_wrong").trace == ""
    assert result.notes == ("A report is incomplete: TypeError: 'NoneType' object is not callable.",)


def test_private_checks_from_outside(tmp_path: Path, lab: Path, grade_lab: Grade) -> None:
    private = tmp_path / "private"
    private.mkdir()
    text = '@step("1.1", starts=())\ndef test_secret(rng):\n    """Secret."""\n'
    (private / "test_secret.py").write_text(f"from dslab.kit.grader import step\n\n{text}")
    result = grade_lab(checks=private)
    assert [found.name for found in result.checks if found.private] == ["test_secret"]
    assert check(result, "test_answer").points == 10


SECRET = """
from dslab.kit.grader import step

@step("1.1", starts=())
def test_secret():
    \"""Secret.\"""
    assert {what}
"""


@pytest.mark.parametrize(
    "came_back", ["10**5000", "functools.reduce(lambda inner, _: [inner], range(5000), [])"]
)
def test_answer_that_cannot_be_written_is_a_failure(
    write_checks: Write, grade_lab: Grade, came_back: str
) -> None:
    write_checks(f'''
        import functools

        @step("1.1", starts=())
        def test_odd():
            """It answers with one."""
            assert {came_back} == 1
    ''')
    failed = check(grade_lab(), "test_odd")
    assert (failed.verdict, failed.message) == (Verdict.FAIL, "Another value came back.")
    assert re.fullmatch("a value of type (int|list) .* written", failed.actual)


def test_exception_that_cannot_be_written_ends_its_check_alone(write_checks: Write, grade_lab: Grade) -> None:
    write_checks('''
        @step("1.1", starts=())
        def test_key():
            """It is known."""
            {}[10**5000]

        @step("1.3", starts=())
        def test_words():
            """It is so."""
            raise AssertionError(10**5000)
    ''')
    result = grade_lab()
    assert result.complete
    broken, wrong = check(result, "test_key"), check(result, "test_words")
    assert (broken.verdict, wrong.verdict) == (Verdict.ERROR, Verdict.FAIL)
    assert re.fullmatch("KeyError: a value of type KeyError .* written", broken.message)


def test_private_checks_of_one_name_in_two_files(tmp_path: Path, grade_lab: Grade) -> None:
    (tmp_path / "test_a.py").write_text(SECRET.format(what=False))
    (tmp_path / "test_b.py").write_text(SECRET.format(what=True))
    result = grade_lab(checks=tmp_path)
    verdicts = [found.verdict for found in result.checks if found.private]
    assert verdicts == [Verdict.FAIL, Verdict.PASS]
    assert result.steps[0].earned == Fraction(40, 3)


def test_private_checks_by_a_roundabout_path_stay_private(tmp_path: Path, grade_lab: Grade) -> None:
    (tmp_path / "test_a.py").write_text(SECRET.format(what=True))
    result = grade_lab(checks=tmp_path / "course" / ".." / "test_a.py")
    assert [found.name for found in result.checks if found.private] == ["test_secret"]


def test_private_checks_that_are_the_labs_own_run_once(
    lab: Path, write_checks: Write, grade_lab: Grade
) -> None:
    write_checks(f'''
        @step("1.1", starts=())
        def test_count():
            """It counts."""
            with open({str(lab / "count")!r}, "a") as count:
                count.write("x")
    ''')
    grade_lab(checks=lab)
    assert (lab / "count").read_text() == "x"


def test_private_file_without_a_check_is_refused(tmp_path: Path, grade_lab: Grade) -> None:
    (tmp_path / "test_a.py").write_text(SECRET.format(what=True))
    (tmp_path / "test_b.py").write_text(SECRET.format(what=True).replace("test_", "tset_"))
    with pytest.raises(ConfigError, match=r"test_b\.py: has no check"):
        grade_lab(checks=tmp_path)


def test_private_check_of_no_step_is_named(tmp_path: Path, grade_lab: Grade) -> None:
    where = tmp_path / "test_a.py"
    where.write_text("class TestIt:\n    def test_x(self):\n        pass\n")
    with pytest.raises(ConfigError, match=re.escape(f"{where}::TestIt::test_x: belongs to no step")):
        grade_lab(checks=where)


@pytest.mark.parametrize("name", ["a course [2]", "a::course"])
def test_folders_whose_names_mean_something_to_pytest(tmp_path: Path, lab: Path, name: str) -> None:
    folder = (lab.parent.parent.rename(tmp_path / name)) / "labs" / "01-tiny"
    (tmp_path / name / "test_a.py").write_text(SECRET.format(what=True))
    course = Course(tmp_path / name)
    request = make_request(folder, course=course, checks=tmp_path / name)
    assert [found.verdict for found in grade(request).checks] == [Verdict.PASS] * 4


def test_run_that_pytest_does_not_begin(grade_lab: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_arguments", lambda request: ["--no-such-option"])
    with pytest.raises(KitError, match="never began: pytest ended with status 4"):
        grade_lab()


def test_working_folders_of_passed_checks_go(lab: Path, grade_lab: Grade) -> None:
    grade_lab()
    (run,) = (lab.parent.parent / ".dslab" / "runs").iterdir()
    assert (run / "test_answer" / "trace.jsonl").exists()
    assert not (run / "test_answer" / "work").exists()


def test_working_folders_stay_if_asked(lab: Path, grade_lab: Grade) -> None:
    grade_lab(keep=True)
    (run,) = (lab.parent.parent / ".dslab" / "runs").iterdir()
    assert (run / "test_answer" / "work" / "server.py").exists()


def test_course_of_the_fixture(lab: Path) -> None:
    assert Course(lab.parent.parent).lab_names == ("01-tiny",)

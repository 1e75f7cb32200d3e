"""Every lab, in the labs folder, keeps what a lab promises.

The skeleton starts, fails each step by NotImplementedError and earns nothing. The solution and the
alternative earn everything, on both backends. Each wrong submission loses the checks that its first line
names, and shows what its golden file has; each cheat earns nothing. The rubric, the checks, the handout and
the files belong together.

All that is graded here is graded as a student does it: ``dslab test`` as a program, result.json read back.
"""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dslab.kit.authoring import golden
from dslab.kit.authoring.skeleton import make_skeleton
from dslab.kit.grader.course import Course, Lab, load_lab

ROOT = Path(__file__).parent.parent
COURSE = Course(ROOT)
LABS = {lab.name: lab for lab in COURSE.labs()}
HEADINGS = (
    "You will be able to",
    "Before you begin",
    "Run it",
    "Checkpoint",
    "Questions",
    "Going further",
)
RUN_TIMEOUT_S = 900
# On a quiet machine 0.1 s: nothing waits for a program that has already given up.
SKELETON_S_PER_CHECK = 6
DOCKER = "no Docker engine answers here; .ci/run starts one"


def solutions(lab: Lab) -> Path:
    """Where a lab's solution, its alternative and its wrong submissions are."""
    return ROOT / "solutions" / lab.name


# What the lab consists of


@dataclass(frozen=True)
class Wrong:
    """A wrong submission: one file, and what its first lines say of it."""

    path: Path
    caught_by: tuple[str, ...]
    replaces: str
    by_chance: bool
    """What it answers, or says in the end, depends on how its input was cut, or on who was faster."""

    @classmethod
    def read(cls, path: Path) -> Wrong:
        text = path.read_text(encoding="utf-8")
        first, second, third = text.splitlines()[:3]
        caught_by = re.fullmatch(r"# caught by: (.+)", first)
        replaces = re.fullmatch(r"# replaces: (\S+)", second)
        assert caught_by, f"{path}: line 1 says which checks catch it: '# caught by: test_...'"
        assert replaces, f"{path}: line 2 says which file it replaces: '# replaces: ...'"
        assert re.match(r"# \S", third), f"{path}: line 3 says why somebody writes it so"
        return cls(path, tuple(caught_by[1].split(", ")), replaces[1], "\n# Answers by chance:" in text)


def wrongs(lab: Lab, folder: str = "wrong") -> list[Wrong]:
    return [Wrong.read(path) for path in sorted((solutions(lab) / folder).glob("*.py"))]


def checks(lab: Lab) -> dict[str, ast.FunctionDef]:
    """The check functions of a lab, by name."""
    found = {}
    for path in lab.checks:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert node.name not in found, f"{path}: two checks are called {node.name}"
                found[node.name] = node
    return found


def steps_of(check: ast.FunctionDef) -> list[str]:
    """The steps that a check says it belongs to."""
    calls = [one for one in check.decorator_list if isinstance(one, ast.Call)]
    return [
        ast.literal_eval(call.args[0])
        for call in calls
        if getattr(call.func, "id", "") == "step" and call.args
    ]


PER_LAB = pytest.mark.parametrize("lab", LABS.values(), ids=LABS)


@PER_LAB
def test_every_check_belongs_to_one_step(lab: Lab) -> None:
    for name, check in checks(lab).items():
        assert len(steps_of(check)) == 1, f"{name} belongs to one step"
        assert steps_of(check)[0] in {step.id for step in lab.rubric.steps}, (
            f"{name} belongs to no step of the lab"
        )


@PER_LAB
def test_every_check_says_one_property(lab: Lab) -> None:
    for name, check in checks(lab).items():
        sentence = ast.get_docstring(check) or ""
        assert re.fullmatch(r"[A-Z][^\n]*\.", sentence), (
            f"{name}: its docstring is the sentence that a student reads"
        )


@PER_LAB
def test_every_step_is_complete(lab: Lab) -> None:
    step_of = {name: steps_of(check)[0] for name, check in checks(lab).items()}
    caught = [{step_of[name] for name in wrong.caught_by} for wrong in wrongs(lab)]
    for step in lab.rubric.steps:
        assert step.id in step_of.values(), f"step {step.id} has a check"
        assert len(step.hints) == 3, f"step {step.id} has three hints"
        assert sum(step.id in steps for steps in caught) >= 2, f"step {step.id} has two wrong submissions"
    assert lab.rubric.max_score == 100
    assert len(wrongs(lab)) >= 10


@PER_LAB
def test_every_check_catches_something(lab: Lab) -> None:
    caught = {name for wrong in wrongs(lab) for name in wrong.caught_by}
    assert caught == set(checks(lab))


@PER_LAB
def test_nothing_is_unlisted(lab: Lab) -> None:
    files = set(lab.rubric.files)
    assert {path.name for path in solutions(lab).glob("*.py")} == files
    provided = {path.name for path in lab.folder.glob("*.py")} - files - {path.name for path in lab.checks}
    services = lab.compose.read_text(encoding="utf-8")
    assert all(name in services for name in provided), (
        "what is neither filled in nor a check is run by a service"
    )
    assert files <= {path.name for path in lab.folder.glob("*.py")}
    for wrong in wrongs(lab):
        assert wrong.replaces in files


@PER_LAB
def test_handout_has_its_headings(lab: Lab) -> None:
    text = re.sub(
        r"^```.*?^```", "", (lab.folder / "README.md").read_text(encoding="utf-8"), flags=re.M | re.S
    )
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    steps = [heading for heading in headings if heading.startswith("Step ")]
    assert tuple(heading for heading in headings if heading not in steps) == HEADINGS
    assert headings[2 : 2 + len(steps)] == steps, "the steps stand after 'Before you begin'"
    for step, heading in zip(lab.rubric.steps, steps, strict=True):
        assert heading == f"Step {step.id}: {step.title} ({step.points} points)"


@PER_LAB
def test_handout_names_every_file_and_service(lab: Lab) -> None:
    text = (lab.folder / "README.md").read_text(encoding="utf-8")
    for name in lab.rubric.files:
        assert f"`{name}`" in text


# What it is worth


@dataclass(frozen=True)
class Graded:
    """What a run of ``dslab test`` left: its exit status, what it printed, and result.json."""

    status: int
    printed: str
    result: dict[str, Any]

    @property
    def checks(self) -> list[dict[str, Any]]:
        return [check for step in self.result["steps"] for check in step["checks"]]

    def named(self, *verdicts: str) -> set[str]:
        return {check["name"] for check in self.checks if check["verdict"] in verdicts}

    def __str__(self) -> str:
        wanted = ("name", "verdict", "message", "sent", "expected", "actual", "detail", "stderr")
        failed = [{key: check[key] for key in wanted} for check in self.checks if check["verdict"] != "pass"]
        return f"exit status {self.status}\n{self.printed}\n{json.dumps(failed, indent=2)}"


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run it in the course's folder, with the environment's own `dslab`, `make` and `python` first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )


def grade(lab: Lab, submission: Path, report: Path, *options: str) -> Graded:
    command = [sys.executable, "-m", "dslab", "test", lab.name, "--submission", str(submission)]
    return grade_by([*command, *options], report)


def grade_by(command: list[str], report: Path) -> Graded:
    done = run([*command, "--report", str(report)])
    result = json.loads((report / "result.json").read_text(encoding="utf-8"))
    return Graded(done.returncode, done.stdout + done.stderr, result)


def lay_over(base: Path, lab: Lab, wrong: Wrong, folder: Path) -> Path:
    """A submission: the student's files as in `base`, but for the one that is replaced."""
    folder.mkdir()
    for name in lab.rubric.files:
        shutil.copy(base / name, folder / name)
    target = folder / wrong.replaces
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(wrong.path, target)
    return folder


def skeleton(lab: Lab, folder: Path) -> Path:
    """The files as a student gets them, whatever somebody has made of those in labs/."""
    folder.mkdir()
    for name in lab.rubric.files:
        path = solutions(lab) / name
        (folder / name).write_bytes(make_skeleton(path.read_bytes(), str(path)))
    return folder


@functools.cache
def docker_answers() -> bool:
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@pytest.fixture(params=["local", "docker"])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "docker" and not docker_answers():
        pytest.skip(DOCKER)
    return str(request.param)


def handout_commands(lab: Lab) -> list[str]:
    """Every command in the handout: a line ``$ ...`` in a console block."""
    blocks = re.findall(
        r"^```console\n(.*?)^```", (lab.folder / "README.md").read_text(encoding="utf-8"), re.M | re.S
    )
    return [
        line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")
    ]


def grades_the_solution(lab: Lab) -> str:
    """How a handout has the solution graded. It takes a whole run, so that one test is about it, not two."""
    return f"dslab test {lab.number} --submission solutions/{lab.name}"


@PER_LAB
@pytest.mark.parametrize("folder", [".", "alternative"], ids=["solution", "alternative"])
@pytest.mark.timeout(RUN_TIMEOUT_S + 10)
def test_a_right_submission_earns_everything(lab: Lab, folder: str, backend: str, tmp_path: Path) -> None:
    command = grades_the_solution(lab)
    if (folder, backend) == (".", "local") and command in handout_commands(lab):
        done = grade_by(shlex.split(command), tmp_path / "report")
        assert "dslab/kit" not in done.printed, "no traceback of ours"
    else:
        done = grade(lab, solutions(lab) / folder, tmp_path / "report", "--backend", backend)
    assert done.result["backend"] == backend, str(done)
    assert done.result["score"] == done.result["max_score"] == 100, str(done)
    assert done.status == 0, str(done)


@PER_LAB
@pytest.mark.timeout(RUN_TIMEOUT_S + 10)
def test_the_skeleton_earns_nothing(lab: Lab, backend: str, tmp_path: Path) -> None:
    submission = skeleton(lab, tmp_path / "skeleton")
    graded = grade(lab, submission, tmp_path / "report", "--backend", backend)
    assert graded.result["score"] == 0, str(graded)
    assert graded.status == 1, str(graded)
    for check in graded.checks:
        assert check["verdict"] in {"fail", "skipped"}, str(graded)
        if check["verdict"] == "fail":
            assert "NotImplementedError" in check["message"] + check["stderr"], check
    for step in graded.result["steps"]:
        assert "fail" in {check["verdict"] for check in step["checks"]}, str(graded)
    if backend == "local":  # containers take longer, however little there is to do
        assert graded.result["duration_s"] < SKELETON_S_PER_CHECK * len(graded.checks)


def submissions(folder: str) -> list[Any]:
    pairs = [(lab, wrong) for lab in LABS.values() for wrong in wrongs(lab, folder)]
    return [pytest.param(lab, wrong, id=f"{lab.name}-{wrong.path.stem}") for lab, wrong in pairs]


@pytest.mark.parametrize(("lab", "wrong"), submissions("wrong"))
@pytest.mark.timeout(2 * RUN_TIMEOUT_S + 10)
def test_a_wrong_submission_loses_its_checks(
    lab: Lab, wrong: Wrong, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Run are the steps of these checks. Whether it loses others, too, is for ``dslab prove`` to see."""
    submission = lay_over(solutions(lab), lab, wrong, tmp_path / "wrong")
    path = solutions(lab) / "golden" / f"{wrong.path.stem}.txt"
    shown = shown_when_it_loses_its_checks(lab, wrong, submission, tmp_path / "report")
    if pytestconfig.getoption("--record-golden"):
        golden.record(path, shown)
    assert not golden.difference(path, shown), golden.difference(path, shown)


def shown_when_it_loses_its_checks(lab: Lab, wrong: Wrong, submission: Path, report: Path) -> str:
    """Grade it, with the seed of the golden files; what the terminal shows, without what always differs."""
    all_checks = checks(lab)
    steps = sorted({step for name in wrong.caught_by for step in steps_of(all_checks[name])})
    options = [word for step in steps for word in ("--step", step)]
    graded = grade(lab, submission, report, "--seed", str(golden.GOLDEN_SEED), *options)
    assert graded.named("fail") == set(wrong.caught_by), str(graded)
    assert not graded.named("error"), str(graded)
    assert graded.status == 1, str(graded)
    return golden.normalised(graded.printed, submission, by_chance=wrong.by_chance)


@pytest.mark.parametrize(("lab", "wrong"), submissions("wrong/cheats"))
@pytest.mark.timeout(RUN_TIMEOUT_S + 10)
def test_a_cheat_earns_nothing(lab: Lab, wrong: Wrong, tmp_path: Path) -> None:
    base = skeleton(lab, tmp_path / "skeleton")
    graded = grade(lab, lay_over(base, lab, wrong, tmp_path / "cheat"), tmp_path / "report")
    (ROOT / "result.json").unlink(missing_ok=True)  # some write their marks wherever somebody might look
    assert graded.result["score"] == 0, str(graded)
    assert graded.status != 0, str(graded)
    assert not graded.named("pass"), str(graded)
    if wrong.caught_by != ("everything",):
        assert set(wrong.caught_by) <= graded.named("fail", "error"), str(graded)


HANDOUT = [
    pytest.param(lab, one, id=f"{name}: {one}")
    for name, lab in LABS.items()
    for one in handout_commands(lab)
    if one != grades_the_solution(lab)  # test_a_right_submission_earns_everything runs it
]


@pytest.mark.parametrize(("lab", "command"), HANDOUT)
@pytest.mark.timeout(RUN_TIMEOUT_S + 10)
def test_a_command_of_the_handout_works(lab: Lab, command: str) -> None:
    done = run(["sh", "-c", command])
    grades_the_skeleton = re.match(r"(make lab-|dslab test )", command) and "--submission" not in command
    # make has 2 for whatever went wrong in what it ran
    expected = (2 if command.startswith("make") else 1) if grades_the_skeleton else 0
    assert done.returncode == expected, done.stdout + done.stderr
    assert "dslab/kit" not in done.stdout + done.stderr, "no traceback of ours"


def test_there_is_a_lab() -> None:
    assert "01-sockets" in LABS
    assert load_lab(ROOT / "labs" / "01-sockets").number == 1

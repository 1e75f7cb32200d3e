"""Runs that end too early leave valid files with what was earned, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as Xml

import jsonschema

import dslab.kit.grader

Write = Callable[[str], None]
SCHEMA = json.loads((Path(dslab.kit.grader.__file__).parent / "result.schema.json").read_text())
PATIENCE_S = 30.0

SLOW = '''
    @step("1.1")
    def test_answer(topology):
        """It answers."""
        assert ask(topology, b"x") == b"x*"

    @step("1.3")
    def test_slow(topology, tmp_path):
        """It takes its time."""
        (topology.folder / "reached").touch()
        time.sleep(60)
'''


@contextmanager
def running(lab: Path) -> Iterator[subprocess.Popen[str]]:
    """`dslab test`, as soon as it is in the middle of the slow check."""
    course = lab.parent.parent
    command = [sys.executable, "-P", "-m", "dslab", "test", "1", "--report", "report"]
    with subprocess.Popen(
        command, cwd=course, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            deadline_s = time.monotonic() + PATIENCE_S
            while not list((course / ".dslab").glob("runs/*/test_slow/reached")):
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline_s
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def check_files(lab: Path) -> None:
    course = lab.parent.parent
    (run,) = (course / ".dslab" / "runs").iterdir()
    for folder in (run, course / "report"):
        found = json.loads((folder / "result.json").read_text())
        jsonschema.validate(found, SCHEMA)
        assert (found["complete"], found["score"]) == (False, 30)
    assert Xml.parse(course / "report" / "junit.xml").getroot()[0].attrib["tests"] == "3"
    assert json.loads((course / "report" / "results.json").read_text())["score"] == 30
    assert (course / "report" / "report.html").read_text().rstrip().endswith("</html>")


def servers(run: Path) -> list[int]:
    """The processes of that run that are still there."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"DSLAB_RUN={run.name}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for_end(lab: Path) -> None:
    (run,) = (lab.parent.parent / ".dslab" / "runs").iterdir()
    deadline_s = time.monotonic() + PATIENCE_S
    while servers(run):
        assert time.monotonic() < deadline_s, servers(run)
        time.sleep(0.05)


def test_kill_in_the_middle(lab: Path, write_checks: Write) -> None:
    write_checks(SLOW)
    with running(lab) as process:
        process.kill()
        process.communicate()
    check_files(lab)
    wait_for_end(lab)


def test_ctrl_c(lab: Path, write_checks: Write) -> None:
    write_checks(SLOW)
    with running(lab) as process:
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "30 of 100 points, and not every check had its turn" in out
    assert "Traceback" not in err + out
    check_files(lab)
    wait_for_end(lab)

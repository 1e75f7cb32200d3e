"""What a check leaves behind for its reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dslab
from dslab.kit.grader.compare import compare
from dslab.kit.grader.evidence import (
    Evidence,
    causes,
    last_sent,
    last_words,
    programs,
    read_stderr,
    stated,
    without_goodbyes,
)
from dslab.kit.grader.render import render
from dslab.kit.topology import docker_entry, docker_image
from dslab.kit.topology.compose import read
from dslab.kit.trace.event import Direction, Event, Kind


def chunk(data: bytes, direction: Direction = "forward", link: str = "grader->server", **more: int) -> Event:
    size = more.get("size", len(data))
    connection = more.get("connection", 0)
    return Event(
        t_s=0, link=link, kind=Kind.CHUNK, direction=direction, data=data, size=size, connection=connection
    )


def test_everything_sent_since_the_last_answer() -> None:
    events = [
        chunk(b"first"),
        chunk(b"first*", "backward"),
        chunk(b"sec"),
        chunk(b"ond"),
        chunk(b"between others", link="client->server"),
        chunk(b"second*", "backward"),
    ]
    assert last_sent(events) == '"second" (6 bytes)'
    assert last_sent(events[:4]) == '"second" (6 bytes)'
    assert last_sent(events[:2]) == '"first" (5 bytes)'


def test_the_last_connection_counts() -> None:
    assert last_sent([chunk(b"a"), chunk(b"b", connection=1)]) == '"b" (1 byte)'


def test_long_data_of_which_only_the_beginning_was_kept() -> None:
    assert last_sent([chunk(b"abc", size=5_000)]) == '"abc" ... (more than 4,096 bytes)'
    message = replace(chunk(b"abc", size=5_000), kind=Kind.MESSAGE)
    assert last_sent([message]) == '"abc" ... (5,000 bytes)'


def test_nothing_sent() -> None:
    assert last_sent([]) == ""
    assert last_sent([chunk(b"x", "backward")]) == ""


def test_of_a_long_list_the_item_that_the_failure_is_about() -> None:
    calls = [f"add({number}, {number})" for number in range(40)]
    answers = [2 * number for number in range(40)]
    wrong = compare("==", [*answers[:20], 0, *answers[21:]], answers)
    assert stated(calls, wrong) == 'item 20 of 40: "add(20, 20)" (11 characters)'
    assert stated(calls[:2], compare("==", [0, 1], [0, 2])) == "['add(0, 0)', 'add(1, 1)']"
    for other in (None, compare("==", 1, 2), compare("==", answers[:20], answers[:19])):
        assert stated(calls, other) == render(calls)
    assert stated("; ".join(calls), wrong).startswith('"add(0, 0); add(1')


def test_programs_are_those_that_run_a_file_of_the_student(tmp_path: Path) -> None:
    compose = tmp_path / "compose.yaml"
    compose.write_text(
        "services:\n"
        '  server: {command: [python, server.py, "${BIND:-0.0.0.0:7000}"]}\n'
        "  worker: {command: [python, worker.py], deploy: {replicas: 2}}\n"
        "  reference: {command: [python, -m, dslab.echo]}\n"
    )
    spec = read(compose, {})
    assert programs(spec, ["server.py", "worker.py"]) == ("server", "worker-1", "worker-2")


def test_stderr_of_the_programs(tmp_path: Path) -> None:
    file = tmp_path / "work" / "a.py"
    traceback = f'Traceback (most recent call last):\n  File "{file}", line 3\nValueError: no\n'
    (tmp_path / "a.err").write_text(traceback)
    (tmp_path / "b.err").write_text("\n")
    (tmp_path / "c.err").write_bytes(b"odd \xff\x1b[0m")
    stderr = read_stderr(tmp_path, ["a", "b", "c", "never started"], {})
    assert set(stderr) == {"a", "c"}
    assert last_words({"a": stderr["a"]}) == (
        'Traceback (most recent call last):\n  File "a.py", line 3\nValueError: no'
    )
    assert last_words(stderr).endswith("c:\nodd \N{REPLACEMENT CHARACTER}\\x1b[0m")
    assert {node: str(cause) for node, cause in causes(stderr, ["a.py"]).items()} == {
        "a": "ValueError: no (a.py, line 3)"
    }


def test_who_complains_that_the_check_has_gone_is_left_out() -> None:
    place = 'Traceback (most recent call last):\n  File "a.py", line 3\n'
    stderr = {"a": f"{place}ConnectionResetError: [Errno 104]\n", "b": f"{place}ValueError\n", "c": "hello\n"}
    assert set(without_goodbyes(stderr)) == {"b", "c"}
    assert not without_goodbyes({"a": stderr["a"] + "dropped a client\n"})


def test_what_an_earlier_start_wrote_does_not_count(tmp_path: Path) -> None:
    earlier = 'Traceback (most recent call last):\n  File "a.py", line 3\nConnectionError: not whole ä\n'
    (tmp_path / "a.err").write_text(f"{earlier}gave up\n")
    (tmp_path / "b.err").write_text(earlier)
    before = {"a": len(earlier), "b": len(earlier)}
    assert read_stderr(tmp_path, ["a", "b"], before) == {"a": "gave up\n"}


def test_endless_stderr_is_read_from_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.err").write_bytes(b"x\n" * 1_000_000 + b"the end\n")
    (text,) = read_stderr(tmp_path, ["a"], {}).values()
    assert len(text) < 100_000
    assert text.endswith("the end\n")


def test_paths_are_shown_as_a_student_knows_them() -> None:
    work = "/home/bob/dslab/.dslab/runs/1/work"
    shown = {
        f"{work}/framing.py": "framing.py",
        f"{docker_entry.WORK}/framing.py": "framing.py",
        "/usr/lib/python3.13/socket.py": "socket.py",
        "/home/bob/.venv/lib/python3.13/site-packages/msgspec/json.py": "msgspec/json.py",
        str(Path(dslab.__file__).parent / "echo" / "messages.py"): "dslab/echo/messages.py",
        f"{docker_image.DSLAB_FOLDER}/dslab/echo/messages.py": "dslab/echo/messages.py",
        "/home/bob/notes.py": "/home/bob/notes.py",
    }
    evidence = Evidence(work=f"{work}/")
    for path, name in shown.items():
        assert evidence.short(f'  File "{path}", line 7, in f') == f'  File "{name}", line 7, in f'

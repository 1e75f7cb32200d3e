"""The command line, and the textbook's programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import permutations
from pathlib import Path
from typing import Any

import psutil
import pytest

from dslab.linda.__main__ import main
from dslab.linda.client import connect
from dslab.linda.messages import In, encode

BOB = """\
import linda
linda.connect()

blog = linda.TupleSpace()
linda.universe._out(("MicroBlog", blog))

blog = linda.universe._rd(("MicroBlog", linda.TupleSpace))[1]

blog._out(("bob", "distsys", "I am studying chap 2"))
blog._out(("bob", "distsys", "The linda example's pretty simple"))
blog._out(("bob", "gtcn", "Cool book!"))
"""

ALICE = """\
import linda
linda.connect()

blog = linda.universe._rd(("MicroBlog", linda.TupleSpace))[1]

blog._out(("alice", "gtcn", "This graph theory stuff is not easy"))
blog._out(("alice", "distsys", "I like systems more than graphs"))
"""

CHUCK = """\
import linda
linda.connect()

blog = linda.universe._rd(("MicroBlog", linda.TupleSpace))[1]

t1 = blog._rd(("bob", "distsys", str))
t2 = blog._rd(("alice", "gtcn", str))
t3 = blog._rd(("bob", "gtcn", str))
print(t1)
print(t2)
print(t3)
"""

PROGRAMS = {"bob": BOB, "alice": ALICE, "chuck": CHUCK}
Serve = Callable[..., tuple[str, Any]]


def run(address: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dslab.linda", *arguments]
    environment = {**os.environ, "LINDA_ADDR": address}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment, **options
    )


@pytest.mark.parametrize("order", list(permutations(PROGRAMS)), ids="-".join)
def test_bob_alice_and_chuck_in_any_order(
    serve_process: Serve, order: tuple[str, ...], tmp_path: Path
) -> None:
    address, _ = serve_process()
    environment = {**os.environ, "LINDA_ADDR": address}
    running = {}
    for name in order:
        (tmp_path / f"{name}.py").write_text(PROGRAMS[name])
        command = [sys.executable, str(tmp_path / f"{name}.py")]
        running[name] = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        if name != order[-1]:  # let each get as far as it can before the next starts
            settle(address, running[name])
    outputs = {
        name: (*program.communicate(timeout=30), program.returncode) for name, program in running.items()
    }
    assert outputs["bob"] == outputs["alice"] == ("", "", 0)
    assert outputs["chuck"] == (
        "('bob', 'distsys', 'I am studying chap 2')\n"
        "('alice', 'gtcn', 'This graph theory stuff is not easy')\n"
        "('bob', 'gtcn', 'Cool book!')\n",
        "",
        0,
    )


def settle(address: str, program: subprocess.Popen[str]) -> None:
    """Wait until a program has ended or waits for a tuple that is not there."""
    with connect(address) as linda:
        for _ in range(2_000):
            with suppress(psutil.Error):
                ports = {str(line.laddr.port) for line in psutil.Process(program.pid).net_connections()}
                if any(waits.client.split(":")[1] in ports for waits in linda.waiting()):
                    return
            with suppress(subprocess.TimeoutExpired):
                program.wait(0.01)
                return


def test_out_rd_in_ls(serve_process: Serve) -> None:
    address, _ = serve_process()
    for fields in ("('task', 1)", "('task', 2.5)", "'alone'"):
        assert run(address, "out", fields).returncode == 0
    assert run(address, "rd", "('task', int)").stdout == "('task', 1)\n"
    assert run(address, "ls").stdout == "('alone',)\n('task', 1)\n('task', 2.5)\n"
    assert run(address, "in", "('task', float)").stdout == "('task', 2.5)\n"
    assert run(address, "ls", "('task', object)").stdout == "('task', 1)\n"
    late = run(address, "in", "('Task', int)", "--timeout", "0.1")
    assert (late.returncode, late.stderr) == (1, "No tuple matched ('Task', int) within 0.1 s.\n")
    assert run(address, "waiting").stdout == "nobody waits\n"


def test_what_is_taken_is_printed_whole_and_can_be_put_back(serve_process: Serve) -> None:
    address, _ = serve_process()
    with connect(address) as linda:
        linda.universe.out(("k", "a" * 200, linda.new_space(), float("nan"), -(10**5_000)))
    whole = f"('k', '{'a' * 200}', TupleSpace(1), nan, {-(10**5_000):#x})\n"
    template = "('k', str, TupleSpace, float, int)"
    for command in ("ls", "rd", "in"):
        assert run(address, command, template).stdout == whole
    assert run(address, "out", whole).returncode == 0
    assert run(address, "in", template).stdout == whole


def test_errors_name_the_place_and_the_remedy(serve_process: Serve) -> None:
    address, _ = serve_process()
    nobody = run("127.0.0.1:1", "ls")
    assert (nobody.returncode, nobody.stderr) == (
        1,
        "127.0.0.1:1 took no connection: Connection refused. Start one: python -m dslab.linda server; "
        "or say where it is: --server A, or LINDA_ADDR.\n",
    )
    odd = run(address, "out", "('task', seven)")
    assert (odd.returncode, odd.stdout) == (2, "")
    assert odd.stderr.startswith(
        "\"('task', seven)\" is no tuple: seven at column 10 is no type. A string stands in quotes, 'seven'; "
    )
    assert run(address, "ls", "--space", "9").stderr == "There is no tuple space 9.\n"
    far = run(address, "ls", "--space", "9" * 30)
    assert (far.returncode, far.stderr) == (2, "No tuple space has a number of more than 64 bits.\n")
    assert run(address, "out", f"(TupleSpace({'9' * 30}),)").stderr.startswith("Field 0 names a tuple space")
    assert run("no address", "ls").returncode == 2
    assert run(address, "out", "('a', {})").stderr.startswith("Field 1 holds {}: a dict does not travel.")


@pytest.mark.parametrize("command", ["server", "out", "in", "rd", "ls", "watch", "waiting", "demo"])
def test_every_command_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"example: python -m dslab.linda {command}" in capsys.readouterr().out


def test_the_demo_tells_the_story() -> None:
    told = run("127.0.0.1:1", "demo")
    assert (told.returncode, told.stderr) == (0, "")
    before, _, after = told.stdout.partition("Now chuck reads:\n")
    assert "waits: the space is empty" in before
    assert before.count("it differs only in field 0: 'Microblog' is not 'MicroBlog'") == 3
    assert len(after.splitlines()) == 3


def test_a_list_whose_reader_has_left(serve_process: Serve) -> None:
    address, _ = serve_process()
    with connect(address) as linda:
        linda.universe.out_all(("n", number, "x" * 50) for number in range(1_000))
    command = f"{sys.executable} -m dslab.linda ls --server {address} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (f"('n', 0, '{'x' * 50}')\n", "")


def test_waiting_says_how_many_more_there_are(serve_process: Serve) -> None:
    address, _ = serve_process()
    with connect(address) as linda:
        looks = [In(linda.next_request(), 0, ("never", number)) for number in range(1_234)]
        linda.send(b"".join(map(encode, looks)))
        assert linda.universe.count(("never", 0)) == 0  # served after all of these
        told = run(address, "waiting").stdout.splitlines()
    assert "in ('never', 0)" in told[0]
    assert "in ('never', 199)" in told[-3]
    assert told[-1] == "... 1,034 more wait"


@pytest.mark.parametrize(
    ("output", "status", "complaint"),
    [(">&-", 0, ""), ("> /dev/full", 3, "Cannot print: No space left on device.\n")],
)
def test_an_output_that_takes_nothing(serve_process: Serve, output: str, status: int, complaint: str) -> None:
    address, _ = serve_process()
    with connect(address) as linda:
        linda.universe.out(("a", 1))
    for command in ("ls", "rd \"('a', int)\""):
        shown = f"{sys.executable} -m dslab.linda {command} --server {address} {output}"
        done = subprocess.run(shown, shell=True, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (status, complaint)


def test_what_a_terminal_cannot_show_is_printed_so_that_it_can_be_typed(
    serve_process: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = serve_process()
    with connect(address) as linda:
        linda.universe.out(("\u00e4", "\u20ac", "\U0001f600"))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    taken = run(address, "in", "(str, str, str)")
    assert (taken.stdout, taken.stderr) == ("('\\xe4', '\\u20ac', '\\U0001f600')\n", "")
    assert run(address, "out", taken.stdout).returncode == 0
    with connect(address) as linda:
        assert linda.universe.rdp(("\u00e4", "\u20ac", "\U0001f600")) is not None


def test_waiting_and_watch(serve_process: Serve) -> None:
    address, _ = serve_process()
    environment = {**os.environ, "LINDA_ADDR": address}
    watch_command = [sys.executable, "-m", "dslab.linda", "watch", "(str, int)"]
    take_command = [sys.executable, "-m", "dslab.linda", "in", "('MicroBlog', int)"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(watch_command, env=environment, **pipes) as watch,
        subprocess.Popen(take_command, env=environment, **pipes) as taker,
    ):
        assert watch.stderr.readline() == "watching (str, int)\n"  # type: ignore[union-attr]
        run(address, "out", "('Microblog', 1)")
        assert watch.stdout.readline() == "('Microblog', 1)\n"  # type: ignore[union-attr]
        settle(address, taker)
        report = run(address, "waiting").stdout.splitlines()
        assert "s for in ('MicroBlog', int)" in report[0]
        expected = "1 tuple has this arity; it differs only in field 0: 'Microblog' is not 'MicroBlog'"
        assert report[1].strip() == expected
        run(address, "out", "('MicroBlog', 2)")
        assert taker.communicate(timeout=30) == ("('MicroBlog', 2)\n", "")
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=30)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_server_stops_cleanly(serve_process: Serve, stop: signal.Signals) -> None:
    _, process = serve_process()
    process.send_signal(stop)
    assert process.wait(30) == 0


@pytest.mark.parametrize("closed", [0, 2])
def test_the_server_stops_cleanly_whose_caller_closed_a_stream(closed: int) -> None:
    server = f"exec {sys.executable} -m dslab.linda server --bind 127.0.0.1:0 {closed}<&-"
    with subprocess.Popen(server, shell=True, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("listening on ")
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_the_server_wants_a_token(serve_process: Serve, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")
    address, _ = serve_process("--token-file", str(tmp_path / "token"))
    refused = run(address, "ls")
    remedy = "Name the file that holds it: --token-file F, or LINDA_TOKEN_FILE."
    assert (refused.returncode, refused.stderr) == (1, f"The token is not this server's. {remedy}\n")
    assert run(address, "ls", "--token-file", str(tmp_path / "token")).returncode == 0
    assert run(address, "ls", "--token-file", str(tmp_path / "none")).returncode == 2


def test_a_server_takes_its_token_from_the_environment_too(
    serve_process: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("sesame\n")
    monkeypatch.setenv("LINDA_TOKEN_FILE", str(token))
    address, _ = serve_process()
    assert run(address, "ls").returncode == run(address, "demo").returncode == 0
    (tmp_path / "other").write_text("open")
    assert run(address, "ls", "--token-file", str(tmp_path / "other")).returncode == 1
    token.write_bytes(b"\xff\xfe")
    for command in ("ls", "server"):
        done = run(address, command)
        expected = f"{token} holds no token: it is not text in UTF-8.\n"
        assert (done.returncode, done.stderr) == (2, expected)


def test_a_folder_that_takes_no_tuples(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("127.0.0.1:1", "server", "--bind", "127.0.0.1:0", "--data", str(tmp_path / "file" / "tuples"))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"Cannot keep tuples in {tmp_path}/file/tuples: Not a directory. Name one")


def test_an_address_in_use(serve_process: Serve) -> None:
    address, _ = serve_process()
    second = run(address, "server", "--bind", address)
    assert second.returncode == 3
    assert second.stderr.startswith(f"Cannot listen on {address}: Address already in use. Take an address")

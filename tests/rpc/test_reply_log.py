"""The durable reply cache: restarts, crashes, damage."""

from __future__ import annotations

import errno
import fcntl
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import Happened, MachineError, PeerError
from dslab.rpc import reply_log
from dslab.rpc.client import connect
from dslab.rpc.errors import Busy, ReplyForgotten, SessionLost, Uncertain
from dslab.rpc.messages import Context, Request, Response
from dslab.rpc.msgpack_rpc import MsgpackCodec
from dslab.rpc.reply_log import MIN_GROWN_BYTES
from dslab.rpc.service import Limits, Service

COUNTER = """
    import os, pathlib

    class Counter:
        def __init__(self):
            self.file = pathlib.Path({path!r})
        def add(self, token):
            with self.file.open("a") as file:
                file.write(token + "\\n")
            return token
        def add_and_die(self, token):
            self.add(token)
            os._exit(1)
"""


class Sender:
    peer = None
    most_bytes = 1_000_000

    def __init__(self) -> None:
        self.sent: list[Response] = []

    def send(self, message: Any) -> None:
        self.sent.append(message)

    def skip(self) -> None: ...
    def began(self) -> None: ...
    def ended(self) -> None: ...


class Life:
    """One life of a durable service, without sockets."""

    def __init__(self, log: Path, first_session: int = 100, **limits: int) -> None:
        self.service = Service(MsgpackCodec(), first_session, Limits(**limits), log=log)
        self.calls: list[Any] = []
        self.service.objects.register(self.note)

    def note(self, value: Any) -> Any:
        self.calls.append(value)
        if value == "raise":
            raise ValueError(value)
        return value

    def hello(self) -> int:
        response = self.service.execute(None, Request(1, "rpc.hello", []), 0.0)
        assert isinstance(response, Response)
        return int(response.result[0])

    def begin(self, sender: Sender, session: int, number: int, value: Any, acknowledged: int = 1) -> Any:
        return self.service.receive(
            sender, Request(number, "note", [value], Context(session, number, acknowledged))
        )

    def call(self, session: int, number: int, value: Any, acknowledged: int = 1) -> Any:
        """Give the decoded reply: (error, result)."""
        sender = Sender()
        order = self.begin(sender, session, number, value, acknowledged)
        if isinstance(order, Request):
            outcome = self.service.execute(None, order, 0.0)
            assert isinstance(outcome, Response)
            for who, reply in self.service.finish(sender, order, outcome):
                who.send(reply)
            (order,) = sender.sent
        codec = MsgpackCodec()
        decoded = codec.decode(codec.encode(order))
        assert isinstance(decoded, Response)
        return decoded.error, decoded.result


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "replies.log"


def test_the_next_life_repeats_the_reply_and_executes_nothing(log: Path) -> None:
    first = Life(log)
    session = first.hello()
    assert first.call(session, 1, "a") == (None, "a")
    error, _ = first.call(session, 2, "raise")
    first.service.close()
    second = Life(log, 900)
    assert second.call(session, 1, "a") == (None, "a")
    assert second.call(session, 2, "raise")[0] == error
    assert second.calls == []
    assert second.call(session, 3, "b") == (None, "b")
    assert second.hello() >= 900
    second.service.close()


def test_what_was_begun_and_not_finished_is_uncertain_for_ever(log: Path) -> None:
    first = Life(log)
    session = first.hello()
    assert isinstance(first.begin(Sender(), session, 1, "a"), Request)
    first.service.close()
    for _ in range(2):
        life = Life(log)
        error, _ = life.call(session, 1, "a")
        assert error[0] == Uncertain.code
        assert life.calls == []
        life.service.close()


def test_what_was_executed_and_has_no_reply_any_more_is_executed_in_no_later_life(log: Path) -> None:
    life = Life(log, max_reply_bytes=1_000)
    session = life.hello()
    for number in (1, 2):
        life.call(session, number, "x" * 800)
    for _ in range(3):
        life.service.close()
        life = Life(log, max_reply_bytes=1_000)
        assert life.call(session, 1, "x" * 800)[0][0] == ReplyForgotten.code
        assert life.call(session, 2, "x" * 800) == (None, "x" * 800)
        assert life.calls == []
    life.service.close()


LONG = 4 * 1024 * 1024


@contextmanager
def full_disk(log: Path, left_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond what the log has now, and so many bytes.

    So the log should be the longest: there are those in which pytest keeps what is printed.
    """
    assert log.stat().st_size > LONG
    usual = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + left_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, usual)


@pytest.mark.parametrize("left_bytes", [0, 1, 10])
def test_on_a_full_disk_no_call_is_begun_and_the_log_stays_whole(log: Path, left_bytes: int) -> None:
    life = Life(log)
    session = life.hello()
    assert life.call(session, 1, "a" * LONG) == (None, "a" * LONG)
    with full_disk(log, left_bytes):
        for _ in range(2):
            assert life.call(session, 2, "b")[0][0] == Busy.code
    assert life.call(session, 2, "b")[0][0] == Busy.code  # its caller has been told that it did not happen
    assert life.call(session, 3, "c") == (None, "c")
    assert life.calls == ["a" * LONG, "c"]
    for _ in range(2):
        life.service.close()
        life = Life(log)
        assert life.call(session, 1, "a") == (None, "a" * LONG)
        assert life.call(session, 2, "b")[0][0] == Busy.code
        assert life.call(session, 3, "c") == (None, "c")
        assert life.calls == []
    life.service.close()


def test_a_reply_for_which_the_disk_has_no_room_is_sent_and_written_down_later(log: Path) -> None:
    life = Life(log)
    session = life.hello()
    life.call(session, 1, "a" * LONG)
    sender = Sender()
    begun = life.begin(sender, session, 2, "b")
    with full_disk(log, 0):
        ((_, reply),) = life.service.finish(sender, begun, Response(2, None, "b"))
    assert bytes(reply.result) == b"\xa1b"
    assert life.call(session, 3, "c") == (None, "c")
    life.service.close()
    life = Life(log)
    assert life.call(session, 2, "b") == (None, "b")
    life.service.close()


def test_no_more_sessions_are_remembered_after_a_restart_than_before(log: Path) -> None:
    life = Life(log, max_sessions=10)
    session = life.hello()
    for number in range(1, 20):
        life.call(session, number, "a")  # it is never the stillest
        life.call(life.hello(), 1, "x")
    life.service.close()
    life = Life(log, first_session=900, max_sessions=10)
    assert len(life.service.stub._cache) == 10
    assert life.call(session, 1, "a") == (None, "a")
    assert life.calls == []
    life.service.close()


def test_a_long_life_does_not_make_the_log_long(log: Path) -> None:
    life = Life(log)
    session = life.hello()
    assert isinstance(life.begin(Sender(), session, 1, "begun"), Request)
    for number in range(2, 100):
        life.call(session, number, "x" * MIN_GROWN_BYTES, acknowledged=1)
        assert log.stat().st_size < 100 * MIN_GROWN_BYTES
    life.service.close()
    life = Life(log)
    assert life.call(session, 1, "begun")[0][0] == Uncertain.code
    assert life.call(session, 2, "x")[0][0] == ReplyForgotten.code
    assert life.calls == []
    life.service.close()


def test_an_unfinished_last_record_is_cut_off(log: Path) -> None:
    first = Life(log)
    session = first.hello()
    first.call(session, 1, "a")
    whole = log.read_bytes()
    first.call(session, 2, "b")
    first.service.close()
    longer = log.read_bytes()
    for length in range(len(whole), len(longer)):
        log.write_bytes(longer[:length])
        life = Life(log)
        assert life.call(session, 1, "a") == (None, "a")
        assert life.calls == []
        life.service.close()


@pytest.mark.parametrize("zeros", [1, 8, 9, 4096])
def test_zeros_at_the_end_are_cut_off(log: Path, zeros: int) -> None:
    first = Life(log)
    session = first.hello()
    first.call(session, 1, "a")
    first.service.close()
    log.write_bytes(log.read_bytes() + bytes(zeros))
    life = Life(log)
    assert life.call(session, 1, "a") == (None, "a")
    assert life.calls == []
    life.service.close()


def test_two_servers_do_not_use_one_log(log: Path) -> None:
    first = Life(log)
    with pytest.raises(MachineError, match="Another server uses"):
        Life(log)
    session = first.hello()
    first.call(session, 1, "a")
    first.service.close()
    next_one = Life(log)
    assert next_one.call(session, 1, "a") == (None, "a")
    next_one.service.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # so warns CPython from 3.12 on
def test_a_child_that_outlives_its_server_does_not_keep_the_log(
    log: Path, fork_child: Callable[[], None]
) -> None:
    life = Life(log)
    fork_child()
    with pytest.raises(MachineError, match="Another server uses"):
        Life(log)
    life.service.close()
    Life(log).service.close()


def test_a_disk_that_has_no_locks_is_not_taken_for_another_server(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(MachineError, match="No locks available"):
        Life(log)


def test_a_log_is_written_anew_beside_itself_and_beside_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    log = tmp_path / "calls.new"
    life = Life(log)
    session = life.hello()
    life.call(session, 1, "a")
    life.service.close()
    with monkeypatch.context() as patch:
        patch.setattr(reply_log, "write_whole", no_room)
        with pytest.raises(MachineError, match="No space left"):
            Life(log)
    life = Life(log)
    assert life.call(session, 1, "a") == (None, "a")
    life.service.close()


def test_damage_before_the_end_is_an_error(log: Path) -> None:
    life = Life(log)
    session = life.hello()
    life.call(session, 1, "aaaaaaaa")
    life.call(session, 2, "bbbbbbbb")
    life.service.close()
    data = bytearray(log.read_bytes())
    data[data.index(b"aaaaaaaa")] ^= 1
    log.write_bytes(data)
    with pytest.raises(MachineError, match="damaged"):
        Life(log)
    log.write_bytes(b"something else")
    with pytest.raises(MachineError, match="none of ours"):
        Life(log)


def test_acknowledged_replies_leave_the_file_at_the_next_start(log: Path) -> None:
    life = Life(log)
    session = life.hello()
    for number in range(1, 101):
        life.call(session, number, "x" * 1_000, acknowledged=number)
    life.service.close()
    assert log.stat().st_size > 100_000
    Life(log).service.close()
    assert log.stat().st_size < 2_000


def test_the_servers_crash_after_execution_is_told_as_unknown(
    serve_process: Any, source: Callable[[str], Path], reserved: Address, tmp_path: Path
) -> None:
    """And the server's next life executes nothing a second time."""
    counted = tmp_path / "counted"
    served = f"{source(COUNTER.format(path=str(counted)))}:Counter"
    options = ("--object", served, "--bind", str(reserved), "--log", str(tmp_path / "log"))
    address, process = serve_process(*options)
    with connect(address, semantics="at-most-once", timeout_s=60, retry_s=0.1) as client:
        assert client.call("add", "one") == "one"
        dying = client.begin("add_and_die", "two")
        assert process.wait(30) == 1
        serve_process(*options)
        with pytest.raises(Uncertain) as raised:
            dying.result()
        assert raised.value.happened is Happened.UNKNOWN
        assert client.call("add", "three") == "three"
    assert counted.read_text().split() == ["one", "two", "three"]


def test_without_a_log_the_next_life_knows_nobody_and_executes_nothing(
    serve_process: Any, source: Callable[[str], Path], reserved: Address, tmp_path: Path
) -> None:
    counted = tmp_path / "counted"
    served = f"{source(COUNTER.format(path=str(counted)))}:Counter"
    options = ("--object", served, "--bind", str(reserved))
    address, process = serve_process(*options)
    with connect(address, semantics="at-most-once", timeout_s=60, retry_s=0.1) as client:
        assert client.call("add", "one") == "one"
        dying = client.begin("add_and_die", "two")
        assert process.wait(30) == 1
        serve_process(*options)
        with pytest.raises(SessionLost) as raised:
            dying.result()
        assert raised.value.happened is Happened.UNKNOWN
        assert client.call("add", "three") == "three"  # by a new session
    assert counted.read_text().split() == ["one", "two", "three"]


def test_a_client_that_wrote_down_its_number_asks_for_the_same_call_after_its_own_restart(serve: Any) -> None:
    executed: list[int] = []

    def add(number: int) -> int:
        executed.append(number)
        return len(executed)

    address = serve(add)
    with connect(address, semantics="at-most-once") as client:
        number = client.stub.next_number
        assert client.call("add", 7) == 1
        session = client.stub.session
    with connect(address, semantics="at-most-once", session=session, first_number=number) as client:
        assert client.call("add", 7) == 1  # the same call: its reply, again
        assert client.call("add", 8) == 2
    assert executed == [7, 8]


def test_at_least_once_finds_the_server_again_and_may_execute_twice(
    serve_process: Any, source: Callable[[str], Path], reserved: Address, tmp_path: Path
) -> None:
    counted = tmp_path / "counted"
    served = f"{source(COUNTER.format(path=str(counted)))}:Counter"
    options = ("--object", served, "--bind", str(reserved))
    address, process = serve_process(*options)
    with connect(address, semantics="at-least-once", timeout_s=60, retry_s=0.1) as client:
        dying = client.begin("add_and_die", "two")
        assert process.wait(30) == 1
        _, second = serve_process(*options)
        deadline_s = time.monotonic() + 30
        while second.poll() is None and time.monotonic() < deadline_s:
            dying.done()
            time.sleep(0.01)
        client.stub.give_up(dying._call, time.monotonic())
        with pytest.raises(PeerError):
            dying.result()
    assert counted.read_text().split() == ["two", "two"]

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.msgpack import Ext

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerClosed, PeerError, PeerRefused, PeerSilent, UsageError
from dslab.linda.calls import NoTuple, RefusedError
from dslab.linda.client import Client, TupleSpace, connect
from dslab.linda.messages import Done, FromServer, Hello, In, Nothing, Out, Refused, encode
from dslab.linda.values import FieldError, Handle, to_wire

LIMIT_S = 20


def until(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.005)


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    return thread, results


def test_operations(address: Address) -> None:
    with connect(address) as linda:
        space = linda.universe
        space.out(("a", 1, 2.5, None, b"x", [1, (2,)], 2**80))
        assert space.rd(("a", int, float, None, bytes, list, object))[6] == 2**80
        assert space.rdp(("b",)) is None
        assert space.inp(("a", 1, 2.5, None, b"x", [1, (2,)], int)) is not None
        assert space.inp((str, *[object] * 6)) is None
        with pytest.raises(NoTuple, match=r"No tuple matched \('a', int\) within 0.01 s.") as caught:
            space.in_(("a", int), timeout_s=0.01)
        assert caught.value.happened is Happened.NO
        space.out(())
        assert space.in_(()) == ()
        space.out_all(("n", number) for number in range(200))
        other = linda.new_space()
        assert space.copy_collect(other, ("n", int)) == 200
        assert space.move(other, ("n", int)) == 200
        assert (space.count(("n", int)), other.count(("n", int)), other.count(("n", 7))) == (0, 400, 2)
        assert other.ls(("n", int), most=2) == ([("n", 0), ("n", 1)], 400)
        assert linda.waiting() == []


def test_spaces_travel_and_can_be_used(address: Address) -> None:
    with connect(address) as one, connect(address) as other:
        blog = one.new_space()
        one.universe.out(("MicroBlog", blog, (1, [blog])))
        _, found, (_, [inner]) = other.universe.rd(("MicroBlog", TupleSpace, tuple))
        found.out(("bob", "hello"))
        assert blog.rd(("bob", str)) == inner.rd((str, str)) == ("bob", "hello")
        assert found == blog
        [(_, listed, _)], _ = other.universe.ls(("MicroBlog", object, object))
        assert listed.rdp(("bob", str)) == ("bob", "hello")
        assert other.universe.rdp(("MicroBlog", Handle, object)) is not None


def test_a_blocked_taker_is_woken(address: Address) -> None:
    with connect(address) as one, connect(address) as other:
        thread, results = in_thread(lambda: one.universe.in_(("a", int)))
        until(other.waiting, "nobody waits")
        [waits] = other.waiting()
        assert (waits.verb, waits.template, waits.nearest) == ("in", "('a', int)", "the space is empty")
        other.universe.out(("a", 5))
        thread.join(LIMIT_S)
        assert results == [("a", 5)]


def test_an_int_that_python_does_not_write_in_decimal(address: Address) -> None:
    with connect(address) as one, connect(address) as other:
        one.universe.out((10**5_000, "x"))
        with pytest.raises(NoTuple, match="No tuple matched"):
            one.universe.in_((10**5_000 + 1, "x"), timeout_s=0.01)
        thread, results = in_thread(lambda: one.universe.in_((1, "x")))
        until(other.waiting, "nobody waits")
        assert "differs only in field 0: 0x" in other.waiting()[0].nearest
        other.universe.out((1, "x"))
        thread.join(LIMIT_S)
        assert results == [(1, "x")]


def test_a_request_that_is_too_deep_is_refused(address: Address) -> None:
    client = raw(address)
    client.sendall(encode(Out(2, 0, (Ext(2, b"\x91" * 100_000 + b"\x01"),))))
    assert b"too deep" in client.recv(1_000)
    client.close()


def test_a_taker_that_died_swallows_nothing(address: Address) -> None:
    with connect(address) as linda:
        for _ in range(50):
            taker = raw(address)
            taker.sendall(encode(In(2, 0, ("a",))))
            until(linda.waiting, "nobody waits")
            taker.close()
            linda.universe.out(("a",))
            assert linda.universe.in_(("a",), timeout_s=LIMIT_S) == ("a",)


def raw(address: Address) -> socket.socket:
    """A connection that has said hello."""
    connection = socket.create_connection(address.pair, LIMIT_S)
    connection.sendall(encode(Hello(1, 1, "")))
    assert connection.recv(100)
    return connection


def test_transactions(address: Address) -> None:
    with connect(address) as worker, connect(address) as other:
        other.universe.out(("task", 1))
        with worker.transaction() as together:
            bag = together(worker.universe)
            bag.in_(("task", int))
            bag.out(("result", 1))
            assert other.universe.count(("task", int)) == other.universe.count(("result", int)) == 0
        assert other.universe.rdp(("result", 1)) is not None
        with pytest.raises(ZeroDivisionError), worker.transaction() as together:
            together(worker.universe).in_(("result", int))
            raise ZeroDivisionError
        assert other.universe.rdp(("result", 1)) is not None


def test_what_a_transaction_counts_and_collects(address: Address) -> None:
    with connect(address) as worker, connect(address) as other:
        store = other.new_space()
        other.universe.out_all([("a", 1), ("a", 2)])
        with pytest.raises(ZeroDivisionError), worker.transaction() as together:
            bag = together(worker.universe)
            bag.out(("a", 3))
            assert (bag.count(("a", int)), other.universe.count(("a", int))) == (3, 2)
            assert bag.copy_collect(store, ("a", 1)) == 1
            assert bag.move(store, ("a", int)) == 3
            assert (bag.count(("a", int)), together(store).count(("a", int))) == (0, 4)
            assert (other.universe.count(("a", int)), store.count(("a", int))) == (0, 0)
            for operation in (bag.ls, bag.notify, bag.eval_):
                with pytest.raises(UsageError, match="cannot be part of a transaction"):
                    operation(("a", 1))
            raise ZeroDivisionError
        assert (other.universe.count(("a", int)), store.count(("a", int))) == (2, 0)


def test_a_transaction_that_has_ended_does_no_more(address: Address) -> None:
    with connect(address) as linda:
        linda.universe.out(("a", 1))
        with linda.transaction() as together:
            bag = together(linda.universe)
        for operation in (
            lambda: bag.out(("late", 1)),
            lambda: bag.inp(("a", int)),
            lambda: bag.out_all([("late", 1)]),
            lambda: bag.count(("a", int)),
            lambda: bag.move(linda.universe, ("a", int)),
            lambda: together(linda.universe).rdp(("a", int)),
        ):
            with pytest.raises(UsageError, match="The transaction of this tuple space has ended"):
                operation()
        assert linda.universe.inp(("a", int)) == ("a", 1)


def test_within_a_transaction_two_things_end_the_waiting(address: Address) -> None:
    with connect(address) as linda, linda.transaction() as together:
        with pytest.raises(NoTuple, match=r"\('a',\) within 0.01 s, or before its transaction was undone\.$"):
            together(linda.universe).in_(("a",), timeout_s=0.01)
        with pytest.raises(NoTuple, match=r"\('a',\) within 0.01 s\.$"):
            linda.universe.in_(("a",), timeout_s=0.01)


def test_a_transaction_is_undone_though_another_thread_waits_on_its_connection(address: Address) -> None:
    with connect(address) as linda, connect(address) as other:

        def wait() -> None:
            with pytest.raises(PeerClosed):
                linda.universe.in_(("never",))

        other.universe.out(("task", 1))
        with pytest.raises(ZeroDivisionError), linda.transaction() as together:
            together(linda.universe).in_(("task", int))
            thread, _ = in_thread(wait)
            until(other.waiting, "it does not wait")
            raise ZeroDivisionError
        thread.join(LIMIT_S)
        assert other.universe.in_(("task", int), timeout_s=LIMIT_S) == ("task", 1)


def test_a_transaction_is_undone_when_its_client_dies(address: Address) -> None:
    with connect(address) as other:
        other.universe.out(("task", 1))
        worker = raw(address)
        worker.sendall(encode(In(2, 0, to_wire(("task", int), template=True), None, 1)))
        assert worker.recv(100)
        assert other.universe.rdp(("task", 1)) is None
        worker.close()
        assert other.universe.in_(("task", int), timeout_s=LIMIT_S) == ("task", 1)


def test_eval(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(address) as linda:
        linda.universe.eval_(("square", 7, lambda: 7 * 7)).result(LIMIT_S)
        assert linda.universe.in_(("square", 7, int)) == ("square", 7, 49)
        raised: list[threading.ExceptHookArgs] = []
        monkeypatch.setattr(threading, "excepthook", raised.append)
        with pytest.raises(FieldError, match="'bad' is not a tuple"):
            linda.universe.eval_("bad")  # type: ignore[arg-type]
        with pytest.raises(ZeroDivisionError):
            linda.universe.eval_(("bad", lambda: 1 // 0)).result(LIMIT_S)
        until(lambda: [args.exc_type for args in raised] == [ZeroDivisionError], "nobody is told")


def test_an_evaluation_cannot_be_cancelled(address: Address) -> None:
    go = threading.Event()
    with connect(address) as linda:
        done = linda.universe.eval_(("late", lambda: go.wait(LIMIT_S)))
        assert not done.cancel()
        go.set()
        done.result(LIMIT_S)
        assert linda.universe.inp(("late", True)) == ("late", True)


EVALUATES = """\
import linda, sys, threading, time, traceback
linda.connect()
def is_main_thread_in(function):
    frame = sys._current_frames()[threading.main_thread().ident]
    return function in [caller.f_code.co_name for caller, _ in traceback.walk_stack(frame)]
def work():
    while not is_main_thread_in(stays_in):
        time.sleep(0.01)
    linda.universe._client.again().universe.out(("begun",))
    return linda.universe._client.again().universe.in_(("go", int))[1] + linda.universe._rd(("more", int))[1]
linda.universe._eval(("late", work))
"""
AT_ITS_END = "stays_in = '_await_evaluations'\n" + EVALUATES
IN_A_WAIT = "stays_in = 'in_'\n" + EVALUATES + "linda.universe._in(('never',))"
"""Begun is told when the main thread is where it stays: on the way there Python itself ignores a Ctrl-C."""


def test_a_program_ends_after_its_evaluations(address: Address) -> None:
    with connect(address) as linda, program(AT_ITS_END, address) as ends:
        linda.universe.in_(("begun",), timeout_s=LIMIT_S)
        linda.universe.out(("go", 3))
        linda.universe.out(("more", 4))
        assert linda.universe.in_(("late", int), timeout_s=LIMIT_S) == ("late", 7)
        assert ends.communicate(timeout=LIMIT_S) == ("", "")
        assert ends.returncode == 0


@pytest.mark.parametrize(
    ("text", "waiting", "status"),
    [(AT_ITS_END, 1, 0), (IN_A_WAIT, 2, -signal.SIGINT)],
    ids=["at its end", "in a wait"],
)
def test_ctrl_c_ends_a_program_with_evaluations(
    address: Address, text: str, waiting: int, status: int
) -> None:
    with connect(address) as linda, program(text, address) as ends:
        linda.universe.in_(("begun",), timeout_s=LIMIT_S)
        until(lambda: len(linda.waiting()) == waiting, "it does not wait")
        ends.send_signal(signal.SIGINT)
        ends.communicate(timeout=LIMIT_S)
        assert ends.returncode == status


def test_an_evaluation_that_fails_says_so(address: Address) -> None:
    with program(
        "import linda\nlinda.connect()\nlinda.universe._eval(('sq', lambda: 1 / 0))", address
    ) as ends:
        _, told = ends.communicate(timeout=LIMIT_S)
    assert told.endswith("ZeroDivisionError: division by zero\n")


@contextmanager
def program(text: str, address: Address) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "LINDA_ADDR": str(address)}
    command = [sys.executable, "-c", text]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def test_notify(address: Address) -> None:
    with connect(address) as linda:
        events = linda.universe.notify(("a", int))
        linda.universe.out_all(("a", number) for number in range(3))
        assert [next(events) for _ in range(3)] == [("a", 0), ("a", 1), ("a", 2)]
        events.close()


def test_notify_while_tuples_come(address: Address) -> None:
    over = threading.Event()

    def pump() -> None:
        with connect(address) as linda:
            while not over.is_set():
                linda.universe.out_all([("a", 1)] * 20)
                linda.universe.move(linda.new_space(), ("a", int))

    thread, _ = in_thread(pump)
    try:
        with connect(address) as linda:
            for _ in range(50):
                events = linda.universe.notify(("a", int))
                assert next(events) == ("a", 1)
                events.close()
            with pytest.raises(RefusedError, match="There is no tuple space"):
                linda.space(10**9).notify(("a",))
    finally:
        over.set()
        thread.join(LIMIT_S)


def test_leases(address: Address) -> None:
    with connect(address) as linda:
        linda.universe.out(("a",), lease_s=0.05)
        until(lambda: linda.universe.count(("a",)) == 0, "the lease does not end")
        linda.universe.out(("b",), lease_s=1000.0)
        assert linda.universe.count(("b",)) == 1


def test_errors(address: Address, serve: Callable[..., Address]) -> None:
    with pytest.raises(PeerRefused, match="took no connection"):
        connect("127.0.0.1:1")
    with connect(address) as linda:
        with pytest.raises(FieldError, match=r"Field 1 holds \{\}"):
            linda.universe.out(("a", {}))
        with pytest.raises(RefusedError, match="There is no tuple space 77"):
            linda.space(77).out(("a",))
        linda.universe.out(("still", "there"))
        linda.close()
        with pytest.raises(PeerClosed, match="is closed"):
            linda.universe.out(("a",))
    secret = serve(token="sesame")
    with pytest.raises(RefusedError, match="The token is not this server's"):
        connect(secret, token="open")
    with connect(secret, token="sesame") as linda:
        linda.universe.out(("a",))


VERY_LONG = pytest.param(10**5000, id="an int that Python does not write in decimal")


@pytest.mark.parametrize("timeout_s", [0, -1, math.inf, math.nan, None, "5", True, 10**400, VERY_LONG])
def test_a_patience_that_is_none_is_an_error(address: Address, timeout_s: Any) -> None:
    with pytest.raises(UsageError, match=r"timeout_s is .*: how long the server may take"):
        connect(address, timeout_s=timeout_s)


def test_what_cannot_be_sent_is_refused_before(address: Address) -> None:
    with connect(address) as linda:
        for wrong in ("5", -1, math.nan, False, [1], 2**70, 10**5000):
            with pytest.raises(UsageError, match="timeout_s is"):
                linda.universe.in_(("a",), timeout_s=wrong)  # type: ignore[arg-type]
            with pytest.raises(UsageError, match="timeout_s is"):
                linda.universe.rd(("a",), timeout_s=wrong)  # type: ignore[arg-type]
            with pytest.raises(UsageError, match="lease_s is"):
                linda.universe.out(("a",), lease_s=wrong)  # type: ignore[arg-type]
        for work in (
            lambda: linda.universe.out(("a", "x" * 5_000_000)),
            lambda: linda.universe.in_(("a", "x" * 5_000_000)),
            lambda: linda.universe.out_all([("a", "x"), ("a", "x" * 5_000_000)]),
        ):
            with pytest.raises(FieldError, match="at most 4,194,272 travel"):
                work()
        itself: list[Any] = []
        itself.append(itself)
        with pytest.raises(FieldError, match=r"\[\[\.\.\.\]\] is not a tuple"):
            linda.universe.out(itself)  # type: ignore[arg-type]
        far = linda.space(10**23)
        with pytest.raises(FieldError, match="No tuple space has a number of more than 64 bits"):
            far.out(("a",))
        with pytest.raises(FieldError, match="Field 1 names a tuple space by a number of more than 64"):
            linda.universe.out(("a", far))
        linda.universe.out(("a", "x" * 4_000_000))
        assert linda.universe.count(("a", str)) == 1


def test_a_silent_server_is_an_error() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(PeerSilent, match="did not answer"),
    ):
        connect(Address(*listener.getsockname()), timeout_s=1.0)  # so long may a connection take, too


def saying(*replies: FromServer) -> tuple[socket.socket, threading.Thread]:
    """A server that says these things to the first requests of one client, whatever they are."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for reply in replies:
                connection.recv(1_000)
                connection.sendall(encode(reply))
            connection.recv(1_000)  # the end

    thread = threading.Thread(target=serve)
    thread.start()
    return listener, thread


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (Done(77), "The server answered request 77, which was not open."),
        (Nothing(2), "The server answered with Nothing, which is no answer to that."),
        (Refused(0, "A message of 9 bytes is announced."), "A message of 9 bytes is announced."),
    ],
)
def test_a_reply_to_nothing_that_was_asked_is_an_error(reply: FromServer, complaint: str) -> None:
    listener, thread = saying(Done(1), reply)
    with listener, connect(Address(*listener.getsockname()), timeout_s=LIMIT_S) as linda:
        with pytest.raises(PeerError) as caught:
            linda.universe.out(("a",))
        assert str(caught.value) == complaint
    thread.join(LIMIT_S)


def test_ctrl_c_in_the_middle_ends_the_connection(address: Address) -> None:
    """What comes for the request that was broken off must not pass for the reply to the next one."""
    with connect(address) as linda, connect(address) as other:

        def interrupt() -> None:
            until(other.waiting, "nobody waits")
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        thread, _ = in_thread(interrupt)
        with pytest.raises(KeyboardInterrupt):
            linda.universe.in_(("a",))
        thread.join(LIMIT_S)
        with pytest.raises(PeerClosed, match="is closed"):
            linda.universe.inp(("b",))
        until(lambda: not other.waiting(), "it still waits")


def test_a_connection_on_which_another_thread_waits_says_so(address: Address) -> None:
    with connect(address) as linda, connect(address) as other:
        thread, results = in_thread(lambda: linda.universe.in_(("a", int)))
        until(other.waiting, "it does not wait")
        for operation in (lambda: linda.universe.out(("a", 1)), linda.new_space, linda.waiting):
            with pytest.raises(
                UsageError, match=r"Another thread waits .* Let each thread connect for itself\."
            ):
                operation()
        other.universe.out(("a", 2))
        thread.join(LIMIT_S)
        assert results == [("a", 2)]
        linda.universe.out(("a", 3))
        assert linda.universe.count(("a", int)) == 1


def test_a_connection_on_which_another_thread_still_sends_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def admit() -> socket.socket:
            admitted, _ = listener.accept()
            admitted.recv(1_000)
            admitted.sendall(encode(Done(1)))
            return admitted

        def send() -> str:
            with pytest.raises(PeerClosed) as caught:
                linda.send(bytes(64 * 1024 * 1024))
            return str(caught.value)

        thread, admitted = in_thread(admit)
        linda = connect(Address(*listener.getsockname()), timeout_s=LIMIT_S)
        thread.join(LIMIT_S)
        with admitted[0]:
            admitted[0].settimeout(LIMIT_S)
            thread, told = in_thread(send)
            assert admitted[0].recv(1)  # it has begun
            with pytest.raises(UsageError, match="Another thread waits"):
                linda.new_space()
            linda.close()
            thread.join(LIMIT_S)
    assert told == [f"The connection to {linda.address} is closed."]


@pytest.mark.parametrize("subscribed", [False, True])
def test_a_connection_that_another_thread_closes_waits_no_longer(address: Address, subscribed: bool) -> None:
    def end(wait: Callable[[], object]) -> str:
        with pytest.raises(PeerClosed) as caught:
            wait()
        return str(caught.value)

    with connect(address) as other:
        for _ in range(10):  # a thread is seen to wait a moment before it does
            linda = connect(address, timeout_s=1e6)
            events = linda.universe.notify(("a",))
            wait = partial(next, events) if subscribed else partial(linda.universe.in_, ("never",))
            thread, told = in_thread(partial(end, wait))
            if subscribed:
                until(partial(getattr, events._client, "_busy"), "it does not wait")
            else:
                until(other.waiting, "it does not wait")
            events.close()
            linda.close()
            thread.join(LIMIT_S)
            assert told == [f"The connection to {address} is closed."]
            until(lambda: not other.waiting(), "it still waits")


FORKS = """\
import linda, os
linda.connect()
with linda.universe._client.transaction() as together:
    together(linda.universe).in_(("task", 1))
    if not os.fork():
        try:
            linda.universe._rdp(("task", int))
        except Exception as error:
            print(error)
        linda.connect()
        linda.universe._out(("forked",))
        raise SystemExit
    os.wait()
    linda.universe._out(("waited",))
    linda.universe._in(("go",))
"""


def test_a_fork_leaves_the_connection_to_the_process_that_made_it(address: Address) -> None:
    """Otherwise the new process would hear what the other is told, and undo its transaction."""
    with connect(address) as other:
        other.universe.out(("task", 1))
        with program(FORKS, address) as ends:
            for said in ("forked", "waited"):
                other.universe.in_((said,), timeout_s=LIMIT_S)
            assert other.universe.rdp(("task", int)) is None
            other.universe.out(("go",))
            told = ends.communicate(timeout=LIMIT_S)
        assert told == (
            f"The connection to {address} is closed. It was made before this process was forked: "
            "connect again in this one.\n",
            "",
        )
        assert other.universe.rdp(("task", int)) is None


def test_the_address_comes_from_the_environment(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINDA_ADDR", str(address))
    with connect() as linda:
        assert linda.address == address


def test_a_token_file(serve: Callable[..., Address], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("sesame\n")
    monkeypatch.setenv("LINDA_TOKEN_FILE", str(tmp_path / "token"))
    with connect(serve(token="sesame")) as linda:
        linda.universe.out(("a",))
    monkeypatch.setenv("LINDA_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="Cannot read the token"):
        connect("127.0.0.1:1")  # before anything is opened


# ---- the textbook's module


def test_the_linda_module(address: Address) -> None:
    import linda

    with pytest.raises(UsageError, match=r"Call linda.connect\(\) first"):
        linda.TupleSpace()
    with pytest.raises(UsageError, match="not connected"):
        _ = linda.universe
    with pytest.raises(UsageError, match=r"Call linda.connect\(\) first"):
        exec("from linda import universe")  # an AttributeError would become: cannot import name
    with pytest.raises(AttributeError):
        _ = linda.universes
    linda.connect(address)
    try:
        blog = linda.TupleSpace()
        linda.universe._out(("MicroBlog", blog))
        found = linda.universe._rd(("MicroBlog", linda.TupleSpace))[1]
        assert isinstance(found, linda.TupleSpace)
        assert found == blog
    finally:
        linda._connection.close()  # type: ignore[union-attr]
        linda._connection = None
        del linda.universe


def test_clients_on_many_threads(address: Address) -> None:
    def work(client: Client) -> int:
        with client:
            total = 0
            while (number := client.universe.in_(("n", int))[1]) >= 0:
                total += number
            return total

    with connect(address) as linda:
        workers = [in_thread(lambda: work(linda.again())) for _ in range(4)]
        linda.universe.out_all(("n", number) for number in range(500))
        linda.universe.out_all([("n", -1)] * 4)
        for thread, _ in workers:
            thread.join(LIMIT_S)
    assert sum(results[0] for _, results in workers) == sum(range(500))

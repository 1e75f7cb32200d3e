from __future__ import annotations

import asyncio
import math
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import PeerClosed, PeerRefused, PeerSilent, UsageError
from dslab.linda import aconnection
from dslab.linda import client as blocking
from dslab.linda.aclient import AsyncClient, AsyncTupleSpace, connect
from dslab.linda.calls import NoTuple, RefusedError
from dslab.linda.messages import LENGTH, MAX_REQUEST_BYTES, Done, Found, In, Out, Refused, encode
from dslab.linda.values import FieldError

LIMIT_S = 20


def test_operations(address: Address) -> None:
    async def scenario() -> None:
        async with await connect(address) as linda:
            space = linda.universe
            await space.out(("a", 1))
            assert await space.rd(("a", int)) == ("a", 1)
            assert await space.rdp(("b",)) is None
            assert await space.inp(("a", object)) == ("a", 1)
            with pytest.raises(NoTuple):
                await space.in_(("a", int), timeout_s=0.01)
            await asyncio.gather(*[space.out(("n", number)) for number in range(1_000)])
            other = await linda.new_space()
            assert await space.copy_collect(other, ("n", int)) == await space.move(other, ("n", int)) == 1_000
            assert (await space.count(("n", int)), await other.count(("n", int))) == (0, 2_000)
            await space.out(("MicroBlog", other))
            found = (await space.rd(("MicroBlog", AsyncTupleSpace)))[1]
            assert await found.in_(("n", 7)) == ("n", 7)
            with pytest.raises(RefusedError):
                await linda.space(99).out(("a",))

    asyncio.run(scenario())


def test_a_blocked_request_is_overtaken(address: Address) -> None:
    async def scenario() -> None:
        async with await connect(address) as linda:
            taker = asyncio.ensure_future(linda.universe.in_(("late", int)))
            await linda.universe.out(("early", 1))
            await linda.universe.out(("late", 2))
            assert await taker == ("late", 2)

    asyncio.run(scenario())


def test_a_cancelled_taker_takes_nothing(address: Address) -> None:
    async def cancel_early(linda: AsyncClient) -> None:
        taker = asyncio.ensure_future(linda.universe.in_(("a",)))
        await linda.universe.count(("a",))  # the taker waits now
        taker.cancel()
        await asyncio.gather(taker, return_exceptions=True)
        await linda.universe.out(("a",))

    async def cancel_late(linda: AsyncClient) -> None:
        taker = asyncio.ensure_future(linda.universe.in_(("a",)))
        await linda.universe.count(("a",))
        put = asyncio.ensure_future(linda.universe.out(("a",)))
        await asyncio.sleep(0)  # it is on its way, and so is the taker's reply
        taker.cancel()
        await asyncio.gather(taker, put, return_exceptions=True)

    async def scenario() -> None:
        async with await connect(address) as linda:
            for cancel in (cancel_early, cancel_late):
                await cancel(linda)
                assert await linda.universe.in_(("a",), timeout_s=LIMIT_S) == ("a",)

    asyncio.run(scenario())


def cancel_soon(task: asyncio.Task[Any], rounds: int) -> None:
    """Cancel a task so many rounds of the loop later."""
    loop = asyncio.get_running_loop()
    if rounds:
        loop.call_soon(cancel_soon, task, rounds - 1)
    else:
        loop.call_soon(task.cancel)


@pytest.mark.parametrize("rounds", range(3))
def test_a_tuple_that_meets_the_end_of_its_taker_is_put_back(address: Address, rounds: int) -> None:
    """Cancelled before the reply is read, after it in the same round of the loop, and when it is given."""

    async def scenario() -> None:
        with blocking.connect(address) as other:
            async with await connect(address) as linda:
                taker = asyncio.create_task(linda.universe.in_(("a",)))
                assert await linda.universe.count(("a",)) == 0  # the taker waits now
                other.universe.out(("a",), lease_s=1_000.0)  # the taker's reply is there now, unread
                cancel_soon(taker, rounds)
                [outcome] = await asyncio.gather(taker, return_exceptions=True)
                assert outcome == ("a",) or isinstance(outcome, asyncio.CancelledError)
                assert rounds == 2 or outcome != ("a",)
            if outcome == ("a",):
                return
            reply = other.call(In(other.next_request(), 0, ("a",), 0.0))
            assert isinstance(reply, Found)
            assert 0 < (reply.lease_s or 0) <= 1_000
            assert other.universe.count(("a",)) == 0

    asyncio.run(scenario())


async def in_group(taker: Coroutine[Any, Any, Any]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(taker)


async def in_gather(taker: Coroutine[Any, Any, Any]) -> None:
    await asyncio.gather(taker)


async def alone(taker: Coroutine[Any, Any, Any]) -> None:
    await taker


@pytest.mark.parametrize("how", [alone, in_gather, in_group])
@pytest.mark.parametrize("within", ["client", "commit", "abort"])
def test_what_a_cancelled_taker_was_sent_is_back_at_the_end_of_the_block(
    address: Address, within: str, how: Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, None]]
) -> None:
    async def cancel_late(space: AsyncTupleSpace, other: blocking.Client) -> None:
        taker = asyncio.create_task(how(space.in_(("a",))))
        while not other.waiting():
            await asyncio.sleep(0)
        assert await space.count(("a",)) == 0  # it waits now
        other.universe.out(("a",))  # its reply is there, unread
        taker.cancel()

    async def scenario() -> None:
        with blocking.connect(address) as other:
            async with await connect(address) as linda:
                if within == "client":
                    await cancel_late(linda.universe, other)
                else:
                    with suppress(ZeroDivisionError):
                        async with linda.transaction() as together:
                            await cancel_late(together(linda.universe), other)
                            assert within == "commit" or 1 / 0
            assert other.universe.in_(("a",), timeout_s=LIMIT_S) == ("a",)
            assert other.universe.count(("a",)) == 0

    asyncio.run(scenario())


def longest(lease_s: int) -> tuple[str, str]:
    """The longest tuple that can be put with this lease."""
    around = len(encode(Out(3, 0, ("a", "x" * 70_000), lease_s))) - LENGTH.size - 70_000
    return "a", "x" * (MAX_REQUEST_BYTES - around)


def test_the_longest_tuple_can_be_put_back(address: Address) -> None:
    """A request with a higher number, and what is left of a lease, take more room."""

    async def scenario() -> None:
        with blocking.connect(address) as other:
            async with await connect(address) as linda:
                linda.next_request = count(2**40).__next__
                taker = asyncio.create_task(linda.universe.in_(("a", str)))
                assert await linda.universe.count(("a",)) == 0  # the taker waits now
                other.next_request = count(3).__next__
                fields = longest(1_000)
                with pytest.raises(FieldError):
                    other.universe.out(("a", fields[1] + "x"), lease_s=1_000)
                other.next_request = count(3).__next__
                other.universe.out(fields, lease_s=1_000)
                taker.cancel()
            assert other.universe.inp(("a", str)) == fields

    asyncio.run(scenario())


@asynccontextmanager
async def slowly(address: Address, delay_s: float) -> AsyncIterator[str]:
    """Lead to a server over a link that takes its time."""
    loop = asyncio.get_running_loop()
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            loop.call_later(delay_s, writer.write, piece)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*address.pair)
        writers.extend((writer, server_writer))
        await asyncio.gather(pump(reader, server_writer), pump(server_reader, writer))

    async with await asyncio.start_server(take, "127.0.0.1", 0) as listener:
        yield str(Address(*listener.sockets[0].getsockname()))
        for writer in writers:
            writer.close()
            await writer.wait_closed()


def test_tasks_that_go_on_being_cancelled_do_not_hold_up_a_commit(address: Address) -> None:
    async def impatient(linda: AsyncClient, number: int, over: asyncio.Event) -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02 + 0.001 * number):
                    await linda.universe.in_(("never", number))

    async def scenario() -> None:
        over = asyncio.Event()
        async with slowly(address, 0.005) as link, await connect(link, timeout_s=LIMIT_S) as linda:
            tasks = [asyncio.create_task(impatient(linda, number, over)) for number in range(20)]
            for _ in range(3):
                async with linda.transaction() as together:
                    await together(linda.universe).out(("x",))
            over.set()
            await asyncio.gather(*tasks)
            assert await linda.universe.count(("x",)) == 3

    asyncio.run(scenario())


def test_a_task_that_is_cancelled_when_its_client_is_closed_is_cancelled(address: Address) -> None:
    async def scenario() -> None:
        async with await connect(address) as linda:
            taker = asyncio.create_task(linda.universe.in_(("a",)))
            await linda.universe.count(("a",))
            linda.close()
            taker.cancel()
            with pytest.raises(asyncio.CancelledError):
                await taker

    asyncio.run(scenario())


def test_an_error_undoes_what_still_waits(address: Address) -> None:
    async def scenario() -> None:
        async with await connect(address) as linda:
            await linda.universe.out(("task", 1))
            with pytest.raises(ZeroDivisionError):
                async with linda.transaction() as together:
                    bag = together(linda.universe)
                    await bag.in_(("task", int))
                    waiter = asyncio.create_task(bag.in_(("never",)))
                    assert await bag.count(("never",)) == 0  # it waits now
                    raise ZeroDivisionError
            with pytest.raises(NoTuple, match="before its transaction was undone"):
                await waiter
            assert await linda.universe.count(("task", 1)) == 1

    asyncio.run(scenario())


def test_a_transaction_that_waits_is_undone_rather_than_left_open(address: Address) -> None:
    async def scenario() -> None:
        async with await connect(address) as linda:
            await linda.universe.out(("task", 1))
            with pytest.raises(RefusedError, match="still waits"):
                async with linda.transaction() as together:
                    bag = together(linda.universe)
                    await bag.in_(("task", int))
                    waiter = asyncio.create_task(bag.in_(("never",)))
                    await asyncio.sleep(0)
            with pytest.raises(NoTuple):
                await waiter
            assert await linda.universe.count(("task", 1)) == 1
            with pytest.raises(UsageError, match="has ended"):
                await bag.out(("late",))

    asyncio.run(scenario())


def test_what_the_blocking_client_does_too(address: Address) -> None:
    async def scenario() -> None:
        async with await connect(address) as linda:
            space = linda.universe
            await space._out(("a", 1))
            assert await space._rd(("a", 1)) == await space._inp(("a", 1)) == ("a", 1)
            await space.out_all(("n", number) for number in range(200))
            assert await space.ls(("n", int), most=2) == ([("n", 0), ("n", 1)], 200)
            other = await linda.new_space()
            await space.out(("space", other))
            [(_, found)], _ = await space.ls(("space", AsyncTupleSpace))
            assert await found.rdp(("a",)) is None
            await space.eval_(("square", 7, lambda: 7 * 7))
            assert await space._in(("square", 7, int)) == ("square", 7, 49)
            with pytest.raises(ZeroDivisionError):
                await space._eval(("bad", lambda: 1 // 0))
            taker = asyncio.create_task(space.in_(("never",)))
            await space.count(("a",))
            [waits] = await linda.waiting()
            assert (waits.verb, waits.template) == ("in", "('never',)")
            taker.cancel()

    asyncio.run(scenario())


def test_what_is_no_part_of_a_transaction_says_so(address: Address) -> None:
    async def scenario() -> None:
        async with await connect(address) as linda, linda.transaction() as together:
            bag = together(linda.universe)
            with pytest.raises(UsageError, match="ls cannot be part of a transaction"):
                await bag.ls(("a",))
            with pytest.raises(UsageError, match="notify"):
                await anext(bag.notify(("a",)))
            with pytest.raises(UsageError, match="eval_"):
                bag.eval_(("a",))

    asyncio.run(scenario())


def test_transactions(address: Address) -> None:
    async def scenario() -> None:
        async with await connect(address) as worker, await connect(address) as other:
            await other.universe.out(("task", 1))
            async with worker.transaction() as together:
                bag = together(worker.universe)
                await bag.in_(("task", int))
                await bag.out(("result", 1))
                assert await other.universe.count(("result", int)) == 0
            assert await other.universe.count(("result", int)) == 1
            with pytest.raises(ZeroDivisionError):
                async with worker.transaction() as together:
                    await together(worker.universe).in_(("result", int))
                    raise ZeroDivisionError
            assert await other.universe.count(("result", int)) == 1

    asyncio.run(scenario())


def test_notify(address: Address) -> None:
    async def scenario() -> None:
        async with await connect(address) as linda:
            events = linda.universe.notify(("a", int))
            first = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await linda.universe.out(("a", 1))
            await linda.universe.out(("a", 2))
            assert [await first, await anext(events)] == [("a", 1), ("a", 2)]

    asyncio.run(scenario())


def test_a_subscription_ends_with_its_loop(address: Address) -> None:
    async def first(linda: AsyncClient) -> Any:
        async for fields in linda.universe.notify(("a", int)):
            return fields
        raise AssertionError

    async def scenario() -> None:
        async with await connect(address) as linda:
            subscriber = asyncio.create_task(first(linda))
            while not subscriber.done():
                await linda.universe.out(("a", 1))
            assert await subscriber == ("a", 1)
            async with asyncio.timeout(LIMIT_S):
                while linda._subscriptions:
                    await linda.universe.count(("a",))

    asyncio.run(scenario())


def test_a_subscription_ends_in_an_error_when_the_server_dies(serve_process: Callable[..., Any]) -> None:
    name, process = serve_process()

    async def scenario() -> None:
        async with await connect(name) as linda:
            subscriber = asyncio.ensure_future(anext(linda.universe.notify(("a", int))))
            await asyncio.sleep(0)
            await linda.universe.count(("a",))
            process.kill()
            with pytest.raises(PeerClosed):
                await subscriber
            with pytest.raises(PeerClosed):
                await anext(linda.universe.notify(("a", int)))

    asyncio.run(scenario())


def test_a_subscription_that_nobody_reads_takes_no_memory_without_end(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aconnection, "MAX_UNREAD_BYTES", 2_000)

    async def scenario() -> None:
        async with await connect(address) as linda:
            events = linda.universe.notify(("a", int, str))
            first = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await linda.universe.out(("a", 0, ""))
            assert await first == ("a", 0, "")
            for number in range(1, 101):
                await linda.universe.out(("a", number, "x" * 90))
            numbers = []
            with pytest.raises(UsageError, match="tuples of a subscription wait to be read"):
                async for fields in events:
                    numbers.append(fields[1])
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) == 5  # of some 100 bytes on the wire, and 256 in memory
            assert await linda.universe.count(("a", int, str)) == 101

    asyncio.run(scenario())


@pytest.mark.parametrize("most_bytes", [100, 2_000])  # one tuple may wait, however little that is
def test_a_subscription_that_is_read_goes_on(
    address: Address, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    monkeypatch.setattr(aconnection, "MAX_UNREAD_BYTES", most_bytes)

    async def scenario() -> None:
        async with await connect(address) as linda:
            events = linda.universe.notify(("a", int))
            for number in range(1_000):
                next_one = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
                await linda.universe.out(("a", number))
                assert await next_one == ("a", number)

    asyncio.run(scenario())


def test_what_cannot_be_sent_is_refused_before(address: Address) -> None:
    async def scenario() -> None:
        for timeout_s in (0, math.nan, None):
            with pytest.raises(UsageError, match="timeout_s is"):
                await connect(address, timeout_s=timeout_s)  # type: ignore[arg-type]
        async with await connect(address) as linda:
            with pytest.raises(FieldError, match="at most 4,194,272 travel"):
                await linda.universe.out(("a", "x" * 5_000_000))
            with pytest.raises(UsageError, match="timeout_s is '5'"):
                await linda.universe.in_(("a",), timeout_s="5")  # type: ignore[arg-type]
            with pytest.raises(UsageError, match="lease_s is -1"):
                await linda.universe.out(("a",), lease_s=-1)
            with pytest.raises(FieldError, match="more than 64 bits"):
                await linda.space(10**23).out(("a",))
            with pytest.raises(FieldError, match="travel"):
                await linda.universe.out_all([("a", "x"), ("a", "x" * 5_000_000)])
            assert await linda.universe.count(("a", str)) == 0

    asyncio.run(scenario())


def test_under_uvloop(address: Address, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scenario() -> None:
        async with await connect(address) as linda:
            await linda.universe.out(("a", 1))
            assert await linda.universe.in_(("a", int)) == ("a", 1)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


def test_a_server_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "create_connection", lambda *_: loop.create_future())
        with pytest.raises(PeerRefused, match=r"took no connection: no answer within 0\.01 s\.$"):
            await connect("127.0.0.1:1", timeout_s=0.01)

    asyncio.run(scenario())


@contextmanager
def admitting(*, last_words: str = "") -> Iterator[str]:
    """A server that lets one client in and reads nothing more, or one request if it has something to say."""
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1_000)
            connection.sendall(encode(Done(1)))
            if last_words:
                connection.recv(1_000)
                connection.sendall(encode(Refused(0, last_words)))
            else:
                over.wait(LIMIT_S)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield str(Address(*listener.getsockname()))
        finally:
            over.set()
            thread.join(LIMIT_S)


@pytest.mark.parametrize("are_awaited", [True, False])
def test_a_server_that_reads_nothing_does_not_hold_up_the_end_of_the_block(are_awaited: bool) -> None:
    async def scenario(address: str) -> None:
        async with asyncio.timeout(LIMIT_S), await connect(address, timeout_s=LIMIT_S) as linda:
            linda.timeout_s = 0.2
            puts = asyncio.gather(
                *[linda.universe.out(("a", "x" * 4_000_000)) for _ in range(5)], return_exceptions=True
            )
            await (puts if are_awaited else asyncio.sleep(0))
        assert {type(outcome) for outcome in await puts} <= {PeerSilent, PeerClosed}

    with admitting() as address:
        asyncio.run(scenario(address))


def test_a_server_that_hangs_up_says_why() -> None:
    async def scenario(address: str) -> None:
        async with await connect(address, timeout_s=LIMIT_S) as linda:
            with pytest.raises(PeerClosed, match="closes the connection: It is late"):
                await linda.universe.out(("a",))

    with admitting(last_words="It is late.") as address:
        asyncio.run(scenario(address))


def test_an_evaluation_that_raises_stop_iteration_ends(address: Address) -> None:
    """No future of asyncio takes a StopIteration, so that nobody would hear of it."""

    async def scenario() -> None:
        async with await connect(address) as linda, asyncio.timeout(LIMIT_S):
            with pytest.raises(RuntimeError, match="StopIteration"):
                await linda.universe.eval_(("next", lambda: next(iter(()))))

    asyncio.run(scenario())


def test_evaluations_may_wait_for_one_another(address: Address) -> None:
    async def scenario() -> None:
        together = threading.Barrier(40, timeout=LIMIT_S)
        async with await connect(address) as linda:
            with pytest.raises(FieldError, match="'met' is not a tuple"):
                linda.universe.eval_("met")  # type: ignore[arg-type]
            await asyncio.gather(*[linda.universe.eval_(("met", together.wait)) for _ in range(40)])
            assert await linda.universe.count(("met", int)) == 40

    asyncio.run(scenario())


EVALUATES = """\
import asyncio, sys, threading
from dslab.linda import aclient, client
def work():
    client.connect(sys.argv[1]).universe.out(("begun",))
    threading.Event().wait()
async def evaluate():
    async with await aclient.connect(sys.argv[1]) as linda:
        await linda.universe.eval_(("late", work))
asyncio.run(evaluate())
"""


def test_ctrl_c_ends_a_program_with_evaluations(address: Address) -> None:
    command = [sys.executable, "-c", EVALUATES, str(address)]
    with blocking.connect(address) as linda, subprocess.Popen(command, stderr=subprocess.DEVNULL) as program:
        try:
            linda.universe.in_(("begun",), timeout_s=LIMIT_S)
            program.send_signal(signal.SIGINT)
            assert program.wait(LIMIT_S) == -signal.SIGINT
        finally:
            program.kill()


def test_errors(address: Address, serve: Callable[..., Address]) -> None:
    async def scenario() -> None:
        with pytest.raises(PeerRefused):
            await connect("127.0.0.1:1")
        with pytest.raises(RefusedError, match="token"):
            await connect(serve(token="sesame"))
        async with await connect(address) as linda:
            taker = asyncio.ensure_future(linda.universe.in_(("never",)))
            await linda.universe.count(("a",))
            linda.close()
            with pytest.raises(PeerClosed, match=r"The connection to .* is closed\."):
                await taker
            with pytest.raises(PeerClosed):
                await linda.universe.out(("a",))

    asyncio.run(scenario())

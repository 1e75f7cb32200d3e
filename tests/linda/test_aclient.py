from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import PeerClosed, PeerRefused
from dslab.linda.aclient import AsyncClient, AsyncTupleSpace, connect
from dslab.linda.calls import NoTuple, RefusedError

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
            with pytest.raises(PeerClosed):
                await taker
            with pytest.raises(PeerClosed):
                await linda.universe.out(("a",))

    asyncio.run(scenario())

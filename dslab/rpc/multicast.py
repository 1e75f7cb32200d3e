"""One call to many servers at once: multicast RPC.

::

    with multicast(["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"], timeout_s=2.0) as group:
        replies = group.call("read", "x", wanted=MAJORITY)
        replies.results        # {address: result} of those that answered
        replies.failures       # {address: error}: each says whether the call happened there
        replies.late           # those that were not waited for

All requests are sent before any reply is waited for, so that it takes as long as the slowest server that
counts. How many count is the caller's decision: ``ALL``, ``MAJORITY``, or a number, 1 being "the first". As
soon as so many have answered, or so many cannot answer any more, the call returns. Who was not waited for
still executes the call: a multicast stops listening, it takes nothing back.

A server that is named twice, by the same address, is one server: it is called once and counts once, in
``ALL`` and in ``MAJORITY``, too.

Source: ch. 4, Remote procedure call (multicast RPC); quorums are ch. 7 and 8.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Final, Self, Unpack

from dslab.kit.address import Address
from dslab.kit.errors import PeerError, UsageError
from dslab.rpc import aclient
from dslab.rpc.errors import closed_here, forked
from dslab.rpc.settings import Options, where

ALL: Final = "all"
MAJORITY: Final = "majority"


class NotEnough(PeerError):
    """Fewer servers answered than were wanted.

    Attributes:
        replies: What there is.
    """

    def __init__(self, message: str, replies: Replies) -> None:
        super().__init__(message)
        self.replies = replies


@dataclass(slots=True)
class Replies:
    """What came of a multicast call.

    Attributes:
        results: Of those that answered.
        failures: Why the others did not; each error says whether the call happened there.
        late: Those that were still silent when enough had answered.
    """

    results: dict[Address, Any] = field(default_factory=dict)
    failures: dict[Address, Exception] = field(default_factory=dict)
    late: list[Address] = field(default_factory=list)


def needed(wanted: int | str, servers: int) -> int:
    """Say how many must answer.

    Raises:
        UsageError: There are not so many, or it is no number.
    """
    count = {ALL: servers, MAJORITY: servers // 2 + 1}.get(str(wanted), wanted)
    if not isinstance(count, int) or not 1 <= count <= servers:
        raise UsageError(f"Of {servers} servers, {wanted} cannot be waited for.")
    return count


class AsyncGroup:
    """Some servers, called together, from asyncio. An asynchronous context manager.

    A server that cannot be reached does not matter before it is called; then it is among the failures.
    """

    def __init__(self, servers: Iterable[Address | str], options: Options) -> None:
        self.addresses = list(dict.fromkeys(where(server) for server in servers))
        self._options = options
        self._clients: dict[Address, aclient.AsyncClient] = {}
        self._tasks: set[asyncio.Task[Any]] = set()  # calls under way, each of one server
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, also those that are being made. Calls under way are given up."""
        self._closed = True
        await asyncio.gather(*(client.close() for client in self._clients.values()))
        self._clients.clear()
        for task in self._tasks:
            task.cancel()  # it still connects
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def call(
        self, method: str, /, *arguments: Any, wanted: int | str = ALL, **named_arguments: Any
    ) -> Replies:
        """Call a procedure at every server.

        Raises:
            NotEnough: So many failed that fewer than ``wanted`` can answer.
            UsageError: The call cannot be made: an argument does not travel. That is no server's failure.
            PeerClosed: The group is closed. Nothing was sent.
        """
        enough = needed(wanted, len(self.addresses))
        if self._closed:
            raise closed_here(method)
        tasks = {
            asyncio.create_task(self._call_one(address, method, *arguments, **named_arguments)): address
            for address in self.addresses
        }
        self._tasks.update(tasks)
        try:
            replies = await self._collect(method, tasks, enough)
        finally:
            self._tasks.difference_update(tasks)
        if len(replies.results) < enough:
            failed = "; ".join(f"{address}: {error}" for address, error in replies.failures.items())
            raise NotEnough(
                f"{method}: {len(replies.results)} answered, {enough} were wanted. {failed}", replies
            )
        return replies

    async def _collect(self, method: str, tasks: dict[asyncio.Task[Any], Address], enough: int) -> Replies:
        """Wait until enough have answered, or enough have failed."""
        replies, open_tasks = Replies(), set(tasks)
        try:
            while open_tasks and len(replies.results) < enough <= len(tasks) - len(replies.failures):
                ended, open_tasks = await asyncio.wait(open_tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    error = closed_here(method) if task.cancelled() else task.exception()
                    if isinstance(error, UsageError):
                        raise error
                    if isinstance(error, Exception):
                        replies.failures[tasks[task]] = error
                    else:
                        replies.results[tasks[task]] = task.result()
        finally:
            for task in open_tasks:
                task.cancel()
            await asyncio.gather(*open_tasks, return_exceptions=True)
        replies.late = [tasks[task] for task in open_tasks]
        return replies

    async def _call_one(self, address: Address, method: str, *arguments: Any, **named_arguments: Any) -> Any:
        client = self._clients.get(address)
        if client is None:
            client = await aclient.connect(address, **self._options)
            if self._closed:
                await client.close()
                raise closed_here(method)
            if (other := self._clients.setdefault(address, client)) is not client:
                await client.close()  # another call has been quicker
                client = other
        return await client.call(method, *arguments, **named_arguments)


def multicast(servers: Iterable[Address | str], **options: Unpack[Options]) -> Group:
    """Make a group of servers. The options are those of `client.connect`, for each of them."""
    return Group(servers, options)


class Group:
    """Some servers, called together, from a program without asyncio. A context manager.

    A thread of its own runs the asyncio group.
    """

    def __init__(self, servers: Iterable[Address | str], options: Options) -> None:
        self._group = AsyncGroup(servers, options)
        self._lock = Lock()  # nothing begins once it is being closed
        self._closed = False
        self._calls: set[concurrent.futures.Future[Replies]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="multicast", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    @property
    def addresses(self) -> list[Address]:
        """The servers."""
        return self._group.addresses

    def call(
        self, method: str, /, *arguments: Any, wanted: int | str = ALL, **named_arguments: Any
    ) -> Replies:
        """Call a procedure at every server. See `AsyncGroup.call`."""
        work = self._group.call(method, *arguments, wanted=wanted, **named_arguments)
        call = self._start(method, work)
        try:
            return call.result()
        finally:
            self._calls.discard(call)

    def close(self) -> None:
        """Close all connections, and end the thread. Calls under way are given up; there are no others."""
        with self._lock:
            closed, self._closed = self._closed, True
            calls = [*self._calls]
        if not closed and self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._group.close(), self._loop).result()
            concurrent.futures.wait(calls)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _start(self, method: str, work: Coroutine[Any, Any, Replies]) -> concurrent.futures.Future[Replies]:
        """Do work for a call in the other thread. What begins before `close` does ends with it."""
        with self._lock:
            if not self._closed and self._thread.is_alive():
                call = asyncio.run_coroutine_threadsafe(work, self._loop)
                self._calls.add(call)
                return call
        work.close()
        raise closed_here(method) if self._closed else forked(method)

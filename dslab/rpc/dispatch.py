"""The dispatcher: who executes a call that has come? The same for every transport on asyncio.

Without workers the loop itself does, one call after the other; a coroutine function runs as a task beside
the others. With workers the loop only dispatches: it decides about each message, and hands the call to a
pool of threads. So a slow procedure holds up nobody but its caller.

Every message has one end: its reply is sent, or the sender is told that there will be none. A call that does
not end at once, one-way calls too, is counted where it came from, and so is each part of a batch.

Source: ch. 3, Threads in distributed systems (dispatcher/worker model).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any

from dslab.rpc.messages import Batch, Message, Notification, Request, Response
from dslab.rpc.objects import RAISED, finished
from dslab.rpc.service import UNFIT_BYTES, Running, Sender, Service, complain


class Dispatcher:
    """Executes the calls of one service.

    Args:
        service: What is served.
        workers: Threads that execute the calls; 0: the loop does.
    """

    def __init__(self, service: Service, workers: int = 0) -> None:
        self.service = service
        self.loop = asyncio.get_running_loop()
        self._clock = self.loop.time
        self._call = service.execute
        self._closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pool: Executor | None = ThreadPoolExecutor(workers, "worker") if workers else None

    def take(self, sender: Sender, message: Message, now_s: float) -> None:
        """Do what a message asks for, now or beside everything else.

        Args:
            sender: Takes the reply.
            message: What has come.
            now_s: When it came, by the loop's clock.
        """
        if self._closed:
            return  # whoever asks now is hung up on in a moment
        if type(message) is Batch:
            self._take_batch(sender, message, now_s)
            return
        if type(message) is Request and not message.identified:
            self._execute(sender, message, now_s)  # as the service would say, of most calls
            return
        order = self.service.receive(sender, message)
        if type(order) is Request:
            self._execute(sender, order, now_s)
        elif type(order) is Response:
            sender.send(order)
        elif type(order) is Notification:
            self._notice(sender, order)
        elif order is None:
            sender.skip()
        else:  # a copy of a call that is under way: it ends with that
            sender.began()

    async def close(self) -> None:
        """Give up what waits. Calls that threads execute are waited for."""
        self._closed = True
        await asyncio.sleep(0)  # a procedure that was called just now begins, so that it can be given up
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pool is not None:
            await self.loop.run_in_executor(None, self._pool.shutdown)

    def _take_batch(self, sender: Sender, batch: Batch, now_s: float) -> None:
        BatchReply(sender, self.service, batch, lambda reply, part: self.take(reply, part, now_s)).begin()

    def _execute(self, sender: Sender, request: Request, now_s: float) -> None:
        if self._pool is not None:
            sender.began()
            self._start(self._execute_in_pool(sender, request, now_s))
            return
        context = request.context
        outcome = self._call(sender.peer, request, self._clock() - now_s if context else 0.0)
        if type(outcome) is not Response:
            sender.began()
            self._start(self._await(sender, request, outcome))
        elif context and context.session:
            self._finish(sender, request, outcome)
        else:
            sender.send(outcome)

    def _notice(self, sender: Sender, notification: Notification) -> None:
        if self._pool is not None:
            sender.began()
            self._start(self._notice_in_pool(sender, notification))
        elif (running := self.service.notice(sender.peer, notification)) is not None:
            sender.began()
            self._start(self._await_noticed(sender, notification, running))
        sender.skip()

    async def _execute_in_pool(self, sender: Sender, request: Request, now_s: float) -> None:
        """Let a worker execute it. Its deadline may pass while it waits for one."""

        def work() -> Response | Running:
            return self.service.execute(sender.peer, request, self.loop.time() - now_s)

        outcome = await self.loop.run_in_executor(self._pool, work)
        await self._await(sender, request, outcome)

    async def _notice_in_pool(self, sender: Sender, notification: Notification) -> None:
        call = partial(self.service.notice, sender.peer, notification)
        running = await self.loop.run_in_executor(self._pool, call)
        await self._await_noticed(sender, notification, running)

    async def _await_noticed(
        self, sender: Sender, notification: Notification, running: Running | None
    ) -> None:
        if running is not None:
            await logged(notification, running)
        if not self._closed:
            sender.ended()

    async def _await(self, sender: Sender, request: Request, outcome: Response | Running) -> None:
        response = outcome if isinstance(outcome, Response) else await finished(request, outcome)
        if self._closed:  # it was given up in the middle: how it ended means nothing
            return
        self._finish(sender, request, response)
        sender.ended()

    def _finish(self, sender: Sender, request: Request, response: Response) -> None:
        for place, (who, reply) in enumerate(self.service.finish(sender, request, response)):
            who.send(reply)
            if place:  # it had sent a copy
                who.ended()

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine beside everything else."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class BatchReply:
    """Takes the parts of a batch, no more at a time than of a connection, and collects the replies to them.

    Each is marshalled as it comes. All together they must fit a message: those for which there is no room
    left say so. Room for that is kept for each.

    Args:
        origin: Takes the replies, once all are there.
        service: Whose limits hold.
        batch: The parts.
        take: Does what a part asks for; this is its sender.
    """

    def __init__(
        self, origin: Sender, service: Service, batch: Batch, take: Callable[[BatchReply, Message], None]
    ) -> None:
        self._origin = origin
        self._service = service
        self._take = take
        self._rest = deque(batch.messages)
        self._missing = len(batch.messages)
        self._in_flight = 0
        self.most_bytes = origin.most_bytes
        self._kept_bytes = min(UNFIT_BYTES, origin.most_bytes // max(1, self._missing))
        self._room_bytes = origin.most_bytes - self._missing * self._kept_bytes
        self._responses: list[Message] = []
        self._lock = Lock()  # a reply may come from the thread of another connection

    def begin(self) -> None:
        """Take the parts, as far as there is room; the others when one has ended."""
        if not self._missing:
            self._origin.skip()
        self._go_on()

    @property
    def peer(self) -> Any:
        """Whose instances the calls are on."""
        return self._origin.peer

    def send(self, message: Response | Batch) -> None:
        """Take a reply."""
        assert isinstance(message, Response)
        with self._lock:
            self._room_bytes += self._kept_bytes
            reply, taken_bytes = self._service.fit(message, self._room_bytes, self.most_bytes)
            self._room_bytes -= taken_bytes
            self._responses.append(reply)
        self.skip()

    def skip(self) -> None:
        """A part has had its reply, or has none."""
        with self._lock:
            self._missing -= 1
            if self._missing:
                return
        if self._responses:
            self._origin.send(Batch(self._responses))
        else:
            self._origin.skip()

    def began(self) -> None:
        """A part is under way."""
        self._in_flight += 1
        self._origin.began()

    def ended(self) -> None:
        """A part is not under way any more."""
        self._in_flight -= 1
        self._go_on()
        self._origin.ended()

    def _go_on(self) -> None:
        while self._rest and self._in_flight < self._service.limits.max_in_flight:
            self._take(self, self._rest.popleft())


async def logged(notification: Notification, running: Running) -> None:
    """Await a one-way call."""
    try:
        await running
    except RAISED as error:
        task = asyncio.current_task()
        if task is None or not task.cancelling():  # else the server ends, and gives it up
            complain(f"one-way {notification.method}", error)

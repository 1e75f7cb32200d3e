"""The dispatcher: who executes a call that has come? The same for every transport on asyncio.

Without workers the loop itself does, one call after the other; a coroutine function runs as a task beside
the others. With workers the loop only dispatches: it decides about each message, and hands the call to a
pool of threads. So a slow procedure holds up nobody but its caller.

Source: ch. 3, Threads in distributed systems (dispatcher/worker model).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dslab.rpc.messages import Batch, Invalid, Message, Notification, Request, Response
from dslab.rpc.objects import finished
from dslab.rpc.service import Running, Sender, Service, complain


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
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pool: Executor | None = ThreadPoolExecutor(workers, "worker") if workers else None

    def take(self, sender: Sender, message: Message, now_s: float) -> None:
        """Do what a message asks for, now or beside everything else.

        Args:
            sender: Takes the reply.
            message: What has come.
            now_s: When it came, by the loop's clock.
        """
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

    async def close(self) -> None:
        """Give up what waits. Calls that threads execute are waited for."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pool is not None:
            await self.loop.run_in_executor(None, self._pool.shutdown)

    def _take_batch(self, sender: Sender, batch: Batch, now_s: float) -> None:
        expected = sum(type(part) is Request or type(part) is Invalid for part in batch.messages)
        reply = BatchReply(sender, expected)
        if not expected:
            sender.skip()
        for part in batch.messages:
            self.take(reply, part, now_s)

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
            self._start(self._notice_in_pool(sender, notification))
        elif (running := self.service.notice(sender.peer, notification)) is not None:
            self._start(_logged(notification, running))
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
        if running is not None:
            await _logged(notification, running)

    async def _await(self, sender: Sender, request: Request, outcome: Response | Running) -> None:
        response = outcome if isinstance(outcome, Response) else await finished(request, outcome)
        self._finish(sender, request, response)
        sender.ended()

    def _finish(self, sender: Sender, request: Request, response: Response) -> None:
        for who, reply in self.service.finish(sender, request, response):
            who.send(reply)

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine beside everything else."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@dataclass(slots=True, eq=False)
class BatchReply:
    """Collects the replies to the parts of a batch.

    Attributes:
        origin: Takes them, once all are there.
        missing: How many replies are still to come.
    """

    origin: Sender
    missing: int
    responses: list[Response] = field(default_factory=list)

    @property
    def peer(self) -> Any:
        """Whose instances the calls are on."""
        return self.origin.peer

    def send(self, message: Response | Batch) -> None:
        """Take a reply."""
        assert isinstance(message, Response)
        self.responses.append(message)
        self.missing -= 1
        if not self.missing:
            self.origin.send(Batch([*self.responses]))

    def skip(self) -> None:
        """A part has no reply: nothing is missing for it."""

    def began(self) -> None:
        """A part is under way."""
        self.origin.began()

    def ended(self) -> None:
        """A part is not under way any more."""
        self.origin.ended()


async def _logged(notification: Notification, running: Running) -> None:
    """Await a one-way call."""
    try:
        await running
    except Exception as error:  # noqa: BLE001  nobody else would be told
        complain(f"one-way {notification.method}", error)

"""The threaded client: calls from many threads, and futures of `concurrent.futures`.

::

    with connect("127.0.0.1:7000") as client:
        later = client.submit("balance", "alice")                          # asynchronous RPC
        later.add_done_callback(lambda reply: print(reply.result()))       # a callback, when the reply comes
        client.call("deposit", "alice", 100)                               # from any thread

It has a thread of its own, which runs the asyncio client. Callbacks run in that thread, and must not wait for
another reply in it.

Source: ch. 4, Remote procedure call (asynchronous RPC); ch. 3, Threads in distributed systems (clients).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, Unpack

from dslab.kit.address import Address
from dslab.rpc.aclient import AsyncClient
from dslab.rpc.client import dial_by
from dslab.rpc.errors import closed_here, forked
from dslab.rpc.interceptors import Interceptor, Invocation, chain
from dslab.rpc.messages import Params
from dslab.rpc.proxy import Proxy, params_of
from dslab.rpc.references import Imports
from dslab.rpc.settings import Options, Settings, where


def connect(address: Address | str, **options: Unpack[Options]) -> ThreadedClient:
    """Connect to a server over TCP. Arguments and errors are those of `client.connect`."""
    return ThreadedClient(address, options)


class ThreadedClient:
    """A connection to a server, for any number of threads. A context manager.

    Attributes:
        interceptors: What stands before the client stub, the outermost first; called in the caller's thread.
    """

    def __init__(self, address: Address | str, options: Options) -> None:
        place, settings = where(address), Settings(**options)
        self.interceptors: list[Interceptor] = []
        self._lock = threading.Lock()  # nothing begins once it is being closed
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"rpc client of {address}", daemon=True)
        self._thread.start()
        try:
            self._client = self._wait(self._opened(place, settings))
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, and end the thread. Calls under way are given up; there are no others."""
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed and self._thread.is_alive():  # in the child of a process that forks, it is not
            self._wait(self._client.close())
            self._stop()

    def proxy(self, name: str = "") -> Any:
        """Give what looks like the remote object: ``proxy.method(arguments)`` calls it."""
        return Proxy(self.call, name)

    def call(self, method: str, /, *arguments: Any, **named_arguments: Any) -> Any:
        """Call a remote procedure and wait for its result. Raises as `client.Client.call` does."""
        invocation = Invocation(method, params_of(arguments, named_arguments))
        return chain(self.interceptors, lambda each: self._submit(each).result())(invocation)

    def submit(
        self, method: str, /, *arguments: Any, **named_arguments: Any
    ) -> concurrent.futures.Future[Any]:
        """Send a request: gives what ends with its reply. Cancelling it gives the call up.

        Raises:
            DoesNotTravel: An argument cannot be written. They are copied in here, not in the other thread.
            PeerClosed: This client is closed. Nothing was sent.
        """
        invocation = Invocation(method, params_of(arguments, named_arguments))
        begun = chain(self.interceptors, self._submit)(invocation)
        if isinstance(begun, concurrent.futures.Future):
            return begun
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.set_result(begun)
        return future

    def notify(self, method: str, /, *arguments: Any, **named_arguments: Any) -> None:
        """Call one-way: there will be no reply, not even an error."""
        chain(self.interceptors, self._notify)(Invocation(method, params_of(arguments, named_arguments)))

    def _submit(self, invocation: Invocation) -> concurrent.futures.Future[Any]:
        params: Any = self._client.codec.freeze(invocation.params)
        return self._start(invocation.method, self._exchange(invocation.method, params))

    def _notify(self, invocation: Invocation) -> None:
        async def send() -> None:
            self._client.notify_now(invocation)

        self._start(invocation.method, send()).result()

    async def _exchange(self, method: str, params: Params) -> Any:
        return await self._client.send(method, params)

    async def _opened(self, address: Address, settings: Settings) -> AsyncClient:
        """Connect. The references that come are for any thread: their calls wait."""
        imports = Imports(address, self.call, dial_by(settings.codec))
        client = AsyncClient(address, settings, imports)
        await client.open()
        return client

    def _start(self, method: str, work: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Do work for a call in the other thread. What begins before `close` does ends with it."""
        with self._lock:
            if not self._closed and self._thread.is_alive():
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise closed_here(method) if self._closed else forked(method)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

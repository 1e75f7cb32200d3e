"""The links program as a thread of the grader's own process: nothing to start, nothing to be left behind."""

from __future__ import annotations

import asyncio
import secrets
import threading
from types import TracebackType

from dslab.kit.address import Address
from dslab.kit.errors import KitError
from dslab.kit.links.control import LinksClient
from dslab.kit.links.program import Program, serve

START_S = 10.0


class LinksThread:
    """A running links program. A context manager: at its end every link is closed.

    Args:
        seed: What faults are decided from.
        host: Where the control channel listens; another terminal's ``dslab fault`` connects to it.

    Attributes:
        address: The control channel.
        token: What a client of it must show.
    """

    def __init__(self, seed: int, *, host: str = "127.0.0.1") -> None:
        self.address = Address(host, 0)
        self.token = secrets.token_hex(16)
        self._seed = seed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="links", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S) or self._failure is not None:
            raise KitError("The links program did not start.") from self._failure

    def client(self) -> LinksClient:
        """A client of this program."""
        return LinksClient(self.address, self.token)

    def close(self) -> None:
        """Close every link and end the thread. Closing twice is harmless."""
        if self._thread.is_alive() and self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)
        if self._thread.is_alive():
            raise KitError("The links program did not end.")

    def __enter__(self) -> LinksThread:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits for the start
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(Program(self._seed), self.token, self.address, self._stop, self._is_ready)

    def _is_ready(self, address: Address) -> None:
        self.address = address
        self._ready.set()

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvloop

from dslab.kit.address import Address
from dslab.linda.server import Options, serving

NewLoop = Callable[[], asyncio.AbstractEventLoop]
Serve = Callable[..., Address]
ServeProcess = Callable[..., tuple[str, subprocess.Popen[str]]]


@contextmanager
def server_thread(options: Options, new_loop: NewLoop) -> Iterator[Address]:
    """A server in a thread of the test's process."""
    ready: list[Address] = []
    loop = new_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with serving(Address("127.0.0.1", 0), options) as (address, _):
            ready.append(address)
            started.set()
            await stop.wait()

    def body() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=body)
    thread.start()
    assert started.wait(30)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


@pytest.fixture
def new_loop() -> NewLoop:
    """The event loop that ``python -m dslab.linda server`` runs."""
    return uvloop.new_event_loop


@pytest.fixture
def serve(new_loop: NewLoop) -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(server_thread(Options(**options), new_loop))


@pytest.fixture
def address(serve: Serve) -> Address:
    return serve()


@contextmanager
def server_process(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server as a process: its address, and the process."""
    command = [sys.executable, "-m", "dslab.linda", "server", "--bind", "127.0.0.1:0", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("listening on ")
            yield line.split()[-1], process
        finally:
            process.kill()


@pytest.fixture
def serve_process(tmp_path: Path) -> Iterator[ServeProcess]:
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(server_process(*options))

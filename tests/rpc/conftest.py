from __future__ import annotations

import asyncio
import os
import random
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.rpc import http, server, server_threads, udp
from dslab.rpc.codecs import codec_named
from dslab.rpc.service import Limits, Service

Serve = Callable[..., Address]
ServeProcess = Callable[..., tuple[str, subprocess.Popen[str]]]

PATIENCE_S = 30.0


@contextmanager
def running_server(service: Service, workers: int = 0, by: Any = server) -> Iterator[Address]:
    """A server on asyncio, in a thread of the test's process."""
    ready: list[Address] = []
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with by.serving(Address("127.0.0.1", 0), service, workers) as address:
            ready.append(address)
            started.set()
            await stop.wait()

    def body() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=body)
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_S)


def service_of(*served: Any, codec: str = "msgpack", **limits: int) -> Service:
    service = Service(codec_named(codec), random.getrandbits(62), Limits(**limits))
    for each in served:
        service.objects.register(each)
    return service


@pytest.fixture
def reserved() -> Iterator[Address]:
    """An address that nobody else gets: nobody listens there, unless the test lets a server do so.

    Python's servers may (SO_REUSEADDR), one after the other. A port that a server has given up, and that is
    not reserved, may be the next one of a server of another test, which runs at the same time.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield Address(*holder.getsockname())


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve objects: gives the address."""
    with ExitStack() as stack:

        def start(
            *served: Any, codec: str = "msgpack", transport: str = "tcp", workers: int = 0, **limits: int
        ) -> Address:
            service = service_of(*served, codec=codec.removesuffix("-http"), **limits)
            if transport == "threads":
                return stack.enter_context(server_threads.serving(Address("127.0.0.1", 0), service))
            by = http if codec == "json-http" else {"tcp": server, "udp": udp}[transport]
            return stack.enter_context(running_server(service, workers, by))

        yield start


@contextmanager
def server_process(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server as a process: its address, and the process."""
    command = [sys.executable, "-m", "dslab.rpc", "server", "--bind", "127.0.0.1:0", *options]
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
def serve_process() -> Iterator[ServeProcess]:
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(server_process(*options))


@pytest.fixture
def source(tmp_path: Path) -> Callable[[str], Path]:
    """Write a file of Python: gives its path."""

    def write(text: str) -> Path:
        path = tmp_path / "served.py"
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def run_service() -> Iterator[Serve]:
    """Serve a service that the test has made: gives the address."""
    with ExitStack() as stack:
        yield lambda service, **options: stack.enter_context(running_server(service, **options))

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import uvloop
from botocore.config import Config

from dslab.kit.address import Address
from dslab.objectstore.access import Key, Rules
from dslab.objectstore.server import Options, serving
from dslab.objectstore.service import Service

ID, SECRET = "AKIDOWNER", "owner/secret+40"
READER = "AKIDREADER:reader-secret:ro"
LIMITED = "AKIDLIMITED:limited-secret:ro:mybucket"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs in a thread of the test's process."""

    address: Address
    service: Service
    data: Path

    @property
    def url(self) -> str:
        return f"http://{self.address}"


@contextmanager
def server_thread(options: Options) -> Iterator[Served]:
    ready: list[tuple[Address, Service]] = []
    started = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        async with serving(Address("127.0.0.1", 0), options) as served:
            ready.append(served)
            started.set()
            await stop.wait()

    def body() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=body)
    thread.start()
    assert started.wait(60)
    try:
        yield Served(*ready[0], options.data)
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        assert not thread.is_alive()


def rules(*keys: str, anonymous: str = "nothing") -> Rules:
    return Rules.of(map(Key.parse, keys), anonymous)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests of a module; each test has a bucket of its own."""
    owner = f"{ID}:{SECRET}"
    options = Options(tmp_path_factory.mktemp("store"), rules(owner, READER, LIMITED), sync=False)
    with server_thread(options) as served:
        yield served


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(*keys: str, anonymous: str = "nothing", data: Path | None = None) -> Served:
            options = Options(data or tmp_path / "store", rules(*keys, anonymous=anonymous), sync=False)
            return stack.enter_context(server_thread(options))

        yield start


def client(served: Served | str, key: str = f"{ID}:{SECRET}", **options: Any) -> Any:
    """A boto3 client. Options go to its configuration."""
    access_key, secret = key.split(":")[:2]
    s3: Any = {"addressing_style": options.pop("style", "path")}
    options = {"retries": {"total_max_attempts": 1}, "signature_version": "s3v4", **options}
    make: Any = boto3.client
    return make(
        "s3",
        endpoint_url=served if isinstance(served, str) else served.url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(s3=s3, **options),
    )


@pytest.fixture(scope="module")
def s3(served: Served) -> Iterator[Any]:
    made = client(served)
    yield made
    made.close()


_numbers = iter(range(1_000_000))


@pytest.fixture
def bucket(s3: Any) -> str:
    """A new bucket."""
    name = f"bucket-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def http(served: Served) -> Iterator[httpx.Client]:
    """A client that signs nothing."""
    with httpx.Client(base_url=served.url, trust_env=False) as made:
        yield made


@pytest.fixture
def open_http(serve: Serve) -> Iterator[httpx.Client]:
    """A server of its own, on which anybody may write."""
    served = serve(f"{ID}:{SECRET}", anonymous="write")
    with httpx.Client(base_url=served.url, trust_env=False) as made:
        yield made


@contextmanager
def server_process(data: Path, *options: str, key: str = f"{ID}:{SECRET}") -> Iterator[tuple[str, Any]]:
    """A server as a process: its address, and the process."""
    command = [sys.executable, "-m", "dslab.objectstore", "server", "--bind", "127.0.0.1:0"]
    command += ["--data", str(data), "--key", key, *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("listening on "), line
            yield line.split()[-1], process
        finally:
            process.kill()

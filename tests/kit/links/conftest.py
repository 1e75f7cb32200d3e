"""Both ends of a link in one test: what the client does, and what the target sees."""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.links import LinksClient, LinkSpec, LinkStats, LinksThread
from dslab.kit.trace.event import Event
from dslab.kit.trace.recorder import read

TIMEOUT_S = 20.0
ANYWHERE = Address("127.0.0.1", 0)


class End:
    """One end of a connection, or of an exchange of datagrams. Nothing waits for longer than `TIMEOUT_S`."""

    def __init__(self, own: socket.socket) -> None:
        self.socket = own
        own.settimeout(TIMEOUT_S)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    def receive(self, size: int) -> bytes:
        """Exactly so many bytes, or what came before the end of the stream."""
        received = bytearray()
        while len(received) < size and (piece := self.socket.recv(min(size - len(received), 1 << 20))):
            received += piece
        return bytes(received)

    def piece(self) -> bytes:
        """What the next read brings: some bytes, or a datagram."""
        return self.socket.recv(65_535)

    def finish(self) -> None:
        """Half-close: there is no more to come from here."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close."""
        self.socket.close()

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def until_reset(self) -> bytes:
        """What comes before the reset; a failure if the stream ends in good order."""
        received = b""
        try:
            while piece := self.piece():
                received += piece
        except ConnectionResetError:
            return received
        pytest.fail("an orderly end, not a reset")

    def is_silent(self, for_s: float = 0.15) -> bool:
        """Does nothing come for that long?"""
        self.socket.settimeout(for_s)
        try:
            return not self.piece() and False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT_S)


@dataclass
class Wire:
    """An open link between a client and a target that are both the test's."""

    spec: LinkSpec
    address: Address
    target: socket.socket
    links: LinksClient
    stack: ExitStack
    trace: Path

    def connect(self) -> tuple[End, End]:
        """A TCP connection: its client's end and its target's end."""
        client = self.client()
        return client, self.accept()

    def client(self) -> End:
        """The client's end of a TCP connection."""
        client = self.stack.enter_context(socket.create_connection(self.address.pair, TIMEOUT_S))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return End(client)

    def meets_reset(self) -> None:
        """A connection that the link accepts and resets; the reset may come before the client has noticed."""
        with suppress(ConnectionResetError):
            self.client().until_reset()

    def accept(self) -> End:
        """The target's end of the next TCP connection."""
        server, _ = self.target.accept()
        return End(self.stack.enter_context(server))

    def sender(self) -> End:
        """A client's UDP socket that talks to the link."""
        client = self.stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.connect(self.address.pair)
        return End(client)

    def apply(self, kind: str, **parameters: Any) -> None:
        """Let the link misbehave."""
        self.links.apply(self.spec.name, {"kind": kind, **parameters})

    def heal(self) -> None:
        """End its faults."""
        self.links.heal(self.spec.name)

    def stats(self) -> LinkStats:
        """What it has carried and done."""
        return self.links.stats(self.spec.name)

    def injected(self, kind: str) -> int:
        """How often that fault happened."""
        return self.stats().injected.get(kind, 0)

    def until(self, true: Callable[[LinkStats], bool]) -> LinkStats:
        """Wait for something to show in its statistics."""
        deadline = time.monotonic() + TIMEOUT_S
        while not true(stats := self.stats()):
            assert time.monotonic() < deadline, stats
            time.sleep(0.005)
        return stats

    def events(self) -> list[Event]:
        """End the trace, and read it."""
        self.links.end()
        return read(self.trace)


@pytest.fixture
def program() -> Iterator[LinksThread]:
    """A links program in a thread."""
    with LinksThread(seed=7) as thread:
        yield thread


@pytest.fixture
def links(program: LinksThread) -> Iterator[LinksClient]:
    """Its client."""
    with program.client() as client:
        yield client


@pytest.fixture
def open_link(links: LinksClient, tmp_path: Path) -> Iterator[Callable[..., Wire]]:
    """Opens a link to a target of the test's own, and records."""
    with ExitStack() as stack:

        def open_one(transport: str = "tcp", *, name: str = "client->server", **fields: Any) -> Wire:
            kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
            target = stack.enter_context(socket.socket(socket.AF_INET, kind))
            target.bind(("127.0.0.1", 0))
            target.settimeout(TIMEOUT_S)
            if transport == "tcp":
                target.listen(128)
            upstream = Address(*target.getsockname())
            source, _, service = name.partition("->")
            spec = LinkSpec(name, source, service, ANYWHERE, (upstream,), transport, **fields)  # type: ignore[arg-type]
            return Wire(spec, links.open(spec), target, links, stack, tmp_path / "trace.jsonl")

        links.begin(tmp_path / "trace.jsonl", time.time())
        yield open_one


@pytest.fixture
def framing() -> Iterator[str]:
    """The name of a framing function: a message is a byte with its length, and so many; 255 is no length."""
    module = ModuleType("framing_of_the_test")

    def frames(buffer: memoryview) -> int | None:
        if buffer[0] == 255:
            raise ValueError("255 is no length")
        return 1 + buffer[0] if len(buffer) > buffer[0] else None

    module.frames = frames  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    yield f"{module.__name__}:frames"
    del sys.modules[module.__name__]

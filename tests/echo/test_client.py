"""The client against peers that behave in every wrong way."""

from __future__ import annotations

import errno
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from dslab.echo import client
from dslab.echo.client import connect
from dslab.echo.messages import MessageTooLong, StreamTruncated, frame
from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerClosed, PeerRefused, PeerSilent

MIB = 1024 * 1024

Play = Callable[[socket.socket], object]
ServePeer = Callable[[Play], Address]


@pytest.fixture
def serve_peer() -> Iterator[ServePeer]:
    """Play the other end: run a function, in a thread, on the one connection that is accepted."""
    with ExitStack() as stack:

        def serve(play: Play) -> Address:
            listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))

            def run() -> None:
                connection, _ = listener.accept()
                with connection:
                    play(connection)

            thread = threading.Thread(target=run)
            thread.start()
            stack.callback(thread.join, 10)
            return Address(*listener.getsockname()[:2])

        yield serve


def hang_up(connection: socket.socket) -> None:
    connection.recv(1)


def reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def until_the_end(connection: socket.socket) -> None:
    while connection.recv(MIB):
        pass


def test_nobody_listens() -> None:
    with socket.socket() as reserved:  # nobody else gets the port meanwhile
        reserved.bind(("127.0.0.1", 0))
        with pytest.raises(PeerRefused, match="Connection refused") as caught:
            connect(Address(*reserved.getsockname()))
    assert caught.value.happened is Happened.NO


def test_name_that_nobody_has() -> None:
    with pytest.raises(PeerRefused, match="nobody has that name"):
        connect("no-such-host.invalid:7000")


def test_our_own_trouble_is_not_the_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "create_connection", fail)
    with pytest.raises(OSError, match="Too many open files"):
        connect("127.0.0.1:7000")


def test_silent_peer(serve_peer: ServePeer) -> None:
    address = serve_peer(until_the_end)
    with connect(address) as connection:
        connection.timeout_s = 0.1
        with pytest.raises(
            PeerSilent, match=rf"^{address}: waited 0\.1 s in vain for a message\.$"
        ) as caught:
            connection.request(b"Hello")
        assert caught.value.happened is Happened.UNKNOWN


def test_peer_that_sends_a_byte_now_and_then_does_not_keep_us(serve_peer: ServePeer) -> None:
    begun, done = threading.Event(), threading.Event()

    def dribble(connection: socket.socket) -> None:
        connection.sendall(frame(bytes(1000))[:5])
        begun.set()
        with suppress(ConnectionError):  # we may have gone already
            for byte in frame(bytes(1000))[5:]:
                connection.send(bytes([byte]))
                if done.wait(0.05):
                    return

    with connect(serve_peer(dribble)) as connection:
        assert begun.wait(10)
        connection.timeout_s = 0.3
        began_s = time.monotonic()
        with pytest.raises(PeerSilent, match=r"the last 9\d\d bytes of a message"):
            connection.receive_message()
        done.set()
        assert time.monotonic() - began_s < 10  # the whole message takes fifty


def test_receiving_can_go_on_after_a_timeout(serve_peer: ServePeer) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def pause(connection: socket.socket) -> None:
        connection.sendall(frame(b"Hello")[:6])
        begun.set()
        go_on.wait(10)
        connection.sendall(frame(b"Hello")[6:])

    with connect(serve_peer(pause)) as connection:
        assert begun.wait(10)
        connection.timeout_s = 0.2
        with pytest.raises(PeerSilent, match="the last 3 bytes of a message"):
            connection.receive_message()
        go_on.set()
        connection.timeout_s = 10.0
        assert connection.receive_message() == b"Hello"


@pytest.mark.parametrize(("end", "how"), [(hang_up, "closed"), (reset, "reset")])
def test_peer_that_goes_away(end: Play, how: str, serve_peer: ServePeer) -> None:
    address = serve_peer(end)
    with connect(address) as connection:
        connection.send(b"x")
        with pytest.raises(PeerClosed, match=rf"{how} the connection: waited for a message\.$"):
            connection.receive_message()
        assert connection.was_reset is (how == "reset")
        assert connection.at_end()
        assert connection.receive_some() == b""
        with pytest.raises(PeerClosed):
            connection.receive_exactly(1)
        if connection.was_reset:
            with pytest.raises(PeerClosed):
                connection.finish()


def test_peer_that_goes_away_inside_a_message(serve_peer: ServePeer) -> None:
    with (
        connect(serve_peer(lambda connection: connection.sendall(frame(b"Hello")[:-2]))) as connection,
        pytest.raises(StreamTruncated, match="2 bytes before the end"),
    ):
        connection.receive_message()


def test_peer_that_goes_away_while_we_send(serve_peer: ServePeer) -> None:
    address = serve_peer(lambda connection: connection.recv(1000))
    with connect(address) as connection, pytest.raises(PeerClosed, match="bytes to be taken"):
        connection.send(bytes(100 * MIB))


def test_peer_that_never_reads(serve_peer: ServePeer) -> None:
    done = threading.Event()
    with connect(serve_peer(lambda _: done.wait(10))) as connection:
        connection.timeout_s = 0.3
        with pytest.raises(PeerSilent, match=r"in vain for the last \d+ of 104857600 bytes to be taken"):
            connection.send(bytes(100 * MIB))
        done.set()


def test_peer_that_answers_while_we_still_send(serve_peer: ServePeer) -> None:
    # It passes on each piece before it reads the next, so both directions must move at once.
    def stream(connection: socket.socket) -> None:
        while piece := connection.recv(64 * 1024):
            connection.sendall(piece)

    message = bytes(15 * MIB)
    with connect(serve_peer(stream), timeout_s=30) as connection:
        assert connection.request(message) == message


def test_reply_that_is_too_long(serve_peer: ServePeer) -> None:
    def boast(connection: socket.socket) -> None:
        connection.sendall(struct.pack("!I", 2**31))

    with connect(serve_peer(boast)) as connection, pytest.raises(MessageTooLong) as caught:
        connection.receive_message()
    assert caught.value.happened is Happened.YES


def test_bytes_and_messages_may_be_mixed(serve_peer: ServePeer) -> None:
    with connect(
        serve_peer(lambda peer: peer.sendall(frame(b"one") + b"rawxyz" + frame(b"two")))
    ) as connection:
        assert connection.receive_message() == b"one"
        assert connection.receive_exactly(3) == b"raw"
        assert not connection.at_end()
        assert connection.receive_exactly(3) == b"xyz"
        assert connection.receive_message() == b"two"
        assert connection.at_end()


def test_too_few_bytes(serve_peer: ServePeer) -> None:
    with connect(serve_peer(lambda peer: peer.sendall(b"abc"))) as connection:
        with pytest.raises(PeerClosed, match=r"waited for 5 bytes \(3 bytes lie ready\)"):
            connection.receive_exactly(5)
        assert connection.receive_some() == b"abc"


@pytest.mark.parametrize(
    ("pieces", "reply"),
    [([b"Hel", b"lo*"], b"Hello*"), ([b"Hello**"], b"Hello**"), ([b"Hello"], b"Hello"), ([b"no"], b"no")],
)
def test_raw_reply_is_what_comes(
    pieces: list[bytes], reply: bytes, serve_peer: ServePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if len(pieces) > 1:  # it may take a while from one to the next
        monkeypatch.setattr(client, "QUIET_S", 30.0)

    def answer(connection: socket.socket) -> None:
        connection.recv(100)
        for piece in pieces:
            connection.sendall(piece)
        until_the_end(connection)

    with connect(serve_peer(answer), framing="raw", timeout_s=30) as connection:
        assert connection.request(b"Hello") == reply


def test_raw_request_without_an_answer(serve_peer: ServePeer) -> None:
    address = serve_peer(lambda peer: peer.recv(100))
    with connect(address, framing="raw") as connection, pytest.raises(PeerClosed, match="waited for a reply"):
        connection.request(b"Hello")


def test_end_that_does_not_come(serve_peer: ServePeer) -> None:
    with connect(serve_peer(until_the_end)) as connection:
        connection.timeout_s = 0.1
        with pytest.raises(PeerSilent, match="the end of the"):
            connection.at_end()


def test_reset_is_a_reset(serve_peer: ServePeer) -> None:
    seen: list[BaseException] = []

    def watch(connection: socket.socket) -> None:
        try:
            until_the_end(connection)
        except ConnectionResetError as error:
            seen.append(error)

    done = serve_peer(watch)
    connect(done).reset()
    deadline_s = time.monotonic() + 5
    while not seen and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert seen

"""Request-reply over UDP: the server, and the client that asks again.

The kernel gives a datagram whole or not at all. What TCP did for us, this pair does itself, as far as it
needs it: a timeout and a retransmission against loss, a request id against duplicates and late replies.

What it costs: no connection to set up, hence one round trip for a whole exchange; but a message must fit a
datagram, and nothing slows a sender down.

Source: ch. 4, Sockets (connectionless); ch. 8, Reliable client-server communication.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Hashable
from random import Random
from types import TracebackType
from typing import Self

from dslab.echo.messages import MAX_DATAGRAM_BYTES
from dslab.echo.protocol import Requester
from dslab.echo.server import GLANCE_S, cannot_listen, complain
from dslab.kit.address import Address
from dslab.kit.errors import PeerError, PeerRefused, PeerSilent

NOBODY_THERE = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH}


def bind(address: Address) -> socket.socket:
    """Open a UDP socket at an address. Port 0 takes any free one."""
    bound = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.bind(address.pair)
    except OSError as error:
        bound.close()
        raise cannot_listen(address, error) from error
    bound.settimeout(GLANCE_S)
    return bound


def serve(bound: socket.socket, answer: Callable[[bytes, Hashable], bytes]) -> None:
    """Answer datagrams, one after the other, for ever. One that has no answer is dropped.

    Args:
        bound: The server's socket.
        answer: `Responder.receive_datagram`, or another function of a datagram and its sender.
    """
    while True:
        try:
            data, sender = bound.recvfrom(MAX_DATAGRAM_BYTES + 1)
        except TimeoutError:
            continue
        try:
            bound.sendto(answer(data, sender), sender)
        except (PeerError, OSError) as error:
            complain(str(Address(*sender[:2])), error)


class UdpClient:
    """Asks one server, one request at a time. A context manager.

    Args:
        address: An `Address`, or ``host:port``.
        timeout_s: How long to wait for a reply before sending again.
        retries: How often to send again; so a call takes ``(retries + 1) * timeout_s`` at most.
        rng: Where the first request id comes from.

    Attributes:
        sent: How many datagrams went out, retransmissions included.
    """

    def __init__(
        self, address: Address | str, timeout_s: float = 0.5, retries: int = 9, rng: Random | None = None
    ) -> None:
        self.address = Address.parse(address) if isinstance(address, str) else address
        self.sent = 0
        first_id = (rng or Random()).getrandbits(64)
        self._requester = Requester(first_id, timeout_s=timeout_s, retries=retries)
        self._socket = _connected(self.address)
        self._refused: set[int] = set()  # which transmissions, of `sent`, met nobody

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()

    @property
    def discarded(self) -> int:
        """How many datagrams were no reply to the request of their time."""
        return self._requester.discarded

    def request(self, payload: bytes) -> bytes:
        """Ask, and ask again, until the reply comes.

        Raises:
            PeerSilent: No transmission was answered. Whether one was executed is unknown.
            PeerRefused: Each transmission met nobody.
        """
        first = self.sent + 1
        self._send(self._requester.request(payload, time.monotonic()))
        try:
            while (reply := self._receive()) is None:
                if again := self._requester.receive_timeout(time.monotonic()):
                    self._send(again)
        except PeerSilent as error:
            none_arrived = self._refused.issuperset(range(first, self.sent + 1))
            kind = PeerRefused if none_arrived else PeerSilent
            raise kind(f"{self.address}: {error.message}") from error
        return reply

    def _send(self, datagram: bytes) -> None:
        for _ in range(2):  # the first attempt may only tell what became of an earlier datagram
            try:
                self._socket.send(datagram)
            except OSError as error:
                self._note_refusal(error)
            else:
                break
        self.sent += 1

    def _receive(self) -> bytes | None:
        """Wait for one datagram: None when it is not the reply, or none came in time."""
        self._socket.settimeout(max(0.0001, self._requester.deadline_s - time.monotonic()))
        try:
            data = self._socket.recv(MAX_DATAGRAM_BYTES + 1)
        except TimeoutError:
            return None
        except OSError as error:
            self._note_refusal(error)
            return None
        return self._requester.receive_datagram(data)

    def _note_refusal(self, error: OSError) -> None:
        """Take an ICMP message, and go on: the server may be about to come back."""
        if error.errno not in NOBODY_THERE:
            raise error
        self._refused.add(self.sent)


def _connected(address: Address) -> socket.socket:
    """A UDP socket that takes datagrams from that address only. Nothing is sent yet.

    Raises:
        PeerRefused: Nobody has that name, or no way leads there.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(*address.pair, type=socket.SOCK_DGRAM)[0]
    except socket.gaierror as error:
        raise PeerRefused(f"{address}: nobody has that name.") from error
    connected = socket.socket(family, kind, protocol)
    try:
        connected.connect(where)
    except OSError as error:
        connected.close()
        raise PeerRefused(f"{address} cannot be reached: {error.strerror}.") from error
    return connected

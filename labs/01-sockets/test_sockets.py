"""The checks of lab 1. Each docstring is the property that its check is about."""

from __future__ import annotations

import string
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from random import Random
from typing import TypeVar

from dslab.echo.client import Connection, connect
from dslab.echo.messages import frame
from dslab.kit.errors import PeerClosed, PeerSilent
from dslab.kit.grader import sent, step
from dslab.kit.topology.running import Topology
from dslab.kit.topology.service import Service

PATIENCE_S = 3.0  # for an answer that a correct program gives within milliseconds
STILL_S = 0.05  # what has not moved for so long has stopped
SILENT_CLIENTS = 60
MB = 1_000_000
T = TypeVar("T")


# Step 1.1: the echo server


@step("1.1", starts=["server"])
def test_pieces_with_a_star(topology: Topology, rng: Random) -> None:
    """Each piece of text comes back with a star, until the client is done."""
    with connect(topology["server"].address(), framing="raw", timeout_s=PATIENCE_S) as connection:
        for piece in (text(rng, 1), text(rng, 20), b" " + text(rng, 998) + b"\n"):
            assert connection.request(piece) == piece + b"*"


@step("1.1", starts=["server"])
def test_half_a_character(topology: Topology, rng: Random) -> None:
    """Half a character comes back as it was sent: a connection carries bytes, not text."""
    half = text(rng, 10) + rng.choice("äéßø漢字").encode()[:1]
    with connect(topology["server"].address(), framing="raw", timeout_s=PATIENCE_S) as connection:
        assert connection.request(half) == half + b"*"


@step("1.1", starts=["server"])
def test_next_client(topology: Topology, rng: Random) -> None:
    """When a client is done, the server closes its connection and serves the next one."""
    for _ in range(3):
        with connect(topology["server"].address(), framing="raw", timeout_s=PATIENCE_S) as connection:
            piece = text(rng, 20)
            assert connection.request(piece) == piece + b"*"
            connection.finish()
            assert connection.at_end()


# Step 1.2: its client


@step("1.2", starts=["raw-reference"])
def test_client_prints_the_reply(topology: Topology, rng: Random) -> None:
    """The client sends its text to the server, and prints what the server answers."""
    words = text(rng, 24)
    assert run_client(topology, words) == words + b"*"
    assert topology.link("client", "raw-reference").stats().forward_bytes == len(words)


@step("1.2", starts=["raw-reference"])
def test_reply_in_pieces(topology: Topology, rng: Random) -> None:
    """The client prints the whole reply, in however many pieces it comes."""
    link = topology.link("client", "raw-reference")
    link.fragment(max_bytes=1)
    words = text(rng, 24)
    reply = run_client(topology, words)
    assert reply.replace(b"*", b"") == words, "Without its stars, the reply is not what was sent."
    if len(reply) != (came := link.stats().backward_bytes):
        raise AssertionError(f"It has printed {len(reply)} of the {came} bytes that came.")
    link.heal()
    link.fragment(max_bytes=1, direction="backward")
    words = text(rng, 5) + "äß漢字".encode()
    assert run_client(topology, words) == words + b"*"
    link.heal()
    words = text(rng, 15)
    link.fragment(max_bytes=len(words), gap_s=1.0, direction="backward")  # the star comes by itself
    assert run_client(topology, words) == words + b"*"
    assert link.injected > 0


@step("1.2", starts=["raw-reference"])
def test_client_is_done(topology: Topology, rng: Random) -> None:
    """The client says that it has sent everything, and waits for the end of the reply, however late."""
    server, client = topology["raw-reference"], topology["client"]
    link, before, words = topology.link("client", "raw-reference"), server.usage().threads, text(rng, 24)
    link.stall(direction="backward")
    client.start(TEXT=words.decode())
    until(lambda: link.stats().backward_bytes, lambda count: count == len(words + b"*"))
    if until(lambda: server.usage().threads, lambda threads: threads == before) != before:
        raise AssertionError("The server still waits for more from the client.")
    link.heal()
    ends_well(client)
    assert client.logs().encode().removesuffix(b"\n") == words + b"*"
    assert link.injected > 0


# Step 1.3: messages over a byte stream


@step("1.3", starts=["message-server"])
def test_message_in_pieces(topology: Topology, rng: Random) -> None:
    """A message that is delivered one byte at a time is answered whole."""
    link = topology.link("grader", "message-server")
    link.fragment(max_bytes=1)
    with connected(topology["message-server"]) as connection:
        message = rng.randbytes(20)
        assert connection.request(message) == message + b"*"
    assert link.injected > 0


@step("1.3", starts=["message-server"])
def test_joined_messages(topology: Topology, rng: Random) -> None:
    """Messages that are delivered joined together are answered one by one, in order."""
    messages = [rng.randbytes(rng.randint(1, 200)) for _ in range(20)]
    with connected(topology["message-server"]) as connection:
        deliver_at_once(topology, "message-server", connection, b"".join(map(frame, messages)))
        for message in messages:
            assert connection.receive_message() == message + b"*"


@step("1.3", starts=["message-server"])
def test_large_message(topology: Topology, rng: Random) -> None:
    """A message of 8 MB, the longest that is allowed, is answered whole."""
    message = rng.randbytes(8 * MB)
    with connected(topology["message-server"], timeout_s=2 * PATIENCE_S) as connection:
        assert connection.request(message) == message + b"*"


@step("1.3", starts=["message-server"])
def test_empty_message(topology: Topology, rng: Random) -> None:
    """An empty message is a message too: its answer is a star, and the next one is answered as well."""
    message = rng.randbytes(10)
    with connected(topology["message-server"]) as connection:
        assert connection.request(b"") == b"*"
        assert connection.request(message) == message + b"*"


@step("1.3", starts=["message-server"])
def test_next_client_with_messages(topology: Topology, rng: Random) -> None:
    """When a client has no more messages, the server closes its connection and serves the next one."""
    for _ in range(2):
        message = rng.randbytes(10)
        with connected(topology["message-server"]) as connection:
            assert connection.request(message) == message + b"*"
            connection.finish()
            assert connection.at_end()


@step("1.3", starts=["reference"])
def test_client_pairs_replies(topology: Topology, rng: Random) -> None:
    """The client gets the reply to each of its messages, though every byte of it comes alone."""
    link = topology.link("message-client", "reference")
    link.fragment(max_bytes=1)
    messages = [rng.randbytes(length) for length in (8, 0, 1)]
    assert run_message_client(topology, messages) == [message + b"*" for message in messages]
    assert link.stats().connections == 1
    assert link.injected > 0


@step("1.3", starts=["reference"])
def test_client_large_message(topology: Topology, rng: Random) -> None:
    """The client sends more than the kernel takes at once, and gets the whole reply of 8 MB."""
    link, reference = topology.link("message-client", "reference"), topology["reference"]
    message = rng.randbytes(8 * MB - 1)
    reference.pause()  # so that the kernel is full before half of it has left the client
    client = start_message_client(topology, [message])
    until_still(lambda: link.stats().forward_bytes)
    reference.resume()
    assert replies_of(client, 1) == [message + b"*"]
    assert link.stats().forward_bytes > len(message)


@step("1.3", starts=["reference"])
def test_client_whose_server_closes(topology: Topology, rng: Random) -> None:
    """A server that closes before it has answered every message is an error: the client does not end well."""
    link = topology.link("message-client", "reference")
    messages = [rng.randbytes(8) for _ in range(2)]
    for after_bytes in (len(frame(messages[0] + b"*")), 15):  # behind the first reply; within the second one
        link.half_close(direction="backward", after_bytes=after_bytes)
        client = start_message_client(topology, messages)
        if client.wait(2 * PATIENCE_S) == 0:
            raise AssertionError("It has ended as if every message had been answered.")
        link.heal()
    assert link.injected > 1


# Step 1.4: many clients at once


@step("1.4", starts=["concurrent-server"])
def test_fifty_clients(topology: Topology, rng: Random) -> None:
    """Fifty clients are connected at the same time, and each gets the answer to its own message."""
    messages = [rng.randbytes(rng.randint(1, 1000)) for _ in range(50)]
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(topology["concurrent-server"])) for _ in messages]
        for connection, message in zip(connections, messages, strict=True):
            connection.send_message(message)
        for number in rng.sample(range(50), 50):
            assert connections[number].receive_message() == messages[number] + b"*"


@step("1.4", starts=["concurrent-server"])
def test_silent_client(topology: Topology, rng: Random) -> None:
    """Clients that are connected and say nothing keep no other client waiting, however many they are."""
    with ExitStack() as stack:
        for _ in range(SILENT_CLIENTS):
            stack.enter_context(connected(topology["concurrent-server"]))
        assert_served(topology["concurrent-server"], rng)


@step("1.4", starts=["concurrent-server"])
def test_client_in_mid_message(topology: Topology, rng: Random) -> None:
    """A client in the middle of a message keeps no other one waiting, and is answered in the end."""
    message = rng.randbytes(1000)
    wire = frame(message)
    with connected(topology["concurrent-server"]) as slow:
        # While another one is served again and again, the server sees each part by itself.
        for begin in range(0, 1000, 100):
            slow.send(wire[begin : begin + 100])
            assert_served(topology["concurrent-server"], rng)
        slow.send(wire[1000:])
        assert slow.receive_message() == message + b"*"


# Step 1.5: survive


@step("1.5", starts=["concurrent-server"])
def test_reset_in_mid_message(topology: Topology, rng: Random) -> None:
    """A connection that is reset in the middle of a message harms neither the other clients nor the next."""
    server, link = topology["concurrent-server"], topology.link("grader", "concurrent-server")
    with connected(server) as bystander, connected(server) as victim:
        assert bystander.request(b"before") == b"before*"
        wire = frame(rng.randbytes(20_000))
        sent(wire)
        link.reset(after_bytes=5000)
        send_into_a_broken_connection(victim, wire)
        link.heal()
        assert bystander.request(b"after") == b"after*"
    assert link.injected > 0
    assert_served(server, rng)


@step("1.5", starts=["concurrent-server"])
def test_length_of_two_gigabytes(topology: Topology, rng: Random) -> None:
    """A length of 2 GB, of 4, or of one byte too many ends that connection at once, without an answer."""
    server = topology["concurrent-server"]
    for length in (2 * 1000 * MB, 2**32 - 1, 8 * MB + 1):
        with connected(server) as connection:
            connection.send(length.to_bytes(4, "big") + rng.randbytes(100))
            assert connection.at_end()
    assert_served(server, rng)


@step("1.5", starts=["concurrent-server"])
def test_cut_off_message(topology: Topology, rng: Random) -> None:
    """A message that ends too early, because the client is done, is not answered: it is no message."""
    server, wire = topology["concurrent-server"], frame(rng.randbytes(100))
    for part in (wire[:-1], wire[:2]):
        with connected(server) as connection:
            connection.send(part)
            connection.finish()
            assert connection.at_end()
        assert_served(server, rng)


@step("1.5", starts=["concurrent-server"])
def test_half_closed_connection(topology: Topology, rng: Random) -> None:
    """A client that has said all it has to say (half-close) still gets every reply."""
    messages = [rng.randbytes(rng.randint(1, 2000)) for _ in range(10)]
    wire = b"".join(map(frame, messages))
    with connected(topology["concurrent-server"]) as connection:
        deliver_at_once(topology, "concurrent-server", connection, wire, and_finish=True)
        for message in messages:
            assert connection.receive_message() == message + b"*"
        assert connection.at_end()


@step("1.5", starts=["concurrent-server"])
def test_five_hundred_connections(topology: Topology, rng: Random) -> None:
    """Five hundred clients, one after the other, leave no descriptor, thread or process behind."""
    server = topology["concurrent-server"]
    before = server.usage()
    for _ in range(500):
        assert_served(server, rng)
    after = until(
        server.usage, lambda usage: usage.threads + usage.processes < before.threads + before.processes + 50
    )
    for what in ("descriptors", "threads", "processes"):
        left = getattr(after, what) - getattr(before, what)
        assert left < 50, f"Of 500 clients, {left} {what} are left behind."


@step("1.5", starts=["concurrent-server"])
def test_client_that_never_reads(topology: Topology, rng: Random) -> None:
    """A client that sends and never reads is slowed down, and no other: no answer is stored, or lost."""
    server = topology["concurrent-server"]
    with connect(server.address(), timeout_s=PATIENCE_S, max_message_bytes=1) as connection:
        assert connection.request(b"?") == b"?*"  # a process that is started for this client has started
        before = server.usage().memory_bytes
        connection.timeout_s = 1.5  # a server that has no turn for a while slows nobody down
        is_slowed_down = send_until_blocked(connection, frame(rng.randbytes(MB)), at_most=60)
        grown_bytes = server.usage().memory_bytes - before
        assert grown_bytes < 30 * MB, f"The server has grown by {grown_bytes / MB:.0f} MB."
        assert is_slowed_down, "It has taken 60 MB, and nobody has read an answer: where are they?"
        assert_served(server, rng)
    assert_served(server, rng)


# Step 1.6: request and reply over UDP


@step("1.6", starts=["udp-reference"])
def test_lost_datagrams(topology: Topology, rng: Random) -> None:
    """Every request is answered, although requests and replies get lost."""
    link = topology.link("udp-client", "udp-reference")
    link.lose(1.0, direction="forward", count=1)
    link.lose(1.0, direction="backward", count=1)
    link.lose(0.3)
    requests = [text(rng, length).decode() for length in (12, 12, 12, 12, 5000)]
    assert run_udp_client(topology, requests, timeout_s=0.1, tries=40) == [each + "*" for each in requests]
    assert link.injected > 0


@step("1.6", starts=["udp-reference"])
def test_reply_of_an_earlier_request(topology: Topology, rng: Random) -> None:
    """A reply that comes twice is not taken for the reply to the next request."""
    link = topology.link("udp-client", "udp-reference")
    link.duplicate(1.0)
    requests = [text(rng, 12).decode() for _ in range(8)]
    assert run_udp_client(topology, requests, timeout_s=0.5, tries=10) == [each + "*" for each in requests]
    assert link.injected > 0


@step("1.6", starts=["udp-reference"])
def test_reply_after_retransmission(topology: Topology, rng: Random) -> None:
    """A reply counts also when it answers an earlier transmission: all of them carry the same id."""
    link = topology.link("udp-client", "udp-reference")
    link.delay(s=0.2)  # far more than the timeout, also where a client has no turn for a while
    requests = [text(rng, 12).decode() for _ in range(2)]
    assert run_udp_client(topology, requests, timeout_s=0.02, tries=150) == [each + "*" for each in requests]
    assert link.injected > 0


@step("1.6", starts=["udp-reference"])
def test_giving_up(topology: Topology, rng: Random) -> None:
    """When nothing is ever answered, the client sends as often as it may, then gives up and says so."""
    link = topology.link("udp-client", "udp-reference")
    link.lose(1.0)
    client = start_udp_client(topology, [text(rng, 12).decode()], timeout_s=0.01, tries=4)
    assert client.wait(PATIENCE_S) == 1
    assert "no reply" in client.errors()
    times = link.stats().forward_pieces
    if times != 4:
        raise AssertionError(f"It has sent the request {times} times, and was to send it 4 times.")


# Step 1.7: did it happen?


@step("1.7", starts=["reference"])
def test_reply_and_refusal(topology: Topology, rng: Random) -> None:
    """A reply means that it happened; a refused connection means that it did not."""
    link = topology.link("outcome-client", "reference")
    assert outcome(topology, rng) == "reply: happened"
    assert link.stats().backward_bytes > 0
    link.refuse()
    assert outcome(topology, rng) == "refused: did not happen"
    assert link.injected > 0


@step("1.7", starts=["reference"])
def test_silence(topology: Topology, rng: Random) -> None:
    """Silence means unknown: whether the server got the request or not looks the same from here."""
    link = topology.link("outcome-client", "reference")
    link.stall(direction="forward")
    assert outcome(topology, rng, timeout_s=0.5) == "timeout: unknown"
    assert link.stats().backward_bytes == 0
    link.heal()
    link.stall(direction="backward")
    assert outcome(topology, rng, timeout_s=0.5) == "timeout: unknown"
    assert until(lambda: link.stats().backward_bytes, bool) > 0
    assert link.injected > 0


@step("1.7", starts=["reference"])
def test_closed_before_the_reply(topology: Topology, rng: Random) -> None:
    """A connection that breaks, or ends, before the whole reply has come means unknown."""
    link = topology.link("outcome-client", "reference")
    link.reset(after_bytes=10)
    assert outcome(topology, rng) == "closed: unknown"
    for after_bytes in (10, 0):
        link.heal()
        link.half_close(direction="backward", after_bytes=after_bytes)
        assert outcome(topology, rng) == "closed: unknown"
    assert link.injected > 2


@step("1.7", starts=["reference"])
def test_one_byte_now_and_then(topology: Topology, rng: Random) -> None:
    """The time is for the whole reply: a server that sends a byte now and then is given up as well."""
    link = topology.link("outcome-client", "reference")
    # The length ends with the second piece, the message with the third: either takes less than there is time,
    # both together more.
    link.fragment(max_bytes=3, gap_s=1.0, direction="backward")
    assert outcome(topology, rng, timeout_s=1.5, length=3) == "timeout: unknown"
    assert link.injected > 0


# What the checks have in common


def text(rng: Random, length: int) -> bytes:
    """Some letters, thus without a star."""
    return "".join(rng.choices(string.ascii_letters, k=length)).encode()


def connected(server: Service, timeout_s: float = PATIENCE_S) -> Connection:
    """A connection that carries messages."""
    return connect(server.address(), timeout_s=timeout_s)


def assert_served(server: Service, rng: Random) -> None:
    """A new client gets an answer."""
    message = rng.randbytes(20)
    with connected(server) as connection:
        assert connection.request(message) == message + b"*"


def deliver_at_once(
    topology: Topology, name: str, connection: Connection, wire: bytes, *, and_finish: bool = False
) -> None:
    """Have all of it, the end included if there is one, lie before the server when it looks."""
    server, link = topology[name], topology.link("grader", name)
    server.pause()
    connection.send(wire)
    if and_finish:
        connection.finish()
    until(lambda: link.stats().forward_bytes, lambda passed: passed == len(wire))
    link.stats()  # by the time that it answers again, it has passed on the end as well
    server.resume()


def send_into_a_broken_connection(connection: Connection, data: bytes) -> None:
    """Send what can be sent, and see that the connection has ended."""
    with suppress(PeerClosed):
        connection.send(data)
    assert connection.at_end()


def send_until_blocked(connection: Connection, data: bytes, at_most: int) -> bool:
    """Send over and over, until the other side takes no more; whether it came to that."""
    try:
        for _ in range(at_most):
            connection.send(data)
    except (PeerSilent, PeerClosed):
        return True
    return False


def until(look: Callable[[], T], good: Callable[[T], bool], pause_s: float = 0.005) -> T:
    """Look again until what is seen is good, or patience ends; the last that was seen."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not good(seen := look()) and time.monotonic() < deadline_s:
        time.sleep(pause_s)
    return seen


def until_still(look: Callable[[], int]) -> None:
    """Wait until something has begun to move, and moves no more."""

    def is_still() -> bool:
        before = look()
        time.sleep(STILL_S)
        return look() == before > 0

    until(is_still, bool)


def ends_well(client: Service) -> None:
    """The client ends by itself, and has nothing to complain about."""
    status = client.wait(2 * PATIENCE_S)
    if status != 0:
        raise AssertionError(f"{client.name} ended with exit status {status}.")


def run_client(topology: Topology, words: bytes) -> bytes:
    """What the client prints for that text, without the last line break."""
    client = topology["client"]
    earlier = len(client.logs())
    client.start(TEXT=words.decode())
    ends_well(client)
    return client.logs()[earlier:].encode().removesuffix(b"\n")


def start_message_client(topology: Topology, messages: list[bytes]) -> Service:
    """A client with those messages to send."""
    client = topology["message-client"]
    for number, message in enumerate(messages):
        (client.scratch / f"{number}.message").write_bytes(message)
    client.start()
    return client


def run_message_client(topology: Topology, messages: list[bytes]) -> list[bytes | None]:
    """The replies that the client writes for those messages."""
    return replies_of(start_message_client(topology, messages), len(messages))


def replies_of(client: Service, count: int) -> list[bytes | None]:
    """What the client has written when it ends: the reply to each of so many messages, if there is one."""
    ends_well(client)
    replies = [client.scratch / f"{number}.reply" for number in range(count)]
    return [reply.read_bytes() if reply.exists() else None for reply in replies]


def start_udp_client(topology: Topology, requests: list[str], timeout_s: float, tries: int) -> Service:
    """A client with those requests to make."""
    client = topology["udp-client"]
    (client.scratch / "requests.txt").write_text("\n".join(requests))
    client.start(TIMEOUT_S=str(timeout_s), TRIES=str(tries))
    return client


def run_udp_client(topology: Topology, requests: list[str], timeout_s: float, tries: int) -> list[str]:
    """The replies that the client prints for those requests."""
    sent("\n".join(requests))
    client = start_udp_client(topology, requests, timeout_s, tries)
    ends_well(client)
    return client.logs().splitlines()


def outcome(topology: Topology, rng: Random, timeout_s: float = PATIENCE_S, length: int = 12) -> str:
    """What the client concludes about one request, of so many letters."""
    client = topology["outcome-client"]
    earlier = len(client.logs())
    client.start(MESSAGE=text(rng, length).decode(), TIMEOUT_S=str(timeout_s))
    ends_well(client)
    return client.logs()[earlier:].strip()

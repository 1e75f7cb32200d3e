"""The checks of lab 2. Each docstring is the property that its check is about."""

from __future__ import annotations

import ast
import json
import select
import socket
import string
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar

import pytest

from dslab.kit.errors import PeerClosed, PeerRefused, PeerSilent, PeerViolation
from dslab.kit.grader import sent, step
from dslab.kit.topology.running import Topology
from dslab.kit.topology.service import Service
from dslab.rpc.client import Client, connect
from dslab.rpc.messages import Context, Message, Notification, Request, Response
from dslab.rpc.msgpack_rpc import MsgpackCodec

PATIENCE_S = 5.0  # for an answer that a correct program gives within milliseconds
LOOK_S = 0.02
MOMENT_S = 0.5  # for what a wrong program would do at once
BUSY, SESSION_LOST = -32002, -32003
WINDOW, MAX_SESSIONS = 16, 8
CALLS = 300
T = TypeVar("T")


# Step 2.1: marshal and unmarshal


@step("2.1", starts=["postbox"])
def test_numbers_are_read(topology: Topology, rng: Random) -> None:
    """Numbers of every width are read as they were meant, from bytes in network order."""
    numbers = [*range(-33, 3), 127, 128, 255, 256, rng.randint(300, 30_000), -rng.randint(300, 30_000)]
    numbers += [-129, 65_535, -65_536, rng.randint(10**6, 10**9), -rng.randint(10**6, 10**9), -(10**12)]
    numbers += [rng.randint(10**12, 10**18), 2**64 - 1, -(2**63), rng.random(), -1e300]
    assert read_by(topology["postbox"], numbers) == numbers
    other_forms = ["cc05", "cd0005", "ce00000005", "d0fb", "d1fffb", "d2fffffffb", "d005", "ca3f000000"]
    forms = [bytes.fromhex(form) for form in other_forms]
    assert read_by(topology["postbox"], forms, written=True) == [5, 5, 5, -5, -5, -5, 5, 0.5]


@step("2.1", starts=["postbox"])
def test_numbers_are_written(topology: Topology, rng: Random) -> None:
    """Numbers are written so that a machine with another byte order reads the same ones."""
    numbers = [0, 1, -1, rng.randint(128, 10**4), -rng.randint(10**6, 10**9), 10**15, -(2**63), rng.random()]
    assert written_by(topology["postbox"], numbers) == numbers


@step("2.1", starts=["postbox"])
def test_texts_lists_and_maps(topology: Topology, rng: Random) -> None:
    """Texts in any script, lists and maps, empty, long or nested, cross in both directions."""
    texts = ["", "ä漢字", *(text(rng, length) for length in (31, 32, 255, 256, 20_000))]
    values: list[Any] = [None, True, False, *texts]
    values += [list(range(length)) for length in (0, 15, 16, 300)]
    values += [{f"key {number}": number for number in range(length)} for length in (0, 15, 16)]
    values += [{"a": [None, {"b": [[], "ß", 1.5]}], text(rng, 5): {}}]
    assert read_by(topology["postbox"], values) == values
    written = written_by(topology["postbox"], values)
    assert written == values
    assert [type(value) for value in written] == [type(value) for value in values], "True is not 1."
    long_forms = [b"\xdb\0\0\0\2ab", b"\xdd\0\0\0\1\7", b"\xdf\0\0\0\1\1\2"]
    assert read_by(topology["postbox"], long_forms, written=True) == ["ab", [7], {1: 2}]


@step("2.1", starts=["postbox"])
def test_what_is_no_message(topology: Topology, rng: Random) -> None:
    """A datagram that is cut off, or that holds more than one value, is dropped, and the next is served."""
    postbox = topology["postbox"]
    whole = MsgpackCodec().encode(Request(7, "write", [repr([rng.random(), text(rng, 10)])]))
    longer = b"\x94\0\xcd\1\0\xa5write\x91\xd9\x03'7'"
    with Peer(postbox) as peer:
        for cut_off in (whole, longer):
            for length in range(len(cut_off)):
                peer.send_bytes(cut_off[:length])
        peer.send_bytes(whole + b"\0")
        peer.send_bytes(b"\x94\0\7\xa5write\x91\xc1")
        peer.send_bytes(b"\x94\0\7\xa5write\x91\x81\x90\1")  # a map whose key is a list
        peer.send(Request(8, "write", ["'ok'"]))
        assert peer.receive() == Response(8, None, "ok")


# Step 2.2: client stub and server stub


@step("2.2", starts=["server-stub"])
def test_server_executes_calls(topology: Topology, rng: Random) -> None:
    """The server calls the procedure that is named, with the arguments in order, and sends the result."""
    dividend, divisor, word = rng.randint(1, 1000), rng.randint(1, 1000), text(rng, 6)
    with called(topology["server-stub"]) as one, called(topology["server-stub"]) as other:
        assert one.call("calculator.divide", dividend, divisor) == dividend / divisor
        assert other.call("calculator.repeat", word, 3) == word * 3
        assert one.call("counter.add", dividend) == dividend
        assert other.call("counter.value") == dividend


@step("2.2", starts=["server-stub"])
def test_server_passes_exceptions_on(topology: Topology, rng: Random) -> None:
    """An exception of the procedure reaches the caller, with its type, its text and its traceback."""
    amount = rng.randint(1, 1000)
    with called(topology["server-stub"]) as client:
        division = client.error_of("calculator.divide", amount, 0)
        assert kind_of(division) == "ZeroDivisionError"
        assert "in divide" in division.remote_traceback, "The text of the traceback does not come along."
        assert kind_of(client.error_of("calculator.divide", "seven", 1)) == "TypeError"
        unknown = client.error_of("bank.withdraw", amount)
        assert kind_of(unknown) == "Overdrawn"
        assert f"{amount} is more than there is" in str(unknown)
        assert client.call("calculator.divide", 8, 2) == 4


@step("2.2", starts=["server-stub"])
def test_server_refuses_what_it_does_not_offer(topology: Topology, rng: Random) -> None:
    """Unknown and private names and wrong numbers of arguments are refused, and the server goes on."""
    with called(topology["server-stub"]) as client:
        for name in (
            text(rng, 5),
            "calculator.multiply",
            "clock.divide",
            "counter._value",
            "counter.__init__",
        ):
            assert kind_of(client.error_of(name, 1)) == "NoSuchMethod"
        for params in ([], [1, 2, 3]):
            assert kind_of(client.error_of("calculator.divide", *params)) == "BadArguments"
        assert client.call("counter.value") == 0


@step("2.2", starts=["rpc-reference"])
def test_client_gets_results(topology: Topology, rng: Random) -> None:
    """The client's calls cross the network, and their results come back, whoever they are for."""
    topology.link("rpc-client", "rpc-reference").duplicate(1.0)
    dividend, divisor, word = rng.randint(1, 1000), rng.randint(1, 1000), text(rng, 6)
    calls = [("calculator.divide", dividend, divisor), ("calculator.repeat", word, 2), ("counter.value",)]
    expected = [str(dividend / divisor), word * 2, "0"]
    assert run_script(topology["rpc-client"], calls) == expected
    assert topology.link("rpc-client", "rpc-reference").injected > 0
    assert topology.link("rpc-client", "rpc-reference").stats().backward_pieces >= len(calls)


@step("2.2", starts=["rpc-reference"])
def test_client_raises_exceptions(topology: Topology, rng: Random) -> None:
    """An exception is raised at the caller as its own type, where every Python has that type; and safely."""
    amount = rng.randint(1, 1000)
    client = topology["rpc-client"]
    calls = [
        ("calculator.divide", amount, 0),
        ("bank.withdraw", amount),
        ("bank.mislead", "exit"),
        ("bank.mislead", "SystemExit"),
        ("bank.deposit", amount),
        ("counter.value",),
    ]
    lines = run_script(client, calls)
    assert kinds(lines) == ["ZeroDivisionError", *["RemoteError"] * 3, "NotExecuted", "0"]
    assert lines[0] == "ZeroDivisionError: division by zero"
    assert "Overdrawn" in lines[1]
    assert f"{amount} is more than there is" in lines[1]
    assert "in divide" in client.errors(), "The text of the remote traceback is lost."


@step("2.2", starts=["rpc-reference"])
def test_client_gives_up(topology: Topology, rng: Random) -> None:
    """A client whose server is silent says so after its time, and goes on."""
    link = topology.link("rpc-client", "rpc-reference")
    link.lose(1.0, count=1, direction="backward")
    word = text(rng, 6)
    calls = [("counter.add", 1), *[("calculator.repeat", word, 1)] * 3]
    lines = run_script(topology["rpc-client"], calls, TIMEOUT_S=0.5)
    assert kinds(lines)[:1] == ["NoReply"]
    assert word in lines  # all three, unless this machine is slow
    assert link.injected > 0


@step("2.2", starts=[])
def test_client_keeps_its_deadline(topology: Topology, rng: Random) -> None:
    """Responses that are nobody's, however many, do not make the client wait any longer."""
    client = topology["rpc-client"]
    assert kinds(chattered_at(topology, client, TIMEOUT_S=1.0)) == ["NoReply"]


# Step 2.3: copies and references


@step("2.3", starts=["server-stub"])
def test_two_clients_share_a_list(topology: Topology, rng: Random) -> None:
    """An object that is returned travels as a reference, and all who have it call one and the same object."""
    title, first, second = (text(rng, 6) for _ in range(3))
    with called(topology["server-stub"]) as one, called(topology["server-stub"]) as other:
        name = reference_in(one.call("notebook.page", title))
        assert reference_in(other.call("notebook.page", title)) == name
        one.call(f"{name}.append", first)
        other.call(f"{name}.append", second)
        assert one.call("notebook.read", title) == [first, second]
        another = reference_in(one.call("notebook.page", title + "!"))
        assert another != name
        assert other.call(f"{another}.entries") == []


@step("2.3", starts=["server-stub"])
def test_references_come_home(topology: Topology, rng: Random) -> None:
    """A reference that comes back as an argument means the object itself; one to nothing is an error."""
    entry = text(rng, 6)
    with called(topology["server-stub"]) as client:
        first, second = (client.call("notebook.page", title) for title in "ab")
        client.call(f"{reference_in(first)}.append", entry)
        assert client.call("notebook.same", first, first) is True
        assert client.call("notebook.same", first, second) is False
        assert client.call("notebook.move", first, second) == 1
        assert client.call("notebook.read", "b") == [entry]
        client.error_of("notebook.move", {"ref": text(rng, 9)}, second)


@step("2.3", starts=["rpc-reference"])
def test_client_with_a_copy_and_a_reference(topology: Topology, rng: Random) -> None:
    """What the client does to a copy stays with the client; what it does to a reference, others see."""
    title, entry, lost = (text(rng, 6) for _ in range(3))
    calls = [
        *[("notebook.page", title, "page"), ("page.append", entry), ("notebook.read", title, "copy")],
        *[("copy.append", lost), ("notebook.read", title), ("page.entries",)],
    ]
    lines = run_script(topology["rpc-client"], calls)
    assert lines == ["a reference", "None", f"['{entry}']", "None", f"['{entry}']", f"['{entry}']"]
    assert topology.link("rpc-client", "rpc-reference").stats().forward_pieces == 5  # not 6


@step("2.3", starts=["rpc-reference"])
def test_client_passes_references_on(topology: Topology, rng: Random) -> None:
    """A stub that is an argument travels as the reference that it was made of."""
    title, entry = text(rng, 6), text(rng, 6)
    calls = [
        *[("notebook.page", title, "page"), ("notebook.page", title + "!", "other"), ("page.append", entry)],
        *[("notebook.same", "$page", "$page"), ("notebook.same", "$page", "$other")],
        *[("notebook.move", "$page", "$other"), ("other.entries",)],
    ]
    lines = run_script(topology["rpc-client"], calls)
    assert lines[3:] == ["True", "False", "1", f"['{entry}']"]


# Step 2.4: a counter that must be exact


@step("2.4", starts=["rpc-reference"])
def test_at_least_once_counts_too_much(topology: Topology, rng: Random) -> None:
    """At-least-once gets a reply though requests and replies are lost, but what it asks is done again."""
    link, amount = topology.link("retrying-client", "rpc-reference"), rng.randint(1, 1000)
    link.lose(1.0, count=1, direction="forward")
    link.lose(1.0, count=1, direction="backward")
    client = topology["retrying-client"]
    lines = run_script(client, [("counter.add", amount)], SEMANTICS="at-least-once", TIMEOUT_S=0.1, TRIES=50)
    totals = [int(line) for line in lines if line.isdigit()]
    if not totals:
        pytest.fail(f"The client was to send its request until it has a result; it says {lines}.")
    assert totals[0] % amount == 0
    assert totals[0] // amount >= 2  # twice, unless this machine is slow
    assert link.stats().forward_pieces >= 3
    assert link.injected >= 2


@step("2.4", starts=["rpc-reference"])
def test_client_is_exact_under_loss(topology: Topology, rng: Random) -> None:
    """With at-most-once the counter is exact, although requests and replies are lost and doubled."""
    link = topology.link("retrying-client", "rpc-reference")
    link.lose(1.0, count=1, direction="forward")
    link.lose(1.0, count=2, direction="backward")
    link.lose(0.25)
    link.duplicate(0.5)
    amounts = [rng.randint(1, 1000) for _ in range(6)]
    lines = run_script(
        topology["retrying-client"], [("counter.add", each) for each in amounts], TIMEOUT_S=0.05, TRIES=100
    )
    assert lines == [str(sum(amounts[: number + 1])) for number in range(6)]
    assert link.injected > 0


@step("2.4", starts=["rpc-reference"])
def test_client_is_exact_under_delay(topology: Topology, rng: Random) -> None:
    """A network that is slower than the client's timeout makes it send again, and is no reason to fail."""
    link = topology.link("retrying-client", "rpc-reference")
    link.delay(s=0.2)  # far more than the timeout, also where a client has no turn for a while
    amount = rng.randint(1, 1000)
    lines = run_script(topology["retrying-client"], [("counter.add", amount)] * 2, TIMEOUT_S=0.05, TRIES=100)
    assert lines == [str(amount), str(2 * amount)]
    assert link.injected > 0


@step("2.4", starts=["rpc-reference"])
def test_client_acknowledges(topology: Topology, rng: Random) -> None:
    """The client says which replies it has got, so that a server that keeps only one goes on serving it."""
    link = topology.link("retrying-client", "rpc-reference")
    link.duplicate(1.0, direction="backward")
    amounts = [rng.randint(1, 1000) for _ in range(10)]
    client = topology["retrying-client"]
    lines = run_script(client, [("counter.add", each) for each in amounts], TIMEOUT_S=2 * PATIENCE_S)
    assert lines == [str(sum(amounts[: number + 1])) for number in range(10)]
    assert link.stats().forward_pieces == 11, "A copy of an old response is no reason to send again."
    assert link.injected > 0


@step("2.4", starts=["rpc-reference"])
def test_client_tries_so_often_and_no_more(topology: Topology, rng: Random) -> None:
    """A client that is never answered sends as often as it may, always the same, and then gives up."""
    link, client = topology.link("retrying-client", "rpc-reference"), topology["retrying-client"]
    link.lose(1.0)
    calls = [("counter.add", rng.randint(1, 1000))]
    lines = run_script(client, calls, SEMANTICS="at-least-once", TIMEOUT_S=0.03, TRIES=4)
    assert kinds(lines) == ["NoReply"]
    assert settled(lambda: link.stats().forward_pieces) == 4
    link.heal()
    lines = chattered_at(topology, client, SEMANTICS="at-least-once", TIMEOUT_S=0.5, TRIES=3)
    assert kinds(lines) == ["NoReply"]
    assert settled(lambda: link.stats().forward_pieces) == 4 + 3


@step("2.4", starts=["server-stub"])
def test_server_executes_once(topology: Topology, rng: Random) -> None:
    """A copy of a request is answered with what came of the first, whatever came since and from whomever."""
    amount = rng.randint(1, 1000)
    with Peer(topology["server-stub"]) as peer, Peer(topology["server-stub"]) as other:
        mine, others = peer.hello(), other.hello()
        assert mine != others
        for number, total in ((1, amount), (2, 2 * amount)):
            assert peer.identified(mine, number, 1, amount) == Response(number, None, total)
        assert other.identified(others, 1, 1, amount) == Response(1, None, 3 * amount)
        assert peer.identified(mine, 1, 1, amount) == Response(1, None, amount)
        assert other.identified(mine, 2, 1, amount, request_id=77) == Response(77, None, 2 * amount)
        assert other.identified(others, 2, 2, 0) == Response(2, None, 3 * amount)


@step("2.4", starts=["server-stub"])
def test_server_keeps_errors_too(topology: Topology, rng: Random) -> None:
    """A call that raised an exception was executed: a copy of it has the same error, and no effect."""
    with Peer(topology["server-stub"]) as peer:
        session, amount = peer.hello(), rng.randint(1, 1000)
        errors = [
            peer.identified(session, number, 1, amount, method="bank.withdraw").error
            for number in (1, 2, 1, 2)
        ]
        texts = [error[1] if isinstance(error, list) else error for error in errors]
        assert texts == [f"{amount} is more than there is (refusal {number})" for number in (1, 2, 1, 2)]


@step("2.4", starts=["server-stub"])
def test_server_forgets_what_is_acknowledged(topology: Topology, rng: Random) -> None:
    """Replies are kept until they are acknowledged; a later copy is neither executed nor answered."""
    with Peer(topology["server-stub"]) as peer:
        session, amount = peer.hello(), rng.randint(1, 1000)
        for number in (1, 2, 3):
            peer.identified(session, number, 1, amount)
        assert peer.identified(session, 4, 3, amount) == Response(4, None, 4 * amount)
        assert peer.identified(session, 3, 1, amount) == Response(3, None, 3 * amount)
        for late in (1, 2):
            peer.send_identified(session, late, 1, amount)
        assert peer.identified(session, 5, 3, 0) == Response(5, None, 4 * amount)


@step("2.4", starts=["server-stub"])
def test_reply_cache_is_bounded(topology: Topology, rng: Random) -> None:
    """A caller that acknowledges nothing is refused when its window is full, until it acknowledges."""
    with Peer(topology["server-stub"]) as peer:
        session = peer.hello()
        assert code_of(peer.identified(session, WINDOW + 1, 1, 1)) == BUSY
        for number in range(1, WINDOW + 1):
            assert peer.identified(session, number, 1, 1) == Response(number, None, number)
        assert code_of(peer.identified(session, WINDOW + 1, 1, 1)) == BUSY
        assert peer.identified(session, 1, 1, 1) == Response(1, None, 1)
        assert peer.identified(session, WINDOW + 1, 2, 1) == Response(WINDOW + 1, None, WINDOW + 1)


@step("2.4", starts=["server-stub"])
def test_replies_do_not_pile_up(topology: Topology, rng: Random) -> None:
    """Replies that were acknowledged are not kept: the server does not grow with every call."""
    server, repeated = topology["server-stub"], text(rng, 100)
    with Peer(server) as peer:
        session = peer.hello()
        call = partial(peer.identified, session, method="calculator.repeat")
        assert call(1, 1, repeated, 400) == Response(1, None, repeated * 400)
        before = server.usage().memory_bytes
        for number in range(2, CALLS + 2):
            assert call(number, number, repeated, 400) == Response(number, None, repeated * 400)
        grown = server.usage().memory_bytes - before
    if grown > CALLS * len(repeated) * 400 / 2:
        pytest.fail(
            f"{server.name} has grown by {grown / 2**20:.0f} MiB in {CALLS} calls, "
            f"each of which acknowledges the reply of {len(repeated) * 400:,} bytes to the one before it."
        )


@step("2.4", starts=["server-stub"])
def test_sessions_are_bounded(topology: Topology, rng: Random) -> None:
    """Of too many sessions the one that was not used for longest is forgotten, and its calls are refused."""
    with Peer(topology["server-stub"]) as peer:
        sessions = [peer.hello() for _ in range(MAX_SESSIONS)]
        assert peer.identified(sessions[0], 1, 1, 1) == Response(1, None, 1)
        newest = peer.hello()
        assert code_of(peer.identified(sessions[1], 1, 1, 1)) == SESSION_LOST
        for number, session in enumerate([sessions[0], *sessions[2:], newest]):
            assert peer.identified(session, 2, 1, 1) == Response(2, None, number + 2)


@step("2.4", starts=["server-stub"])
def test_counter_is_exact(topology: Topology, rng: Random) -> None:
    """Two clients of ours count to 24 with your server, and every network fault at once changes nothing."""
    link = topology.link("grader", "server-stub")
    with exactly(topology["server-stub"]) as one, exactly(topology["server-stub"]) as other:
        link.lose(0.15)
        link.duplicate(0.3)
        link.delay(s=0.002, jitter_s=0.004)
        totals = [client.call("counter.add", 1) for _ in range(12) for client in (one, other)]
    assert totals == list(range(1, 25))
    assert link.injected > 0


# Step 2.5: a crash before, a crash after


@step("2.5", starts=[])
def test_at_least_once_and_a_crash(topology: Topology, rng: Random) -> None:
    """With at-least-once a text is printed in the end, and again if the server crashed after printing."""
    for moment, copies in (("before", 1), ("after", 2)):
        words = text(rng, 8)
        assert print_with_a_crash(topology, moment, "at-least-once", words) == "happened"
        assert printed(topology["rpc-reference"]).count(words) >= copies  # more, if this machine is slow


@step("2.5", starts=[])
def test_at_most_once_and_a_crash(topology: Topology, rng: Random) -> None:
    """With at-most-once it is never printed twice, and nobody knows whether it was printed at all."""
    for moment, copies in (("before", 0), ("after", 1)):
        words = text(rng, 8)
        assert print_with_a_crash(topology, moment, "at-most-once", words) == "unknown"
        assert printed(topology["rpc-reference"]).count(words) == copies


@step("2.5", starts=["rpc-reference"])
def test_outcomes_without_a_crash(topology: Topology, rng: Random) -> None:
    """A result and an exception say that it happened; a refusal that it did not; silence says nothing."""
    link, words = topology.link("printing-client", "rpc-reference"), text(rng, 8)
    assert outcome(topology, TEXT=words) == "happened"
    assert outcome(topology, TEXT="") == "happened"
    assert outcome(topology, METHOD="printer.staple", TEXT=words) == "did not happen"
    link.lose(1.0)
    assert outcome(topology, TEXT=words, METHOD="printer.print", TIMEOUT_S=0.03, TRIES=3) == "unknown"
    assert printed(topology["rpc-reference"]) == [words]
    assert link.injected > 0


@step("2.5", starts=["server-stub"])
def test_session_of_an_earlier_life(topology: Topology, rng: Random) -> None:
    """A server that comes back after a crash does not execute calls of sessions that it does not remember."""
    server = topology["server-stub"]
    with Peer(server) as peer:
        session = peer.hello()
        assert peer.identified(session, 1, 1, 1) == Response(1, None, 1)
        server.restart()
        for _ in range(MAX_SESSIONS - 1):
            assert peer.hello() != session
        assert code_of(peer.identified(session, 1, 1, 1)) == SESSION_LOST
        assert peer.call("counter.value") == Response(1, None, 0)


# Step 2.6: calls that do not wait


@step("2.6", starts=["rpc-reference"])
def test_calls_are_under_way_together(topology: Topology, rng: Random) -> None:
    """Deferred calls are all sent before the first of them is answered, and each result finds its call."""
    reference, link = topology["rpc-reference"], topology.link("deferring-client", "rpc-reference")
    words = [text(rng, 6) for _ in range(4)]
    reference.pause()
    client = start_script(topology["deferring-client"], [("calculator.repeat", word, 2) for word in words])
    assert until(lambda: link.stats().forward_pieces, lambda passed: passed == 4 or not client.running) == 4
    reference.resume()
    ends_well(client)
    assert client.logs().splitlines() == ["4 calls are under way", *(word * 2 for word in reversed(words))]


@step("2.6", starts=["rpc-reference"])
def test_responses_in_another_order(topology: Topology, rng: Random) -> None:
    """Responses that overtake each other are paired with their calls all the same."""
    link = topology.link("deferring-client", "rpc-reference")
    link.reorder(1.0, direction="backward")
    words = [text(rng, 6) for _ in range(4)]
    client = topology["deferring-client"]
    lines = run_script(client, [("calculator.repeat", word, 1) for word in words])
    assert lines[1:] == words[::-1]
    assert link.injected > 0, "No response could overtake another: there was never more than one under way."


@step("2.6", starts=["rpc-reference"])
def test_one_way_client(topology: Topology, rng: Random) -> None:
    """A one-way caller does not wait, not even for a server that is not listening at the moment."""
    reference, link = topology["rpc-reference"], topology.link("deferring-client", "rpc-reference")
    words = [text(rng, 6) for _ in range(3)]
    reference.pause()
    assert (
        run_script(topology["deferring-client"], [("printer.print", word) for word in words], HOW="one-way")
        == []
    )
    reference.resume()
    assert until(lambda: printed(reference), lambda lines: len(lines) == 3) == words
    assert link.stats().backward_pieces == 0


@step("2.6", starts=["server-stub"])
def test_one_way_server(topology: Topology, rng: Random) -> None:
    """A one-way call is executed and has no reply, not even when it fails."""
    amount = rng.randint(1, 1000)
    with Peer(topology["server-stub"]) as peer:
        peer.send(Notification("counter.add", [amount]))
        peer.send(Notification("calculator.divide", [1, 0]))
        peer.send(Notification("calculator.multiply", [1]))
        assert peer.call("counter.value") == Response(1, None, amount)


# Step 2.7: one call, five servers


@step("2.7", starts=[])
def test_first_answer(topology: Topology, rng: Random) -> None:
    """All five are asked at once, and the first result is enough; three are silent, and one has none."""
    replicas, balance = rng.sample(REPLICAS, 5), rng.randint(1, 10**6)
    settings = dict.fromkeys(replicas, str(balance + 1)) | {replicas[0]: str(balance), replicas[1]: ""}
    start_group(topology, settings, members=replicas)
    for name in replicas:
        topology[name].pause()
    client = topology["multicast-client"]
    client.start(HOW="first", TIMEOUT_S=20)
    assert (
        until(lambda: asked(topology, replicas), lambda pieces: set(pieces) == {1} or not client.running)
        == [1] * 5
    )
    topology[replicas[1]].resume()
    assert until(lambda: topology.link(client.name, replicas[1]).stats().backward_pieces, bool) == 1
    with suppress(PeerSilent):  # who takes that for the result ends now; later it might find two
        client.wait(MOMENT_S)
    topology[replicas[0]].resume()
    ends_well(client)
    assert client.logs().split() == [str(balance)]


@step("2.7", starts=[])
def test_majority(topology: Topology, rng: Random) -> None:
    """What three of five say is the majority, though one says something else and one is silent."""
    replicas, balance = rng.sample(REPLICAS, 5), rng.randint(1, 10**6)
    settings = dict.fromkeys(replicas, str(balance)) | {replicas[0]: str(balance + 1), replicas[1]: "9"}
    start_group(topology, settings, members=replicas)
    topology.link("multicast-client", replicas[1]).lose(1.0)
    for name in replicas[2:]:
        topology[name].pause()
    client = topology["multicast-client"]
    client.start(HOW="majority", TIMEOUT_S=20)
    wrong = topology.link("multicast-client", replicas[0])
    until(lambda: wrong.stats().backward_pieces, lambda answers: answers > 0 or not client.running)
    for name in replicas[2:]:
        topology[name].resume()
    ends_well(client)
    assert client.logs().split() == [str(balance)]
    assert topology.link("multicast-client", replicas[1]).injected > 0


@step("2.7", starts=[])
def test_no_majority(topology: Topology, rng: Random) -> None:
    """Two are no majority of four, though one is heard twice; and where nobody answers there is no result."""
    outsider, *replicas = rng.sample(REPLICAS, 5)
    balance = str(rng.randint(1, 10**6))
    start_group(topology, dict.fromkeys([outsider, *replicas], balance), members=replicas)
    for name in replicas[:2]:
        topology.link("multicast-client", name).lose(1.0)
    topology.link("multicast-client", replicas[2]).duplicate(1.0, direction="backward")
    client = topology["multicast-client"]
    client.start(HOW="majority", TIMEOUT_S=0.5)
    assert client.wait(2 * PATIENCE_S) == 1, f"The client says that {client.logs().strip()} is the majority."
    assert "NoMajority" in client.errors()
    assert asked(topology, [outsider, *replicas]) == [0, 1, 1, 1, 1]
    for name in replicas:
        topology.link("multicast-client", name).lose(1.0)
    client.start(HOW="first", TIMEOUT_S=0.1)
    assert client.wait(2 * PATIENCE_S) == 1
    assert "NoReply" in client.errors()


@step("2.7", starts=[])
def test_errors_are_no_votes(topology: Topology, rng: Random) -> None:
    """Three servers without a result are no majority; and there can be none then, whatever the silent say."""
    replicas, balance = rng.sample(REPLICAS, 5), rng.randint(1, 10**6)
    settings = dict.fromkeys(replicas, "") | {replicas[0]: str(balance), replicas[1]: str(balance)}
    start_group(topology, settings, members=replicas)
    topology.link("multicast-client", replicas[0]).lose(1.0)
    client = topology["multicast-client"]
    client.start(HOW="majority", TIMEOUT_S=30)
    assert client.wait(2 * PATIENCE_S) == 1, f"The client says that {client.logs().strip()} is the majority."
    assert "NoMajority" in client.errors()
    assert topology.link("multicast-client", replicas[0]).injected > 0


# What the checks have in common

REPLICAS = [f"replica-{number}" for number in range(1, 6)]


class Peer:
    """A client that sees every message: dslab's codec on a socket. A context manager."""

    def __init__(self, server: Service) -> None:
        self._server = server
        self._codec = MsgpackCodec()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(server.address().pair)
        self._next_id = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._socket.close()

    def send_bytes(self, data: bytes) -> None:
        """Send a datagram."""
        self._socket.send(data)

    def send(self, message: Message) -> None:
        """Send a message."""
        self.send_bytes(self._codec.encode(message))

    def receive(self) -> Response:
        """Wait for a response.

        Raises:
            PeerSilent: None came in time.
            PeerClosed: The server has ended.
            MalformedMessage: What came is none.
        """
        deadline_s = time.monotonic() + PATIENCE_S
        while not select.select([self._socket], [], [], LOOK_S)[0]:
            if not self._server.running:
                raise PeerClosed(f"{self._server.name} has ended; a response was waited for.")
            if time.monotonic() > deadline_s:
                raise PeerSilent(f"{self._server.name}: waited {PATIENCE_S:g} s in vain for a response.")
        message = self._codec.decode(self._socket.recv(65_535))
        assert isinstance(message, Response), "What came is not a response."
        return message

    def call(self, method: str, *params: Any) -> Response:
        """Call without an identity."""
        number, self._next_id = self._next_id, self._next_id + 1
        sent(Told(written(method, params)))
        self.send(Request(number, method, list(params)))
        return self.receive()

    def hello(self) -> int:
        """Open a session: its number."""
        sent(Told("rpc.hello()"))
        self.send(Request(0, "rpc.hello", []))
        greeting = self.receive()
        match greeting.result:
            case [int(session), int()]:
                return session
        pytest.fail(f"The answer to rpc.hello is [session, window], not {greeting.result!r}.")

    def identified(
        self, session: int, number: int, acknowledged: int, *params: Any, **named: Any
    ) -> Response:
        """Call with an identity (`send_identified`)."""
        self.send_identified(session, number, acknowledged, *params, **named)
        return self.receive()

    def send_identified(
        self,
        session: int,
        number: int,
        acknowledged: int,
        *params: Any,
        method: str = "counter.add",
        request_id: int = 0,
    ) -> None:
        """Send such a call, and wait for nothing. The request's id is the number, if not said otherwise."""
        context = Context(session, number, acknowledged)
        sent(Told(f"call {number}: {written(method, params)}, acknowledged: below {acknowledged}"))
        self.send(Request(request_id or number, method, list(params), context))


@dataclass(frozen=True)
class Told:
    """What was sent, in words; a failure shows it as it is."""

    words: str

    def __repr__(self) -> str:
        return self.words


def written(method: str, params: Sequence[Any]) -> str:
    """A call, as one writes it."""
    return f"{method}({', '.join(map(repr, params))})"


def kind_of(error: Exception) -> str:
    """The type of an exception of ours, or the name of the one that the server has told of."""
    return getattr(error, "type_name", "") or type(error).__name__


def code_of(response: Response) -> Any:
    """The code of the error in a response."""
    if response.error is None:
        return f"no error, but the result {response.result!r}"
    return response.error[0] if isinstance(response.error, list) else response.error


def text(rng: Random, length: int) -> str:
    """Some letters."""
    return "".join(rng.choices(string.ascii_letters, k=length))


def read_by(postbox: Service, values: list[Any], *, written: bool = False) -> list[Any]:
    """What the postbox reads in the messages with those values (or with those bytes for the value)."""
    codec, before = MsgpackCodec(), len(postbox.logs().splitlines())
    with Peer(postbox) as peer:
        for value in values:
            if written:
                peer.send_bytes(b"\x94\0\7\xa4read\x91" + value)
            else:
                peer.send_bytes(codec.encode(Request(7, "read", [value])))
    sent(values)
    until(postbox.logs, lambda logs: len(logs.splitlines()) >= before + len(values) or not postbox.running)
    return [value_of(line) for line in postbox.logs().splitlines()[before:]]


def written_by(postbox: Service, values: list[Any]) -> list[Any]:
    """What the postbox writes for those values, read by another's decoder."""
    results = []
    with Peer(postbox) as peer:
        for value in values:
            results.append(peer.call("write", repr(value)).result)
    return results


def value_of(line: str) -> Any:
    """A value that was printed, or what was printed in its place."""
    try:
        return ast.literal_eval(line)
    except (ValueError, SyntaxError):
        return line


def reference_in(value: Any) -> str:
    """The name in a reference."""
    match value:
        case {"ref": str(name)}:
            return name
    pytest.fail(f'A reference is {{"ref": name}}; what came is {value!r}.')


class Caller:
    """Our client, which states what it sends: ids and sessions differ from run to run."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def call(self, method: str, *params: Any) -> Any:
        """Call a procedure that has a result."""
        result, error = self.attempt(method, *params)
        if error is not None:
            pytest.fail(f"{method} has raised {type(error).__name__}: {error}")
        return result

    def error_of(self, method: str, *params: Any) -> Any:
        """Call a procedure that raises an exception: the exception."""
        result, error = self.attempt(method, *params)
        if error is None:
            pytest.fail(f"{method} was to raise an exception, and has the result {result!r}.")
        return error

    def attempt(self, method: str, *params: Any) -> tuple[Any, Exception | None]:
        """Call a procedure: its result, or what it raised.

        Raises:
            PeerError: The server did not answer, or not with a response.
        """
        sent(Told(written(method, params)))
        try:
            return self._client.call(method, *params), None
        except (PeerSilent, PeerClosed, PeerRefused, PeerViolation):
            raise
        except Exception as error:  # noqa: BLE001  whatever the procedure raises
            return None, error


@contextmanager
def called(server: Service) -> Iterator[Caller]:
    """Our client of that server, if that answers at all."""
    with Peer(server) as peer:
        peer.call("counter.value")
    with connect(server.address(), transport="udp", timeout_s=PATIENCE_S) as client:
        yield Caller(client)


@contextmanager
def exactly(server: Service) -> Iterator[Caller]:
    """Our client of that server, with at-most-once."""
    with Peer(server) as peer:
        peer.hello()
    options: Any = {"semantics": "at-most-once", "retry_s": 0.03, "timeout_s": 3 * PATIENCE_S}
    with connect(server.address(), transport="udp", **options) as client:
        caller = Caller(client)
        caller.call("counter.value")  # has a session from now on
        yield caller


def start_script(client: Service, calls: list[tuple[Any, ...]], **variables: object) -> Service:
    """A client with those calls to make: (method, argument ...).

    The argument after the last of a call of `notebook` that makes a value is the name by which the client
    keeps it; one that begins with $ stands for a value that was kept.
    """
    orders = [order_of(call) for call in calls]
    (client.scratch / "calls.jsonl").write_text("\n".join(map(json.dumps, orders)), encoding="utf-8")
    sent(Told("; ".join(written(order["call"], order["with"]) for order in orders)))
    client.start(**variables)
    return client


def order_of(call: tuple[Any, ...]) -> dict[str, Any]:
    """A line of a script."""
    method, *params = call
    if method in {"notebook.page", "notebook.read"} and len(params) == 2:
        return {"call": method, "with": params[:1], "as": params[1]}
    return {"call": method, "with": params}


def run_script(client: Service, calls: list[tuple[Any, ...]], **variables: object) -> list[str]:
    """What the client prints for those calls."""
    start_script(client, calls, **variables)
    ends_well(client)
    return client.logs().splitlines()


def chattered_at(topology: Topology, client: Service, **variables: object) -> list[str]:
    """What the client prints when our server sends it responses to everything but its only request."""
    reference, earlier = topology["rpc-reference"], len(client.logs())
    if reference.started:
        reference.stop()
    set_up(reference, "chatter")
    reference.start()
    start_script(client, [("counter.value",)], **variables)
    try:
        ends_well(client, 2 * PATIENCE_S)
    except PeerSilent:
        pytest.fail("The client was to give up after its time. It waits for as long as anything comes.")
    assert topology.link(client.name, reference.name).stats().backward_pieces > 0
    return client.logs()[earlier:].splitlines()


def kinds(lines: list[str]) -> list[str]:
    """What the client printed, without the texts of exceptions."""
    return [line.partition(": ")[0] for line in lines]


def ends_well(client: Service, within_s: float = 3 * PATIENCE_S) -> None:
    """The client ends by itself, and has nothing to complain about."""
    status = client.wait(within_s)
    if status != 0:
        pytest.fail(f"{client.name} ended with exit status {status}.")


def outcome(topology: Topology, **variables: object) -> str:
    """What the printing client concludes."""
    client = topology["printing-client"]
    earlier = len(client.logs())
    sent(Told(written(str(variables.get("METHOD", "printer.print")), [variables["TEXT"]])))
    client.start(**variables)
    ends_well(client)
    return client.logs()[earlier:].strip()


def print_with_a_crash(topology: Topology, moment: str, semantics: str, words: str) -> str:
    """What the printing client concludes if our server crashes before or after it prints, and comes back."""
    reference, client = topology["rpc-reference"], topology["printing-client"]
    link, earlier = topology.link(client.name, reference.name), len(client.logs())
    sent_earlier = link.stats().forward_pieces
    sent(Told(f"{written('printer.print', [words])}; the server crashes {moment} that"))
    set_up(reference, moment)
    reference.start()
    client.start(SEMANTICS=semantics, TIMEOUT_S=0.5, TRIES=30, TEXT=words)
    until(lambda: reference.running, lambda running: not running or not client.running)
    if reference.running and link.stats().forward_pieces > sent_earlier:
        until(lambda: reference.running, lambda running: not running)  # it may not have read that yet
    if reference.running:
        ends_well(client)
        pytest.fail("The client has ended, and has not asked the printer.")
    set_up(reference, "never")
    reference.start()
    ends_well(client)
    reference.stop()
    return client.logs()[earlier:].strip()


def set_up(server: Service, setting: str) -> None:
    """What a server of ours is to be in this check (`objects.offered`)."""
    (server.scratch / "setting").write_text(setting, encoding="utf-8")


def printed(server: Service) -> list[str]:
    """The lines on the paper of a server's printer."""
    paper = server.scratch / "paper.txt"
    return paper.read_text(encoding="utf-8").splitlines() if paper.exists() else []


def start_group(topology: Topology, settings: dict[str, str], members: list[str]) -> None:
    """The five servers, with those ledgers, and the registry that knows the members of their group."""
    for name, setting in settings.items():
        set_up(topology[name], setting)
    set_up(topology["registry"], " ".join(members))
    sent(Told(f"ledger.balance() of {', '.join(settings[name] or 'nothing' for name in members)}"))
    topology.start("registry", *settings)


def asked(topology: Topology, replicas: list[str]) -> list[int]:
    """How many datagrams the client has sent to each."""
    return [topology.link("multicast-client", name).stats().forward_pieces for name in replicas]


def settled(look: Callable[[], T]) -> T:
    """What a second look shows: a link has dealt by then with all that was sent before the first."""
    look()
    return look()


def until(look: Callable[[], T], good: Callable[[T], bool]) -> T:
    """Look again until what is seen is good, or patience ends; the last that was seen."""
    deadline_s = time.monotonic() + 2 * PATIENCE_S
    while not good(seen := look()) and time.monotonic() < deadline_s:
        time.sleep(LOOK_S)
    return seen

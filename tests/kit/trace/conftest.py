"""Traces of things that go wrong in a course on distributed systems, as a picture gets to see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from random import Random

import pytest

from dslab.kit.trace.diagram import Caption
from dslab.kit.trace.event import CARRIES_BYTES, Direction, Event, Kind

Scenario = tuple[list[Event], Caption, tuple[str, ...]]

LINK = "grader->server"


def travel(
    t_s: float, kind: Kind, direction: Direction, data: bytes = b"", link: str = LINK, **more: object
) -> Event:
    """Something that travelled, delivered 0.2 ms later unless `more` says otherwise."""
    arrives = {"arrive_s": t_s + 0.0002} if kind in CARRIES_BYTES else {}
    given = {"data": data, "size": len(data), **arrives, **more}
    return Event(t_s=t_s, link=link, kind=kind, direction=direction, **given)  # type: ignore[arg-type]


def node(t_s: float, name: str, state: str, note: str = "") -> Event:
    return Event(t_s=t_s, link=name, kind=Kind.NODE, label=state, note=note)


def check(t_s: float, label: str) -> Event:
    return Event(t_s=t_s, link="", kind=Kind.CHECK, label=label)


def fault(t_s: float, link: str, label: str, note: str = "on") -> Event:
    return Event(t_s=t_s, link=link, kind=Kind.FAULT, label=label, note=note)


def started(*services: str) -> list[Event]:
    up = [node(0.1, name, "started") for name in services] + [node(0.2, name, "ready") for name in services]
    return [check(0.05, "begin"), *up]


def byte_by_byte() -> Scenario:
    """A server that answers every piece instead of every message."""
    events = [
        *started("server"),
        fault(0.2105, LINK, "fragment max_bytes=1"),
        travel(0.2106, Kind.OPEN, "forward"),
    ]
    t_s = 0.212
    for byte in b"\x00\x00\x00\x05hello":
        events.append(travel(t_s, Kind.CHUNK, "forward", bytes([byte]), note="fragment"))
        events.append(travel(t_s + 0.0003, Kind.CHUNK, "backward", bytes([byte]) + b"*"))
        t_s += 0.0006
    events += [check(t_s, "failed"), travel(t_s + 0.0002, Kind.CLOSE, "forward")]
    events += [node(t_s + 0.02, "server", "exited", "exit status 0")]
    caption = Caption(
        statement="A message delivered one byte at a time is answered whole.",
        verdict="fail",
        message="The answer's length prefix says 2,763,306 bytes.",
        sent='00 00 00 05 "hello"',
        expected='00 00 00 06 "hello*"',
        actual='00 2a 00 2a 00 2a 05 2a "h*e*l*l*o*"',
        facts={"lab": "01-sockets", "step": "1.3", "seed": "4711"},
    )
    return events, caption, ("server",)


def lossy() -> Scenario:
    """Datagrams lost, retransmitted, duplicated, corrupted; and a late reply that is taken for another's."""
    link = "client->server"
    events = [*started("server"), fault(0.21, link, "lose 0.3"), node(0.22, "client", "started")]

    def ask(t_s: float, what: str, **more: object) -> Event:
        return travel(t_s, Kind.DATAGRAM, "forward", what.encode(), link, label=f"request {what}", **more)

    def answer(t_s: float, what: str, **more: object) -> Event:
        return travel(t_s, Kind.DATAGRAM, "backward", what.encode(), link, label=f"reply {what}", **more)

    events += [ask(0.30, "a"), answer(0.302, "a")]
    events += [ask(0.31, "b", arrive_s=None, note="lost"), ask(0.51, "b"), answer(0.512, "b")]
    events += [answer(0.516, "b", note="duplicate"), answer(0.522, "b", note="corrupted byte 3")]
    events += [ask(0.53, "c"), answer(0.533, "c", arrive_s=0.79, note="delayed 0.257 s, reordered")]
    events += [
        ask(0.73, "c"),
        answer(0.733, "c"),
        ask(0.75, "d"),
        answer(0.76, "d", arrive_s=None, note="lost"),
    ]
    events += [Event(t_s=0.80, link="client", kind=Kind.MARK, label='took "c" for the answer to d')]
    events += [check(0.81, "failed"), node(0.82, "client", "exited", "exit status 0")]
    caption = Caption(
        statement="A late reply is not taken for another's.", verdict="fail", expected='"d"', actual='"c"'
    )
    return events, caption, ("server", "client")


def stalled() -> Scenario:
    """A link that stalls, and a client that waits for ever."""
    link = "client->server"
    events = [*started("server", "client"), travel(0.31, Kind.OPEN, "forward", link=link)]
    events += [travel(0.311, Kind.MESSAGE, "forward", b"debit alice 10", link, label="debit alice 10")]
    events += [travel(0.313, Kind.MESSAGE, "backward", b"ok", link, label="ok"), fault(0.33, link, "stall")]
    events += [
        travel(0.36, Kind.MESSAGE, "forward", b"debit bob 10", link, label="debit bob 10", arrive_s=None)
    ]
    events += [check(20.4, "failed")]
    caption = Caption(
        statement="A client gives up after its timeout.",
        verdict="fail",
        message="The client had not ended after 20 s.",
        stderr="Traceback (most recent call last):\nKeyboardInterrupt",
    )
    return events, caption, ("server", "client")


def restarted() -> Scenario:
    """A server that is killed, started again, paused, resumed, and has forgotten."""
    link = "client->server"

    def put(t_s: float, connection: int, what: str, **more: object) -> Event:
        kind, data = Kind.MESSAGE, what.encode()
        return travel(t_s, kind, "forward", data, link, label=what, connection=connection, **more)

    def reply(t_s: float, connection: int, what: str, **more: object) -> Event:
        kind, data = Kind.MESSAGE, what.encode()
        return travel(t_s, kind, "backward", data, link, label=what, connection=connection, **more)

    events = [*started("server", "client"), travel(0.30, Kind.OPEN, "forward", link=link)]
    events += [put(0.301, 0, "put x=1"), reply(0.303, 0, "stored"), put(0.31, 0, "put x=2")]
    events += [node(0.311, "server", "killed"), travel(0.312, Kind.RESET, "backward", link=link)]
    events += [travel(0.36, Kind.OPEN, "forward", link=link, connection=1)]
    events += [
        travel(0.361, Kind.RESET, "backward", link=link, connection=1, note="server: Connection refused")
    ]
    events += [node(0.46, "server", "started"), node(0.61, "server", "ready")]
    events += [
        travel(0.62, Kind.OPEN, "forward", link=link, connection=2),
        put(0.621, 2, "get x"),
        reply(0.623, 2, "x=0"),
    ]
    events += [
        fault(0.64, link, "delay 0.05 s"),
        put(0.65, 2, "get x", arrive_s=0.70),
        reply(0.71, 2, "x=0", arrive_s=0.76),
    ]
    events += [fault(0.78, link, "heal", "off"), node(0.80, "server", "paused"), put(0.82, 2, "get x")]
    events += [node(0.95, "server", "resumed"), reply(0.952, 2, "x=0"), travel(0.96, Kind.OPEN, "forward")]
    events += [travel(0.961, Kind.MESSAGE, "forward", b"get x", label="get x")]
    events += [travel(0.963, Kind.MESSAGE, "backward", b"x=0", label="x=0"), check(0.97, "failed")]
    caption = Caption(
        statement="What was acknowledged survives.", verdict="fail", expected="x=1", actual="x=0"
    )
    return events, caption, ("server", "client")


def silent_client() -> Scenario:
    """Fifty clients of an iterative server; the first says nothing."""
    events = [*started("server"), travel(0.23, Kind.OPEN, "forward")]
    for connection in range(1, 50):
        t_s = 0.23 + connection * 0.0006
        events.append(travel(t_s, Kind.OPEN, "forward", connection=connection))
        events.append(travel(t_s + 0.0003, Kind.CHUNK, "forward", b"hello", connection=connection))
    events.append(check(5.3, "failed"))
    return events, Caption(statement="A silent client keeps no other waiting.", verdict="fail"), ("server",)


def two_thousand() -> Scenario:
    """A thousand requests and replies, the last one wrong."""
    random = Random(1)
    events = [*started("server"), travel(0.23, Kind.OPEN, "forward")]
    for number in range(999):
        data = random.randbytes(6_000)
        t_s = 0.231 + number * 0.0004
        events.append(travel(t_s, Kind.MESSAGE, "forward", data[:4_096], size=6_000, label="echo request"))
        events.append(
            travel(t_s + 0.0002, Kind.MESSAGE, "backward", data[:4_096], size=6_001, label="echo reply")
        )
    events += [
        travel(0.64, Kind.MESSAGE, "forward", b"last one"),
        travel(0.6402, Kind.MESSAGE, "backward", b"last on*"),
    ]
    events += [check(0.641, "failed")]
    return events, Caption(statement="Each of a thousand messages is answered.", verdict="fail"), ("server",)


def partitioned() -> Scenario:
    """Six nodes in a row, and a partition between two of them; the check passes."""
    names = ("client", "proxy", "auth", "store-1", "store-2", "a-rather-long-service-name")
    events = [check(0.2, "begin")]
    t_s = 0.21
    for source, target in pairwise(names):
        link = f"{source}->{target}"
        events.append(travel(t_s, Kind.MESSAGE, "forward", b"x" * 40, link, label=f"lookup for {source}"))
        t_s += 0.004
    events.append(
        travel(t_s, Kind.MESSAGE, "forward", b"y" * 90, "client->store-2", label="publish " + "long " * 30)
    )
    events.append(fault(t_s + 0.01, "store-1->store-2", "partition {store-1} | {store-2}"))
    events.append(
        travel(
            t_s + 0.02, Kind.MESSAGE, "forward", b"z", "store-1->store-2", label="replicate", arrive_s=None
        )
    )
    return events, Caption(statement="A lookup passes through every node.", verdict="pass"), names


HOSTILE = "</script><img src=x onerror=alert(1)><svg onload=alert(2)>\u202e\x1b[31m'\"&"


def hostile() -> Scenario:
    """A student who sends markup, and names everything so."""
    events = [*started("server"), travel(0.3, Kind.OPEN, "forward", note=HOSTILE)]
    events += [travel(0.31, Kind.CHUNK, "forward", HOSTILE.encode())]
    events += [travel(0.32, Kind.MESSAGE, "backward", HOSTILE.encode(), label=HOSTILE, note=HOSTILE)]
    events += [Event(t_s=0.33, link="server", kind=Kind.MARK, label=HOSTILE), fault(0.34, LINK, HOSTILE)]
    events += [node(0.35, "server", HOSTILE, HOSTILE), check(0.36, "failed")]
    caption = Caption(
        statement=HOSTILE,
        verdict="fail",
        message=HOSTILE,
        sent=HOSTILE,
        expected=HOSTILE,
        actual=HOSTILE,
        stderr=HOSTILE,
        facts={HOSTILE: HOSTILE},
    )
    return events, caption, ("server", HOSTILE)


SCENARIOS: Mapping[str, Callable[[], Scenario]] = {
    scenario.__name__: scenario
    for scenario in (
        byte_by_byte,
        lossy,
        stalled,
        restarted,
        silent_client,
        two_thousand,
        partitioned,
        hostile,
    )
}


@pytest.fixture
def scenarios() -> Mapping[str, Callable[[], Scenario]]:
    return SCENARIOS


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return SCENARIOS[request.param]()


@pytest.fixture
def hostile_text() -> str:
    return HOSTILE

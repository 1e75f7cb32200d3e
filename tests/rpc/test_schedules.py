"""Both stubs against a network that loses, doubles, delays and reorders, as hypothesis invents it.

There is no socket here: a link is a bag of messages. In each step somebody begins a call, or any message of
any bag arrives, is doubled or lost, or time passes, or a procedure ends, or a client dies and comes back with
or without its memory, or the server forgets its oldest session, or dies and comes back with its log. Checked
all the time, under at-most-once:

- no call is executed twice;
- a reply is that of the call it ends;
- who is told "did not happen" is told the truth, for ever; likewise "happened";
- the reply cache stays within its bounds.

And at the end, when the network is well again, a call is answered.

A failure shrinks to the shortest schedule there is and prints it, with the line that repeats it. How many
schedules are tried is DSLAB_SCHEDULES (300 unless told); 10,000 take some minutes.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dslab.kit.errors import Happened, PeerError
from dslab.rpc.errors import TooLate
from dslab.rpc.messages import Context, Params, Request, Response
from dslab.rpc.msgpack_rpc import MsgpackCodec
from dslab.rpc.protocol import Call, ClientStub, ServerStub
from dslab.rpc.reply_cache import ReplyCache
from dslab.rpc.reply_log import record, restore, snapshot

SCHEDULES = int(os.environ.get("DSLAB_SCHEDULES", "300"))
STEPS = 40
CLIENTS = 2
WINDOW = 3
MAX_SESSIONS = 3

pytestmark = pytest.mark.timeout(120 + SCHEDULES // 5)  # seconds: thousands take minutes, more beside others
MAX_BYTES = 20
TIMEOUT_S = 4.0
RETRY_S = 1.0
CODEC = MsgpackCodec()

indexes = st.integers(0, 1_000)
clients = st.integers(0, CLIENTS - 1)


@dataclass(eq=False)
class Client:
    stub: ClientStub
    calls: list[Call] = field(default_factory=list)


@dataclass
class Executing:
    client: int
    request: Request


def token_of(params: Params) -> int:
    assert isinstance(params, list)
    return int(params[0])


def take(bag: list[tuple[int, bytes]], index: int, copy_stays: bool) -> tuple[int, bytes]:
    """Let any message of a bag arrive. A copy that stays will arrive late."""
    place = index % len(bag)
    return bag[place] if copy_stays else bag.pop(place)


class Schedule(RuleBasedStateMachine):
    """At-most-once: the most that is promised."""

    semantics: Any = "at-most-once"

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.tokens = 0
        self.first_id = 1
        self.lives = 0
        self.log = snapshot(ReplyCache(0))
        self.start_server()
        self.clients = [Client(self.new_stub()) for _ in range(CLIENTS)]
        self.to_server: list[tuple[int, bytes]] = []
        self.to_client: list[tuple[int, bytes]] = []
        self.executing: list[Executing] = []
        self.executed: Counter[int] = Counter()
        self.denied: set[int] = set()  # tokens of calls that the caller was told did not happen

    def new_stub(self, **resumed: Any) -> ClientStub:
        self.first_id += 1_000
        return ClientStub(self.first_id, semantics=self.semantics, retry_s=RETRY_S, **resumed)

    def start_server(self) -> None:
        self.lives += 1
        self.cache = ReplyCache(
            1_000 * self.lives, window=WINDOW, max_sessions=MAX_SESSIONS, max_bytes=MAX_BYTES
        )
        restore(self.cache, self.log)
        self.log = snapshot(self.cache)
        self.server = ServerStub(self.cache, CODEC.freeze, durable=True)

    # ---- what may happen

    @rule(client=clients)
    def begin(self, client: int) -> None:
        self.tokens += 1
        here = self.clients[client]
        here.calls.append(here.stub.begin("work", [self.tokens], self.now_s, TIMEOUT_S))
        self.send(client)

    @precondition(lambda self: self.to_server)
    @rule(index=indexes, copy_stays=st.booleans(), at_once=st.booleans())
    def request_arrives(self, index: int, copy_stays: bool, at_once: bool) -> None:
        client, data = take(self.to_server, index, copy_stays)
        self.serve(client, data)
        if at_once and self.executing:
            self.end(self.executing.pop(), late=False)

    @precondition(lambda self: self.executing)
    @rule(index=indexes, late=st.booleans())
    def procedure_ends(self, index: int, late: bool) -> None:
        self.end(self.executing.pop(index % len(self.executing)), late)

    @precondition(lambda self: self.to_client)
    @rule(index=indexes, copy_stays=st.booleans())
    def reply_arrives(self, index: int, copy_stays: bool) -> None:
        client, data = take(self.to_client, index, copy_stays)
        call = self.clients[client].stub.receive(CODEC.decode(data), self.now_s)
        if call is not None:
            self.check_outcome(call)
        self.send(client)

    @precondition(lambda self: self.to_client or self.to_server)
    @rule(index=indexes)
    def message_is_lost(self, index: int) -> None:
        place = index % (len(self.to_client) + len(self.to_server))
        bag = self.to_client if place < len(self.to_client) else self.to_server
        del bag[place % len(bag)]

    @rule(for_s=st.sampled_from([0.5, 1.0, 2.0, 5.0]))
    def time_passes(self, for_s: float) -> None:
        self.now_s += for_s
        for client, here in enumerate(self.clients):
            for call in here.stub.tick(self.now_s):
                self.check_outcome(call)
            self.send(client)

    @rule(client=clients, what=st.sampled_from(["connection", "client", "client's memory", "strangers"]))
    def something_breaks(self, client: int, what: str) -> None:
        """A connection; a client, which had written down where it stood, or had not; or a crowd comes."""
        stub = self.clients[client].stub
        match what:
            case "connection":
                for call in stub.connection_lost("it broke.", self.now_s):
                    self.check_outcome(call)
                stub.connection_made(self.now_s)
                self.send(client)
            case "client":
                resumed = self.new_stub(session=stub.session, first_number=stub.next_number)
                self.clients[client] = Client(resumed)
            case "client's memory":
                self.clients[client] = Client(self.new_stub())
            case "strangers":
                for _ in range(MAX_SESSIONS):
                    session, _window = self.server.hello()
                    self.write_down()
                    self.cache.look(Context(session, 1))

    @rule(got=st.sampled_from(["not begun", "executed", "answered"]), anew=st.booleans())
    def server_restarts(self, got: str, anew: bool) -> None:
        """It dies. What was under way got so far, and the log knows only that it was begun."""
        if anew:  # the log had just grown too long
            self.log = snapshot(self.cache)
        for done in self.executing:
            if got == "executed":
                self.executed[token_of(done.request.params)] += 1
            elif got == "answered":  # and the disk was full
                self.end(done, late=False, written=False)
        self.executing.clear()
        self.start_server()

    def teardown(self) -> None:
        """Whatever has happened: once nothing is lost any more, a new call is executed and answered."""
        self.to_client.clear()
        self.to_server.clear()
        for done in self.executing:
            self.end(done, late=False)
        self.executing.clear()
        for client, here in enumerate(self.clients):
            assert any(self.answered(client, here) for _ in range(3)), (
                f"client {client} is not served any more"
            )

    # ---- how it happens

    def answered(self, client: int, here: Client) -> bool:
        """Make a call over a network without faults. (The first may learn that the session is lost.)."""
        self.begin(client)
        call = here.calls[-1]
        while not call.ended:
            while self.to_server or self.to_client:
                while self.to_server:
                    self.request_arrives(0, copy_stays=False, at_once=True)
                while self.to_client:
                    self.reply_arrives(0, copy_stays=False)
            if not call.ended:
                self.time_passes(RETRY_S)
        self.nothing_is_executed_twice()
        return call.response is not None and call.response.error is None

    def end(self, done: Executing, late: bool, *, written: bool = True) -> None:
        """A procedure has been executed; or its turn came too late, and it was not."""
        token = token_of(done.request.params)
        if late and not self.executed[token]:
            response = Response(done.request.id, TooLate("late").to_fault())
        else:
            self.executed[token] += 1
            response = Response(done.request.id, None, ["done", token])
        replies = self.server.finish(done.client, done.request, response)
        if written:
            self.write_down()
        for client, reply in replies:
            assert isinstance(client, int)
            self.to_client.append((client, CODEC.encode(reply)))

    def write_down(self) -> None:
        self.log += b"".join(map(record, self.server.changes()))

    def send(self, client: int) -> None:
        for message in self.clients[client].stub.take_outgoing():
            self.to_server.append((client, CODEC.encode(message)))

    def serve(self, client: int, data: bytes) -> None:
        order = self.server.receive(client, CODEC.decode(data))
        if isinstance(order, Request) and order.method == "rpc.hello":
            order = Response(order.id, None, self.server.hello())
        self.write_down()
        if isinstance(order, Request):
            self.executing.append(Executing(client, order))
        elif isinstance(order, Response):
            self.to_client.append((client, CODEC.encode(order)))

    # ---- what must hold

    def check_outcome(self, call: Call) -> None:
        assert call.ended
        token = token_of(call.params)
        try:
            result = call.result({})
        except PeerError as error:
            if error.happened is Happened.NO:
                self.denied.add(token)
            elif error.happened is Happened.YES:
                assert self.executed[token], f"call {token} happened, they said"
        else:
            assert result == ["done", token], f"call {token} got the reply {result}"
            assert self.executed[token]

    @invariant()
    def nothing_is_executed_twice(self) -> None:
        twice = [token for token, times in self.executed.items() if times > 1]
        assert not twice, f"executed twice: {twice}"

    @invariant()
    def what_did_not_happen_never_does(self) -> None:
        assert not [token for token in self.denied if self.executed[token]]

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.cache) <= MAX_SESSIONS + len(self.executing)
        assert self.cache.reply_bytes <= MAX_BYTES
        for here in self.clients:
            assert len(here.stub) <= len(here.calls) + 1


class AtLeastOnce(Schedule):
    """What at-least-once still promises: replies to their own calls."""

    semantics = "at-least-once"

    @invariant()
    def nothing_is_executed_twice(self) -> None:
        """It may be."""

    @invariant()
    def what_did_not_happen_never_does(self) -> None:
        """A copy may meet a server with more time: only a call that was sent once is sure."""


def tried(times: int) -> settings:
    return settings(
        max_examples=times,
        stateful_step_count=STEPS,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


TestAtMostOnce = Schedule.TestCase
TestAtMostOnce.settings = tried(SCHEDULES)
TestAtLeastOnce = AtLeastOnce.TestCase
TestAtLeastOnce.settings = tried(max(1, SCHEDULES // 6))

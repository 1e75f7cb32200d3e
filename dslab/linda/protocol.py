"""The tuple space server as a state machine: requests and time in, replies out.

What it promises, beside what `rendezvous` does:

- A space is a multiset: two equal ``out``s are two tuples.
- Each request happens at one instant, also ``Collect`` and ``Commit``.
- A transaction consists of ``Out``, ``In``, ``Rd``, ``Count`` and ``Collect``. Its tuples are seen by nobody
  else before it is committed, and what it took is gone for everybody else at once. If it is aborted, or its
  client disconnects, all it took comes back (as the newest tuples: subscribers are told of them again) and
  nothing it put was ever there. What it reads is not locked. It cannot be committed while it waits.
- A tuple on its way when the connection breaks is lost, and ``in`` ends in an error whose outcome is unknown:
  at-most-once. A taker that must lose nothing takes in a transaction.

Nothing here opens a socket, reads a clock or draws a random number.

Source: ch. 2, Shared data spaces (temporal and referential decoupling); transactions, leases and
notification as in JavaSpaces (E. Freeman et al., 1999).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import Any, assert_never

from dslab.kit.errors import UsageError
from dslab.linda.clients import Client, RequestError, Verb, Waiter, left_s
from dslab.linda.matching import Pattern, compile_wire
from dslab.linda.messages import (
    UNIVERSE,
    VERSION,
    Abort,
    Blocked,
    Cancel,
    Collect,
    Commit,
    Count,
    Done,
    Found,
    FromClient,
    FromServer,
    Hello,
    In,
    List,
    Listed,
    NewSpace,
    Nothing,
    Notify,
    Out,
    Rd,
    Refused,
    Waiting,
)
from dslab.linda.rendezvous import Change, Dropped, Opened, Rendezvous, Sends
from dslab.linda.report import blocked, tuples_of
from dslab.linda.store import Stored
from dslab.linda.values import Fields, Handle, from_wire, to_wire

__all__ = ["Change", "Dropped", "Opened", "RequestError", "Sends", "Spaces"]


class Spaces:
    """All tuple spaces of a server, and who is connected to it.

    Args:
        token: What a client must know; empty for nothing.
        alive: Is this connection still there, as far as anybody can see?
        durable: Keep a list of changes, for `changes`.

    Attributes:
        deadlines: When waiting and leases end; `tick` must be called by then.
    """

    def __init__(
        self, *, token: str = "", alive: Callable[[int], bool] = lambda _: True, durable: bool = False
    ) -> None:
        self._token = token.encode()
        self._clients: dict[int, Client] = {}
        self._rendezvous = Rendezvous(alive, durable)
        self.deadlines = self._rendezvous.deadlines
        self._store = self._rendezvous.store
        self._next_space = UNIVERSE + 1

    # ---- what the shell calls

    def connect(self, connection: int, name: str) -> None:
        """Take a new connection. Its name is shown to people."""
        self._clients[connection] = Client(connection, name)

    def admitted(self, connection: int) -> bool:
        """Has it said hello, with the right token?"""
        return self._clients[connection].admitted

    def receive(self, connection: int, message: FromClient, now_s: float) -> Sends:
        """Take a request."""
        ended = self.tick(now_s) if now_s >= self.deadlines.next_s else None
        try:
            sends = self._serve(self._clients[connection], message, now_s)
        except UsageError as error:
            sends = [(connection, Refused(message.request, str(error)))]
        return ended + sends if ended else sends

    def disconnect(self, connection: int, now_s: float) -> Sends:
        """Take the end of a connection: it waits no longer, and its transactions are undone."""
        sends = self.tick(now_s)
        client = self._clients.pop(connection)
        for waiter in list(client.waiters.values()):
            self._rendezvous.unblock(waiter)
        for transaction in client.transactions.values():
            sends += self._rendezvous.undo(transaction, now_s)
        return sends

    def tick(self, now_s: float) -> Sends:
        """Take the passing of time: leases end, and so does waiting."""
        return self._rendezvous.pass_time(now_s)

    @property
    def deadline_s(self) -> float:
        """When to call `tick`, at the latest; infinity for never."""
        return self.deadlines.next_s

    def changes(self) -> list[Change]:
        """Give what has changed since the last call."""
        changes, self._rendezvous.changes = self._rendezvous.changes, []
        return changes

    def snapshot(self) -> Iterator[Change]:
        """Give changes that lead to the present state, with every open transaction undone."""
        yield Opened(self._next_space - 1)
        yield from self._store.all()
        for client in self._clients.values():
            for transaction in client.transactions.values():
                yield from transaction.taken

    def load(self, tuples: Iterable[Stored], last_space: int) -> None:
        """Take the state of an earlier server. Only for one that has no clients yet."""
        self._next_space = last_space + 1
        for stored in sorted(tuples, key=lambda stored: stored.number):
            self._rendezvous.load(stored)

    # ---- requests

    def _serve(self, client: Client, message: FromClient, now_s: float) -> Sends:
        if not client.admitted:
            return [(client.connection, self._admit(client, message))]
        match message:
            case Out():
                sends = self._out(client, message, now_s)
            case In() | Rd():
                return self._look(client, message, now_s)
            case Commit():
                if client.waiting_in(message.transaction):
                    raise RequestError(f"Transaction {message.transaction} still waits for a tuple.")
                sends = self._rendezvous.commit(client.end_transaction(message.transaction), now_s)
            case Abort():
                sends = self._rendezvous.give_up(client.waiting_in(message.transaction))
                sends += self._rendezvous.undo(client.end_transaction(message.transaction), now_s)
            case Collect():
                return self._collect(client, message, now_s)
            case Notify():
                looks = self._looks(message.space, message.template)
                self._rendezvous.block(Waiter(client, message.request, "notify", *looks, None, now_s, None))
                sends = []
            case Cancel():
                sends = self._cancel(client, message.which)
            case _:
                return [(client.connection, self._answer(client, message, now_s))]
        sends.append((client.connection, Done(message.request)))  # last: who waits has waited longer
        return sends

    def _answer(
        self, client: Client, message: Hello | Count | NewSpace | List | Waiting, now_s: float
    ) -> FromServer:
        """Answer what changes no tuple."""
        match message:
            case Hello():
                return self._admit(client, message)
            case Count(request, space, template, transaction):
                _, _, pattern = self._looks(space, template)
                count = self._store.count(space, pattern)
                if transaction:
                    own = client.transaction(transaction)
                    count += len(own.find_all(space, pattern, now_s, take=False))
                return Done(request, count)
            case NewSpace(request):
                self._next_space += 1
                self._rendezvous.note(Opened(self._next_space - 1))
                return Done(request, self._next_space - 1)
            case List(request, space, template, most):
                _, _, pattern = self._looks(space, template)
                return Listed(request, *tuples_of(self._store, space, pattern, most))
            case Waiting(request):
                return Blocked(request, *blocked(self._store, self._clients.values(), now_s))
        assert_never(message)

    def _admit(self, client: Client, message: FromClient) -> FromServer:
        if not isinstance(message, Hello):
            raise RequestError("The first message of a connection must be Hello.")
        if message.version != VERSION:
            raise RequestError(f"This server speaks version {VERSION}, the client version {message.version}.")
        if self._token and not hmac.compare_digest(message.token.encode(), self._token):
            raise RequestError("The token is not this server's.")
        client.admitted = True
        return Done(message.request)

    def _out(self, client: Client, message: Out, now_s: float) -> Sends:
        fields = from_wire(message.fields)
        if message.space:
            self._check_space(message.space)
        if fields is not message.fields:  # plain fields come as they are; others may name a space
            self._check_handles(fields)
        lease_s = message.lease_s
        if lease_s is not None:
            _check_duration(lease_s, "lease")
        expires_s = None if lease_s is None else now_s + lease_s
        if not message.transaction:
            return self._rendezvous.put(message.space, fields, expires_s, now_s)
        client.transaction(message.transaction).put.append((message.space, (fields, expires_s)))
        return self._rendezvous.wake_own(client, message.transaction, now_s)

    def _look(self, client: Client, message: In | Rd, now_s: float) -> Sends:
        space, wait_s = message.space, message.wait_s
        if space:
            self._check_space(space)
        pattern = compile_wire(message.template)
        if wait_s is not None:
            _check_duration(wait_s, "wait")
        own = client.transaction(message.transaction) if message.transaction else None
        take = type(message) is In
        leased = self._rendezvous.find(space, pattern, own, now_s, take)
        if leased is not None:
            fields, expires_s = leased
            found = Found(message.request, to_wire(fields), left_s(expires_s, now_s))
            return [(client.connection, found)]
        if wait_s == 0:
            return [(client.connection, Nothing(message.request))]
        verb: Verb = "in" if take else "rd"
        deadline_s = None if wait_s is None or wait_s == inf else now_s + wait_s
        looks = space, message.template, pattern
        self._rendezvous.block(Waiter(client, message.request, verb, *looks, own, now_s, deadline_s))
        return []

    def _collect(self, client: Client, message: Collect, now_s: float) -> Sends:
        _, _, pattern = self._looks(message.source, message.template)
        self._check_space(message.target)
        own = client.transaction(message.transaction) if message.transaction else None
        found = self._rendezvous.find_all(message.source, pattern, own, now_s, message.take)
        sends: Sends = []
        if own:
            own.put += [(message.target, leased) for leased in found]
            sends = self._rendezvous.wake_own(client, message.transaction, now_s)
        else:
            for fields, expires_s in found:
                sends += self._rendezvous.put(message.target, fields, expires_s, now_s)
        return [*sends, (client.connection, Done(message.request, len(found)))]

    def _cancel(self, client: Client, request: int) -> Sends:
        waiter = client.waiters.get(request)
        return [] if waiter is None else self._rendezvous.give_up([waiter])

    # ---- what a request must satisfy

    def _looks(self, space: int, wire: Fields) -> tuple[int, Fields, Pattern]:
        """Read where and for what a request looks."""
        if space:
            self._check_space(space)
        return space, wire, compile_wire(wire)

    def _check_space(self, space: int) -> None:
        if not UNIVERSE <= space < self._next_space:
            raise RequestError(f"There is no tuple space {space}.")

    def _check_handles(self, values: Iterable[Any]) -> None:
        for value in values:
            if type(value) is Handle:
                self._check_space(value.number)
            elif type(value) is tuple or type(value) is list:
                self._check_handles(value)


def _check_duration(duration_s: float, name: str) -> None:
    if not duration_s >= 0:  # NaN is neither
        raise RequestError(f"A {name} of {duration_s} seconds is no duration.")

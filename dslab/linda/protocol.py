"""The tuple space server as a state machine: requests and time in, replies out.

What it promises:

- A space is a multiset: two equal ``out``s are two tuples.
- Of several tuples that match, the oldest is given; of several that wait, the first comer is served. A
  tuple wakes every reader that waits for it, and one taker.
- Each request happens at one instant, also ``Collect`` and ``Commit``.
- A transaction's tuples are seen by nobody else before it is committed, and what it took is gone for
  everybody else at once. If it is aborted, or its client disconnects, all it took comes back (as the newest
  tuples) and nothing it put was ever there. What it reads is not locked.
- A client that has left gets nothing: ``alive`` is asked before a tuple is handed to one that has been
  waiting. A tuple on its way when the connection breaks is lost, and ``in`` ends in an error whose outcome
  is unknown: at-most-once. A taker that must lose nothing takes in a transaction.

Nothing here opens a socket, reads a clock or draws a random number.

Source: ch. 2, Shared data spaces (temporal and referential decoupling); transactions, leases and
notification as in JavaSpaces (E. Freeman et al., 1999).
"""

from __future__ import annotations

import heapq
import hmac
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from dslab.kit.errors import UsageError
from dslab.linda.matching import Pattern, compile_template
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
    WaitsFor,
    encode,
)
from dslab.linda.nearest import explain
from dslab.linda.store import Store, Stored
from dslab.linda.values import Fields, Handle, from_wire, keys_of, kinds_of, show, to_wire
from dslab.linda.waiting import Line, Verb, Waiter, Waiters, readers, takers

MAX_WAITING = 50_000
"""Blocked requests of one connection."""

MAX_TRANSACTIONS = 1_000
MAX_LISTED = 1_000
MAX_LISTED_BYTES = 1024 * 1024
MAX_REPORTED = 200
MAX_SHOWN = 500

_REBUILD_FROM = 64

Sends: TypeAlias = list[tuple[int, FromServer]]
"""What is to be sent, and to which connection."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The tuple of this number is gone for good."""

    number: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A space was made."""

    space: int


Change: TypeAlias = Stored | Dropped | Opened
"""What a durable server writes down before it replies."""


class RequestError(UsageError):
    """A request that cannot be done, now or later."""


@dataclass(slots=True)
class Transaction:
    """What a transaction has done so far.

    Attributes:
        put: Space, tuple and lease of each ``out``: not in the store before the commit.
        taken: What it took out of the store.
    """

    put: list[tuple[int, Fields, float | None]] = field(default_factory=list)
    taken: list[Stored] = field(default_factory=list)


@dataclass(slots=True)
class _Client:
    name: str
    admitted: bool = False
    waiters: dict[int, Waiter] = field(default_factory=dict)  # by request
    transactions: dict[int, Transaction] = field(default_factory=dict)


class Spaces:
    """All tuple spaces of a server, and who is connected to it.

    Args:
        token: What a client must know; empty for nothing.
        alive: Is this connection still there, as far as anybody can see?
        durable: Keep a list of changes, for `changes`.
    """

    def __init__(
        self, *, token: str = "", alive: Callable[[int], bool] = lambda _: True, durable: bool = False
    ) -> None:
        self._token = token.encode()
        self._alive = alive
        self._durable = durable
        self._changes: list[Change] = []
        self._store = Store()
        self._waiters = Waiters()
        self._clients: dict[int, _Client] = {}
        self._deadlines: list[tuple[float, int, Waiter]] = []  # a heap; who was served stays in it a while
        self._timed = 0
        self._next_number = 1
        self._next_space = UNIVERSE + 1

    # ---- what the shell calls

    def connect(self, connection: int, name: str) -> None:
        """Take a new connection. Its name is shown to people."""
        self._clients[connection] = _Client(name)

    def admitted(self, connection: int) -> bool:
        """Has it said hello, with the right token?"""
        return self._clients[connection].admitted

    def receive(self, connection: int, message: FromClient, now_s: float) -> Sends:
        """Take a request."""
        ended = self.tick(now_s)
        client = self._clients[connection]
        try:
            sends = self._serve(connection, client, message, now_s)
        except UsageError as error:
            sends = [(connection, Refused(message.request, str(error)))]
        return ended + sends if ended else sends

    def disconnect(self, connection: int, now_s: float) -> Sends:
        """Take the end of a connection: it waits no longer, and its transactions are undone."""
        sends = self.tick(now_s)
        client = self._clients.pop(connection)
        for waiter in list(client.waiters.values()):
            self._waiters.remove(waiter)
            self._timed -= waiter.deadline_s is not None
        client.waiters.clear()
        for transaction in client.transactions.values():
            sends += self._undo(transaction, now_s)
        return sends

    def tick(self, now_s: float) -> Sends:
        """Take the passing of time: leases end, and so does waiting."""
        for stored in self._store.expire(now_s):
            self._note(Dropped(stored.number))
        sends: Sends = []
        while self._deadlines and self._deadlines[0][0] <= now_s:
            _, _, waiter = heapq.heappop(self._deadlines)
            if self._waits(waiter):
                self._unblock(waiter)
                sends.append((waiter.connection, Nothing(waiter.request)))
        return sends

    @property
    def deadline_s(self) -> float | None:
        """When to call `tick`, at the latest."""
        expiry_s = self._store.next_expiry_s
        if not self._deadlines:
            return expiry_s
        wait_s = self._deadlines[0][0]
        return wait_s if expiry_s is None else min(wait_s, expiry_s)

    def changes(self) -> list[Change]:
        """Give what has changed since the last call."""
        changes, self._changes = self._changes, []
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
            kinds = kinds_of(stored.fields)
            self._store.add(stored, kinds, keys_of(kinds, stored.fields))
            self._next_number = stored.number + 1

    # ---- requests

    def _serve(self, connection: int, client: _Client, message: FromClient, now_s: float) -> Sends:
        if not client.admitted:
            return [(connection, self._admit(client, message))]
        match message:
            case Out():
                sends = self._out(client, message, now_s)
            case In() | Rd():
                return self._look(connection, client, message, now_s)
            case Commit():
                sends = self._commit(self._closed(client, message.transaction), now_s)
            case Abort():
                sends = self._undo(self._closed(client, message.transaction), now_s)
            case Collect():
                return self._collect(connection, message, now_s)
            case Notify():
                return self._subscribe(connection, client, message, now_s)
            case Cancel():
                sends = self._cancel(connection, client, message.which)
            case _:
                return [(connection, self._answer(client, message, now_s))]
        return [*sends, (connection, Done(message.request))]  # who waits has waited longer

    def _answer(
        self, client: _Client, message: Hello | Count | NewSpace | List | Waiting, now_s: float
    ) -> FromServer:
        """Answer what changes no tuple."""
        match message:
            case Hello():
                return self._admit(client, message)
            case Count(request, space, template):
                _, pattern = self._template(space, template)
                return Done(request, self._store.count(space, pattern))
            case NewSpace(request):
                self._next_space += 1
                self._note(Opened(self._next_space - 1))
                return Done(request, self._next_space - 1)
            case List():
                return self._list(message)
            case Waiting(request):
                return Blocked(request, list(self._report(now_s)))
        assert_never(message)

    def _admit(self, client: _Client, message: FromClient) -> FromServer:
        if not isinstance(message, Hello):
            raise RequestError("The first message of a connection must be Hello.")
        if message.version != VERSION:
            raise RequestError(f"This server speaks version {VERSION}, the client version {message.version}.")
        if self._token and not hmac.compare_digest(message.token.encode(), self._token):
            raise RequestError("The token is not this server's.")
        client.admitted = True
        return Done(message.request)

    def _out(self, client: _Client, message: Out, now_s: float) -> Sends:
        fields = from_wire(message.fields)
        self._check_space(message.space)
        self._check_handles(fields)
        lease_s = _duration(message.lease_s, "lease")
        if not message.transaction:
            expires_s = None if lease_s is None else now_s + lease_s
            return self._place(message.space, fields, expires_s, now_s)
        self._open(client, message.transaction).put.append((message.space, fields, lease_s))
        return self._wake_own(client, message.transaction)

    def _look(self, connection: int, client: _Client, message: In | Rd, now_s: float) -> Sends:
        template, pattern = self._template(message.space, message.template)
        wait_s = _duration(message.wait_s, "wait")
        transaction = self._open(client, message.transaction) if message.transaction else None
        fields = self._try(message.space, pattern, isinstance(message, In), transaction)
        if fields is not None:
            return [(connection, Found(message.request, to_wire(fields)))]
        if wait_s == 0:
            return [(connection, Nothing(message.request))]
        verb: Verb = "in" if isinstance(message, In) else "rd"
        deadline_s = None if wait_s is None else now_s + wait_s
        waiter = Waiter(
            self._number(), connection, message.request, verb, message.space, template, pattern,
            message.transaction, now_s, deadline_s,
        )  # fmt: skip
        self._block(client, waiter)
        return []

    def _try(
        self, space: int, pattern: Pattern, take: bool, transaction: Transaction | None
    ) -> Fields | None:
        """Find a tuple that matches, and remove it if it is to be taken."""
        place = self._store.find(space, pattern)
        if place is None:
            return _try_own(transaction, space, pattern, take) if transaction else None
        table, number = place
        if not take:
            return table.rows[number]
        stored = self._store.remove(space, table, number)
        if transaction:
            transaction.taken.append(stored)
        else:
            self._note(Dropped(number))
        return stored.fields

    def _collect(self, connection: int, message: Collect, now_s: float) -> Sends:
        _, pattern = self._template(message.source, message.template)
        self._check_space(message.target)
        places = self._store.find_all(message.source, pattern)
        sends: Sends = []
        for table, number in places:
            fields, expires_s = table.rows[number], self._store.expires_s(number)
            if message.take:
                self._store.remove(message.source, table, number)
                self._note(Dropped(number))
            sends += self._place(message.target, fields, expires_s, now_s)
        return [*sends, (connection, Done(message.request, len(places)))]

    def _subscribe(self, connection: int, client: _Client, message: Notify, now_s: float) -> Sends:
        template, pattern = self._template(message.space, message.template)
        waiter = Waiter(
            self._number(), connection, message.request, "notify", message.space, template, pattern,
            0, now_s, None,
        )  # fmt: skip
        self._block(client, waiter)
        return []

    def _cancel(self, connection: int, client: _Client, request: int) -> Sends:
        waiter = client.waiters.get(request)
        if waiter is None:
            return []
        self._unblock(waiter)
        return [(connection, Nothing(request))]

    def _list(self, message: List) -> Listed:
        _, pattern = self._template(message.space, message.template)
        places = self._store.find_all(message.space, pattern)
        most = max(0, min(message.most, MAX_LISTED))
        tuples: list[Fields] = []
        left_bytes = MAX_LISTED_BYTES
        for table, number in places[:most]:
            wire = to_wire(table.rows[number])
            left_bytes -= len(encode(Found(0, wire)))
            if left_bytes < 0:
                break
            tuples.append(wire)
        return Listed(message.request, tuples, len(places))

    def _report(self, now_s: float) -> Iterator[WaitsFor]:
        waiting = [
            (waiter, client)
            for client in self._clients.values()
            for waiter in client.waiters.values()
            if waiter.verb != "notify"
        ]
        waiting.sort(key=lambda pair: pair[0].number)
        for waiter, client in waiting[:MAX_REPORTED]:
            near = explain(self._store, waiter.space, waiter.template, waiter.pattern)
            template = show(waiter.template)[:MAX_SHOWN]
            waited_s = now_s - waiter.since_s
            yield WaitsFor(client.name, waiter.verb, waiter.space, template, waited_s, near[:MAX_SHOWN])

    # ---- tuples come

    def _place(self, space: int, fields: Fields, expires_s: float | None, now_s: float) -> Sends:
        """Wake whom a tuple wakes, and store it unless one of them takes it."""
        kinds = kinds_of(fields)
        keys = keys_of(kinds, fields)
        stored = Stored(self._number(), space, fields, expires_s)
        lines = self._waiters.woken(space, kinds, keys)
        sends = self._wake_readers(lines, fields) if lines else []
        taker = self._first_taker(lines, fields) if lines else None
        if taker is None:
            self._store.add(stored, kinds, keys)
            self._note(stored)
            return sends
        self._hand_over(stored, taker)
        sends.append((taker.connection, Found(taker.request, to_wire(fields))))
        return sends

    def _wake_readers(self, lines: list[Line], fields: Fields) -> Sends:
        sends: Sends = []
        for reader in readers(lines, fields):
            if reader.verb == "rd":
                self._unblock(reader)
            sends.append((reader.connection, Found(reader.request, to_wire(fields))))
        return sends

    def _first_taker(self, lines: list[Line], fields: Fields) -> Waiter | None:
        return next((taker for taker in takers(lines, fields) if self._alive(taker.connection)), None)

    def _hand_over(self, stored: Stored, taker: Waiter) -> None:
        self._unblock(taker)
        if taker.transaction:
            self._clients[taker.connection].transactions[taker.transaction].taken.append(stored)
            self._note(stored)  # it must outlive a crash before the commit

    def _wake_own(self, client: _Client, number: int) -> Sends:
        """Serve what the same transaction waits for with what it has just put."""
        sends: Sends = []
        for waiter in list(client.waiters.values()):
            if waiter.transaction == number:
                own = client.transactions[number]
                fields = _try_own(own, waiter.space, waiter.pattern, waiter.verb == "in")
                if fields is not None:
                    self._unblock(waiter)
                    sends.append((waiter.connection, Found(waiter.request, to_wire(fields))))
        return sends

    # ---- transactions

    def _open(self, client: _Client, number: int) -> Transaction:
        transaction = client.transactions.get(number)
        if transaction is None:
            if len(client.transactions) >= MAX_TRANSACTIONS:
                raise RequestError(f"{MAX_TRANSACTIONS:,} transactions are open on this connection.")
            transaction = client.transactions[number] = Transaction()
        return transaction

    def _closed(self, client: _Client, number: int) -> Transaction:
        if any(waiter.transaction == number for waiter in client.waiters.values()):
            raise RequestError(f"Transaction {number} still waits for a tuple.")
        return client.transactions.pop(number, None) or Transaction()

    def _commit(self, transaction: Transaction, now_s: float) -> Sends:
        for stored in transaction.taken:
            self._note(Dropped(stored.number))
        sends: Sends = []
        for space, fields, lease_s in transaction.put:
            expires_s = None if lease_s is None else now_s + lease_s
            sends += self._place(space, fields, expires_s, now_s)
        return sends

    def _undo(self, transaction: Transaction, now_s: float) -> Sends:
        sends: Sends = []
        for stored in transaction.taken:
            self._note(Dropped(stored.number))
            if stored.expires_s is None or stored.expires_s > now_s:
                sends += self._place(stored.space, stored.fields, stored.expires_s, now_s)
        return sends

    # ---- who waits

    def _block(self, client: _Client, waiter: Waiter) -> None:
        if waiter.request in client.waiters:
            raise RequestError(f"Request {waiter.request} is still waiting.")
        if len(client.waiters) >= MAX_WAITING:
            raise RequestError(f"{MAX_WAITING:,} requests of this connection are waiting.")
        client.waiters[waiter.request] = waiter
        self._waiters.add(waiter)
        if waiter.deadline_s is not None:
            self._timed += 1
            heapq.heappush(self._deadlines, (waiter.deadline_s, waiter.number, waiter))
            if len(self._deadlines) > 2 * self._timed + _REBUILD_FROM:
                self._deadlines = [entry for entry in self._deadlines if self._waits(entry[2])]
                heapq.heapify(self._deadlines)

    def _unblock(self, waiter: Waiter) -> None:
        del self._clients[waiter.connection].waiters[waiter.request]
        self._waiters.remove(waiter)
        self._timed -= waiter.deadline_s is not None

    def _waits(self, waiter: Waiter) -> bool:
        client = self._clients.get(waiter.connection)
        return client is not None and client.waiters.get(waiter.request) is waiter

    # ---- small things

    def _template(self, space: int, wire: Fields) -> tuple[Fields, Pattern]:
        self._check_space(space)
        template = from_wire(wire, template=True)
        return template, compile_template(template)

    def _check_space(self, space: int) -> None:
        if not UNIVERSE <= space < self._next_space:
            raise RequestError(f"There is no tuple space {space}.")

    def _check_handles(self, fields: Fields) -> None:
        if Handle in map(type, fields):
            for value in fields:
                if type(value) is Handle:
                    self._check_space(value.number)

    def _number(self) -> int:
        self._next_number += 1
        return self._next_number - 1

    def _note(self, change: Change) -> None:
        if self._durable:
            self._changes.append(change)


def _try_own(transaction: Transaction, space: int, pattern: Pattern, take: bool) -> Fields | None:
    """Look among what the transaction itself has put: a short list, looked at one by one."""
    for index, (where, fields, _) in enumerate(transaction.put):
        if where == space and pattern.matches(fields):
            if take:
                del transaction.put[index]
            return fields
    return None


def _duration(duration_s: float | None, name: str) -> float | None:
    if duration_s is None or duration_s >= 0:  # and not NaN
        return duration_s
    raise RequestError(f"A {name} of {duration_s} seconds is no duration.")

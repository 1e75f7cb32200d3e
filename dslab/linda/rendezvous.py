"""The rendezvous: where a tuple that comes meets who waits for it.

It holds the tuples (`store`), the waiters (`waiting`) and the order in which both came. What it promises:

- Of several tuples that match, the oldest is given; of several that wait, the first comer is served. A tuple
  wakes every reader that waits for it, and one taker.
- A client that has left gets nothing: ``alive`` is asked before a tuple goes to a taker that has waited.
- With ``durable``, whatever happens to a tuple is noted (`Change`), so that the shell can write it down
  before anybody hears of it.

Nothing here opens a socket, reads a clock or draws a random number.

Source: ch. 2, Shared data spaces (temporal and referential decoupling).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from dslab.linda.clients import Client, Leased, Waiter, Work, is_over, left_s
from dslab.linda.deadlines import Deadlines
from dslab.linda.kinds import kinds_of
from dslab.linda.matching import Pattern
from dslab.linda.messages import Found, FromServer, Nothing
from dslab.linda.store import Lease, Store, Stored
from dslab.linda.table import Table
from dslab.linda.values import Fields, keys_of, to_wire
from dslab.linda.waiting import Queue

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


class Rendezvous:
    """All tuples and all waiters.

    Args:
        alive: Is this connection still there, as far as anybody can see?
        durable: Keep a list of changes.

    Attributes:
        changes: What has happened since somebody emptied the list.
        deadlines: When waiting and leases end, by the numbers of waiters and tuples.
    """

    def __init__(self, alive: Callable[[int], bool], durable: bool) -> None:
        self.deadlines: Deadlines[Waiter | Lease] = Deadlines()
        self.store = Store(self.deadlines)
        self.changes: list[Change] = []
        self._takers = Queue()
        self._readers = Queue()
        self._alive = alive
        self._durable = durable
        self._numbers = count(1)

    # ---- tuples

    def put(self, space: int, fields: Fields, expires_s: float | None, now_s: float) -> Sends:
        """Wake whom a tuple wakes, and store it unless one of them takes it."""
        kinds = kinds_of(fields)
        keys = keys_of(kinds, fields)
        stored = Stored(next(self._numbers), space, fields, expires_s)
        sends: Sends = []
        for reader in [*self._readers.woken(space, kinds, keys, fields)]:
            if reader.verb == "rd":
                self.unblock(reader)
            sends.append((reader.client.connection, Found(reader.request, to_wire(fields))))
        for taker in self._takers.woken(space, kinds, keys, fields):
            if self._alive(taker.client.connection):
                self._hand_over(stored, taker)
                found = Found(taker.request, to_wire(fields), left_s(expires_s, now_s))
                sends.append((taker.client.connection, found))
                return sends
        self.store.add(stored, kinds, keys)
        self.note(stored)
        return sends

    def find(self, space: int, pattern: Pattern, own: Work | None, now_s: float, take: bool) -> Leased | None:
        """Find the oldest tuple that matches; if it is to be taken, remove it, and say its lease.

        If a taker waits for the very same, there is none in the store: it would have gone to him. So who
        waits spares the next one a search, which may be long. (One who has gone proves nothing: he was
        passed over.)
        """
        place = None if self._is_awaited(space, pattern) else self.store.find(space, pattern)
        if place is None:
            return own.find(space, pattern, now_s, take=take) if own else None
        table, number = place
        if not take:
            return table.rows[number], None
        return self._remove(space, table, number, own)

    def find_all(
        self, space: int, pattern: Pattern, own: Work | None, now_s: float, take: bool
    ) -> list[Leased]:
        """Find all that match, the oldest first, and remove them if they are to be taken."""
        found: list[Leased] = []
        for table, number in self.store.find_all(space, pattern):
            if take:
                found.append(self._remove(space, table, number, own))
            else:
                found.append((table.rows[number], self.store.expires_s(number)))
        return found + own.find_all(space, pattern, now_s, take=take) if own else found

    def load(self, stored: Stored) -> None:
        """Take a tuple over from an earlier server, with its number, in the order of these."""
        kinds = kinds_of(stored.fields)
        self.store.add(stored, kinds, keys_of(kinds, stored.fields))
        self._numbers = count(stored.number + 1)

    def note(self, change: Change) -> None:
        """Note what has happened, if anybody will want to know."""
        if self._durable:
            self.changes.append(change)

    # ---- waiters

    def block(self, waiter: Waiter) -> None:
        """Let a request wait.

        Raises:
            RequestError: It may not.
        """
        waiter.client.check_may_wait(waiter.request)
        waiter.number = next(self._numbers)
        waiter.client.waiters[waiter.request] = waiter
        (self._takers if waiter.verb == "in" else self._readers).add(waiter)
        if waiter.deadline_s is not None:
            self.deadlines.add(waiter.number, waiter.deadline_s, waiter)

    def unblock(self, waiter: Waiter) -> None:
        """Let a request wait no longer."""
        del waiter.client.waiters[waiter.request]
        (self._takers if waiter.verb == "in" else self._readers).remove(waiter)
        if waiter.deadline_s is not None:
            self.deadlines.forget(waiter.number)

    # ---- transactions

    def commit(self, transaction: Work, now_s: float) -> Sends:
        """Let what a transaction did have happened."""
        for stored in transaction.taken:
            self.note(Dropped(stored.number))
        sends: Sends = []
        for space, (fields, expires_s) in transaction.put:
            if not is_over(expires_s, now_s):
                sends += self.put(space, fields, expires_s, now_s)
        return sends

    def undo(self, transaction: Work, now_s: float) -> Sends:
        """Let it not have happened: what it took comes back, as the newest."""
        sends: Sends = []
        for stored in transaction.taken:
            self.note(Dropped(stored.number))
            if not is_over(stored.expires_s, now_s):
                sends += self.put(stored.space, stored.fields, stored.expires_s, now_s)
        return sends

    def wake_own(self, client: Client, number: int, now_s: float) -> Sends:
        """Serve what a transaction waits for with what it has just put itself."""
        own = client.transactions[number]
        sends: Sends = []
        for waiter in sorted(client.waiting_in(number), key=lambda waiter: waiter.verb == "in"):
            leased = own.find(waiter.space, waiter.pattern, now_s, take=waiter.verb == "in")
            if leased is not None:
                self.unblock(waiter)
                fields, expires_s = leased
                found = Found(waiter.request, to_wire(fields), left_s(expires_s, now_s))
                sends.append((client.connection, found))
        return sends

    def give_up(self, waiters: Iterable[Waiter]) -> Sends:
        """Let requests wait no longer, and say that nothing came."""
        sends: Sends = []
        for waiter in waiters:
            self.unblock(waiter)
            sends.append((waiter.client.connection, Nothing(waiter.request)))
        return sends

    # ---- time

    def pass_time(self, now_s: float) -> Sends:
        """End the leases and the waiting that are over."""
        sends: Sends = []
        for number, ended in self.deadlines.over(now_s):
            if isinstance(ended, Lease):
                self.store.expire(number, ended)
                self.note(Dropped(number))
            else:
                self.unblock(ended)
                sends.append((ended.client.connection, Nothing(ended.request)))
        return sends

    # ---- inside

    def _is_awaited(self, space: int, pattern: Pattern) -> bool:
        """Does a taker, who is there, wait for exactly this?"""
        last = self._takers.last(space, pattern)
        return last is not None and self._alive(last.client.connection)

    def _remove(self, space: int, table: Table, number: int, own: Work | None) -> Leased:
        """Remove a tuple: for good, or until a transaction is undone."""
        stored = self.store.remove(space, table, number)
        if own:
            own.taken.append(stored)
        else:
            self.note(Dropped(number))
        return stored.fields, stored.expires_s

    def _hand_over(self, stored: Stored, taker: Waiter) -> None:
        self.unblock(taker)
        if taker.transaction is not None:
            taker.transaction.taken.append(stored)
            self.note(stored)  # it must outlive a crash before the commit

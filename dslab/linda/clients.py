"""Who is connected, what each waits for, and what each has under way.

A transaction's work is kept with its client until it ends: what it put is in no space yet, what it took is in
none any more. This module keeps these records; `rendezvous` and `protocol` move tuples by them.
Leases go on meanwhile.

This module does no I/O and keeps no time.

Source: ch. 2, Shared data spaces; transactions as in JavaSpaces (E. Freeman et al., 1999).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from dslab.kit.errors import UsageError
from dslab.linda.matching import Pattern
from dslab.linda.store import Stored
from dslab.linda.values import Fields

MAX_WAITING = 50_000
"""Blocked requests of one connection."""

MAX_TRANSACTIONS = 1_000

Verb: TypeAlias = Literal["in", "rd", "notify"]

Leased: TypeAlias = tuple[Fields, float | None]
"""A tuple, and when its lease ends; None for never."""


class RequestError(UsageError):
    """A request that cannot be done, now or later."""


@dataclass(slots=True, eq=False)
class Work:
    """What a transaction has done so far.

    Attributes:
        put: What it put, and into which spaces: not in the store before the commit.
        taken: What it took out of the store.
    """

    put: list[tuple[int, Leased]] = field(default_factory=list)
    taken: list[Stored] = field(default_factory=list)

    def find(self, space: int, pattern: Pattern, now_s: float, *, take: bool) -> Leased | None:
        """Look among what it has put itself: a short list, looked at one by one."""
        for index in self._matching(space, pattern, now_s):
            return (self.put.pop(index) if take else self.put[index])[1]
        return None

    def find_all(self, space: int, pattern: Pattern, now_s: float, *, take: bool) -> list[Leased]:
        """Give all that match among what it has put itself."""
        matching = list(self._matching(space, pattern, now_s))
        found = [self.put[index][1] for index in matching]
        if take:
            for index in reversed(matching):
                del self.put[index]
        return found

    def _matching(self, space: int, pattern: Pattern, now_s: float) -> Iterator[int]:
        for index, (where, (fields, expires_s)) in enumerate(self.put):
            if where == space and pattern.matches(fields) and not is_over(expires_s, now_s):
                yield index


@dataclass(slots=True, eq=False)
class Client:
    """A connection.

    Attributes:
        name: Where it comes from, for people.
        admitted: It has said hello, with the right token.
        waiters: Its requests that wait, by request.
        transactions: Its open transactions, by the numbers it gave them.
    """

    connection: int
    name: str
    admitted: bool = False
    waiters: dict[int, Waiter] = field(default_factory=dict)
    transactions: dict[int, Work] = field(default_factory=dict)

    def transaction(self, number: int) -> Work:
        """Give an open transaction, opened now if need be.

        Raises:
            RequestError: Too many are open.
        """
        if number not in self.transactions:
            if len(self.transactions) >= MAX_TRANSACTIONS:
                raise RequestError(f"{MAX_TRANSACTIONS:,} transactions are open on this connection.")
            self.transactions[number] = Work()
        return self.transactions[number]

    def end_transaction(self, number: int) -> Work:
        """Close a transaction: gives what is to be done or undone."""
        return self.transactions.pop(number, None) or Work()

    def waiting_in(self, number: int) -> list[Waiter]:
        """Give what waits in a transaction."""
        own = self.transactions.get(number)
        return [waiter for waiter in self.waiters.values() if own and waiter.transaction is own]

    def check_may_wait(self, request: int) -> None:
        """May this request wait?

        Raises:
            RequestError: It does already, or too many do.
        """
        if request in self.waiters:
            raise RequestError(f"Request {request} is still waiting.")
        if len(self.waiters) >= MAX_WAITING:
            raise RequestError(f"{MAX_WAITING:,} requests of this connection are waiting.")


class Waiter(msgspec.Struct, eq=False):
    """A request that waits for a tuple.

    Attributes:
        template: What it looks for, as it came.
        transaction: What it is part of, if anything.
        deadline_s: When it stops waiting; None for never.
        number: Its place in the order of arrival.
    """

    client: Client
    request: int
    verb: Verb
    space: int
    template: Fields
    pattern: Pattern
    transaction: Work | None
    since_s: float
    deadline_s: float | None
    number: int = 0


def is_over(expires_s: float | None, now_s: float) -> bool:
    """Has a lease ended?"""
    return expires_s is not None and expires_s <= now_s


def left_s(expires_s: float | None, now_s: float) -> float | None:
    """How much is left of a lease? None for a lease without an end."""
    return None if expires_s is None else expires_s - now_s

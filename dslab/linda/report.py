"""What people ask: which tuples are there, who waits for what, and what comes near.

The answers are cut to a length that fits into a message, and say how much there is.

This module does no I/O.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from dslab.linda.clients import Client, Waiter, is_over
from dslab.linda.kinds import Fields, show
from dslab.linda.matching import Pattern, anything
from dslab.linda.messages import Found, WaitsFor, encode
from dslab.linda.nearest import Taken, explain
from dslab.linda.store import Store
from dslab.linda.values import from_wire, to_wire

MAX_LISTED = 1_000
MAX_LISTED_BYTES = 1024 * 1024
MAX_TRIED_BYTES = 8 * MAX_LISTED_BYTES
MAX_REPORTED = 200
MAX_SHOWN = 500
MAX_COMPARED = 100_000
"""Fields that are compared for one report, of tuples that come near: for at most a tenth of a second, as
nobody else is served."""


def tuples_of(store: Store, space: int, pattern: Pattern, most: int) -> tuple[list[Fields], int]:
    """Give some of the tuples that match, as they are written on the wire, and how many there are."""
    places = store.find_all(space, pattern)
    tuples: list[Fields] = []
    left_bytes, untried_bytes = MAX_LISTED_BYTES, MAX_TRIED_BYTES
    for table, number in places[: max(0, min(most, MAX_LISTED))]:
        wire = to_wire(table.rows[number])
        size = len(encode(Found(0, wire)))
        untried_bytes -= size
        if untried_bytes < 0:
            break
        if size <= left_bytes:
            left_bytes -= size
            tuples.append(wire)
    return tuples, len(places)


def blocked(store: Store, clients: Iterable[Client], now_s: float) -> tuple[list[WaitsFor], int]:
    """Say who waits for what, the first comer first, and what comes near; and how many wait."""
    clients = list(clients)
    waiting = [waiter for client in clients for waiter in client.waiters.values() if waiter.verb != "notify"]
    first = sorted(waiting, key=lambda waiter: waiter.number)[:MAX_REPORTED]
    explained = _explained(store, first, list(_taken(clients, now_s)))
    return [_told(waiter, now_s, *explained[waiter.space, waiter.pattern]) for waiter in first], len(waiting)


def _told(waiter: Waiter, now_s: float, template: str, nearest: str) -> WaitsFor:
    return WaitsFor(
        client=waiter.client.name,
        verb=waiter.verb,
        space=waiter.space,
        template=template,
        waited_s=now_s - waiter.since_s,
        nearest=nearest,
        left_s=None if waiter.deadline_s is None else waiter.deadline_s - now_s,
    )


def _explained(
    store: Store, waiting: list[Waiter], taken: list[Taken]
) -> dict[tuple[int, Pattern], tuple[str, str]]:
    """Say what is waited for and what comes near: once for all who wait for the same."""
    questions = {(waiter.space, waiter.pattern): waiter.template for waiter in waiting}
    most = MAX_COMPARED // max(1, len(questions))
    arities = {(space, len(wire)) for (space, _), wire in questions.items()}
    crowds = {(space, arity): store.survey(space, anything(arity), sys.maxsize) for space, arity in arities}
    explained = {}
    for (space, pattern), wire in questions.items():
        template = from_wire(wire, template=True)
        near = explain(store, space, template, crowds[space, len(wire)], taken, most=most)
        explained[space, pattern] = show(template)[:MAX_SHOWN], near[:MAX_SHOWN]
    return explained


def _taken(clients: list[Client], now_s: float) -> Iterator[Taken]:
    for client in clients:
        for transaction in client.transactions.values():
            for one in transaction.taken:
                if not is_over(one.expires_s, now_s):  # else it will not come back
                    yield client.name, one

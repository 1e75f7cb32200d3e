"""What people ask: which tuples are there, who waits for what, and what comes near.

The answers are cut to a length that fits into a message, and say how much there is.

This module does no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dslab.linda.clients import Client
from dslab.linda.kinds import Fields, show
from dslab.linda.matching import Pattern
from dslab.linda.messages import Found, WaitsFor, encode
from dslab.linda.nearest import explain
from dslab.linda.store import Store
from dslab.linda.values import from_wire, to_wire

MAX_LISTED = 1_000
MAX_LISTED_BYTES = 1024 * 1024
MAX_REPORTED = 200
MAX_SHOWN = 500


def tuples_of(store: Store, space: int, pattern: Pattern, most: int) -> tuple[list[Fields], int]:
    """Give some of the tuples that match, as they are written on the wire, and how many there are."""
    places = store.find_all(space, pattern)
    tuples: list[Fields] = []
    left_bytes = MAX_LISTED_BYTES
    for table, number in places[: max(0, min(most, MAX_LISTED))]:
        wire = to_wire(table.rows[number])
        left_bytes -= len(encode(Found(0, wire)))
        if left_bytes < 0:
            break
        tuples.append(wire)
    return tuples, len(places)


def blocked(store: Store, clients: Iterable[Client], now_s: float) -> Iterator[WaitsFor]:
    """Say who waits for what, the first comer first, and what comes near."""
    waiting = [waiter for client in clients for waiter in client.waiters.values() if waiter.verb != "notify"]
    waiting.sort(key=lambda waiter: waiter.number)
    for waiter in waiting[:MAX_REPORTED]:
        template = from_wire(waiter.template, template=True)
        near = explain(store, waiter.space, template)
        yield WaitsFor(
            client=waiter.client.name,
            verb=waiter.verb,
            space=waiter.space,
            template=show(template)[:MAX_SHOWN],
            waited_s=now_s - waiter.since_s,
            nearest=near[:MAX_SHOWN],
            left_s=None if waiter.deadline_s is None else waiter.deadline_s - now_s,
        )

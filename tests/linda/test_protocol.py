from __future__ import annotations

import math
import re
import time
from itertools import product
from typing import Any

import pytest
from msgspec.msgpack import Ext

from dslab.linda.matching import Pattern
from dslab.linda.messages import (
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
from dslab.linda.protocol import Dropped, Opened, Sends, Spaces
from dslab.linda.report import MAX_COMPARED
from dslab.linda.store import Stored
from dslab.linda.table import Table
from dslab.linda.values import Handle, from_wire, to_wire

ANN, BEN, CLEO = 1, 2, 3


class Desk:
    """Spaces with clients, and a clock that is set by hand."""

    def __init__(self, **options: Any) -> None:
        self.now_s = 100.0
        self.spaces = Spaces(**options)
        self.requests = 0
        for connection, name in ((ANN, "ann"), (BEN, "ben"), (CLEO, "cleo")):
            self.spaces.connect(connection, name)
            self.send(connection, Hello(0, 1, options.get("token", "")))

    def send(self, connection: int, message: FromClient) -> Sends:
        return self.spaces.receive(connection, message, self.now_s)

    def out(self, connection: int, *fields: Any, space: int = 0, **options: Any) -> Sends:
        self.requests += 1
        sends = self.send(connection, Out(self.requests, space, to_wire(fields), **options))
        assert sends[-1] == (connection, Done(self.requests))
        return sends[:-1]

    def look(
        self, connection: int, kind: Any, *template: Any, space: int = 0, **options: Any
    ) -> FromServer | None:
        """The reply to an In or Rd; None if it waits."""
        self.requests += 1
        wire = to_wire(template, template=True)
        sends = self.send(connection, kind(self.requests, space, wire, **options))
        assert [to for to, _ in sends] in ([], [connection])
        return sends[0][1] if sends else None

    def has(self, *template: Any, space: int = 0) -> int:
        [(_, reply)] = self.send(ANN, Count(0, space, to_wire(template, template=True)))
        assert isinstance(reply, Done)
        return reply.number


def found(reply: FromServer | None) -> Any:
    assert isinstance(reply, Found), reply
    return from_wire(reply.fields)


def test_a_space_is_a_multiset_and_gives_the_oldest_first() -> None:
    desk = Desk()
    for fields in [("a", 1), ("a", 2), ("a", 1)]:
        desk.out(ANN, *fields)
    assert desk.has("a", 1) == 2
    taken = [found(desk.look(BEN, In, "a", int))[1] for _ in range(3)]
    assert taken == [1, 2, 1]
    assert isinstance(desk.look(BEN, In, "a", int, wait_s=0), Nothing)


def test_the_oldest_is_given_first_whatever_its_types() -> None:
    desk = Desk()
    for value in (1, "x", 2, 2.5, "y", 3):
        desk.out(ANN, "a", value)
    taken = [found(desk.look(BEN, In, "a", object))[1] for _ in range(6)]
    assert taken == [1, "x", 2, 2.5, "y", 3]


def test_types_are_exact() -> None:
    desk = Desk()
    desk.out(ANN, True)
    desk.out(ANN, 1)
    desk.out(ANN, 1.0)
    assert [desk.has(1), desk.has(True), desk.has(1.0), desk.has(int), desk.has(object)] == [1, 1, 1, 1, 3]


def test_one_tuple_wakes_every_reader_and_the_first_taker() -> None:
    desk = Desk()
    assert desk.look(BEN, In, "a", int) is None
    assert desk.look(CLEO, In, "a", object) is None
    assert desk.look(CLEO, Rd, str, int) is None
    woken = desk.out(ANN, "a", 7)
    assert [(to, type(reply), reply.request) for to, reply in woken] == [(CLEO, Found, 3), (BEN, Found, 1)]
    assert desk.has("a", 7) == 0
    assert [to for to, _ in desk.out(ANN, "a", 8)] == [CLEO]
    assert desk.out(ANN, "a", 9) == []


def test_takers_of_equal_templates_are_served_in_the_order_in_which_they_came() -> None:
    desk = Desk()
    for connection in (CLEO, ANN, BEN, ANN):
        assert desk.look(connection, In, "a", int) is None
    served = [to for n in range(4) for to, _ in desk.out(BEN, "a", n)]
    assert served == [CLEO, ANN, BEN, ANN]


@pytest.mark.parametrize("kind", [In, Rd])
def test_the_first_comer_is_first_whatever_his_template(kind: Any) -> None:
    desk = Desk()
    for connection, template in (
        (CLEO, ("a", int)),
        (ANN, (str, 1)),
        (BEN, ("a", int)),
        (ANN, ("a", object)),
    ):
        assert desk.look(connection, kind, *template) is None
    served = [to for _ in range(4) for to, _ in desk.out(BEN, "a", 1)]
    assert served == [CLEO, ANN, BEN, ANN]


def test_who_waits_for_a_tuple_within_a_tuple_is_woken_by_no_other() -> None:
    desk = Desk()
    assert desk.look(BEN, In, "a", (int, ("x", str))) is None
    for inner in [(True, ("x", "s")), (1, ("y", "s")), (1, ("x", b"s")), (1, ["x", "s"]), (1,)]:
        assert desk.out(ANN, "a", inner) == []
    assert [to for to, _ in desk.out(ANN, "a", (2, ("x", "t")))] == [BEN]


def test_a_taker_that_left_swallows_nothing() -> None:
    desk = Desk()
    desk.look(BEN, In, "a")
    desk.look(CLEO, In, "a")
    assert desk.spaces.disconnect(BEN, desk.now_s) == []
    assert [to for to, _ in desk.out(ANN, "a")] == [CLEO]
    desk.out(ANN, "a")
    assert desk.has("a") == 1


def test_a_taker_whose_end_has_not_been_noticed_is_passed_over() -> None:
    dead = {BEN}
    desk = Desk(alive=lambda connection: connection not in dead)
    desk.look(BEN, In, "a")
    desk.look(CLEO, In, "a")
    assert [to for to, _ in desk.out(ANN, "a")] == [CLEO]
    assert desk.out(ANN, "a") == []
    desk.spaces.disconnect(BEN, desk.now_s)
    assert desk.has("a") == 1


def test_waiting_ends_in_time() -> None:
    desk = Desk()
    assert desk.look(BEN, In, "a", wait_s=2.0) is None
    assert desk.spaces.deadline_s == 102.0
    assert desk.spaces.tick(101.9) == []
    assert desk.spaces.tick(102.0) == [(BEN, Nothing(1))]
    assert desk.spaces.deadline_s == math.inf
    desk.out(ANN, "a")
    assert desk.has("a") == 1


def test_cancel() -> None:
    desk = Desk()
    desk.look(BEN, In, "a")
    assert set(desk.send(BEN, Cancel(9, 1))) == {(BEN, Nothing(1)), (BEN, Done(9))}
    assert desk.send(BEN, Cancel(10, 1)) == [(BEN, Done(10))]
    assert desk.out(ANN, "a") == []


def test_a_lease_ends() -> None:
    desk = Desk()
    desk.out(ANN, "a", lease_s=5.0)
    desk.out(ANN, "a", lease_s=9.0)
    desk.now_s += 5
    assert desk.has("a") == 1
    assert desk.spaces.deadline_s == 109.0
    desk.now_s += 5
    assert isinstance(desk.look(BEN, Rd, "a", wait_s=0), Nothing)


def test_leases_and_deadlines_that_are_over_early_do_not_pile_up() -> None:
    desk = Desk()
    for _ in range(1_000):
        desk.out(ANN, "a", lease_s=1e6)
        found(desk.look(BEN, In, "a", wait_s=1e6))
        desk.look(BEN, In, "a", wait_s=1e6)
        desk.out(ANN, "a")
    assert len(desk.spaces.deadlines) < 200


def test_spaces_are_values_and_formals() -> None:

    desk = Desk()
    [(_, reply)] = desk.send(ANN, NewSpace(1))
    assert reply == Done(1, 1)
    desk.out(ANN, "MicroBlog", Handle(1))
    assert found(desk.look(BEN, Rd, "MicroBlog", Handle)) == ("MicroBlog", Handle(1))
    desk.out(BEN, "bob", space=1)
    assert (desk.has("bob"), desk.has("bob", space=1)) == (0, 1)


def test_collect_copies_or_moves() -> None:
    desk = Desk()
    desk.send(ANN, NewSpace(1))
    for number in range(4):
        desk.out(ANN, "a", number)
    template = to_wire(("a", int), template=True)
    assert desk.send(ANN, Collect(1, 0, 1, template, False)) == [(ANN, Done(1, 4))]
    assert (desk.has("a", int), desk.has("a", int, space=1)) == (4, 4)
    assert desk.look(BEN, In, "a", 2, space=1) is not None
    assert desk.look(BEN, In, "a", 2, space=1) is None
    assert [to for to, _ in desk.send(ANN, Collect(2, 0, 1, template, True))] == [BEN, ANN]
    assert (desk.has("a", int), desk.has("a", int, space=1)) == (0, 6)


def test_notify_tells_of_every_tuple_until_it_is_cancelled() -> None:
    desk = Desk()
    assert desk.send(BEN, Notify(1, 0, to_wire(("a", int), template=True))) == [(BEN, Done(1))]
    assert [to for n in range(2) for to, _ in desk.out(ANN, "a", n)] == [BEN, BEN]
    assert desk.has("a", int) == 2
    desk.send(BEN, Cancel(2, 1))
    assert desk.out(ANN, "a", 3) == []


# ---- transactions


def test_a_transaction_happens_at_once() -> None:
    desk = Desk()
    desk.out(ANN, "task", 1)
    found(desk.look(BEN, In, "task", int, transaction=1))
    assert desk.has("task", int) == 0
    assert desk.look(CLEO, In, "result", int) is None
    assert desk.out(BEN, "result", 1, transaction=1) == []
    assert desk.send(BEN, Commit(50, 1))[-1] == (BEN, Done(50))
    assert (desk.has("task", int), desk.has("result", int)) == (0, 0)  # cleo has the result


@pytest.mark.parametrize("how", ["abort", "die"])
def test_a_transaction_is_undone(how: str) -> None:
    desk = Desk()
    desk.out(ANN, "task", 1)
    found(desk.look(BEN, In, "task", int, transaction=1))
    desk.out(BEN, "result", 1, transaction=1)
    assert desk.look(CLEO, In, "task", int) is None
    sends = desk.send(BEN, Abort(50, 1)) if how == "abort" else desk.spaces.disconnect(BEN, 100.0)
    assert [(to, type(reply)) for to, reply in sends if to == CLEO] == [(CLEO, Found)]
    assert (desk.has("task", int), desk.has("result", int)) == (0, 0)


def test_a_transaction_sees_what_it_put_and_nobody_else_does() -> None:
    desk = Desk()
    desk.out(BEN, "a", 1, transaction=1)
    assert isinstance(desk.look(CLEO, Rd, "a", int, wait_s=0), Nothing)
    assert isinstance(desk.look(BEN, Rd, "a", int, wait_s=0), Nothing)
    assert isinstance(desk.look(BEN, Rd, "a", int, wait_s=0, transaction=2), Nothing)
    found(desk.look(BEN, Rd, "a", int, wait_s=0, transaction=1))
    found(desk.look(BEN, In, "a", int, wait_s=0, transaction=1))
    desk.send(BEN, Commit(50, 1))
    assert desk.has("a", int) == 0


def test_a_transaction_wakes_its_own_waiter() -> None:
    desk = Desk()
    assert desk.look(BEN, In, "a", transaction=1) is None
    [(_, refused)] = desk.send(BEN, Commit(9, 1))
    assert isinstance(refused, Refused)
    assert [to for to, _ in desk.out(BEN, "a", transaction=1)] == [BEN]
    desk.send(BEN, Commit(10, 1))
    assert desk.has("a") == 0


def test_what_a_transaction_puts_wakes_its_readers_before_its_taker() -> None:
    desk = Desk()
    for kind in (In, Rd, In, Rd):
        desk.look(ANN, kind, "a", int, transaction=1)
    sends = desk.out(ANN, "a", 1, transaction=1)
    assert [(reply.request, found(reply)) for _, reply in sends] == [(n, ("a", 1)) for n in (2, 4, 1)]
    assert found(desk.out(ANN, "a", 2, transaction=1)[0][1]) == ("a", 2)


def test_an_aborted_transaction_waits_no_longer() -> None:
    desk = Desk()
    desk.out(ANN, "task", 1)
    found(desk.look(BEN, In, "task", int, transaction=1))
    assert desk.look(BEN, In, "never", transaction=1) is None
    assert desk.look(BEN, In, "other", transaction=2) is None
    assert desk.send(BEN, Abort(9, 1)) == [(BEN, Nothing(3)), (BEN, Done(9))]
    assert desk.has("task", 1) == 1
    assert [to for to, _ in desk.out(ANN, "other")] == [BEN]


def test_count_and_collect_in_a_transaction() -> None:
    desk = Desk()
    [(_, reply)] = desk.send(ANN, NewSpace(0))
    assert reply == Done(0, 1)
    desk.out(ANN, "a", 1)
    desk.out(BEN, "a", 2, transaction=1)
    template = to_wire(("a", int), template=True)
    assert desk.send(BEN, Count(7, 0, template, 1)) == [(BEN, Done(7, 2))]
    assert desk.send(BEN, Count(7, 0, template, 2)) == [(BEN, Done(7, 1))]
    assert desk.look(BEN, In, "a", 2, space=1, transaction=1) is None
    assert [type(each) for _, each in desk.send(BEN, Collect(8, 0, 1, template, True, 1))] == [Found, Done]
    assert desk.send(BEN, Collect(9, 1, 1, template, False, 1)) == [(BEN, Done(9, 1))]
    assert (desk.has("a", int), desk.has("a", int, space=1)) == (0, 0)
    desk.send(BEN, Abort(10, 1))
    assert (desk.has("a", int), desk.has("a", int, space=1)) == (1, 0)
    desk.send(BEN, Collect(11, 0, 1, template, True, 3))
    desk.send(BEN, Commit(12, 3))
    assert (desk.has("a", int), desk.has("a", int, space=1)) == (0, 1)


def test_what_a_blocked_transaction_was_handed_comes_back() -> None:
    desk = Desk()
    assert desk.look(BEN, In, "a", transaction=1) is None
    assert [to for to, _ in desk.out(ANN, "a")] == [BEN]
    desk.spaces.disconnect(BEN, desk.now_s)
    assert desk.has("a") == 1


def test_a_lease_ends_inside_a_transaction() -> None:
    desk = Desk()
    desk.out(ANN, "a", lease_s=5.0)
    found(desk.look(BEN, In, "a", transaction=1))
    assert desk.look(CLEO, In, "a") is None
    desk.now_s += 6
    assert desk.send(BEN, Abort(9, 1)) == [(BEN, Done(9))]
    assert desk.has("a") == 0


def test_a_lease_goes_on_in_a_transaction() -> None:
    desk = Desk()
    desk.out(BEN, "a", lease_s=5.0, transaction=1)
    desk.out(BEN, "b", lease_s=9.0, transaction=1)
    desk.now_s += 6
    assert isinstance(desk.look(BEN, Rd, "a", wait_s=0, transaction=1), Nothing)
    desk.send(BEN, Commit(9, 1))
    assert (desk.has("a"), desk.has("b")) == (0, 1)
    assert desk.spaces.deadline_s == 109.0


@pytest.mark.parametrize("transaction", [0, 1])
def test_who_takes_a_tuple_hears_what_is_left_of_its_lease(transaction: int) -> None:
    desk = Desk()
    desk.out(ANN, "a", lease_s=5.0)
    desk.now_s += 2
    taken = desk.look(BEN, In, "a", transaction=transaction)
    assert isinstance(taken, Found)
    assert taken.lease_s == 3.0
    assert desk.look(BEN, In, "a", transaction=transaction) is None
    assert desk.out(ANN, "a", lease_s=7.0) == [(BEN, Found(3, ("a",), 7.0))]
    desk.out(ANN, "a")
    taken = desk.look(BEN, In, "a", transaction=transaction)
    assert isinstance(taken, Found)
    assert taken.lease_s is None


# ---- durability


def test_changes_and_snapshots_lead_to_the_same_tuples() -> None:
    desk = Desk(durable=True)
    desk.send(ANN, NewSpace(1))
    desk.out(ANN, "a", 1)
    desk.out(ANN, "b", 2, space=1)
    found(desk.look(BEN, In, "a", int))
    desk.out(ANN, "c", 3)
    found(desk.look(BEN, In, "c", int, transaction=1))
    desk.look(CLEO, In, "d", transaction=1)
    desk.out(ANN, "d")
    changes = desk.spaces.changes()
    assert desk.spaces.changes() == []
    live: dict[int, Stored] = {}
    for change in changes:
        if isinstance(change, Stored):
            live[change.number] = change
        elif isinstance(change, Dropped):
            del live[change.number]
    expected = {("b", 2), ("c", 3), ("d",)}  # the open transactions count as undone
    assert {stored.fields for stored in live.values()} == expected
    snapshot = list(desk.spaces.snapshot())
    assert {change.fields for change in snapshot if isinstance(change, Stored)} == expected
    again = Spaces()
    again.load(live.values(), max(change.space for change in changes if isinstance(change, Opened)))
    assert {stored.fields for stored in again._store.all()} == expected


def test_what_a_durable_server_writes_down() -> None:
    desk = Desk(durable=True)
    desk.out(ANN, "a", lease_s=5.0)
    desk.out(ANN, "b")
    assert desk.spaces.changes() == [Stored(1, 0, ("a",), 105.0), Stored(2, 0, ("b",), None)]
    desk.now_s += 6
    desk.spaces.tick(desk.now_s)
    found(desk.look(BEN, In, "b"))
    assert desk.spaces.changes() == [Dropped(1), Dropped(2)]
    assert desk.look(BEN, In, "c") is None
    desk.out(ANN, "c")
    assert desk.spaces.changes() == []  # it went from hand to hand


# ---- bad input


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Out(5, 3, ("a",)), "There is no tuple space 3."),
        (Out(5, 0, ("a", Ext(4, b"\x09"))), "There is no tuple space 9."),
        (Out(5, 0, to_wire(("a", (1, [Handle(9)])))), "There is no tuple space 9."),
        (Out(5, 0, ("a", {})), "Field 1 is a MessagePack dict"),
        (Out(5, 0, (None,) * 1_001), "A tuple of 1,001 fields"),
        (Out(5, 0, ("a",), lease_s=float("nan")), "A lease of nan seconds"),
        (In(5, 0, ("a",), wait_s=-1.0), "A wait of -1.0 seconds"),
        (In(5, -1, ("a",)), "There is no tuple space -1."),
        (Collect(5, 3, 0, ("a",), True), "There is no tuple space 3."),
        (Collect(5, 0, 3, ("a",), True), "There is no tuple space 3."),
        (Notify(5, 3, ("a",)), "There is no tuple space 3."),
        (Count(5, 3, ("a",)), "There is no tuple space 3."),
        (List(5, 3, ("a",), 1), "There is no tuple space 3."),
        (In(5, 0, (None,) * 1_001), "A tuple of 1,001 fields"),
        (In(5, 0, (Ext(5, b"?"),)), "b'?' is no kind of values."),
        (In(5, 0, ([],)), "Field 0 is a MessagePack list"),
        (Hello(5, 2, ""), "This server speaks version 1"),
    ],
)
def test_a_bad_request_is_refused_and_changes_nothing(message: FromClient, reason: str) -> None:
    desk = Desk()
    [(to, reply)] = desk.send(ANN, message)
    assert isinstance(reply, Refused)
    assert (to, reply.request) == (ANN, 5)
    assert reply.reason.startswith(reason)
    assert list(desk.spaces.snapshot()) == [Opened(0)]


def test_a_request_that_waits_cannot_be_made_twice() -> None:
    desk = Desk()
    desk.look(BEN, In, "a")
    [(_, reply)] = desk.send(BEN, In(1, 0, ("b",)))
    assert isinstance(reply, Refused)


def test_a_connection_waits_for_no_more_than_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dslab.linda.clients.MAX_WAITING", 2)
    desk = Desk()
    assert [desk.look(BEN, In, "a"), desk.look(BEN, Rd, "a")] == [None, None]
    refused = desk.look(BEN, In, "a")
    assert isinstance(refused, Refused)
    assert refused.reason == "2 requests of this connection are waiting."
    assert desk.look(CLEO, In, "a") is None
    assert len(desk.out(ANN, "a")) == 2
    assert desk.look(BEN, In, "a") is None


def test_a_connection_has_no_more_than_so_many_transactions_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dslab.linda.clients.MAX_TRANSACTIONS", 2)
    desk = Desk()
    desk.out(BEN, "a", transaction=1)
    desk.out(BEN, "b", transaction=2)
    [(_, refused)] = desk.send(BEN, Out(9, 0, ("c",), transaction=3))
    assert refused == Refused(9, "2 transactions are open on this connection.")
    desk.send(BEN, Commit(10, 1))
    desk.out(BEN, "c", transaction=3)
    desk.out(CLEO, "d", transaction=3)
    assert (desk.has("a"), desk.has("b"), desk.has("c")) == (1, 0, 0)


def test_only_who_knows_the_token_is_admitted() -> None:
    spaces = Spaces(token="open sesame")
    spaces.connect(1, "ann")
    for message in (Out(1, 0, ("a",)), Hello(1, 1, "sesame"), Hello(1, 1, ""), Out(1, 0, ("a",))):
        [(_, reply)] = spaces.receive(1, message, 0.0)
        assert isinstance(reply, Refused)
        assert not spaces.admitted(1)
    assert spaces.receive(1, Hello(1, 1, "open sesame"), 0.0) == [(1, Done(1))]
    assert spaces.admitted(1)
    assert spaces.receive(1, Out(1, 0, ("a",)), 0.0) == [(1, Done(1))]


# ---- what people see


def test_the_list_is_short_and_says_how_many_there_are() -> None:
    desk = Desk()
    for number in range(5):
        desk.out(ANN, "a", number)
    [(_, reply)] = desk.send(ANN, List(1, 0, to_wire((object, object), template=True), 2))
    assert reply == Listed(1, [("a", 0), ("a", 1)], 5)


@pytest.mark.parametrize(
    ("tuples", "template", "nearest"),
    [
        ([], ("MicroBlog", int), "the space is empty"),
        ([("a",)], ("MicroBlog", int), "no tuple of this space has 2 fields; those there have 1"),
        (
            [("Microblog", 1), ("Microblog", 2), ("x", "y")],
            ("MicroBlog", int),
            "3 tuples have this arity; 2 of them differ only in field 0: 'Microblog' is not 'MicroBlog'",
        ),
        (
            [("MicroBlog", "1")],
            ("MicroBlog", int),
            "1 tuple has this arity; it differs only in field 1: '1' is of type str, not int",
        ),
        (
            [("a", True)],
            ("a", 1),
            "1 tuple has this arity; it differs only in field 1: True (bool) is not 1 (int)",
        ),
        (
            [("b", 2)],
            ("a", 1),
            "1 tuple has this arity; the oldest, ('b', 2), differs in 2 fields: field 0: 'b' is not 'a', "
            "field 1: 2 is not 1",
        ),
    ],
)
def test_the_report_says_who_waits_and_what_comes_near(
    tuples: list[Any], template: tuple[Any, ...], nearest: str
) -> None:
    desk = Desk()
    for fields in tuples:
        desk.out(ANN, *fields)
    desk.look(BEN, In, *template)
    desk.now_s += 3
    [(_, reply)] = desk.send(ANN, Waiting(9))
    assert isinstance(reply, Blocked)
    [waits] = reply.waiters
    assert (waits.client, waits.verb, waits.waited_s) == ("ben", "in", 3.0)
    assert waits.nearest == nearest


def reported(desk: Desk) -> Blocked:
    [(_, reply)] = desk.send(ANN, Waiting(9))
    assert isinstance(reply, Blocked)
    return reply


def calls_of(owner: type, method: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The arguments of every call of a method from now on; it does what it did."""
    calls: list[tuple[Any, ...]] = []
    unwatched = getattr(owner, method)

    def watched(*arguments: Any) -> Any:
        calls.append(arguments)
        return unwatched(*arguments)

    monkeypatch.setattr(owner, method, watched)
    return calls


@pytest.mark.parametrize("different", [1, 20, 200])
def test_a_report_compares_no_more_than_it_may(different: int, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    for number in range(1_000):
        desk.out(ANN, "task", number % 50, ("p", number), "x")
    for number in range(200):
        desk.look(BEN, In, "task", int, ("q", number % different, int), "x")
    compared = calls_of(Pattern, "accepts", monkeypatch)
    waiters = reported(desk).waiters
    assert len(waiters) == 200
    assert len(compared) <= MAX_COMPARED / 4
    expected = "1,000 tuples have this arity; they differ only in field 2: ('p', 0) is not ('q', 0, int)"
    assert waiters[0].nearest == expected


def test_a_report_that_could_not_compare_all_says_so() -> None:
    desk = Desk()
    for number in range(3_000):
        desk.out(ANN, *range(8), "x", number)
    desk.look(BEN, In, *range(8), "y", int)
    [waits] = reported(desk).waiters
    assert re.fullmatch(
        r"3,000 tuples have this arity; at least \d+ of them differ only in field 8: 'x' is not 'y'",
        waits.nearest,
    )


def test_a_report_compares_few_long_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, long = Desk(), [0] * 5_000
    for number in range(100):
        desk.out(ANN, "a", "b", "c", number, long)
    desk.look(BEN, In, "a", "b", "c", "never", long)
    compared = calls_of(Pattern, "accepts", monkeypatch)
    assert reported(desk).waiters[0].nearest.startswith("100 tuples have this arity; at least ")
    assert len(compared) * len(long) <= MAX_COMPARED


def test_a_report_asks_for_the_crowd_once(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    kinds = list(product((0, "a"), repeat=10))
    for fields in kinds:
        desk.out(ANN, *fields)
    for number in range(200):
        desk.look(BEN, In, *[number + 0.5] * 10)
    asked = calls_of(Table, "_narrowest", monkeypatch)
    assert reported(desk).waiters[0].nearest.startswith("1,024 tuples have this arity; the oldest, (0, 0, ")
    assert len(asked) < 5 * len(kinds)  # rather than 200 times as many


def test_a_report_of_many_wide_templates_looks_at_no_field_of_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    desk.out(ANN, *[0] * 1_000)
    for number in range(1, 200):
        desk.look(BEN, In, *[number] * 1_000)
    surveys = calls_of(Table, "survey", monkeypatch)
    assert "differs in 1000 fields" in reported(desk).waiters[0].nearest
    assert len(surveys) == 1  # of the crowd, and not one for each of 199,000 fields


def test_the_report_says_who_has_taken_what_is_waited_for() -> None:
    desk = Desk()
    for number in range(3):
        desk.out(ANN, "task", number)
    desk.out(ANN, "other", 1)
    desk.out(ANN, "task", 3, lease_s=1.0)  # it will not come back
    found(desk.look(CLEO, In, "task", 3, transaction=1))
    desk.now_s += 1
    for client, kind in ((BEN, "task"), (CLEO, "task"), (CLEO, "task"), (CLEO, "other")):
        found(desk.look(client, In, kind, int, transaction=1))
    desk.look(ANN, In, "task", int)
    desk.look(ANN, In, "task", str)
    assert [waits.nearest for waits in reported(desk).waiters] == [
        "2 tuples that match are taken in a transaction of cleo; "
        "1 tuple that matches is taken in a transaction of ben; the space is empty",
        "the space is empty",
    ]


def test_a_tuple_that_is_too_long_for_a_list_hides_no_other() -> None:
    desk = Desk()
    for size in (2_000_000, 10, 2_000_000, 20):
        desk.out(ANN, "a", "x" * size)
    [(_, reply)] = desk.send(ANN, List(1, 0, to_wire(("a", str), template=True), 100))
    assert reply == Listed(1, [("a", "x" * 10), ("a", "x" * 20)], 4)


def test_the_report_says_who_waits_for_ever() -> None:
    desk = Desk()
    desk.look(BEN, In, "a")
    desk.look(CLEO, Rd, "a", wait_s=5.0)
    desk.look(CLEO, Rd, "b", wait_s=math.inf)
    desk.now_s += 3
    [(_, reply)] = desk.send(ANN, Waiting(9))
    assert isinstance(reply, Blocked)
    assert [waits.left_s for waits in reply.waiters] == [None, 2.0, None]


def test_the_report_begins_with_who_came_first() -> None:
    desk = Desk()
    desk.look(CLEO, In, "a")
    desk.look(ANN, Rd, "b")
    desk.look(BEN, In, "c")
    desk.look(CLEO, In, "d")
    desk.send(BEN, Notify(99, 0, ("e",)))
    [(_, reply)] = desk.send(ANN, Waiting(9))
    assert isinstance(reply, Blocked)
    reported = [(waits.client, waits.verb, waits.template) for waits in reply.waiters]
    assert reported == [
        ("cleo", "in", "('a',)"),
        ("ann", "rd", "('b',)"),
        ("ben", "in", "('c',)"),
        ("cleo", "in", "('d',)"),
    ]


# ---- how long it takes


def cpu_s(desk: Desk, trips: int = 1_000) -> float:
    """CPU time of an ``out`` and an ``in``: other programs do not count."""
    start_s = time.thread_time()
    for number in range(trips):
        desk.send(ANN, Out(1, 0, ("free", number)))
        desk.send(ANN, In(2, 0, ("free", number)))
    return (time.thread_time() - start_s) / trips


def test_ten_thousand_takers_that_do_not_match_cost_nothing() -> None:
    desk, crowded = Desk(), Desk()
    for number in range(10_000):
        assert crowded.look(BEN, In, "taken", number) is None
    costs_s = [(cpu_s(desk), cpu_s(crowded)) for _ in range(7)]
    alone_s, among_many_s = map(min, zip(*costs_s, strict=True))
    assert among_many_s < 3 * alone_s  # a scan would take hundreds of times as long


def test_who_waits_spares_the_next_one_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    alive = {ANN, BEN, CLEO}
    desk = Desk(alive=alive.__contains__)
    for number in range(100):
        desk.out(ANN, "task", ("p", number))
    compared = calls_of(Pattern, "accepts", monkeypatch)
    for _ in range(50):
        assert desk.look(BEN, In, "task", ("q", int)) is None
    assert len(compared) == 200  # each tuple, and the tuple within it, once
    assert desk.look(BEN, In, "task", ("r", int)) is None  # it stands in the same line
    assert desk.look(CLEO, Rd, "task", ("r", int)) is None
    assert len(compared) == 400
    alive.remove(BEN)
    assert desk.out(ANN, "task", ("q", 1)) == []
    assert found(desk.look(CLEO, In, "task", ("q", int))) == ("task", ("q", 1))


def test_equal_takers_are_served_in_a_time_that_does_not_depend_on_their_number() -> None:
    desk = Desk()
    for _ in range(10_000):
        desk.look(BEN, In, "a", int)
    start_s = time.thread_time()
    for number in range(10_000):
        [(_, reply)] = desk.out(ANN, "a", number)
        assert reply.request == number + 1
    assert time.thread_time() - start_s < 5

"""The state machine against the plainest model there is: a list of tuples and a list of who waits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dslab.linda.messages import (
    Abort,
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
    NewSpace,
    Notify,
    Out,
    Rd,
)
from dslab.linda.protocol import Sends, Spaces
from dslab.linda.values import from_wire, show, to_wire

CLIENTS = 3
SPACES = 2

Fields = tuple[Any, ...]
values = st.sampled_from(["a", "b", 0, 1, True, 1.0, 0.0, -0.0, None, (1, "a"), (True, "a"), [1], b"a"])
formals = st.sampled_from(
    [str, int, float, bool, type(None), tuple, list, bytes, object, (int, "a"), (object, str)]
)
tuples = st.lists(values, min_size=1, max_size=3).map(tuple) | st.sampled_from([((1, "a"),), ((True, "a"),)])
nested = st.sampled_from([((int, "a"),), ((bool, "a"),), ((object, str),)])
"""Few, so that several wait for the same, and others for what has the same keys."""

templates = st.lists(values | formals, min_size=1, max_size=3).map(tuple) | nested
clients = st.integers(1, CLIENTS)
spaces = st.integers(0, SPACES - 1)
transactions = st.integers(0, 2)
waits = st.sampled_from([0.0, 5.0, None])


def matches(value: Any, wanted: Any) -> bool:
    if wanted is object:
        return True
    if isinstance(wanted, type):
        return type(value) is wanted
    if type(value) is not type(wanted):
        return False
    if isinstance(value, tuple | list):
        return len(value) == len(wanted) and all(map(matches, value, wanted))
    return repr(value) == repr(wanted)


def drop(listed: list[Any], each: Any) -> None:
    """Remove this very object: to Python, ("a", 1) equals ("a", True)."""
    del listed[next(index for index, other in enumerate(listed) if other is each)]


@dataclass(eq=False)
class Waits:
    client: int
    request: int
    verb: str
    space: int
    template: Fields
    transaction: int
    deadline_s: float | None


@dataclass(eq=False)
class Open:
    put: list[tuple[int, Fields, float | None]] = field(default_factory=list)
    taken: list[tuple[int, Fields, float | None]] = field(default_factory=list)


class Model:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.tuples: list[tuple[int, Fields, float | None]] = []
        self.waiting: list[Waits] = []
        self.open: dict[tuple[int, int], Open] = defaultdict(Open)
        self.said: list[tuple[int, int, Any]] = []
        self.gone = set[int]()

    def expire(self) -> None:
        self.tuples = [each for each in self.tuples if each[2] is None or each[2] > self.now_s]
        for waiter in [w for w in self.waiting if w.deadline_s is not None and w.deadline_s <= self.now_s]:
            self.waiting.remove(waiter)
            self.said.append((waiter.client, waiter.request, None))

    def place(self, space: int, fields: Fields, expires_s: float | None) -> None:
        woken = [w for w in self.waiting if w.space == space and matches(fields, w.template)]
        for waiter in woken:
            if waiter.verb != "in":
                self.serve(waiter, fields)
        for waiter in woken:
            if waiter.verb == "in" and waiter.client not in self.gone:
                self.serve(waiter, fields)
                if waiter.transaction:
                    self.open[waiter.client, waiter.transaction].taken.append((space, fields, expires_s))
                return
        self.tuples.append((space, fields, expires_s))

    def serve(self, waiter: Waits, fields: Fields) -> None:
        if waiter.verb != "notify":
            self.waiting.remove(waiter)
        self.said.append((waiter.client, waiter.request, fields))

    def look(self, waiter: Waits, wait_s: float | None) -> None:
        for each in self.tuples:
            if each[0] == waiter.space and matches(each[1], waiter.template):
                if waiter.verb == "in":
                    drop(self.tuples, each)
                    if waiter.transaction:
                        self.open[waiter.client, waiter.transaction].taken.append(each)
                self.said.append((waiter.client, waiter.request, each[1]))
                return
        if waiter.transaction and self.look_own(waiter):
            return
        if wait_s == 0:
            self.said.append((waiter.client, waiter.request, None))
        else:
            self.waiting.append(waiter)

    def look_own(self, waiter: Waits) -> bool:
        put = self.open[waiter.client, waiter.transaction].put
        for each in put:
            over = each[2] is not None and each[2] <= self.now_s
            if each[0] == waiter.space and matches(each[1], waiter.template) and not over:
                if waiter.verb == "in":
                    drop(put, each)
                self.said.append((waiter.client, waiter.request, each[1]))
                return True
        return False

    def wake_own(self, client: int, transaction: int) -> None:
        own = [w for w in self.waiting if (w.client, w.transaction) == (client, transaction)]
        for waiter in [w for w in own if w.verb != "in"] + [w for w in own if w.verb == "in"]:
            if self.look_own(waiter):
                self.waiting.remove(waiter)

    def undo(self, transaction: Open) -> None:
        for space, fields, expires_s in transaction.taken:
            if expires_s is None or expires_s > self.now_s:
                self.place(space, fields, expires_s)

    def commit(self, transaction: Open) -> None:
        for space, fields, expires_s in transaction.put:
            if expires_s is None or expires_s > self.now_s:
                self.place(space, fields, expires_s)

    def matching(self, client: int, transaction: int, space: int, template: Fields) -> list[Any]:
        """What a transaction sees: the lists that hold it, and where in them."""
        lists = [self.tuples, *([self.open[client, transaction].put] if transaction else [])]
        return [
            (listed, each)
            for listed in lists
            for each in listed
            if each[0] == space and matches(each[1], template) and (each[2] is None or each[2] > self.now_s)
        ]


class Comparison(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.spaces = Spaces(alive=lambda client: client not in self.model.gone)
        self.request = 0
        for client in range(1, CLIENTS + 1):
            self.connect(client)
        for _ in range(SPACES - 1):
            self.send(1, NewSpace(0))

    def connect(self, client: int) -> None:
        self.spaces.connect(client, str(client))
        self.spaces.receive(client, Hello(0, 1, ""), self.model.now_s)

    def send(self, client: int, message: FromClient) -> Sends:
        return self.spaces.receive(client, message, self.model.now_s)

    def next(self) -> int:
        self.request += 1
        return self.request

    def compare(self, sends: Sends) -> None:
        """The same was said to the same clients; to each in the same order."""
        said = defaultdict(list)
        for client, reply in sends:
            if not isinstance(reply, Done):
                said[client].append((reply.request, content(reply)))
        expected = defaultdict(list)
        for client, request, fields in self.model.said:
            expected[client].append((request, "nothing" if fields is None else show(fields)))
        self.model.said.clear()
        assert said == expected

    @rule(
        client=clients,
        space=spaces,
        fields=tuples,
        transaction=transactions,
        lease_s=st.sampled_from([None, 3.0]),
    )
    def out(self, client: int, space: int, fields: Fields, transaction: int, lease_s: float | None) -> None:
        expires_s = None if lease_s is None else self.model.now_s + lease_s
        if transaction:
            self.model.open[client, transaction].put.append((space, fields, expires_s))
            self.model.wake_own(client, transaction)
        else:
            self.model.place(space, fields, expires_s)
        self.compare(self.send(client, Out(self.next(), space, to_wire(fields), lease_s, transaction)))

    @rule(
        client=clients,
        space=spaces,
        template=templates,
        how=st.tuples(transactions, waits),
        take=st.booleans(),
    )
    def look(
        self, *, client: int, space: int, template: Fields, how: tuple[int, float | None], take: bool
    ) -> None:
        transaction, wait_s = how
        request = self.next()
        deadline_s = None if wait_s is None else self.model.now_s + wait_s
        verb = "in" if take else "rd"
        self.model.look(Waits(client, request, verb, space, template, transaction, deadline_s), wait_s)
        kind = In if take else Rd
        wire = to_wire(template, template=True)
        self.compare(self.send(client, kind(request, space, wire, wait_s, transaction)))

    @rule(client=clients, space=spaces, template=templates)
    def notify(self, client: int, space: int, template: Fields) -> None:
        request = self.next()
        self.model.waiting.append(Waits(client, request, "notify", space, template, 0, None))
        self.compare(self.send(client, Notify(request, space, to_wire(template, template=True))))

    @rule(client=clients, transaction=st.integers(1, 2), commit=st.booleans())
    def end(self, client: int, transaction: int, commit: bool) -> None:
        for waiter in [w for w in self.model.waiting if (w.client, w.transaction) == (client, transaction)]:
            if commit:
                return
            self.model.waiting.remove(waiter)
            self.model.said.append((client, waiter.request, None))
        ended = self.model.open.pop((client, transaction), Open())
        if commit:
            self.model.commit(ended)
        else:
            self.model.undo(ended)
        kind = Commit if commit else Abort
        self.compare(self.send(client, kind(self.next(), transaction)))

    @rule(client=clients)
    def leave_unnoticed(self, client: int) -> None:
        self.model.gone.add(client)

    @rule(client=clients)
    def leave_and_come_back(self, client: int) -> None:
        self.model.waiting = [waiter for waiter in self.model.waiting if waiter.client != client]
        for key in [key for key in self.model.open if key[0] == client]:
            self.model.undo(self.model.open.pop(key))
        self.compare(self.spaces.disconnect(client, self.model.now_s))
        self.model.gone.discard(client)
        self.connect(client)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.model.waiting:
            waiter = data.draw(st.sampled_from(self.model.waiting))
            self.model.waiting.remove(waiter)
            self.model.said.append((waiter.client, waiter.request, None))
            self.compare(self.send(waiter.client, Cancel(self.next(), waiter.request)))

    @rule(source=spaces, to=spaces, template=templates, take=st.booleans(), transaction=transactions)
    def collect(self, source: int, to: int, template: Fields, take: bool, transaction: int) -> None:
        found = self.model.matching(1, transaction, source, template)
        for listed, each in found:
            if take:
                drop(listed, each)
                if transaction and listed is self.model.tuples:
                    self.model.open[1, transaction].taken.append(each)
        for _, each in found:
            if transaction:
                self.model.open[1, transaction].put.append((to, *each[1:]))
            else:
                self.model.place(to, *each[1:])
        if transaction:
            self.model.wake_own(1, transaction)
        wire = to_wire(template, template=True)
        sends = self.send(1, Collect(self.next(), source, to, wire, take, transaction))
        assert [reply.number for _, reply in sends if isinstance(reply, Done)] == [len(found)]
        self.compare(sends)

    @rule(client=clients, space=spaces, template=templates, transaction=transactions)
    def count(self, client: int, space: int, template: Fields, transaction: int) -> None:
        expected = len(self.model.matching(client, transaction, space, template))
        wire = to_wire(template, template=True)
        assert self.send(client, Count(0, space, wire, transaction)) == [(client, Done(0, expected))]

    @rule(seconds=st.sampled_from([1.0, 2.0, 4.0]))
    def pass_time(self, seconds: float) -> None:
        self.model.now_s += seconds
        self.model.expire()
        self.compare(self.spaces.tick(self.model.now_s))

    @invariant()
    def holds_the_same_tuples(self) -> None:
        stored = sorted(self.spaces._store.all(), key=lambda each: each.number)
        expected = [(space, show(fields), expires_s) for space, fields, expires_s in self.model.tuples]
        assert [(each.space, show(each.fields), each.expires_s) for each in stored] == expected
        for template in ((object,), (str, object), ("a", 1), (object, object, object)):
            count = sum(space == 0 and matches(fields, template) for space, fields, _ in self.model.tuples)
            wire = to_wire(template, template=True)
            assert self.send(1, Count(0, 0, wire)) == [(1, Done(0, count))]


def content(reply: FromServer) -> str:
    return show(from_wire(reply.fields)) if isinstance(reply, Found) else type(reply).__name__.lower()


TestComparison = Comparison.TestCase
TestComparison.settings = settings(max_examples=150, stateful_step_count=60)

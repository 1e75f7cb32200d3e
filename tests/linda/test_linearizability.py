"""Histories of concurrent clients: is there an order of the operations that explains every reply?

The checker is Wing and Gong's search with a memory of the states it has been in (Lowe's improvement). It
knows a multiset of tuples and nothing of our code. It looks at a bounded number of states; beyond, its
verdict is *unknown*, which is not a pass.

Histories come from three places: 1,000 simulated schedules of the pure state machine; clients on real
sockets whose links cut messages into bytes, break off, and reset in the middle of a message; and tasks of
asyncio clients that lose patience and are cancelled. How many of each of the latter is DSLAB_HISTORIES (12
unless told); 1,000 take some minutes.

Source: J. Wing and C. Gong, "Testing and verifying concurrent objects", 1993; G. Lowe, "Testing for
linearizability", 2017.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import PeerError
from dslab.kit.links import LinksClient, LinkSpec, LinksThread
from dslab.linda.aclient import AsyncClient
from dslab.linda.aclient import connect as connect_async
from dslab.linda.client import connect
from dslab.linda.messages import Count, Done, Found, FromClient, FromServer, Hello, In, Out, Rd
from dslab.linda.protocol import Spaces
from dslab.linda.values import from_wire, to_wire

Fields = tuple[Any, ...]
Verdict = Literal["linearizable", "not linearizable", "unknown"]
Bag = tuple[Fields, ...]  # sorted

MAX_STATES = 200_000
NEVER = float("inf")
PENDING = "no reply came"
CANCELLED = "cancelled: it took nothing, or put back what it took"
HELD = "held"  # marks what a cancelled one has taken and not put back yet; no template fits
SEEDS = 1_000
SOCKET_SEEDS = int(os.environ.get("DSLAB_HISTORIES", "12"))


@dataclass(slots=True)
class Operation:
    """What a client asked, when, and what it was told and when."""

    verb: Literal["out", "in", "rd", "inp", "rdp", "count"]
    fields: Fields
    called: float
    returned: float = NEVER
    result: Any = PENDING


def check(history: list[Operation], max_states: int = MAX_STATES) -> Verdict:
    """Find an order in which every operation gives what it gave, and which keeps who was over before whom."""
    history = sorted(history, key=lambda operation: operation.called)
    completed = sum(1 << n for n, operation in enumerate(history) if operation.result is not PENDING)
    seen: set[tuple[int, Bag]] = set()
    stack: list[tuple[int, Bag]] = [(0, ())]
    while stack:
        done, bag = stack.pop()
        if done & completed == completed:
            return "linearizable"
        if (done, bag) in seen:
            continue
        if len(seen) >= max_states:
            return "unknown"
        seen.add((done, bag))
        for n in candidates(history, done):
            if history[n].result is CANCELLED:
                stack.extend((done | over << n, after) for over, after in half_steps(history[n], n, bag))
            else:
                stack.extend((done | 1 << n, after) for after in steps(history[n], bag))
    return "not linearizable"


def candidates(history: list[Operation], done: int) -> Iterator[int]:
    """Give the operations that could come next: those called before any other that is left had returned."""
    left = [n for n in range(len(history)) if not done >> n & 1]
    first_return = min((history[n].returned for n in left), default=NEVER)
    return (n for n in left if history[n].called < first_return)


def steps(operation: Operation, bag: Bag) -> list[Bag]:
    """Give the bags that an operation may lead to; none if its reply is not possible in this one."""
    matching = [fields for fields in dict.fromkeys(bag) if fits(fields, operation.fields)]
    result = operation.result
    if operation.verb == "out":
        return [tuple(sorted((*bag, operation.fields)))]
    if (
        result is PENDING
    ):  # it may have taken any of them; if it has done nothing, it need not be in the order
        return [without(bag, fields) for fields in matching] if operation.verb in ("in", "inp") else []
    if operation.verb == "count":
        return [bag] if result == sum(fits(fields, operation.fields) for fields in bag) else []
    if result is None:
        return [] if matching or operation.verb in ("in", "rd") else [bag]
    if result not in matching:
        return []
    return [without(bag, result)] if operation.verb in ("in", "inp") else [bag]


def half_steps(operation: Operation, n: int, bag: Bag) -> list[tuple[bool, Bag]]:
    """Give what a cancelled one may do next, and whether it is over then: nothing, or take, or put back."""
    for held in bag:
        if held[:2] == (HELD, n):
            return [(True, tuple(sorted((*without(bag, held), held[2]))))]
    matching = [fields for fields in dict.fromkeys(bag) if fits(fields, operation.fields)]
    taken = [tuple(sorted((*without(bag, fields), (HELD, n, fields)))) for fields in matching]
    return [(True, bag), *[(False, after) for after in taken]]


def fits(fields: Fields, template: Fields) -> bool:
    return len(fields) == len(template) and all(
        type(value) is want if isinstance(want, type) else value == want
        for value, want in zip(fields, template, strict=True)
    )


def without(bag: Bag, fields: Fields) -> Bag:
    at = bag.index(fields)
    return bag[:at] + bag[at + 1 :]


# ---- does the checker check?


def test_the_checker_tells_good_histories_from_bad() -> None:
    put = Operation("out", ("a", 1), 0, 1)
    again = Operation("out", ("a", 1), 0, 1)
    take = ("a", int)

    def verdict(*operations: Operation) -> Verdict:
        return check([put, *operations])

    assert verdict(Operation("in", take, 2, 3, ("a", 1))) == "linearizable"
    assert verdict(Operation("in", take, 2, 3, ("a", 1)), Operation("inp", take, 2, 3)) == "linearizable"
    two = [Operation("in", take, 2, 3, ("a", 1)), Operation("in", take, 4, 5, ("a", 1))]
    assert verdict(*two) == "not linearizable"  # one tuple, taken twice
    assert verdict(again, *two) == "linearizable"
    assert verdict(Operation("inp", take, 2, 3, None)) == "not linearizable"  # missed what was there
    assert verdict(Operation("inp", take, 0.5, 3, None)) == "linearizable"  # or came before it
    assert verdict(Operation("rd", take, 2, 3, ("a", 2))) == "not linearizable"  # from nowhere
    gone = Operation("in", take, 2, 3, ("a", 1))
    assert verdict(gone, Operation("rdp", take, 4, 5, ("a", 1))) == "not linearizable"  # back from the dead
    assert verdict(gone, Operation("rdp", take, 2.5, 5, ("a", 1))) == "linearizable"
    lost = Operation("in", take, 2)
    for left in (0, 1):  # whether the lost one took it is anybody's guess
        assert verdict(lost, Operation("count", take, 4, 5, left)) == "linearizable"
    assert verdict(lost, Operation("count", take, 4, 5, 2)) == "not linearizable"


def test_the_checker_knows_what_a_cancelled_taker_may_do() -> None:
    put, take = Operation("out", ("a", 1), 0, 1), ("a", int)
    cancelled = Operation("in", take, 2, 6, CANCELLED)

    def verdict(*operations: Operation) -> Verdict:
        return check([put, cancelled, *operations])

    def count(called: float, result: int) -> Operation:
        return Operation("count", take, called, called + 1, result)

    assert verdict(count(3, 1)) == verdict(count(3, 0)) == "linearizable"
    assert verdict(count(3, 0), count(7, 1)) == "linearizable"
    assert verdict(count(7, 0)) == "not linearizable"  # lost
    assert verdict(count(7, 2)) == "not linearizable"  # doubled
    assert verdict(count(2, 0), count(4, 1), count(5.5, 0)) == "not linearizable"  # put back, taken again


def test_the_checker_gives_up_rather_than_pass() -> None:
    crowd = [Operation("out", ("a", n), 0, 9) for n in range(14)]
    impossible = Operation("inp", ("b",), 10, 11, ("b",))
    for operation in crowd:
        operation.result = "done"
    impossible.result = ("b",)
    assert check([*crowd, impossible], max_states=500) == "unknown"


# ---- histories of the state machine, under simulated schedules


@dataclass(eq=False)
class SimulatedClient:
    """A client with a script; what it sends and is sent travels at the scheduler's pleasure."""

    script: list[Operation]
    connection: int = 0
    sent: deque[FromClient] = field(default_factory=deque)
    coming: deque[FromServer] = field(default_factory=deque)
    current: Operation | None = None


class Simulation:
    """Clients, a server and the wires between, one step at a time."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.spaces = Spaces()
        self.step = 0
        self.connections = 0
        self.history: list[Operation] = []
        self.clients = [SimulatedClient(script(self.rng, 10)) for _ in range(4)]
        self.by_connection: dict[int, SimulatedClient] = {}
        for client in self.clients:
            self.connect(client)

    def connect(self, client: SimulatedClient) -> None:
        self.connections += 1
        client.connection = self.connections
        self.by_connection[client.connection] = client
        self.spaces.connect(client.connection, "")
        self.spaces.receive(client.connection, Hello(0, 1, ""), 0.0)

    def run(self) -> list[Operation]:
        while actions := [action for client in self.clients for action in self.actions(client)]:
            self.step += 1
            self.rng.choice(actions)()
        return self.history

    def actions(self, client: SimulatedClient) -> Iterator[Callable[[], None]]:
        if client.current is None and client.script:
            yield lambda: self.call(client)
        if client.sent:
            yield lambda: self.arrive(client)
        if client.coming:
            yield lambda: self.give(client)
        if client.current is not None and self.rng.random() < 0.05:
            yield lambda: self.cut(client)

    def call(self, client: SimulatedClient) -> None:
        operation = client.current = client.script.pop()
        operation.called = self.step
        self.history.append(operation)
        client.sent.append(request(operation, self.step))

    def arrive(self, client: SimulatedClient) -> None:
        self.deliver(self.spaces.receive(client.connection, client.sent.popleft(), float(self.step)))

    def deliver(self, sends: list[tuple[int, FromServer]]) -> None:
        for connection, reply in sends:
            if connection in self.by_connection:
                self.by_connection[connection].coming.append(reply)

    def give(self, client: SimulatedClient) -> None:
        reply, operation = client.coming.popleft(), client.current
        assert operation is not None
        operation.returned = self.step
        operation.result = result_of(reply)
        client.current = None

    def cut(self, client: SimulatedClient) -> None:
        """The connection breaks, with all that is on it; the client goes on with another."""
        del self.by_connection[client.connection]
        client.sent.clear()
        client.coming.clear()
        client.current = None
        self.deliver(self.spaces.disconnect(client.connection, float(self.step)))
        self.connect(client)


def script(rng: random.Random, length: int) -> list[Operation]:
    return [operation(rng) for _ in range(length)]


def operation(rng: random.Random) -> Operation:
    verbs: list[Any] = ["out", "out", "out", "in", "rd", "inp", "inp", "rdp", "count"]
    verb = rng.choice(verbs)
    tuple_ = (rng.choice("ab"), rng.randrange(2))
    if verb == "out":
        return Operation(verb, tuple_, 0)
    return Operation(verb, tuple(type(value) if rng.random() < 0.4 else value for value in tuple_), 0)


def request(operation: Operation, number: int) -> FromClient:
    wire = to_wire(operation.fields, template=operation.verb != "out")
    match operation.verb:
        case "out":
            return Out(number, 0, wire)
        case "count":
            return Count(number, 0, wire)
        case "in" | "inp":
            return In(number, 0, wire, None if operation.verb == "in" else 0.0)
        case _:
            return Rd(number, 0, wire, None if operation.verb == "rd" else 0.0)


def result_of(reply: FromServer) -> Any:
    match reply:
        case Found(fields=fields):
            return from_wire(fields)
        case Done(number=number):
            return number
        case _:
            return None


@pytest.mark.parametrize("part", range(4))
def test_simulated_histories_are_linearizable(part: int) -> None:
    verdicts, lost = Counter[str](), 0
    for seed in range(part, SEEDS, 4):
        history = Simulation(seed).run()
        verdict = check(history)
        assert verdict != "not linearizable", f"seed {seed}: {history}"
        verdicts[verdict] += 1
        lost += sum(operation.result is PENDING for operation in history)
    assert verdicts["unknown"] <= SEEDS // 100, verdicts
    assert lost > SEEDS // 4, "hardly a connection broke"


def test_a_server_that_hands_a_tuple_to_two_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dslab.linda.store.Store.remove", _remove_nothing)
    assert any(check(Simulation(seed).run()) == "not linearizable" for seed in range(50))


def _remove_nothing(_self: Any, space: int, table: Any, number: int) -> Any:
    from dslab.linda.store import Stored

    return Stored(number, space, table.rows[number], None)


# ---- histories over real sockets, and links that break


def perform(address: Address, seed: int, history: list[Operation], breaking: threading.Semaphore) -> None:
    """Run a script against a server; after a broken connection go on with another."""
    rng = random.Random(seed)
    remaining = script(rng, 60)
    while remaining:
        try:
            with connect(address, timeout_s=30.0) as linda:
                while remaining:
                    if rng.random() < 0.06:
                        breaking.release()  # somebody's link breaks while this goes on
                    do(linda.universe, remaining.pop(), history)
        except PeerError:
            continue


def do(space: Any, operation: Operation, history: list[Operation]) -> None:
    operation.called = time.monotonic()
    history.append(operation)
    match operation.verb:
        case "out":
            result = space.out(operation.fields)
        case "in" | "inp":
            operation.verb = "inp"  # nobody may wait for ever here
            result = space.inp(operation.fields)
        case "rd" | "rdp":
            operation.verb = "rdp"
            result = space.rdp(operation.fields)
        case _:
            result = space.count(operation.fields)
    operation.returned = time.monotonic()
    operation.result = result


def disturb(links: LinksClient, seed: int, breaking: threading.Semaphore, over: threading.Event) -> None:
    """Break a client's link each time that somebody says so: at once, or in the middle of a message."""
    rng = random.Random(seed)
    while breaking.acquire() and not over.is_set():
        name = f"client{rng.randrange(3)}->server"
        if rng.random() < 0.5:
            links.apply(name, {"kind": "cut", "count": 1})
            links.heal(name)
            crumble(links, name, rng)
        else:
            links.apply(name, {"kind": "reset", "after_bytes": rng.randrange(1, 40), "count": 1})


def crumble(links: LinksClient, name: str, rng: random.Random) -> None:
    """Let a link deliver the next few messages in pieces."""
    links.apply(name, {"kind": "fragment", "max_bytes": rng.randrange(3, 12), "gap_s": 0.0, "count": 5})


@pytest.mark.timeout(120 + 3 * SOCKET_SEEDS)
def test_histories_over_breaking_links_are_linearizable(serve: Callable[..., Address]) -> None:
    verdicts, broken = Counter[str](), Counter[str]()
    server = serve()
    with LinksThread(1) as thread, thread.client() as links:
        for seed in range(SOCKET_SEEDS):
            history = record(links, server, seed, broken)
            verdict = check(history)
            assert verdict != "not linearizable", f"seed {seed}: {history}"
            verdicts[verdict] += 1
            empty(server)
    assert verdicts["linearizable"] >= SOCKET_SEEDS * 9 // 10, verdicts
    assert broken["cut"] >= SOCKET_SEEDS, "hardly a link was cut"
    assert broken["reset"] >= SOCKET_SEEDS // 2, "hardly a link was reset"
    assert broken["fragment"] >= SOCKET_SEEDS, "hardly a message came in pieces"


def empty(server: Address) -> None:
    """Take what a history has left, so that the next one begins with nothing."""
    with connect(server) as linda:
        linda.universe.move(linda.new_space(), (str, int))


def record(links: LinksClient, server: Address, seed: int, broken: Counter[str]) -> list[Operation]:
    """Let three clients work over links that break: gives what happened, and counts what broke."""
    history: list[Operation] = []
    breaking, over = threading.Semaphore(0), threading.Event()
    names = [f"client{n}" for n in range(3)]
    addresses = [
        links.open(LinkSpec(f"{name}->server", name, "server", Address("127.0.0.1", 0), (server,)))
        for name in names
    ]
    for name in names:
        crumble(links, f"{name}->server", random.Random(seed))
    clients = [
        threading.Thread(target=perform, args=(address, seed * 10 + n, history, breaking))
        for n, address in enumerate(addresses)
    ]
    breaker = threading.Thread(target=disturb, args=(links, seed, breaking, over))
    for one in (*clients, breaker):
        one.start()
    for client in clients:
        client.join(60)
    over.set()
    breaking.release()
    breaker.join(60)
    for name in names:
        broken.update(links.stats(f"{name}->server").injected)
        links.close(f"{name}->server")
    return history


# ---- histories of tasks that are cancelled


async def perform_tasks(server: Address, seed: int) -> list[Operation]:
    """Let six tasks of two clients work, some of them without patience; then take all that is left."""
    history: list[Operation] = []
    async with await connect_async(server) as one, await connect_async(server) as other:
        tasks = [perform_task(client, seed * 6 + n, history) for n, client in enumerate([one, other] * 3)]
        await asyncio.gather(*tasks)
        last = None
        while last is None or last.result is not None:
            last = Operation("inp", (str, int), 0)
            await do_async(one, last, history)
    return history


async def perform_task(client: AsyncClient, seed: int, history: list[Operation]) -> None:
    rng = random.Random(seed)
    for each in script(rng, 8):
        if each.verb not in ("in", "rd"):
            await do_async(client, each, history)
            continue
        try:
            async with asyncio.timeout(rng.choice([0.0, 0.0005, 0.001, 0.002])):
                await do_async(client, each, history)
        except TimeoutError:
            await client.settle()
            if each.verb == "in":
                each.returned, each.result = time.monotonic(), CANCELLED


async def do_async(client: AsyncClient, operation: Operation, history: list[Operation]) -> None:
    operation.called = time.monotonic()
    history.append(operation)
    act = getattr(client.universe, {"in": "in_"}.get(operation.verb, operation.verb))
    result = await act(operation.fields)
    operation.returned, operation.result = time.monotonic(), result


def test_histories_of_cancelled_tasks_are_linearizable(address: Address) -> None:
    verdicts, cancelled = Counter[str](), 0
    for seed in range(SOCKET_SEEDS):
        history = asyncio.run(perform_tasks(address, seed))
        verdict = check(history)
        assert verdict != "not linearizable", f"seed {seed}: {history}"
        verdicts[verdict] += 1
        cancelled += sum(operation.result is CANCELLED for operation in history)
    assert verdicts["linearizable"] >= SOCKET_SEEDS * 9 // 10, verdicts
    assert cancelled >= SOCKET_SEEDS, "hardly a taker was cancelled"


def test_a_client_that_puts_nothing_back_is_found_out(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dslab.linda.aconnection.AsyncConnection._put_back", lambda *_: None)
    assert any(check(asyncio.run(perform_tasks(address, seed))) == "not linearizable" for seed in range(60))

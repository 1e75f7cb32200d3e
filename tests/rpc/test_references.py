"""Copy-in/copy-out against remote references; counts and leases."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.rpc import aclient, http, server, udp
from dslab.rpc.client import connect, dial_by
from dslab.rpc.errors import DoesNotTravel, NoSuchMethod, RemoteError
from dslab.rpc.references import Exports, Reference, Remote, RemoteRef, by_reference, service_with_references

LEASE_S = 10.0


class Notes(Remote):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> int:
        self.lines.append(line)
        return len(self.lines)

    def all(self) -> list[str]:
        return self.lines

    def _secret(self) -> None: ...


class Desk:
    def __init__(self) -> None:
        self.notes = Notes()
        self.plain = ["a"]

    def copied(self) -> list[str]:
        return self.plain

    def shared(self) -> Any:
        return by_reference(self.plain)

    def notebook(self) -> Notes:
        return self.notes

    def count(self, notes: Any) -> int:
        return len(notes.all())

    def is_ours(self, notes: Any) -> bool:
        return notes is self.notes

    def append_to(self, values: list[str]) -> None:
        values.append("z")


Served = tuple[Address, str, Exports, Desk]


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["msgpack", "json"])
def served(request: pytest.FixtureRequest, clock: Clock, run_service: Any) -> Served:
    service, exports = service_with_references(request.param, 5_000, clock, lease_s=LEASE_S)
    desk = Desk()
    service.objects.register(desk)
    return run_service(service), request.param, exports, desk


def test_what_is_copied_is_the_receivers_own(served: Served) -> None:
    address, codec, _, desk = served
    with connect(address, codec=codec) as client:
        copy = client.call("copied")
        copy.append("b")
        mine = ["x"]
        client.call("append_to", mine)
        assert mine == ["x"]
    assert desk.plain == ["a"]


def test_what_is_referred_to_is_shared_by_two_clients(served: Served) -> None:
    address, codec, _, desk = served
    with connect(address, codec=codec) as one, connect(address, codec=codec) as other:
        first, second = one.call("notebook"), other.call("notebook")
        assert isinstance(first, RemoteRef)
        assert first == second
        assert (first.add("from one"), second.add("from the other")) == (1, 2)
        assert first.all() == ["from one", "from the other"]
        one.call("shared").append("b")
    assert desk.plain == ["a", "b"]


def test_a_reference_that_comes_home_is_the_object_itself(served: Served) -> None:
    address, codec, _, _ = served
    with connect(address, codec=codec) as client:
        assert client.call("is_ours", client.call("notebook"))


def test_a_third_party_calls_the_object_where_it_is(served: Served, clock: Clock, run_service: Any) -> None:
    address, codec, _, _ = served
    service, _ = service_with_references(codec, 9_000, clock, dial=dial_by(codec))
    service.objects.register(Desk())
    elsewhere = run_service(service, workers=1)
    with connect(address, codec=codec) as here, connect(elsewhere, codec=codec) as there:
        notes = here.call("notebook")
        notes.add("one")
        assert there.call("count", notes) == 1
        assert not there.call("is_ours", notes)


class Relay:
    """Takes a reference and gives it back."""

    def __init__(self) -> None:
        self.kept: Any = None

    def keep(self, reference: Any) -> bool:
        self.kept = reference
        return True

    def give(self) -> Any:
        return self.kept

    def use(self) -> Any:
        return self.kept.all()


def test_a_reference_may_be_kept_and_passed_on_by_who_cannot_call_it(
    served: Served, clock: Clock, run_service: Any
) -> None:
    address, codec, _, _ = served
    service, _ = service_with_references(codec, 9_000, clock)
    service.objects.register(Relay())
    elsewhere = run_service(service)
    with connect(address, codec=codec) as here, connect(elsewhere, codec=codec) as there:
        notes = here.call("notebook")
        assert there.call("keep", notes)
        with pytest.raises(RemoteError, match=r"nobody said how to call there.*dial"):
            there.call("use")
        assert there.call("give") == notes
        assert there.call("give").add("x") == 1


def test_the_asyncio_client_calls_third_parties(served: Served, clock: Clock, run_service: Any) -> None:
    address, codec, _, desk = served
    service, _ = service_with_references(codec, 9_000, clock)
    service.objects.register(Relay())
    elsewhere = run_service(service)

    async def run() -> None:
        async with (
            await aclient.connect(address, codec=codec) as here,
            await aclient.connect(elsewhere, codec=codec) as there,
        ):
            await there.call("keep", await here.call("notebook"))
            notes = await there.call("give")
            assert await notes.add("x") == 1
            assert await there.call("keep", notes)

    asyncio.run(run())
    assert desk.notes.lines == ["x"]


@pytest.mark.parametrize(("codec", "transport"), [("json-http", "tcp"), ("msgpack", "udp"), ("json", "udp")])
def test_third_parties_are_called_as_the_first_is(
    clock: Clock, run_service: Any, codec: str, transport: Any
) -> None:
    by = http if codec == "json-http" else {"tcp": server, "udp": udp}[transport]
    dial = dial_by(codec, transport)
    homes = []
    for home in (Desk(), Desk()):
        service, _ = service_with_references(codec.removesuffix("-http"), 9_000, clock, dial=dial)
        service.objects.register(home)
        homes.append(run_service(service, workers=1, by=by))
    options = {"codec": codec, "transport": transport, "timeout_s": 60.0}
    with connect(homes[0], **options) as here, connect(homes[1], **options) as there:
        assert there.call("count", here.call("notebook")) == 0


def test_private_methods_of_a_referred_object_cannot_be_called(served: Served) -> None:
    address, codec, _, _ = served
    with connect(address, codec=codec) as client:
        notes = client.call("notebook")
        with pytest.raises(NoSuchMethod):
            client.call(f"@{notes.data.object}._secret")
        with pytest.raises(AttributeError):
            notes._secret()


def test_the_last_release_lets_the_object_go(served: Served) -> None:
    address, codec, exports, _ = served
    with connect(address, codec=codec) as client:
        first, second = client.call("notebook"), client.call("notebook")
        first.release()
        assert second.all() == []
        with second:
            assert len(exports) == 1
        assert len(exports) == 0
        with pytest.raises(NoSuchMethod):
            second.all()
        with pytest.raises(ReferenceError):
            second.renew()


def test_a_lease_ends_and_a_call_or_a_renewal_begins_it_anew(served: Served, clock: Clock) -> None:
    address, codec, exports, _ = served
    with connect(address, codec=codec) as client:
        notes = client.call("notebook")
        for renew in (notes.all, notes.renew):
            clock.now_s += LEASE_S * 0.9
            renew()
            assert len(exports) == 1
        clock.now_s += LEASE_S
        assert len(exports) == 0
        with pytest.raises(NoSuchMethod):
            notes.all()


@pytest.mark.parametrize("use", ["all", "renew", "release"])
def test_nothing_begins_a_lease_anew_that_has_ended(served: Served, clock: Clock, use: str) -> None:
    address, codec, exports, _ = served
    with connect(address, codec=codec) as client:
        old, other = client.call("notebook"), client.call("shared")
        clock.now_s += LEASE_S / 2
        other.renew()
        clock.now_s += LEASE_S / 2
        with pytest.raises((NoSuchMethod, ReferenceError)):
            getattr(old, use)()
        assert not client.call("is_ours", old)
        assert len(exports) == 1
        new = client.call("notebook")
        assert new != old
        assert new.all() == []


def test_an_object_is_given_away_at_the_very_end_of_its_lease(run_service: Any) -> None:
    class Ticking(Clock):
        step_s = 0.0

        def __call__(self) -> float:
            self.now_s += self.step_s
            return self.now_s

    clock = Ticking()
    service, exports = service_with_references("msgpack", 1, clock, lease_s=LEASE_S)
    service.objects.register(Desk())
    with connect(run_service(service), timeout_s=60) as client:
        client.call("notebook")
        clock.now_s, clock.step_s = clock.now_s + LEASE_S - 0.003, 0.002
        again = client.call("notebook")
        clock.step_s = 0.0
        assert len(exports) == 1
        assert again.add("x") == 1


def test_what_nobody_asks_for_is_forgotten_all_the_same(clock: Clock) -> None:
    service, exports = service_with_references("msgpack", 1, clock, lease_s=0.01)
    kept = weakref.ref(notes := Notes())
    exports.marshal(notes)
    del notes
    clock.now_s += 0.01
    deadline_s = time.monotonic() + 30
    while kept() is not None and time.monotonic() < deadline_s:
        time.sleep(0.001)
    assert kept() is None
    assert not [name for name in service.objects if name.startswith("@")]


def test_thousands_of_leases_end_in_a_moment(clock: Clock) -> None:
    _, exports = service_with_references("msgpack", 1, clock, lease_s=LEASE_S)
    for _ in range(4_000):
        exports.marshal(Notes())
    clock.now_s += LEASE_S
    began_s = time.thread_time()
    assert len(exports) == 0
    assert time.thread_time() - began_s < 1


def test_the_asyncio_client_calls_references_too(served: Served) -> None:
    address, codec, _, _ = served

    async def run() -> int:
        async with await aclient.connect(address, codec=codec) as client:
            notes = await client.call("notebook")
            return int(await notes.add("x"))

    assert asyncio.run(run()) == 1


def test_the_asyncio_client_renews_and_releases(served: Served) -> None:
    address, codec, exports, _ = served

    async def run() -> None:
        async with await aclient.connect(address, codec=codec) as client:
            first, second = await client.call("notebook"), await client.call("notebook")
            assert await first.renew() == LEASE_S
            await first.release()
            async with second as notes:
                assert await notes.all() == []
                assert len(exports) == 1
            assert len(exports) == 0

    asyncio.run(run())


@pytest.mark.parametrize("value", [object(), Desk()], ids=["object", "Desk"])
def test_what_is_not_marked_does_not_travel(value: Any, clock: Callable[[], float]) -> None:
    with pytest.raises(DoesNotTravel):
        Exports(clock).marshal(value)


def test_the_number_of_references_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dslab.rpc.references.MAX_EXPORTED", 3)
    service, exports = service_with_references("msgpack", 1, clock, lease_s=LEASE_S)
    assert service.objects is not None
    kept = [Notes() for _ in range(4)]
    for each in kept[:3]:
        exports.marshal(each)
    with pytest.raises(DoesNotTravel):
        exports.marshal(kept[3])
    clock.now_s += LEASE_S
    assert exports.marshal(Reference(kept[3])).object == 4

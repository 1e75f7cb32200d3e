"""Remote references: objects that stay where they are, and are called from elsewhere.

By default arguments and results are copied: the receiver gets a value of his own, and what he does to it
nobody else sees (copy-in/copy-out). An object passed `by_reference`, or of a class derived from `Remote`, is
not copied. What travels is where it is, and its number there (`RefData`); what the receiver gets is a
`RemoteRef`, whose methods call the object. Two clients with a reference to one list share that list.

How long does such an object live? Its server cannot see who still refers to it. Two remedies, both here:

- **Reference counts**: each reference given away counts one; `RemoteRef.release` takes one back. Exact as
  long as nobody dies and no message is lost or doubled.
- **Leases**: a reference is good for ``lease_s``; each call through it, or `RemoteRef.renew`, begins the
  lease anew. What nobody has used for so long cannot be called any more, and is forgotten, though nobody
  says a word. It survives crashes, at the price of being late.

A server does not know by what address its clients reach it. So a reference to an object of its own says
"here" (an empty host), and the receiver fills in the address that he called. Passed on to a third party it
names that address, and the third party makes a connection of its own for each call. It speaks there as it
speaks here: a reference does not tell by which codec its server is called. Who cannot call there may still
keep the reference and pass it on; only a call through it is refused.

Source: ch. 4, Parameter passing (object references); ch. 2, Object-based style; A. Birrell et al., "Network
Objects", 1993; C. Gray and D. Cheriton, "Leases", 1989.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import TIMEOUT_MAX, RLock, Timer
from types import TracebackType
from typing import Any, Self, TypeAlias
from weakref import WeakMethod

from dslab.kit.address import MAX_PORT, Address
from dslab.kit.errors import UsageError
from dslab.rpc.codecs import codec_named
from dslab.rpc.errors import DoesNotTravel, NoSuchMethod
from dslab.rpc.messages import RELEASE, RENEW, RefData
from dslab.rpc.objects import Objects
from dslab.rpc.service import Limits, Service

DEFAULT_LEASE_S = 60.0
MAX_EXPORTED = 10_000

Caller: TypeAlias = Callable[..., Any]
Dial: TypeAlias = Callable[[Address], Caller]


class Remote:
    """Base of classes whose objects travel by reference."""


def by_reference(value: Any) -> Any:
    """Mark an object, so that it travels by reference."""
    return Reference(value)


class Reference:
    """Marks one object that is to travel by reference, whatever its class."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@dataclass(slots=True)
class Exported:
    """An object that somebody elsewhere may call.

    Attributes:
        value: The object itself.
        methods: What it can be called by.
        count: How many references were given away and not taken back.
        expires_s: When it is forgotten.
    """

    value: Any
    methods: list[str]
    count: int
    expires_s: float


def no_third_party(address: Address) -> Caller:
    """Give what refuses each call, where nobody said how to call other servers."""

    def refuse(*_: Any, **__: Any) -> Any:
        remedy = "Make the service with a dial: service_with_references(..., dial=dial_by(codec))."
        raise UsageError(f"The object is at {address}, and nobody said how to call there.", remedy=remedy)

    return refuse


class Exports:
    """The objects of a server to which references were given away. For any number of threads.

    Args:
        clock: Gives the time, in seconds.
        lease_s: How long an unused reference is good for.
        dial: Gives what calls a third party.
    """

    def __init__(
        self, clock: Callable[[], float], lease_s: float = DEFAULT_LEASE_S, dial: Dial = no_third_party
    ) -> None:
        self.lease_s = lease_s
        self._dial = dial
        self._clock = clock
        self._objects: Objects | None = None
        self._exported: OrderedDict[int, Exported] = OrderedDict()  # whose lease ends first comes first
        self._numbers: dict[int, int] = {}  # by the identity of the object
        self._next_number = 1
        self._lock = RLock()
        self._watched = False

    def __len__(self) -> int:
        self.sweep()
        return len(self._exported)

    def offer_by(self, objects: Objects) -> None:
        """Let the objects be called as ``@number.method``."""
        self._objects = objects
        objects.offer(RENEW, self.renew)
        objects.offer(RELEASE, self.release)

    def marshal(self, value: Any) -> RefData:
        """Give a reference to an object away.

        Raises:
            DoesNotTravel: It is neither marked nor remote nor a reference itself.
        """
        if isinstance(value, RemoteRef):
            return value.data
        if isinstance(value, Reference):
            value = value.value
        elif not isinstance(value, Remote):
            remedy = "Give a number, text, bytes, list, map or dataclass, or pass it by_reference."
            raise DoesNotTravel(f"A {type(value).__qualname__} does not travel.", remedy=remedy)
        with self._lock:
            number = self._number_of(value)
            self._exported[number].count += 1
            self._begin_lease(number)  # `renew` would sweep again, and its lease may have ended meanwhile
        return RefData("", 0, number, type(value).__qualname__)

    def unmarshal(self, data: RefData) -> Any:
        """Give what a reference that came from a client refers to: our own object itself."""
        if data.host:
            return RemoteRef(data, self._dial(_place(data)))
        with self._lock:
            self.sweep()
            exported = self._exported.get(data.object)
        return RemoteRef(data, _gone) if exported is None else exported.value

    def renew(self, number: int) -> float:
        """Begin the lease of an object anew: gives how long it is, in seconds."""
        with self._lock:
            self._find(number)
            self._begin_lease(number)
        return self.lease_s

    def release(self, number: int) -> int:
        """Take back one reference: gives how many are left. After the last the object is forgotten."""
        with self._lock:
            exported = self._find(number)
            exported.count -= 1
            if exported.count <= 0:
                self._forget(number)
            return exported.count

    def sweep(self) -> None:
        """Forget what nobody has used for longer than a lease."""
        with self._lock:
            now_s = self._clock()
            while self._exported:
                number = next(iter(self._exported))
                if self._exported[number].expires_s > now_s:
                    return
                self._forget(number)

    def _begin_lease(self, number: int) -> None:
        self._exported[number].expires_s = self._clock() + self.lease_s
        self._exported.move_to_end(number)

    def _find(self, number: int) -> Exported:
        self.sweep()
        exported = self._exported.get(number)
        if exported is None:
            raise ReferenceError(f"There is no object {number} here any more.")
        return exported

    def _use(self, number: int) -> None:
        """Let an object be called, which renews its lease."""
        try:
            self.renew(number)
        except ReferenceError as error:
            raise NoSuchMethod(str(error)) from error

    def _number_of(self, value: Any) -> int:
        """Export an object, if it is not yet."""
        self.sweep()
        number = self._numbers.get(id(value))
        if number is not None:
            return number
        if len(self._exported) >= MAX_EXPORTED or self._objects is None:
            raise DoesNotTravel(f"{len(self._exported):,} objects are referred to already.")
        number = self._next_number
        self._next_number += 1
        methods = self._objects.export(f"@{number}", value, lambda: self._use(number))
        self._exported[number] = Exported(value, methods, 0, self._clock() + self.lease_s)
        self._numbers[id(value)] = number
        self._watch()
        return number

    def _forget(self, number: int) -> None:
        exported = self._exported.pop(number)
        del self._numbers[id(exported.value)]
        assert self._objects is not None
        self._objects.withdraw(exported.methods)

    def _watch(self) -> None:
        """As long as there is an object, look once in a lease for what has to be forgotten."""
        if self._watched:
            return
        timer = Timer(min(self.lease_s, TIMEOUT_MAX), _look_again, [WeakMethod(self._look)])
        timer.daemon = True
        with suppress(RuntimeError):  # no thread left: the next export tries again
            timer.start()
            self._watched = True

    def _look(self) -> None:
        with self._lock:
            self._watched = False
            if len(self):
                self._watch()


class RemoteRef:
    """A reference to an object that is elsewhere: ``ref.method(arguments)`` calls it.

    A context manager: leaving it releases the reference. All calls of one that an asyncio client has received
    are to be awaited, `renew` and `release` too, and the context manager is an asynchronous one.
    """

    def __init__(self, data: RefData, call: Caller) -> None:
        self._data = data
        self._call = call

    @property
    def data(self) -> RefData:
        """What travels of it."""
        return self._data

    def renew(self) -> Any:
        """Begin its lease anew: gives how long it is, in seconds."""
        return self._call(RENEW, self._data.object)

    def release(self) -> Any:
        """Say that it is not needed any more: gives how many references are left."""
        return self._call(RELEASE, self._data.object)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *arguments, **named: self._call(f"@{self._data.object}.{name}", *arguments, **named)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.release()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteRef) and self._data == other._data

    def __hash__(self) -> int:
        return hash((self._data.host, self._data.port, self._data.object))

    def __repr__(self) -> str:
        return f"<reference to {self._data.kind} {self._data.object} at {self._data.host}:{self._data.port}>"


class Imports:
    """The references that one client has received.

    Args:
        address: The server's, as this client reaches it.
        call: Calls that server.
        dial: Gives what calls a third party.
    """

    def __init__(self, address: Address, call: Caller, dial: Dial) -> None:
        self._address = address
        self._call = call
        self._dial = dial

    def marshal(self, value: Any) -> RefData:
        """Pass a reference on. To the server that it came from, it says "yours"."""
        if not isinstance(value, RemoteRef):
            remedy = "Give a number, text, bytes, list, map, dataclass or a reference."
            raise DoesNotTravel(f"A {type(value).__qualname__} does not travel.", remedy=remedy)
        data = value.data
        if (data.host, data.port) == self._address.pair:
            return RefData("", 0, data.object, data.kind)
        return data

    def unmarshal(self, data: RefData) -> RemoteRef:
        """Make a received reference usable."""
        if not data.host:
            return RemoteRef(RefData(*self._address.pair, data.object, data.kind), self._call)
        return RemoteRef(data, self._dial(_place(data)))


def _place(data: RefData) -> Address:
    """Where the server of an object is.

    Raises:
        UsageError: Nobody can be there.
    """
    if not 0 < data.port <= MAX_PORT:
        raise UsageError(f"A reference names port {data.port} of {data.host}, and there is no such port.")
    return Address(data.host, data.port)


def service_with_references(
    codec: str,
    first_session: int,
    clock: Callable[[], float],
    *,
    limits: Limits | None = None,
    log: Path | None = None,
    lease_s: float = DEFAULT_LEASE_S,
    dial: Dial = no_third_party,
) -> tuple[Service, Exports]:
    """Give a service whose procedures may take and give references."""
    exports = Exports(clock, lease_s, dial)
    service = Service(codec_named(codec, exports.marshal, exports.unmarshal), first_session, limits, log)
    exports.offer_by(service.objects)
    return service, exports


def _look_again(look: WeakMethod[Callable[[], None]]) -> None:
    """Let a timer keep nothing alive that nobody else needs."""
    if (alive := look()) is not None:
        alive()


def _gone(*_: Any, **__: Any) -> Any:
    raise ReferenceError("The object is not here any more.")

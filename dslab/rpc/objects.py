"""The objects of a server: which procedures there are, and how a call finds its own.

A procedure is found in a table that is made when its object is registered; nothing is looked up by reflection
when a call comes. So a caller reaches what is in the table and nothing else: public functions, and public
methods of objects. A name that begins with an underscore, or has such a part, is in no table.

**Activation**: which instance of a class serves a call?

============  =====================================================================================
policy        instance
============  =====================================================================================
shared        one for all: the object itself. Its state is everybody's
per-client    one for each connection, made at its first call, gone at its end
per-call      one for each call: it keeps nothing (a transient object)
============  =====================================================================================

No I/O here but what the procedures do.

Source: ch. 3, Servers (object servers, activation policies); ch. 2, Object-based style.
"""

from __future__ import annotations

import inspect
from asyncio import CancelledError
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from types import CoroutineType
from typing import Any, Final, Literal, TypeAlias

from dslab.kit.errors import UsageError
from dslab.rpc.errors import BadArguments, CallFailed, NoSuchMethod, Raised, WrongType, fault_of
from dslab.rpc.interceptors import Interceptor, Invocation, chain
from dslab.rpc.messages import HELLO, Notification, Params, Request, Response
from dslab.rpc.protocol import Peer

Activation: TypeAlias = Literal["shared", "per-client", "per-call"]
Procedure: TypeAlias = Callable[..., Any]
Find: TypeAlias = Callable[[Peer], Procedure]

RAISED: Final = (Exception, SystemExit, CancelledError)
"""What a procedure may raise, and harm nobody but its caller. Ctrl-C is the server's."""

MAX_PEERS = 10_000
_MANY = 2**31
_POSITIONAL = frozenset({inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})


@dataclass(slots=True)
class Method:
    """A procedure in the table.

    Attributes:
        name: Its name on the wire.
        find: Gives what is to be called, for a peer.
        signature: What it takes, without ``self``.
        fewest: Positional arguments that it must have.
        most: And may have.
        always: What is to be called for every peer, if that is the same: saves to ask `find`.
    """

    name: str
    find: Find
    signature: inspect.Signature
    fewest: int
    most: int
    always: Procedure | None = None

    def call(self, params: Params, peer: Peer) -> Any:
        """Call it.

        Raises:
            BadArguments: It takes other arguments. It was not called.
        """
        if type(params) is dict:
            self._bind(params)
        elif not self.fewest <= len(params) <= self.most:
            raise BadArguments(f"{self.name} takes {self._arity()}, {len(params)} were given")
        procedure = self.always or self.find(peer)
        try:
            result = procedure(**params) if type(params) is dict else procedure(*params)
        except WrongType:  # a generated stub stands before the procedure
            raise
        except CallFailed as error:  # of a call that the procedure made
            raise Raised(error) from error
        return _marked(result) if type(result) is CoroutineType else result

    def _bind(self, named: dict[str, Any]) -> None:
        try:
            self.signature.bind(**named)
        except TypeError as error:
            raise BadArguments(f"{self.name}: {error}") from error

    def _arity(self) -> str:
        if self.fewest == self.most:
            return f"{self.most} arguments"
        if self.fewest > self.most:
            return "named arguments"
        return f"{self.fewest} {'or more' if self.most == _MANY else f'to {self.most}'} arguments"


@dataclass(slots=True)
class _Instances:
    """What was made for one peer, by class. Under the lock each is made once, and holds up nobody else."""

    made: dict[type, Any] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)


class Objects:
    """The table of a server.

    Attributes:
        interceptors: What stands between a call and its procedure, the outermost first.
    """

    def __init__(self) -> None:
        self.interceptors: list[Interceptor] = []
        self._methods: dict[str, Method] = {}
        self._instances: OrderedDict[Peer, _Instances] = OrderedDict()
        self._lock = Lock()  # of the instances: threads may call for the same client

    def __iter__(self) -> Iterator[str]:
        return iter(self._methods)

    def register(self, served: Any, name: str = "", activation: Activation = "shared") -> None:
        """Offer a function, the public methods of an object, or of a class by an activation policy.

        Args:
            served: What is to be called. A class is instantiated without arguments.
            name: What its methods are called by: ``add`` or, of an object called ``bank``, ``bank.add``.
            activation: Which instance of a class serves a call.

        Raises:
            UsageError: The name is private or taken, or there is nothing to be called.
        """
        if any(part.startswith("_") for part in name.split(".")) or f"{name}.".startswith("rpc."):
            raise UsageError(f"The name {name!r} is private.")
        self._add(served, name, activation)

    def offer(self, name: str, function: Procedure) -> None:
        """Offer a procedure of the protocol itself, whose name begins with ``rpc.``."""
        self._add(function, name, "shared")

    def _add(self, served: Any, name: str, activation: Activation) -> None:
        methods = list(self._methods_of(served, name, activation))
        if not methods:
            raise UsageError(f"{served!r} has no public method.")
        for method in methods:
            if method.name in self._methods:
                raise UsageError(f"There is a method {method.name!r} already.")
            self._methods[method.name] = method

    def export(self, name: str, served: Any, used: Callable[[], Any]) -> list[str]:
        """Offer an object to which a reference is given away: gives the names of its methods.

        Before each call of it, ``used`` is called.
        """

        def found(method: Procedure) -> Find:
            def find(_: Peer) -> Procedure:
                used()
                return method

            return find

        methods = {_join(name, each): getattr(served, each) for each in _public(type(served))}
        for each, procedure in methods.items():
            self._methods[each] = _method(each, procedure, found(procedure))
        return list(methods)

    def withdraw(self, methods: Iterable[str]) -> None:
        """Offer methods no longer."""
        for method in methods:
            del self._methods[method]

    def unregister(self, name: str) -> None:
        """Offer no longer what was registered by a name."""
        self.withdraw([each for each in self._methods if each == name or each.startswith(f"{name}.")])

    def forget(self, peer: Peer) -> None:
        """Drop what was made for a peer that has gone."""
        self._instances.pop(peer, None)

    def call(self, peer: Peer, request: Request | Notification) -> Any:
        """Call what a request names: gives its result, or what is to be awaited for it."""
        if self.interceptors and request.method != HELLO:  # which no caller calls, but his stub
            proceed = chain(self.interceptors, self._call_method)
            return proceed(Invocation(request.method, request.params, peer))
        return self._find(request.method).call(request.params, peer)

    def execute(self, peer: Peer, request: Request) -> Response | Coroutine[Any, Any, Any]:
        """Call what a request names: gives the reply, or, of a coroutine function, what is to be awaited."""
        try:
            method = None if self.interceptors else self._methods.get(request.method)
            result = method.call(request.params, peer) if method else self.call(peer, request)
        except RAISED as error:
            return Response(request.id, fault_of(error))
        return result if type(result) is CoroutineType else Response(request.id, None, result)

    def _call_method(self, invocation: Invocation) -> Any:
        return self._find(invocation.method).call(invocation.params, invocation.peer)

    def _find(self, name: str) -> Method:
        method = self._methods.get(name)
        if method is None:
            raise NoSuchMethod(NoSuchMethod.text)
        return method

    # ---- making the table

    def _methods_of(self, served: Any, name: str, activation: Activation) -> Iterator[Method]:
        if inspect.isclass(served):
            find_instance = self._activator(served, activation)
            for each in _public(served):
                bound = isinstance(inspect.getattr_static(served, each), staticmethod | classmethod)
                method = getattr(served, each)
                yield _method(_join(name, each), method, _getter(find_instance, each), bound=bound)
        elif inspect.isroutine(served):
            yield _constant(name or served.__name__, served)
        else:
            for each in _public(type(served)):
                method = getattr(served, each)
                yield _constant(_join(name, each), method)

    def _activator(self, served: type, activation: Activation) -> Callable[[Peer], Any]:
        match activation:
            case "shared":
                instance = served()
                return lambda _: instance
            case "per-call":
                return lambda _: served()
            case "per-client":
                return lambda peer: self._instance_for(peer, served)

    def _instance_for(self, peer: Peer, served: type) -> Any:
        with self._lock:
            here = self._instances.setdefault(peer, _Instances())
            self._instances.move_to_end(peer)
            if len(self._instances) > MAX_PEERS:  # over UDP nobody says goodbye
                self._instances.popitem(last=False)
        with here.lock:
            if served not in here.made:
                here.made[served] = served()
            return here.made[served]


async def finished(request: Request, running: Coroutine[Any, Any, Any]) -> Response:
    """Await what `Objects.execute` gave: the reply."""
    try:
        return Response(request.id, None, await running)
    except RAISED as error:
        return Response(request.id, fault_of(error))


async def _marked(running: Coroutine[Any, Any, Any]) -> Any:
    """Await a procedure that is a coroutine function. It fails as `Method.call` does."""
    try:
        return await running
    except WrongType:
        raise
    except CallFailed as error:
        raise Raised(error) from error


def _constant(name: str, procedure: Procedure) -> Method:
    method = _method(name, procedure, lambda _: procedure)
    method.always = procedure
    return method


def _getter(find_instance: Callable[[Peer], Any], name: str) -> Find:
    return lambda peer: getattr(find_instance(peer), name)


def _public(kind: type) -> list[str]:
    return [
        name for name, member in inspect.getmembers(kind)
        if not name.startswith("_") and callable(member) and not inspect.isclass(member)
    ]  # fmt: skip


def _join(name: str, method: str) -> str:
    return f"{name}.{method}" if name else method


def _method(name: str, function: Procedure, find: Find, *, bound: bool = True) -> Method:
    """Make an entry of the table. Of an unbound method, the first parameter is ``self``."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C have none: they check for themselves
        signature = inspect.Signature([
            inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL),
            inspect.Parameter("named", inspect.Parameter.VAR_KEYWORD),
        ])  # fmt: skip
    parameters = list(signature.parameters.values())
    if not bound and parameters and parameters[0].kind in _POSITIONAL:
        parameters = parameters[1:]
    positional = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    fewest = sum(parameter.default is inspect.Parameter.empty for parameter in positional)
    most = len(positional)
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            most = _MANY
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.default is inspect.Parameter.empty:
            fewest = _MANY + 1  # it cannot be called with an array of arguments
    return Method(name, find, signature.replace(parameters=parameters), fewest, most)

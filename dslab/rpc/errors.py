"""What can become of a call other than a result: the errors, each with the answer to "did it happen?".

::

    PeerError                      (dslab.kit.errors)
    ├── PeerRefused                nobody listens there                                      did not happen
    ├── PeerSilent                 no reply in time: unknown; never sent: did not happen
    ├── PeerClosed                 the connection ended before the reply: unknown; never sent: did not happen
    ├── MalformedMessage           what came is no message: unknown; never sent: did not happen
    └── CallFailed                 the server answered with an error
        ├── NotExecuted            it says that it did not execute the call                  did not happen
        │   ├── MalformedCall      it could not read it                       -32700 -32600
        │   ├── NoSuchMethod       it has no procedure of that name           -32601
        │   ├── BadArguments       the procedure takes other arguments        -32602
        │   ├── TooLate            its deadline had passed before its turn    -32001
        │   ├── Busy               too much to do already                     -32002
        │   └── NotAllowed         an interceptor forbade it                  -32005
        ├── SessionLost            it has forgotten who calls                 -32003         unknown
        ├── Uncertain              it crashed while it executed the call      -32006         unknown
        ├── ReplyForgotten         executed; its reply is not kept any more   -32004         happened
        ├── ReplyUnfit             executed; its result does not travel       -32603         happened
        └── RemoteError            executed; the procedure raised an          -32000         happened
                                   exception of a type not known here

An exception that a procedure raises comes back as its own type where that is built in, or was named to the
client (``exceptions=``) and, made again of its arguments, says the same; else as a `RemoteError`. The text of
the remote traceback is its note, and its attribute ``remote_traceback``. Such an exception says that the
procedure *was* executed.

The codes are those of JSON-RPC 2.0, which leaves -32000 to -32099 to the implementation: another one's -32002
may mean anything, and its -32603 too. So these errors travel with the member ``dslab.error`` in their data,
where their text stands. Without it, such an error, and any other that does not show what was raised, is a
`RemoteError` that says *unknown*.

Source: ch. 4, Remote procedure call (basic operation); ch. 8, RPC semantics in the presence of failures.
"""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

import msgspec

from dslab.kit.errors import Happened, PeerClosed, PeerError, UsageError

MAX_TRACEBACK_CHARS = 8_000
MAX_ARGUMENTS = 16

Exceptions = dict[str, type[Exception]]

MEMBER_ERROR: Final = "dslab.error"

_RAISED: Final = {"type", "args", "traceback"}
"""What is told of an exception."""

_NOT_REBUILT: Final = frozenset({"StopIteration", "StopAsyncIteration"})
"""They mean something to the interpreter that meets them, even when they come from far away."""


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as it travels: the error object of JSON-RPC 2.0; in MessagePack-RPC an array of the same.

    Attributes:
        code: Which kind of error.
        message: One short sentence.
        data: More, for whom it may concern: ``{type, args, traceback}`` for an exception; ``{dslab.error}``
            for what only we mean by the code; else a text.
    """

    code: int
    message: str
    data: Any = None


class DoesNotTravel(UsageError):
    """A value, a name or a message that the codec cannot write."""


def closed_here(method: str) -> PeerClosed:
    """Say that a call cannot begin: its client is closed."""
    error = PeerClosed(f"{method}: this client is closed.")
    error.happened = Happened.NO
    return error


def forked(method: str) -> UsageError:
    """Say that a call cannot begin: the child of a process has no thread but the one that forked."""
    return UsageError(
        f"{method}: the thread of this client is in another process.", remedy="Connect after the fork."
    )


class CallFailed(PeerError):
    """The server answered the call with an error."""

    code: ClassVar[int] = -32603
    text: ClassVar[str] = "Internal error"
    standard: ClassVar[bool] = False  # does the code mean this to everybody?

    def to_fault(self) -> Fault:
        """Give what travels. The standard's own errors travel in the standard's own words."""
        if not self.standard:
            return Fault(self.code, self.text, {MEMBER_ERROR: self.message})
        return Fault(self.code, self.text, None if self.message == self.text else self.message)


class NotExecuted(CallFailed):
    """The server did not execute the call."""

    happened = Happened.NO


class MalformedCall(NotExecuted):
    """The server could not read the call."""

    code, text, standard = -32600, "Invalid Request", True


class ParseError(MalformedCall):
    """The server met bytes that are not even a value."""

    code, text = -32700, "Parse error"


class NoSuchMethod(NotExecuted):
    """The server has no procedure of that name."""

    code, text, standard = -32601, "Method not found", True


class BadArguments(NotExecuted):
    """The procedure takes other arguments."""

    code, text, standard = -32602, "Invalid params", True


class WrongType(BadArguments):
    """A generated server stub met an argument of another type than its interface says."""


class TooLate(NotExecuted):
    """The call's deadline had passed before the server could begin it."""

    code, text = -32001, "The deadline has passed"


class Busy(NotExecuted):
    """The server has too much to do already."""

    code, text = -32002, "The server is busy"


class NotAllowed(NotExecuted):
    """An interceptor forbade the call."""

    code, text = -32005, "Not allowed"


class SessionLost(CallFailed):
    """The server does not know who calls, so it cannot know whether it has executed the call before."""

    code, text = -32003, "Unknown session"


class Uncertain(CallFailed):
    """The server had begun the call when it crashed; how far it came is not known."""

    code, text = -32006, "The server crashed while it executed the call"


class ReplyForgotten(CallFailed):
    """The server has executed the call; its reply is not kept any more."""

    code, text = -32004, "The reply is not kept any more"
    happened = Happened.YES


class ReplyUnfit(CallFailed):
    """The server has executed the call; what came out does not travel."""

    happened = Happened.YES


class RemoteError(CallFailed):
    """The procedure raised an exception of a type that is not known here; or a foreign server says anything.

    Attributes:
        type_name: The exception's type, as the server named it.
        arguments: What it was made of.
        remote_traceback: Where it came from, as text.
    """

    code, text = -32000, "The procedure raised an exception"
    happened = Happened.YES

    def __init__(
        self, message: str, *, type_name: str = "", arguments: Iterable[Any] = (), remote_traceback: str = ""
    ) -> None:
        super().__init__(message)
        self.type_name = type_name
        self.arguments = tuple(arguments)
        self.remote_traceback = remote_traceback


class Raised(Exception):
    """Carries an error of a call that a *procedure* made, out of that procedure.

    That error may say "did not happen", about the call that the procedure made. The procedure did.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def inner(error: BaseException) -> BaseException:
    """Give what a procedure raised: what a `Raised` carries, or the error itself."""
    return error.error if isinstance(error, Raised) else error


_BY_CODE: Final[dict[int, type[CallFailed]]] = {
    kind.code: kind
    for kind in (
        ParseError, MalformedCall, NoSuchMethod, BadArguments, TooLate, Busy, NotAllowed,
        SessionLost, Uncertain, ReplyForgotten, ReplyUnfit,
    )
}  # fmt: skip


def fault_of(error: BaseException) -> Fault:
    """Marshal what a procedure, or the server on its behalf, raised. Whatever that is, this gives a fault."""
    if isinstance(error, Raised):
        error = error.error
    elif isinstance(error, CallFailed):
        return error.to_fault()
    data = {
        "type": type(error).__qualname__,
        "args": [_plain(argument) for argument in _made_of(error)[:MAX_ARGUMENTS]],
        "traceback": shown(error, _traceback_of),
    }
    return Fault(RemoteError.code, shown(error) or type(error).__qualname__, data)


def exception_of(error: Any, method: str, known: Exceptions) -> Exception:
    """Unmarshal the error of a reply.

    Args:
        error: What travelled; of a foreign server it may be anything.
        method: What was called, for the message.
        known: The types, by name, that the client was told of beside the built-in ones.
    """
    fault = as_fault(error)
    data = fault.data if isinstance(fault.data, dict) else {}
    kind = kind_of(fault)
    if kind is not None:
        detail = data.get(MEMBER_ERROR, fault.data if isinstance(fault.data, str) else fault.message)
        return kind(f"{method}: {str(detail).removesuffix('.')}.")
    name, arguments = str(data.get("type", "")), data.get("args", [])
    where = str(data.get("traceback", ""))
    arguments = arguments if isinstance(arguments, list) else []
    tells = data.keys() >= _RAISED
    raised = _rebuilt(name, arguments, fault.message, known) if tells else None
    if raised is None:
        text = f"{method}: {name}: {fault.message}" if name else f"{method}: {fault.message}"
        failed = RemoteError(text, type_name=name, arguments=arguments, remote_traceback=where)
        failed.happened = Happened.YES if tells or MEMBER_ERROR in data else Happened.UNKNOWN
        return failed
    # past what the type itself thinks of attributes: it may be a frozen dataclass
    Exception.__setattr__(raised, "remote_traceback", where)
    if where:
        Exception.__setattr__(raised, "__notes__", [f"Raised by {method} at the server:\n{where}"])
    return raised


def kind_of(error: Any) -> type[CallFailed] | None:
    """Say which error of ours, or of the standard's, a reply's is; None for any other."""
    fault = as_fault(error)
    kind = _BY_CODE.get(fault.code)
    ours = isinstance(fault.data, dict) and MEMBER_ERROR in fault.data
    return kind if kind is not None and (kind.standard or ours) else None


def says_not_executed(error: Any) -> bool:
    """Is this what a server answers that has not executed a call?"""
    return isinstance(error, Fault) and issubclass(_BY_CODE.get(error.code, RemoteError), NotExecuted)


def as_fault(error: Any) -> Fault:
    """Read an error that may come from a foreign server: an object, a pair of code and text, or a text."""
    match error:
        case Fault():
            return error
        case {"code": int(code), "message": str(message)}:
            return Fault(code, message, error.get("data"))
        case [int(code), str(message), *rest]:
            return Fault(code, message, rest[0] if rest else None)
        case bytes():
            return Fault(RemoteError.code, error.decode(errors="replace"))
        case _:
            return Fault(RemoteError.code, error if isinstance(error, str) else repr(error)[:200])


def named(exceptions: Iterable[type[Exception]]) -> Exceptions:
    """Index types by the names under which they travel."""
    return {kind.__qualname__: kind for kind in exceptions}


def _traceback_of(error: BaseException) -> str:
    """The traceback's end, without the frame of the server that called the procedure."""
    where = error.__traceback__
    own = where.tb_next if where is not None and where.tb_next is not None else where
    return "".join(traceback.format_exception(error.with_traceback(own)))[-MAX_TRACEBACK_CHARS:]


def shown(value: Any, how: Callable[[Any], str] = str) -> str:
    """Show a value as text that can be written, even if it objects to be shown."""
    try:
        return how(value).encode(errors="backslashreplace").decode()
    except Exception:  # noqa: BLE001  how it shows itself is the student's business
        return f"<{type(value).__qualname__}>"


def _made_of(error: BaseException) -> tuple[Any, ...]:
    """Give what an exception was made of. One of the operating system keeps the names of files elsewhere."""
    arguments: tuple[Any, ...] = vars(BaseException)["args"].__get__(error)  # whatever its class says
    if isinstance(error, OSError) and error.filename is not None and len(arguments) == 2:
        others = () if error.filename2 is None else (None, error.filename2)
        return (*arguments, error.filename, *others)
    return arguments


def _plain(argument: Any) -> Any:
    """An argument of an exception, as text where it would not travel."""
    if isinstance(argument, float | None) or _is_small(argument):
        return argument
    return shown(argument, str if isinstance(argument, str) else repr)


def _is_small(argument: Any) -> bool:
    return isinstance(argument, int) and argument.bit_length() < 64


def _rebuilt(name: str, arguments: list[Any], message: str, known: Exceptions) -> Exception | None:
    """Make an exception of its own type: a known one, or a built-in one.

    A constructor that makes its arguments into a text would do so again with that text. So what does not say
    what the server's exception said is none of ours.
    """
    kind = known.get(name) or vars(builtins).get(name)
    if not (isinstance(kind, type) and issubclass(kind, Exception)) or name in _NOT_REBUILT:
        return None
    try:
        raised = kind(*arguments)
    except Exception:  # noqa: BLE001  its constructor is the student's, and takes what it likes
        return None
    return raised if name not in known or (shown(raised) or name) == message else None

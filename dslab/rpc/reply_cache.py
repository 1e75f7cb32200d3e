"""The reply cache: which calls have been executed, and what came of them. The memory of at-most-once.

A call that comes a second time, because its reply or its acknowledgement was lost, or because the network
doubled it, must not be executed again. So the server remembers, for each session::

    ... 41  42 | 43      44     45       46        47 ...
    forgotten  | reply   reply  (never   executing  not yet
               |                came)               here
               floor: the caller needs no reply below it

and a call is one of five things (`look`): new; executing; executed, here is the reply; stale (below the
floor: a late copy of what the caller has done with); or of a session that nobody here knows, in which case
no one can say whether it has been executed, and it is not.

How it stays bounded: a session has at most ``window`` calls above its floor, further ones are refused until
the caller acknowledges; there are ``max_sessions``, the one that has been still for longest goes first; and
all replies together have ``max_bytes``, the oldest go first, and leave a mark that says *executed*, or not.

No clock, no I/O. It is keyed by session, not by connection or address: a caller may come back on another
connection, or after a restart, with its session's number, and still be recognized.

Source: ch. 8, RPC semantics in the presence of failures. A. Birrell and B. Nelson, "Implementing Remote
Procedure Calls", 1984; RIFL (C. Lee et al., "Implementing linearizability at large scale and low latency",
2015) for acknowledgements and for leases instead of our count.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from dslab.rpc.errors import Busy
from dslab.rpc.messages import Context, Response

DEFAULT_WINDOW = 256
DEFAULT_MAX_SESSIONS = 1_024
DEFAULT_MAX_BYTES = 16 * 1024 * 1024


class Known(Enum):
    """What the server knows of a call whose reply it does not have."""

    NEW = "new"
    EXECUTING = "executing"
    FORGOTTEN = "executed, and the reply is not kept any more"
    REFUSED = "not executed, and the reason is not kept any more"
    UNCERTAIN = "begun before a crash; nobody knows how far it came"
    STALE = "the caller does not need it any more"
    BEYOND = "too far ahead of what the caller has acknowledged"
    UNKNOWN_SESSION = "of a session that is not known here"


_NEW, _EXECUTING = Known.NEW, Known.EXECUTING  # a global is quicker than an enum's attribute

Identity: TypeAlias = tuple[int, int]
"""Session and number of a call."""

_Size: TypeAlias = tuple[int, Known]
_NOTHING: _Size = (0, Known.FORGOTTEN)
"""The bytes of a reply, and what remains known when it has to go."""


@dataclass(slots=True)
class Session:
    """What is known of one caller.

    Attributes:
        floor: The caller needs no reply to calls below it.
        calls: What came of those from there on, by their number; a `Response` is the reply, marshalled.
        executing: How many of them are under way.
    """

    floor: int = 1
    calls: dict[int, Known | Response] = field(default_factory=dict)
    executing: int = 0


class ReplyCache:
    """The sessions of one server.

    Args:
        first_session: Where the numbers of sessions begin. Random, so that no other server, and no earlier
            life of this one, has given the same.
        window: How many calls of a session may be unacknowledged.
        max_sessions: How many callers are known at a time.
        max_bytes: How much all replies may take together.
    """

    def __init__(
        self,
        first_session: int,
        *,
        window: int = DEFAULT_WINDOW,
        max_sessions: int = DEFAULT_MAX_SESSIONS,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self.window = window
        self.max_sessions = max_sessions
        self.max_bytes = max_bytes
        self._next_session = first_session
        self._unused: OrderedDict[int, Session] = OrderedDict()  # opened, and never called from
        self._sessions: OrderedDict[int, Session] = OrderedDict()  # the stillest first
        self._sizes: OrderedDict[Identity, _Size] = OrderedDict()  # of the replies, the oldest first
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._unused) + len(self._sessions)

    @property
    def reply_bytes(self) -> int:
        """How much the replies take."""
        return self._bytes

    def open(self) -> int:
        """Begin a session: gives its number.

        Raises:
            Busy: There are too many, and each has a call under way.
        """
        if len(self) >= self.max_sessions:
            self._evict()
        session = self._next_session
        self._next_session += 1
        self._unused[session] = Session()
        return session

    def look(self, context: Context) -> Known | Response:
        """Say what a call is. Takes note of what its caller has acknowledged."""
        caller, number = context.session, context.number
        if (session := self._sessions.get(caller)) is not None:
            self._sessions.move_to_end(caller)
        elif (session := self._unused.pop(caller, None)) is not None:
            self._sessions[caller] = session
        else:
            return Known.UNKNOWN_SESSION
        if context.acknowledged > session.floor:
            self._acknowledge(caller, session, context.acknowledged)
        if session.floor <= number < session.floor + self.window:
            return session.calls.get(number, _NEW)
        return Known.STALE if number < session.floor else Known.BEYOND

    def begin(self, context: Context) -> None:
        """Take note that a new call is being executed."""
        session = self._sessions[context.session]
        session.calls[context.number] = _EXECUTING
        session.executing += 1

    def finish(self, context: Context, reply: Response, size: int, remains: Known = Known.FORGOTTEN) -> None:
        """Keep a reply, unless its caller has given up the call meanwhile.

        Args:
            context: Whose reply it is.
            reply: The reply itself, marshalled.
            size: How many bytes it takes.
            remains: What will be known of the call when there is no more room for the reply.
        """
        session = self._sessions[context.session]
        session.executing -= 1
        if context.number in session.calls:
            self._keep(context.session, session, context.number, reply, (size, remains))

    def refuse(self, context: Context) -> None:
        """Take note that a call which was begun is not executed after all."""
        session = self._sessions[context.session]
        session.executing -= 1
        if context.number in session.calls:
            session.calls[context.number] = Known.REFUSED

    def restore(self, identity: Identity, floor: int, known: Known | Response, size: int = 0) -> None:
        """Take over what an earlier life of this server wrote down of a call. At the end, `settle`."""
        number, call = identity
        session = self._restored(number, floor)
        if call < session.floor:
            return
        if isinstance(known, Response):
            remains = Known.FORGOTTEN if known.error is None else Known.UNCERTAIN
            self._keep(number, session, call, known, (size, remains))
        else:
            session.calls[call] = known

    def sessions(self) -> Iterator[tuple[int, int, dict[int, Known | Response]]]:
        """Give each session's number, its floor, and what is known of its calls."""
        for number, session in (*self._sessions.items(), *self._unused.items()):
            yield number, session.floor, session.calls

    def restore_session(self, number: int, floor: int = 1) -> None:
        """Take over a session that an earlier life of this server opened."""
        if floor == 1 and number not in self._sessions:
            self._unused[number] = Session()
        else:
            self._restored(number, floor)

    def settle(self) -> None:
        """Forget sessions beyond the bound, once all is restored: half a session would be executed twice."""
        while len(self) > self.max_sessions:
            self._evict()

    def _restored(self, number: int, floor: int) -> Session:
        session = self._sessions.setdefault(number, self._unused.get(number) or Session())
        self._unused.pop(number, None)
        self._sessions.move_to_end(number)
        if floor > session.floor:
            self._acknowledge(number, session, floor)
        return session

    def _acknowledge(self, number: int, session: Session, floor: int) -> None:
        calls, sizes = session.calls, self._sizes
        gone: Iterable[int] = range(session.floor, floor)
        if floor - session.floor > len(calls):
            gone = [call for call in calls if call < floor]
        session.floor = floor
        for call in gone:
            if calls.pop(call, None) is not None:
                self._bytes -= sizes.pop((number, call), _NOTHING)[0]

    def _keep(self, number: int, session: Session, call: int, reply: Response, size: _Size) -> None:
        session.calls[call] = reply
        self._sizes[number, call] = size
        self._bytes += size[0]
        while self._bytes > self.max_bytes:
            (owner, oldest), (released, remains) = self._sizes.popitem(last=False)
            self._bytes -= released
            self._sessions[owner].calls[oldest] = remains

    def _evict(self) -> None:
        """Forget a session: one that was never used, else the one that has been still for longest."""
        if self._unused:
            self._unused.popitem(last=False)
            return
        for number, session in self._sessions.items():
            if not session.executing:
                self._acknowledge(number, session, session.floor + self.window)
                del self._sessions[number]
                return
        raise Busy(f"{len(self)} sessions have calls under way.")

"""The two stubs as state machines: messages and time in, messages out.

`ClientStub` turns a call into requests: it numbers them, sends them again while no reply comes (if the
semantics allow it), pairs replies with calls, gives up at the deadline, and says then what is known::

    begin ──> queued ──> sent ──> ended: a reply │ PeerSilent at its deadline │ PeerClosed
                │         ^ │
                │         └─┘ every retry_s, and after each new connection  (not under ``maybe``)
                └── until the session is open and its window has room       (at-most-once only);
                    while there is no connection, or the server takes no more

Arguments are copied in: what a call sends, and sends again, is what they were when it began.

==============  ==================  =============================  =========================================
semantics       sent                executed                       the server
==============  ==================  =============================  =========================================
maybe           once                once, or not at all            executes what comes
at-least-once   until answered      once or more often, or, if     executes what comes: the procedure must
                                    the caller gives up, unknown   not mind (be idempotent)
at-most-once    until answered      once, or, if the caller        recognizes the copies by their call
                                    gives up, perhaps not at all   identity and repeats the reply it kept
==============  ==================  =============================  =========================================

`ServerStub` decides about each message that comes: execute it, answer it at once, or ignore it.

Nothing here opens a socket, reads a clock, starts a thread or draws a number. The shells (`client`,
`threaded`, `aclient`, `server`, ...) do, and pass the results in; one core is beneath them all.

Source: ch. 4, Remote procedure call (basic operation); ch. 8, RPC semantics in the presence of failures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from enum import Enum
from math import inf
from operator import attrgetter
from typing import Any, Final, Literal, TypeAlias

import msgspec

from dslab.kit.errors import DslabError, Happened, PeerClosed, PeerError, PeerSilent, UsageError
from dslab.rpc.errors import (
    Busy,
    CallFailed,
    DoesNotTravel,
    Exceptions,
    ReplyForgotten,
    ReplyUnfit,
    SessionLost,
    TooLate,
    Uncertain,
    exception_of,
    kind_of,
    says_not_executed,
)
from dslab.rpc.messages import (
    HELLO,
    Context,
    Id,
    Invalid,
    MalformedMessage,
    Message,
    Notification,
    Params,
    Request,
    Response,
)
from dslab.rpc.reply_cache import Identity, Known, ReplyCache

Semantics: TypeAlias = Literal["maybe", "at-least-once", "at-most-once"]
Peer: TypeAlias = Hashable
Order: TypeAlias = Request | Notification | Response | Literal[Known.EXECUTING] | None

DEFAULT_RETRY_S = 0.5
MAX_BACKOFF = 8  # times retry_s
MAX_ID = 0xFFFF_FFFF  # MessagePack-RPC has 32 bits for it


class Peerhood(Enum):
    """What a client knows of its server's understanding of the `Context`."""

    UNASKED = "unasked"
    ASKED = "asked"
    OURS = "it understands"
    PLAIN = "it does not"


class Call(msgspec.Struct, eq=False):
    """A call at its client: what it asks, and how far it has come.

    Attributes:
        id: Pairs requests with replies.
        deadline_s: When the caller gives up.
        transmissions: How often it was sent.
        session: The session that it belongs to; 0 for none.
        number: Its number in that session.
        one_way: Will there be no reply?
        response: The reply, once there is one.
        error: Why there will be none.
        ended: Is it known what came of it?
        waiter: The shell's: who waits for it.
    """

    id: int
    method: str
    params: Params
    timeout_s: float
    deadline_s: float
    retry_at_s: float = inf
    transmissions: int = 0
    session: int = 0
    number: int = 0
    one_way: bool = False
    response: Response | None = None
    error: DslabError | None = None
    ended: bool = False
    waiter: Any = None

    def result(self, known: Exceptions) -> Any:
        """Give the result, or raise what came in its place. To be asked once it has ended."""
        response = self.response
        if response is None:
            assert self.error is not None
            raise self.error
        if response.error is None:
            return response.result
        error = exception_of(response.error, self.method, known)
        if isinstance(error, Busy | TooLate) and self.transmissions > 1 and not self.number:
            error.happened = Happened.UNKNOWN  # another copy may have met a server with more time
        raise error


def answered(result: Any) -> Call:
    """Give a call that has its reply, though nothing was sent."""
    return Call(0, "", [], 0.0, 0.0, response=Response(0, None, result), ended=True)


class ClientStub:
    """The client's side.

    Args:
        first_id: Where the ids of requests begin.
        freeze: Marshals a value (`Codec.freeze`): what is sent later, or again, must not change meanwhile.
        semantics: What may happen to a call whose reply is missing.
        retry_s: How long to wait for a reply before the first retransmission; then twice as long, and so on.
        deadlines: Tell the server how long the caller waits (if it understands that).
        session: Continue this session of a server, from an earlier life of this client, ...
        first_number: ... from this call number on.

    Attributes:
        outgoing: What is to be sent. The shell takes it out (`take_outgoing`).
        wakeup_s: When to call `tick`; it may turn out to have been for nothing.
        sent: How many requests were sent, retransmissions included.
        discarded: How many replies came that nobody waits for.
        connected: Is there a connection?
        full: Does the server take no more for now? Then requests wait here, where they can be given up.
        peerhood: Whether the server understands call identities.
    """

    def __init__(
        self,
        first_id: int = 1,
        *,
        freeze: Callable[[Any], Any] = lambda value: value,
        semantics: Semantics = "maybe",
        retry_s: float = DEFAULT_RETRY_S,
        deadlines: bool = False,
        session: int = 0,
        first_number: int = 1,
    ) -> None:
        self.semantics = semantics
        self.retry_s = retry_s
        self.outgoing: list[Request | Notification] = []
        self.wakeup_s = inf
        self.sent = 0
        self.discarded = 0
        self.connected = True
        self.full = False
        self.session = session
        self._freeze = freeze
        self._identified = semantics == "at-most-once"
        self._deadlines = deadlines
        self._plain = semantics == "maybe" and not deadlines  # nothing is sent again, nor with a context
        self._next_id = first_id
        self._next_number = first_number
        self._window = 1  # until the server has told
        self._knows_window = False
        self.peerhood = Peerhood.OURS if session else Peerhood.UNASKED
        self._hello: Call | None = None
        self._open: dict[Id, Call] = {}
        self._numbered: dict[int, Call] = {}  # those of the session, in order
        self._queue: deque[Call] = deque()
        self._held: list[Call] | None = None  # the calls of a batch that is not complete yet

    def __len__(self) -> int:
        return len(self._open)

    @property
    def next_number(self) -> int:
        """The number of the next call of this session: what a later life has to go on from."""
        return self._next_number

    @property
    def acknowledged(self) -> int:
        """Every call below this number has ended."""
        return next(iter(self._numbered), self._next_number)

    def take_outgoing(self) -> list[Request | Notification]:
        """Take what is to be sent: nothing while a batch is being made."""
        if self._held is not None:
            return []
        outgoing, self.outgoing = self.outgoing, []
        return outgoing

    def left_s(self, message: Request | Notification, now_s: float) -> float:
        """Say how long the caller of what is to be sent still waits: not at all for a call that has ended."""
        if isinstance(message, Notification):
            return inf
        call = self._open.get(message.id)
        return 0.0 if call is None else max(0.0, call.deadline_s - now_s)

    def hold(self) -> None:
        """Begin a batch: `outgoing` is left to grow until the shell has sent it in one piece."""
        self._held = []

    def release(self) -> None:
        """End a batch that was sent, be it in part."""
        self._held = None
        self.outgoing = []

    def withdraw(self, now_s: float) -> list[Call]:
        """End a batch that was not sent: gives its calls, none of which has happened."""
        calls = [call for call in self._held or () if call.id in self._open]
        self._held = None
        ids = {call.id for call in calls}
        self.outgoing = [each for each in self.outgoing if type(each) is Request and each.id not in ids]
        calls.sort(key=attrgetter("transmissions"))  # as in `tick`
        for call in calls:
            self.sent -= call.transmissions
            call.transmissions = 0
            error = PeerSilent(f"{call.method}: the batch that it belongs to was never sent.")
            error.happened = Happened.NO
            self._end(call, error, now_s)
        return calls

    def begin(self, method: str, params: Params, now_s: float, timeout_s: float) -> Call:
        """Begin a call.

        Raises:
            DoesNotTravel: An argument cannot be written, and this call does not leave at once. (Of one that
                does, whoever writes its request finds that out.)
        """
        at_once = self._plain and self.connected and not self.full and self._held is None
        if not at_once:
            if not method.isascii():
                self._freeze(method)  # half a character does not travel
            params = self._freeze(params)
        number = self._next_id
        self._next_id = number % MAX_ID + 1
        deadline_s = now_s + timeout_s
        self._open[number] = call = Call(number, method, params, timeout_s, deadline_s)
        if deadline_s < self.wakeup_s:  # noqa: PLR1730  min() takes longer
            self.wakeup_s = deadline_s
        if at_once:  # as `_send` would, in fewer steps
            call.transmissions = 1
            self.sent += 1
            self.outgoing.append(Request(number, method, params))
            return call
        if self._held is not None:
            self._held.append(call)
        if self._identified or (self._deadlines and self.peerhood is not _OURS):
            self._queue.append(call)
            self._send_queued(now_s)
        else:
            self._send(call, now_s)
        return call

    def notify(self, method: str, params: Params, now_s: float, timeout_s: float) -> None:
        """Send a one-way call: sent once, and never heard of again.

        Without a connection, or while the server takes no more, it waits, as long as a call would.
        """
        if self.connected and not self.full and self._held is None:
            self.outgoing.append(Notification(method, params))
            return
        self._freeze(method)
        call = Call(self._take_id(), method, self._freeze(params), timeout_s, now_s + timeout_s, one_way=True)
        self._open[call.id] = call
        if self._held is not None:
            self._held.append(call)
        self.wakeup_s = min(self.wakeup_s, call.deadline_s)
        self._send(call, now_s)

    def receive(self, message: Message, now_s: float) -> Call | None:
        """Take a message: gives the call that it ends.

        Raises:
            MalformedMessage: It is none, and came in the place of one.
        """
        call = self._open.pop(message.id, None) if type(message) is Response else None
        if call is None:
            if type(message) is Invalid:
                raise MalformedMessage(f"What came is no message: {message.fault.message}.")
            self.discarded += 1
            return None
        assert type(message) is Response
        call.response, call.ended = message, True
        if call is self._hello:
            self._greeted(call, message, now_s)
            return None
        if call.number:
            self._close_number(call, message, now_s)
        return call

    def tick(self, now_s: float) -> list[Call]:
        """Take the passing of time: gives the calls that it ends; others may be sent again."""
        ended = [call for call in self._open.values() if now_s >= call.deadline_s]
        ended.sort(key=attrgetter("transmissions"))  # what never left must not leave now that there is room
        for call in ended:
            self._end(call, _silence(call), now_s)
        if self._hello is not None and not self._queue:
            self._open.pop(self._hello.id, None)
            self._forget_hello()
        flows = self.connected and not self.full
        if flows:
            for call in [call for call in self._open.values() if now_s >= call.retry_at_s]:
                self._send(call, now_s)
        times_s = [min(call.deadline_s, call.retry_at_s if flows else inf) for call in self._open.values()]
        self.wakeup_s = min(times_s, default=inf)
        return ended

    def give_up(self, call: Call, now_s: float) -> None:
        """End a call whose caller does not wait any longer."""
        if call.id in self._open:
            self._end(call, _silence(call), now_s)

    def refuse(self, message: Request | Notification, error: UsageError, now_s: float) -> None:
        """Take note that a message cannot be sent: ends its call, or, of a one-way call, raises the error."""
        call = self._open.get(message.id) if type(message) is Request else None
        if call is None:
            raise error
        self._end(call, error, now_s)

    def take_room(self, now_s: float) -> None:
        """The server takes more again: send what has waited for that."""
        self.full = False
        self.wakeup_s = now_s  # what should have been sent again meanwhile
        for call in list(self._open.values()):
            if not call.transmissions and not self._is_queued(call):
                self._send(call, now_s)

    def send_one_way(self, now_s: float) -> None:
        """There will be no later: send the one-way calls that wait until the server takes more."""
        self.full = False
        for call in [call for call in self._open.values() if call.one_way]:
            self._send(call, now_s)

    def connection_made(self, now_s: float) -> None:
        """There is a connection again: send again what may be sent again."""
        self.connected = True
        for call in list(self._open.values()):
            if call.transmissions or not self._is_queued(call):
                self._send(call, now_s)

    def connection_lost(
        self, reason: str, now_s: float, *, final: bool = False, kind: type[PeerError] = PeerClosed
    ) -> list[Call]:
        """The connection has ended: gives the calls that this ends; all, if there will be no other."""
        self.connected = self.full = False
        self.outgoing.clear()
        self._take_back()
        ended = [
            call for call in self._open.values() if final or (call.transmissions and not self._repeats(call))
        ]
        for call in ended:
            error = kind(f"{call.method}: {reason}")
            if not call.transmissions:
                error.happened = Happened.NO
            self._end(call, error, now_s)
        return ended

    # ---- inside

    def _take_id(self) -> int:
        number = self._next_id
        self._next_id = number % MAX_ID + 1
        return number

    def _take_back(self) -> None:
        """Let the calls of a batch that is being made wait, as if they had begun without a connection."""
        for call in self._held or ():
            if call.error is None and call.response is None:  # else it has ended
                self.sent -= call.transmissions
                call.transmissions, call.ended = 0, False
                self._open.pop(call.id, None)
                self._open[call.id] = call  # one-way calls were there no more: all in the order of the batch

    def _repeats(self, call: Call) -> bool:
        """May it be sent again? Without a call identity, at-most-once means: no."""
        return call.number > 0 or self.semantics == "at-least-once" or call is self._hello

    def _is_queued(self, call: Call) -> bool:
        return call.transmissions == 0 and call in self._queue

    def _send(self, call: Call, now_s: float) -> None:
        if not self.connected or self.full:
            return  # until there is a way again
        if call.one_way:
            self._open.pop(call.id)
            call.ended = True
            self.outgoing.append(Notification(call.method, call.params))
            return
        call.transmissions += 1
        if not self._plain and self._repeats(call):
            backoff = 1 if call.transmissions == 1 else min(2 ** (call.transmissions - 1), MAX_BACKOFF)
            call.retry_at_s = now_s + self.retry_s * backoff
            self.wakeup_s = min(self.wakeup_s, call.retry_at_s)
        self.sent += 1
        context = None if self._plain else self._context(call, now_s)
        self.outgoing.append(Request(call.id, call.method, call.params, context))

    def _context(self, call: Call, now_s: float) -> Context | None:
        """Give what a request carries beside the standards. A call with an identity never goes without."""
        if call is self._hello or (not call.number and self.peerhood is not _OURS):
            return None
        acknowledged = self.acknowledged if call.session == self.session else 0
        timeout_s = None if call.deadline_s == inf else call.deadline_s - now_s
        return Context(call.session, call.number, acknowledged, timeout_s)

    def _send_queued(self, now_s: float) -> None:
        """Send from the queue what may be sent now."""
        if self.peerhood is Peerhood.UNASKED and self._queue:
            self._ask(now_s)
        while self._queue and self._may_send():
            call = self._queue.popleft()
            if self._identified and self.peerhood is _OURS:
                call.session, call.number = self.session, self._next_number
                self._numbered[call.number] = call
                self._next_number += 1
            self._send(call, now_s)
        if self._queue and self.peerhood is _OURS and not self._knows_window and self._hello is None:
            self._ask(now_s)  # of a session that goes on from an earlier life

    def _may_send(self) -> bool:
        if self.peerhood is _OURS:
            return not self._identified or self._next_number < self.acknowledged + self._window
        return self.peerhood is Peerhood.PLAIN

    def _ask(self, now_s: float) -> None:
        """Ask the server whether it understands call identities, for a session, and for its window."""
        if self.peerhood is Peerhood.UNASKED:
            self.peerhood = Peerhood.ASKED
        self._hello = Call(self._take_id(), HELLO, [], inf, inf)
        self._open[self._hello.id] = self._hello
        self._send(self._hello, now_s)

    def _forget_hello(self) -> None:
        self._hello = None
        if self.peerhood is Peerhood.ASKED:
            self.peerhood = Peerhood.UNASKED

    def _greeted(self, hello: Call, response: Response, now_s: float) -> None:
        asked = self.peerhood is Peerhood.ASKED
        if asked and response.error is not None and _says_busy(response.error):  # it understands: ask again
            hello.response, hello.ended = None, False
            self._open[hello.id] = hello
            return
        self._hello, self._knows_window = None, True
        match response.result:
            case [int(session), int(window)] if response.error is None:
                self._window = window
                if asked:
                    self.session, self.peerhood = session, Peerhood.OURS
                    self._numbered, self._next_number = {}, 1
            case _ if asked:
                self.peerhood = Peerhood.PLAIN
        self._send_queued(now_s)

    def _close_number(self, call: Call, response: Response, now_s: float) -> None:
        """A numbered call has ended. If the server has forgotten the session, the next call opens another."""
        if call.session == self.session:
            self._numbered.pop(call.number, None)
            if response.error is not None and kind_of(response.error) is SessionLost:
                self.session = 0
                self.peerhood = Peerhood.UNASKED if self._hello is None else Peerhood.ASKED
        if self._queue:
            self._send_queued(now_s)

    def _end(self, call: Call, error: DslabError, now_s: float) -> None:
        call.error, call.ended = error, True
        self._open.pop(call.id, None)
        if call is self._hello:
            self._forget_hello()
        elif call.number and call.session == self.session:
            self._numbered.pop(call.number, None)
        elif self._is_queued(call):
            self._queue.remove(call)
        self._send_queued(now_s)


def _says_busy(error: Any) -> bool:
    return isinstance(exception_of(error, HELLO, {Busy.__name__: Busy}), Busy)


def _silence(call: Call) -> PeerSilent:
    """Say that no reply came, and what follows from that."""
    waited = f"{call.method}: no reply within {call.timeout_s:g} s"
    if not call.transmissions:
        error = PeerSilent(f"{waited}; the call was never sent.")
        error.happened = Happened.NO
        return error
    times = f", though it was sent {call.transmissions} times" if call.transmissions > 1 else ""
    return PeerSilent(f"{waited}{times}. Whether it was executed is not known.")


class ServerStub:
    """The server's side.

    Args:
        cache: What it remembers of identified calls.
        freeze: Marshals a value (`Codec.freeze`): a kept reply must not change with the object that it shows.
        durable: Collect `changes` for somebody who writes them down.

    Attributes:
        executed: How many requests were given out to be executed.
        repeated: How many were answered from the cache.
    """

    def __init__(
        self, cache: ReplyCache, freeze: Callable[[Any], msgspec.Raw], *, durable: bool = False
    ) -> None:
        self.executed = 0
        self.repeated = 0
        self._cache = cache
        self._freeze = freeze
        self._durable = durable
        self._changes: list[Change] = []
        self._waiting: dict[Identity, tuple[tuple[Peer, Id], ...]] = {}

    def hello(self) -> list[int]:
        """Open a session: what `HELLO` gives. ``[session, window]``."""
        session = self._cache.open()
        if self._durable:
            self._changes.append((session,))
        return [session, self._cache.window]

    def changes(self) -> list[Change]:
        """Take what is to be on disk before anything that `receive` or `finish` gave is acted upon."""
        changes, self._changes = self._changes, []
        return changes

    def receive(self, peer: Peer, message: Message) -> Order:
        """Take a message from a peer.

        Returns:
            The request itself, or a notification: execute it (and call `finish`, for a request). A response:
            send it. `Known.EXECUTING`: `finish` will answer it, with the call of which it is a copy. None:
            there is nothing to do, and there will be no answer.
        """
        if type(message) is Request:
            if message.context is None or not message.context.session:
                self.executed += 1
                return message
            return self._receive_identified(peer, message, message.context)
        if type(message) is Notification:
            return message
        return Response(message.id, message.fault) if type(message) is Invalid else None

    def refuse(self, request: Request, why: str) -> Response:
        """Take back an identified request that `receive` has just given out: gives its answer."""
        assert request.context is not None
        self.executed -= 1
        self._waiting.pop((request.context.session, request.context.number))
        self._cache.refuse(request.context)
        return Response(request.id, Busy(why).to_fault())

    def finish(self, peer: Peer, request: Request, response: Response) -> list[tuple[Peer, Response]]:
        """Take the reply to an executed request: gives what is to be sent to whom."""
        context = request.context
        if context is None or not context.session:
            return [(peer, response)]
        reply = self.frozen(response)
        remains = _REFUSED if response.error is not None and says_not_executed(response.error) else _FORGOTTEN
        self._cache.finish(context, reply, size_of(reply), remains)
        if self._durable:
            self._changes.append((context.session, context.number, context.acknowledged, reply))
        waiting = self._waiting.pop((context.session, context.number), ())
        if len(waiting) == 1 and waiting[0][1] == reply.id:
            return [(waiting[0][0], reply)]
        return [(who, Response(number, reply.error, reply.result)) for who, number in waiting]

    def _receive_identified(self, peer: Peer, request: Request, context: Context) -> Order:
        known = self._cache.look(context)
        if known is _NEW:
            self._cache.begin(context)
            self._waiting[context.session, context.number] = ((peer, request.id),)
            if self._durable:
                self._changes.append((context.session, context.number, context.acknowledged))
            self.executed += 1
            return request
        if known is _EXECUTING:
            waiting = self._waiting[context.session, context.number]
            if (peer, request.id) in waiting or len(waiting) == MAX_WAITING:
                return None
            self._waiting[context.session, context.number] = (*waiting, (peer, request.id))
            return _EXECUTING
        if isinstance(known, Response):
            self.repeated += 1
            return Response(request.id, known.error, known.result)
        error = _REFUSALS.get(known)
        return Response(request.id, error(error.text).to_fault()) if error else None

    def frozen(self, response: Response) -> Response:
        """Marshal what is to be kept for later. What cannot be marshalled has been executed nevertheless."""
        try:
            if response.error is None:
                return Response(response.id, None, self._freeze(response.result))
            return Response(response.id, self._freeze(response.error))
        except DoesNotTravel as error:
            return Response(response.id, self._freeze(ReplyUnfit(str(error)).to_fault()))


# looked up for every call: a global is quicker than an enum's attribute
_NEW, _FORGOTTEN, _REFUSED = Known.NEW, Known.FORGOTTEN, Known.REFUSED
_EXECUTING: Final = Known.EXECUTING
_OURS = Peerhood.OURS

Change: TypeAlias = (
    tuple[int]
    | tuple[int, int]
    | tuple[int, int, int]
    | tuple[int, int, int, Response]
    | tuple[int, int, int, bool]
)
"""A session was opened; it stands at a floor; a call was begun (session, number, acknowledged); it was
executed: its reply; of a reply that is gone: was it executed?"""

MAX_WAITING = 8
"""How many copies of a call that is being executed are remembered to be answered."""

_REFUSALS: dict[Known, type[CallFailed]] = {
    Known.FORGOTTEN: ReplyForgotten,
    Known.REFUSED: Busy,
    Known.UNCERTAIN: Uncertain,
    Known.BEYOND: Busy,
    Known.UNKNOWN_SESSION: SessionLost,
}


def size_of(reply: Response) -> int:
    """Give how many bytes a marshalled reply takes."""
    return memoryview(reply.result if reply.error is None else reply.error).nbytes

"""The stubs and the reply cache, move by move. (Their meeting on a bad network: test_schedules.)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dslab.kit.errors import Happened, PeerClosed, PeerSilent
from dslab.rpc.errors import Busy, DoesNotTravel, Fault, NoSuchMethod, Raised, SessionLost, fault_of
from dslab.rpc.messages import Context, Invalid, MalformedMessage, Notification, Request, Response
from dslab.rpc.msgpack_rpc import MsgpackCodec
from dslab.rpc.protocol import ClientStub, Peerhood, ServerStub
from dslab.rpc.reply_cache import Known, ReplyCache

CODEC = MsgpackCodec()
SESSION, WINDOW = 700, 2
LOST, BUSY = [[*msgspec.structs.astuple(kind(kind.text).to_fault())] for kind in (SessionLost, Busy)]


def greeted(**options: Any) -> ClientStub:
    """A stub under at-most-once that has its session."""
    stub = ClientStub(semantics="at-most-once", retry_s=1.0, **options)
    first = stub.begin("first", [], 0.0, 10.0)
    (hello,) = stub.take_outgoing()
    assert hello.method == "rpc.hello"
    assert stub.receive(Response(hello.id, None, [SESSION, WINDOW]), 0.0) is None  # type: ignore[union-attr]
    (request,) = requests(stub)
    assert request.context == Context(SESSION, 1, 1, 10.0)
    assert stub.receive(Response(request.id, None, "done"), 0.0) is first
    return stub


def requests(stub: ClientStub) -> list[Request]:
    return [message for message in stub.take_outgoing() if isinstance(message, Request)]


# ---- the client stub


def test_maybe_is_sent_once_and_is_as_the_standard_has_it() -> None:
    stub = ClientStub()
    call = stub.begin("add", [1, 2], 0.0, 5.0)
    assert stub.take_outgoing() == [Request(1, "add", [1, 2], None)]
    assert stub.tick(4.9) == []
    assert stub.take_outgoing() == []
    assert stub.tick(5.0) == [call]
    with pytest.raises(PeerSilent) as raised:
        call.result({})
    assert raised.value.happened is Happened.UNKNOWN
    assert stub.receive(Response(1, None, 3), 6.0) is None
    assert stub.discarded == 1


def test_at_least_once_is_sent_again_ever_more_rarely_under_the_same_id() -> None:
    stub = ClientStub(semantics="at-least-once", retry_s=1.0)
    stub.begin("add", [], 0.0, 100.0)
    sent_s = []
    for tenth in range(300):
        stub.tick(tenth / 10)
        if sent := requests(stub):
            sent_s.append(tenth / 10)
            assert [each.id for each in sent] == [1]
    assert sent_s == [0.0, 1.0, 3.0, 7.0, 15.0, 23.0]


def test_a_copy_has_the_same_identity_and_less_time() -> None:
    stub = greeted()
    stub.begin("add", [], 0.0, 10.0)
    (request,) = requests(stub)
    stub.tick(4.0)
    (copy,) = requests(stub)
    assert (copy.id, copy.method, copy.params) == (request.id, request.method, request.params)
    assert copy.context == Context(SESSION, 2, 2, 6.0)


def test_calls_beyond_the_window_wait_until_earlier_ones_have_ended() -> None:
    stub = greeted()
    calls = [stub.begin("add", [], 0.0, 10.0) for _ in range(4)]
    sent = requests(stub)
    assert [each.context.number for each in sent if each.context] == [2, 3]
    assert stub.receive(Response(sent[1].id, None, 0), 0.0) is calls[1]
    assert requests(stub) == []  # 2 is still open: the server's window has not moved
    assert stub.receive(Response(sent[0].id, None, 0), 0.0) is calls[0]
    assert [each.context for each in requests(stub)] == [
        Context(SESSION, 4, 4, 10.0),
        Context(SESSION, 5, 4, 10.0),
    ]


def test_a_call_that_never_left_did_not_happen() -> None:
    stub = greeted()
    calls = [stub.begin("add", [], 0.0, 10.0) for _ in range(3)]
    assert set(stub.tick(10.0)) == set(calls)
    with pytest.raises(PeerSilent) as raised:
        calls[2].result({})
    assert raised.value.happened is Happened.NO


def test_a_plain_server_gets_each_call_once() -> None:
    stub = ClientStub(semantics="at-most-once", retry_s=1.0)
    call = stub.begin("add", [], 0.0, 10.0)
    (hello,) = requests(stub)
    stub.receive(Response(hello.id, "no such method"), 0.0)
    assert stub.peerhood is Peerhood.PLAIN
    assert [each.context for each in requests(stub)] == [None]
    stub.tick(5.0)
    assert requests(stub) == []
    assert stub.connection_lost("it broke.", 6.0) == [call]
    with pytest.raises(PeerClosed) as raised:
        call.result({})
    assert raised.value.happened is Happened.UNKNOWN


def test_a_lost_session_ends_the_call_and_the_next_opens_another() -> None:
    stub = greeted()
    call = stub.begin("add", [], 0.0, 10.0)
    (request,) = requests(stub)
    assert stub.receive(Response(request.id, LOST), 0.0) is call
    with pytest.raises(SessionLost):
        call.result({})
    stub.begin("add", [], 0.0, 10.0)
    (hello,) = requests(stub)
    stub.receive(Response(hello.id, None, [SESSION + 1, WINDOW]), 0.0)
    assert [each.context for each in requests(stub)] == [Context(SESSION + 1, 1, 1, 10.0)]


def test_a_copy_keeps_its_identity_while_the_next_session_is_asked_for() -> None:
    """Sent without it, it would be executed as if it were new."""
    stub = greeted()
    stub.begin("one", [], 0.0, 10.0)
    stub.begin("two", [], 0.0, 10.0)
    one, _two = requests(stub)
    stub.receive(Response(one.id, LOST), 0.0)
    stub.begin("three", [], 0.0, 10.0)
    assert [each.method for each in requests(stub)] == ["rpc.hello"]
    stub.connection_lost("it broke.", 1.0)
    stub.connection_made(1.0)
    again = {each.method: each.context for each in requests(stub)}
    assert again["two"] == Context(SESSION, 3, 0, 9.0)
    assert "three" not in again


def test_a_connection_that_was_lost_and_made_again_carries_what_may_be_sent_again() -> None:
    stub = ClientStub(semantics="at-least-once", retry_s=1.0)
    stub.begin("add", [], 0.0, 10.0)
    stub.take_outgoing()
    assert stub.connection_lost("it broke.", 0.1) == []
    stub.tick(2.0)
    assert requests(stub) == []
    stub.connection_made(3.0)
    assert len(requests(stub)) == 1


def test_that_a_server_was_busy_is_no_proof_after_a_copy_was_sent() -> None:
    stub = ClientStub(semantics="at-least-once", retry_s=1.0)
    call = stub.begin("add", [], 0.0, 10.0)
    stub.tick(1.0)
    stub.receive(Response(call.id, BUSY), 1.0)
    with pytest.raises(Busy) as raised:
        call.result({})
    assert raised.value.happened is Happened.UNKNOWN


def test_deadlines_alone_carry_no_identity() -> None:
    stub = ClientStub(deadlines=True)
    stub.begin("add", [], 0.0, 10.0)
    (hello,) = requests(stub)
    stub.receive(Response(hello.id, None, [SESSION, WINDOW]), 1.0)
    assert [each.context for each in requests(stub)] == [Context(0, 0, 0, 9.0)]


def test_a_resumed_session_goes_on_from_its_number() -> None:
    stub = ClientStub(semantics="at-most-once", session=SESSION, first_number=9)
    stub.begin("add", [], 0.0, 10.0)
    assert [each.context for each in requests(stub)] == [Context(SESSION, 9, 9, 10.0)]


@pytest.mark.parametrize(
    "message", [Response(99, None, 1), Response(None, "x"), Request(1, "a", []), Notification("a", [])]
)
def test_what_nobody_asked_for_is_counted_and_dropped(message: Any) -> None:
    stub = ClientStub()
    stub.begin("add", [], 0.0, 5.0)
    assert stub.receive(message, 0.0) is None
    assert (stub.discarded, len(stub)) == (1, 1)


def test_ids_stay_within_32_bits() -> None:
    stub = ClientStub(first_id=2**32 - 1)
    assert [stub.begin("a", [], 0.0, 1.0).id for _ in range(3)] == [2**32 - 1, 1, 2]


def test_arguments_are_copied_in_where_they_are_sent_later_or_again() -> None:
    stub = ClientStub(semantics="at-least-once", retry_s=1.0, freeze=CODEC.freeze)
    words = ["a"]
    stub.begin("print", words, 0.0, 10.0)
    words.clear()
    first = [CODEC.encode(each) for each in requests(stub)]
    stub.tick(1.0)
    again = [CODEC.encode(each) for each in requests(stub)]
    assert again == first == [CODEC.encode(Request(1, "print", ["a"]))]


@pytest.mark.parametrize(("method", "argument"), [("echo", object()), ("\ud800", 1)])
def test_what_does_not_travel_never_enters_the_queue(method: str, argument: object) -> None:
    stub = ClientStub(semantics="at-most-once", freeze=CODEC.freeze)
    with pytest.raises(DoesNotTravel):
        stub.begin(method, [argument], 0.0, 10.0)
    assert (len(stub), stub.take_outgoing()) == (0, [])


def test_a_batch_that_is_not_sent_did_not_happen() -> None:
    stub = greeted()
    stub.hold()
    calls = [stub.begin("add", [], 0.0, 10.0) for _ in range(WINDOW + 1)]
    stub.notify("log", [], 0.0, 10.0)
    assert stub.take_outgoing() == []
    assert {call.id for call in stub.withdraw(0.0)} == {call.id for call in calls}
    assert (len(stub), stub.take_outgoing()) == (0, [])
    assert {call.error.happened for call in calls} == {Happened.NO}  # type: ignore[union-attr]


@pytest.mark.parametrize("semantics", ["maybe", "at-least-once"])
def test_a_batch_outlives_the_connection_that_ends_while_it_is_made(semantics: Any) -> None:
    stub = ClientStub(semantics=semantics, retry_s=1.0)
    stub.hold()
    stub.notify("log", [1], 0.0, 10.0)
    call = stub.begin("add", [2], 0.0, 10.0)
    assert stub.connection_lost("it ended.", 0.0) == []
    stub.notify("log", [3], 0.0, 10.0)
    stub.connection_made(0.0)
    assert [each.params for each in stub.outgoing] == [[1], [2], [3]]
    assert stub.sent == 1
    stub.connection_lost("it ended again.", 0.0)
    assert stub.outgoing == []
    stub.connection_made(0.0)
    assert [each.params for each in stub.outgoing] == [[1], [2], [3]]
    assert call in stub.connection_lost("it was closed.", 0.0, final=True)
    assert call.error.happened is Happened.NO  # type: ignore[union-attr]


def test_while_the_server_takes_no_more_requests_wait_and_can_say_that_they_never_left() -> None:
    stub = ClientStub()
    stub.full = True
    early, late = stub.begin("add", [1], 0.0, 1.0), stub.begin("add", [2], 0.0, 9.0)
    assert stub.take_outgoing() == []
    assert stub.tick(1.0) == [early]
    assert early.error.happened is Happened.NO  # type: ignore[union-attr]
    stub.take_room(2.0)
    assert [each.id for each in requests(stub)] == [late.id]


def test_a_one_way_call_waits_for_a_connection_and_is_sent_once() -> None:
    stub = ClientStub()
    stub.connection_lost("it broke.", 0.0)
    stub.notify("log", [1], 0.0, 5.0)
    stub.notify("log", [2], 0.0, 1.0)
    stub.tick(1.0)
    stub.connection_made(2.0)
    assert stub.take_outgoing() == [Notification("log", [1])]
    stub.connection_made(3.0)
    assert (len(stub), stub.take_outgoing()) == (0, [])


def test_a_one_way_call_waits_for_the_server_to_take_more() -> None:
    stub = ClientStub()
    stub.full = True
    stub.notify("log", [1], 0.0, 5.0)
    stub.notify("log", [2], 0.0, 1.0)
    assert stub.take_outgoing() == []
    stub.tick(1.0)
    stub.take_room(1.1)
    assert stub.take_outgoing() == [Notification("log", [1])]


@pytest.mark.parametrize("lost", [True, False])
def test_a_one_way_call_of_a_batch_that_is_not_sent_is_not_sent_later(lost: bool) -> None:
    stub = ClientStub()
    if lost:
        stub.connection_lost("it ended.", 0.0)
    stub.hold()
    stub.notify("log", [1], 0.0, 5.0)
    stub.withdraw(0.0)
    stub.connection_made(0.1)
    assert stub.take_outgoing() == []
    assert len(stub) == 0


def test_without_a_connection_nobody_is_woken_to_send_again() -> None:
    stub = ClientStub(semantics="at-least-once", retry_s=1.0)
    stub.begin("add", [], 0.0, 10.0)
    stub.connection_lost("it broke.", 0.1)
    stub.tick(2.0)
    assert stub.wakeup_s == 10.0


@pytest.mark.parametrize(
    "fault",
    [Busy("busy").to_fault(), fault_of(Raised(Busy("busy")))],
    ids=["as an error of ours", "as raised"],
)
def test_a_server_that_is_too_busy_for_a_session_is_asked_again(fault: Fault) -> None:
    stub = ClientStub(semantics="at-most-once", retry_s=1.0)
    stub.begin("add", [], 0.0, 10.0)
    (hello,) = requests(stub)
    stub.receive(Response(hello.id, [*msgspec.structs.astuple(fault)]), 0.0)
    assert requests(stub) == []
    stub.tick(1.0)
    (again,) = requests(stub)
    assert again.method == "rpc.hello"
    stub.receive(Response(again.id, None, [SESSION, WINDOW]), 1.0)
    assert [each.context for each in requests(stub)] == [Context(SESSION, 1, 1, 9.0)]


@pytest.mark.parametrize(("greeting", "sent"), [([SESSION + 1, WINDOW], ["add"]), (None, [])])
def test_a_resumed_session_asks_for_its_window_once_it_needs_it(greeting: Any, sent: list[str]) -> None:
    stub = ClientStub(semantics="at-most-once", session=SESSION, first_number=9)
    for _ in range(2):
        stub.begin("add", [], 0.0, 10.0)
    first, hello = requests(stub)
    assert (first.method, hello.method) == ("add", "rpc.hello")
    stub.receive(Response(hello.id, None if greeting else BUSY, greeting), 0.0)
    assert [each.method for each in requests(stub)] == sent
    assert stub.session == SESSION
    stub.receive(Response(first.id, None, 1), 0.0)
    assert stub.acknowledged == 10


def test_nonsense_in_the_place_of_a_reply_says_nothing_of_the_calls() -> None:
    stub = greeted()
    calls = [stub.begin("add", [], 0.0, 10.0) for _ in range(WINDOW + 1)]
    with pytest.raises(MalformedMessage):
        stub.receive(Invalid(None, Fault(-32700, "Parse error")), 0.0)
    assert set(stub.connection_lost("nonsense.", 0.0, final=True, kind=MalformedMessage)) == set(calls)
    known = [call.error.happened for call in calls if isinstance(call.error, MalformedMessage)]
    assert known == [Happened.UNKNOWN] * WINDOW + [Happened.NO]


# ---- the server stub


def server(**limits: int) -> tuple[ServerStub, int]:
    stub = ServerStub(ReplyCache(100, **limits), MsgpackCodec().freeze)
    session, _ = stub.hello()
    return stub, session


def ask(number: int, session: int, acknowledged: int = 1, request_id: int = 0) -> Request:
    return Request(request_id or number, "add", [number], Context(session, number, acknowledged))


def finish(stub: ServerStub, request: Any, result: Any, peer: str = "a") -> list[Any]:
    return stub.finish(peer, request, Response(request.id, None, result))


def test_a_second_copy_gets_the_first_reply_as_it_was_then() -> None:
    stub, session = server()
    values = [1]
    order = stub.receive("a", ask(1, session))
    finish(stub, order, values)
    values.append(2)  # the object goes on; the reply must not
    again = stub.receive("b", ask(1, session, request_id=77))
    assert MsgpackCodec().decode(MsgpackCodec().encode(again)) == Response(77, None, [1])  # type: ignore[arg-type]
    assert (stub.executed, stub.repeated) == (1, 1)


def test_copies_that_come_while_it_is_executed_are_answered_when_it_is_done() -> None:
    stub, session = server()
    order = stub.receive("a", ask(1, session))
    assert stub.receive("a", ask(1, session)) is None
    assert stub.receive("b", ask(1, session, request_id=5)) is Known.EXECUTING
    assert [(peer, reply.id) for peer, reply in finish(stub, order, 1)] == [("a", 1), ("b", 5)]


def test_two_sessions_may_use_the_same_numbers() -> None:
    stub, session = server()
    other, _ = stub.hello()
    first, second = ask(1, session), ask(1, other)
    assert stub.receive("a", first) is first
    assert stub.receive("a", second) is second


def test_a_refusal_is_kept_like_a_reply() -> None:
    stub, session = server()
    order = stub.receive("a", ask(1, session))
    assert isinstance(order, Request)
    stub.finish("a", order, Response(1, NoSuchMethod("x").to_fault()))
    again = stub.receive("a", ask(1, session))
    assert isinstance(again, Response)
    assert again.error is not None


def test_a_result_that_does_not_travel_is_kept_as_the_error_that_it_is() -> None:
    stub, session = server()
    order = stub.receive("a", ask(1, session))
    ((_, reply),) = finish(stub, order, object())
    assert reply.error is not None
    again = stub.receive("a", ask(1, session))
    assert isinstance(again, Response)
    assert bytes(again.error) == bytes(reply.error)


def test_what_needs_no_bookkeeping_is_given_back_as_it_came() -> None:
    stub, _ = server()
    for message in (Request(1, "a", []), Request(1, "a", [], Context(0, 0, 0, 1.0)), Notification("a", [])):
        assert stub.receive("a", message) is message
    assert stub.receive("a", Response(1)) is None
    fault = Fault(-32600, "Invalid Request")
    assert stub.receive("a", Invalid(3, fault)) == Response(3, fault)


# ---- the reply cache


def reply(size: int) -> Response:
    return Response(1, None, MsgpackCodec().freeze("x" * size))


def test_what_the_cache_knows_of_a_call() -> None:
    cache = ReplyCache(100, window=4)
    session = cache.open()
    assert cache.look(Context(session, 1, 1)) is Known.NEW
    cache.begin(Context(session, 1, 1))
    assert cache.look(Context(session, 1, 1)) is Known.EXECUTING
    cache.finish(Context(session, 1, 1), reply(1), 1)
    assert cache.look(Context(session, 1, 1)) == reply(1)
    assert cache.look(Context(session, 5, 1)) is Known.BEYOND
    assert cache.look(Context(session, 2, 2)) is Known.NEW
    assert cache.look(Context(session, 1, 1)) is Known.STALE
    assert cache.look(Context(session + 1, 1, 1)) is Known.UNKNOWN_SESSION
    assert cache.reply_bytes == 0


def test_a_caller_that_acknowledges_everything_at_once_costs_nothing() -> None:
    cache = ReplyCache(100, window=4)
    session = cache.open()
    assert cache.look(Context(session, 1, 1)) is Known.NEW
    cache.begin(Context(session, 1, 1))
    assert cache.look(Context(session, 2**62, 2**62)) is Known.NEW
    cache.finish(Context(session, 1, 1), reply(5), 5)  # its caller has given it up
    assert cache.reply_bytes == 0


def test_the_oldest_replies_go_when_there_are_too_many_bytes() -> None:
    cache = ReplyCache(100, max_bytes=100)
    session = cache.open()
    for number in range(1, 6):
        assert cache.look(Context(session, number, 1)) is Known.NEW
        cache.begin(Context(session, number, 1))
        cache.finish(Context(session, number, 1), reply(40), 40)
    assert cache.reply_bytes == 80
    assert [cache.look(Context(session, number, 1)) for number in (1, 3)] == [Known.FORGOTTEN] * 2
    assert isinstance(cache.look(Context(session, 4, 1)), Response)


def test_the_stillest_session_goes_but_none_with_a_call_under_way() -> None:
    cache = ReplyCache(100, max_sessions=2)
    first, second = cache.open(), cache.open()
    for session in (first, second):
        cache.look(Context(session, 1, 1))
    cache.begin(Context(first, 1, 1))
    third = cache.open()
    assert cache.look(Context(second, 1, 1)) is Known.UNKNOWN_SESSION
    assert cache.look(Context(first, 1, 1)) is Known.EXECUTING
    cache.look(Context(third, 1, 1))
    cache.begin(Context(third, 1, 1))
    with pytest.raises(Busy):
        cache.open()


def test_sessions_that_were_never_used_go_first() -> None:
    cache = ReplyCache(100, max_sessions=3)
    used = cache.open()
    cache.look(Context(used, 1, 1))
    for _ in range(100):
        cache.open()
    assert len(cache) == 3
    assert cache.look(Context(used, 1, 1)) is Known.NEW

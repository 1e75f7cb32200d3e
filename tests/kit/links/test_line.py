from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dslab.kit.links.faults import Coalesce, Fragment
from dslab.kit.links.line import Line, Parcel
from dslab.kit.trace.event import Kind

pieces = st.lists(st.tuples(st.floats(0, 10), st.binary(min_size=1, max_size=20)), min_size=1, max_size=20)


def parcel(data: bytes = b"x", release_s: float = 0.0, *, copies: int = 1) -> Parcel:
    return Parcel(Kind.MESSAGE, 0.0, release_s, data, copies=copies)


def drain(line: Line) -> list[bytes]:
    return [bytes(line.advance(line.head.left_bytes)) for _ in iter(lambda: bool(line), False)]


@given(pieces)
def test_order_stays_under_jitter(delayed: list[tuple[float, bytes]]) -> None:
    line, released_s = Line(), []
    for release_s, data in delayed:
        line.push(parcel(data, release_s))
    assert line.queued_bytes == sum(len(data) for _, data in delayed)
    for _, data in delayed:
        assert line.head.data == data
        released_s.append(line.head.release_s)
        line.advance(len(data))
    assert released_s == sorted(released_s)
    assert all(is_ >= was for is_, (was, _) in zip(released_s, delayed, strict=True))
    assert line.queued_bytes == 0


@given(st.binary(min_size=1, max_size=200), st.integers(1, 50))
def test_parts_make_the_whole(data: bytes, max_bytes: int) -> None:
    line = Line()
    line.push(Parcel(Kind.CHUNK, 0.0, 0.0, data, Fragment(max_bytes=max_bytes)))
    head, parts = line.head, []
    while line:
        parts.append(bytes(line.advance(min(max_bytes, line.head.left_bytes))))
    assert b"".join(parts) == data
    assert all(len(part) == max_bytes for part in parts[:-1])
    expected = f"fragment into {len(parts)}" if len(parts) > 1 else ""
    assert head.delivered() == [(head, expected)]


@given(pieces, st.integers(1, 100))
def test_joined_pieces_keep_their_bytes_and_order(delayed: list[tuple[float, bytes]], max_bytes: int) -> None:
    line = Line()
    for _, data in delayed:
        line.push(parcel(data))
    before, count = line.queued_bytes, 0
    assert line.join(max_bytes, 0.0) >= 0
    assert line.queued_bytes == before
    arrived = []
    while line:
        head = line.head
        arrived.append(bytes(line.advance(head.left_bytes)))
        count += len(head.delivered())
    assert b"".join(arrived) == b"".join(data for _, data in delayed)
    assert count == len(delayed)


def test_gathering_waits_for_time_or_bytes_or_the_end() -> None:
    line, coalesce = Line(), Coalesce(max_bytes=4, hold_s=2.0)
    line.push(parcel(b"ab", 10.0))
    assert line.gather(coalesce, 11.0) == 1.0
    assert line.gather(coalesce, 12.0) == 0.0
    line.push(parcel(b"cd", 10.0))
    assert line.gather(coalesce, 11.0) == 0.0
    line.clear()
    line.push(parcel(b"ab", 10.0))
    line.push(Parcel(Kind.CLOSE, 0.0, 0.0))
    assert line.gather(coalesce, 10.0) == 0.0


def test_nobody_joins_twice() -> None:
    line = Line()
    for data in (b"a", b"b", b"c"):
        line.push(parcel(data))
    assert line.join(2, 0.0) == 1
    assert line.join(9, 0.0) == 0
    assert [note for _, note in line.head.delivered()] == ["coalesced", "coalesced"]


def test_the_held_one_is_overtaken_by_one() -> None:
    line = Line()
    line.held = parcel(b"first")
    assert not line.empty
    assert line.let_pass(parcel(b"second"))
    assert not line.let_pass(parcel(b"third"))
    assert drain(line) == [b"second", b"first", b"third"]
    assert line.empty


def test_the_held_one_takes_its_turn_when_nobody_comes() -> None:
    line = Line()
    line.held = parcel(b"only")
    line.let_go()
    assert drain(line) == [b"only"]


def test_copies_follow_each_other() -> None:
    line = Line()
    line.push(parcel(b"twice", copies=2))
    first = line.head
    assert drain(line) == [b"twice", b"twice"]
    assert first.notes == []


def test_clearing_names_what_was_in_it() -> None:
    line = Line()
    line.held = parcel(b"held")
    line.push(parcel(b"queued"))
    line.push(Parcel(Kind.CLOSE, 0.0, 0.0))
    assert [one.data for one in line.clear()] == [b"queued", b"held"]
    assert line.empty
    assert line.queued_bytes == 0

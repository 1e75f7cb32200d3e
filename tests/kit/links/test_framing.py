from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslab.kit.errors import ConfigError
from dslab.kit.links.framing import Splitter, load_framing

messages = st.lists(st.binary(max_size=30).map(lambda text: bytes([len(text)]) + text), max_size=20)


def frames(buffer: memoryview) -> int | None:
    if buffer[0] == 255:
        raise ValueError("255 is no length")
    return 1 + buffer[0] if len(buffer) > buffer[0] else None


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return [data[start:end] for start, end in pairwise(places)]


@given(messages, st.lists(st.integers(0, 1_000)))
def test_the_same_messages_however_the_stream_is_cut(sent: list[bytes], at: list[int]) -> None:
    splitter = Splitter(frames)
    found = [one for piece in cut(b"".join(sent), at) for one in splitter.feed(piece)]
    assert found == sent
    assert splitter.take() == b""
    assert not splitter.failure


@given(messages, st.binary(max_size=50))
def test_what_can_be_no_message_ends_the_messages(sent: list[bytes], rest: bytes) -> None:
    splitter = Splitter(frames)
    assert splitter.feed(b"".join(sent) + b"\xff" + rest) == sent
    assert splitter.failure == "no framing: 255 is no length"
    assert splitter.feed(b"\x00") == []
    assert splitter.take() == b"\xff" + rest + b"\x00"


def test_an_incomplete_message_waits() -> None:
    splitter = Splitter(frames)
    assert splitter.feed(b"\x05ab") == []
    assert (len(splitter), splitter.peek(1), splitter.take(), len(splitter)) == (3, b"ab", b"\x05ab", 0)


def test_a_message_longer_than_the_limit_is_bytes() -> None:
    splitter = Splitter(lambda _: None, max_message_bytes=10)
    assert splitter.feed(b"x" * 10) == []
    assert len(splitter) == 10
    splitter.feed(b"x")
    assert splitter.failure == "no framing: more than 10 bytes in one message"


@pytest.mark.parametrize("wrong", [lambda _: 0, lambda _: -1, lambda _: "3", lambda buffer: buffer[99]])
def test_a_broken_framing_function_leaves_bytes(wrong: Callable[[memoryview], int | None]) -> None:
    splitter = Splitter(wrong)
    assert splitter.feed(b"abc") == []
    assert splitter.failure
    assert splitter.take() == b"abc"


def test_a_framing_function_that_keeps_its_buffer_leaves_bytes() -> None:
    kept = []
    splitter = Splitter(lambda buffer: kept.append(buffer[:1]))
    assert splitter.feed(b"abc") == []
    assert splitter.failure
    assert splitter.feed(b"def") == []
    assert splitter.take() == b"abcdef"


@pytest.mark.parametrize("name", ["", "json", "json:", "json:nothing", "no.such.module:frames", ":x"])
def test_a_framing_that_is_not_there(name: str) -> None:
    with pytest.raises(ConfigError):
        load_framing(name)

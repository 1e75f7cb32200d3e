from __future__ import annotations

import pytest

from dslab.kit.trace.quantity import count, duration, shorten, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 µs"),
        (0.000085, "85 µs"),
        (0.0042, "4.2 ms"),
        (0.042, "42 ms"),
        (0.4, "0.40 s"),
        (5, "5.00 s"),
        (12.34, "12.3 s"),
        (1_234, "1,234 s"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_400, "1.4 kB"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),
        (3 * 10**9, "3.0 GB"),
    ],
)
def test_size(count_bytes: int, text: str) -> None:
    assert size(count_bytes) == text


def test_count() -> None:
    assert count(1, "message") == "1 message"
    assert count(1_996, "more message") == "1,996 more messages"
    assert count(0, "loss", "losses") == "0 losses"


def test_shorten() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "ab…"

"""Values in one line."""

from __future__ import annotations

import pytest

from dslab.kit.grader.render import counted, cut, printable, render, render_beginning


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", "nothing (0 bytes)"),
        (b"Hello", '"Hello" (5 bytes)'),
        (b"a\nb", '"a\\nb" (3 bytes)'),
        (b"\xff\x00\x01", "ff 00 01 (3 bytes)"),
        (memoryview(b"ab"), '"ab" (2 bytes)'),
        ("Hello, Grüße".encode(), '"Hello, Gr\\xc3\\xbc\\xc3\\x9fe" (14 bytes)'),
        ("", '"" (0 characters)'),
        ("ä", '"ä" (1 character)'),
        ("\x1b[2J", '"\\x1b[2J" (4 characters)'),
        (3, "3"),
        (71692288, "71,692,288"),
        (True, "True"),
        (None, "None"),
        (["\x1b"], "['\\x1b']"),
    ],
)
def test_short_values(value: object, text: str) -> None:
    assert render(value) == text


def test_long_values_are_cut_in_the_middle_with_their_length() -> None:
    shown = render(b"0123456789" * 500_000, 60)
    assert shown.endswith("(5,000,000 bytes)")
    assert shown.startswith('"0123456789')
    assert len(shown) <= 60


@pytest.mark.parametrize("digits", [100, 3_000, 5_000])
def test_long_numbers_are_cut(digits: int) -> None:
    assert len(render(10**digits, 60)) <= 62


def test_long_hex_is_cut_in_the_middle() -> None:
    assert render(bytes(range(128, 256)), 40) == "80 81 82 83 ... ff (128 bytes)"


def test_only_the_beginning_is_known() -> None:
    assert render_beginning(b"abc", "5,000 bytes") == '"abc" ... (5,000 bytes)'
    assert (
        render_beginning(bytes(range(128, 256)), "5,000 bytes", 40) == "80 81 82 83 84 85 ... (5,000 bytes)"
    )


def test_control_characters_are_made_visible() -> None:
    assert printable('\x07\x1b[31m\u202e\u2028\U000e0001"\\') == (
        '\\x07\\x1b[31m\\u202e\\u2028\\U000e0001\\"\\\\'
    )


def test_cut_says_how_much_is_missing() -> None:
    assert cut("short", 10) == "short"
    line = cut("x" * 1_000, 50)
    assert len(line) <= 52
    assert "more" in line


def test_counted() -> None:
    assert [counted(number, "byte") for number in (0, 1, 1234)] == ["0 bytes", "1 byte", "1,234 bytes"]

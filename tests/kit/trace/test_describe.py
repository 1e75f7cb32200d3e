from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslab.kit.errors import ConfigError
from dslab.kit.trace.describe import MAX_DEFAULT_CHARS, MAX_LABEL_CHARS, default_label, load, printable


def broken(data: bytes) -> str:
    return str(1 // len(data) // 0)


def talkative(data: bytes) -> str:
    return "a\x1b[31mb\n" * len(data)


@pytest.mark.parametrize(
    ("data", "label"),
    [
        (b"", ""),
        (b"Hello World", '"Hello World"'),
        ("Grüße".encode(), '"Grüße"'),
        ("Grüße".encode()[:-4], '"Gr"'),
        (b"two\r\nlines", '"two␍␊lines"'),
        (b"\x00\x00\x00\x05hello", '00 00 00 05 "hello"'),
        (b"\x00\x01\x02", "00 01 02"),
        (b"\xff\xfeab", "ff fe 61 62"),
        (bytes(range(128, 140)), "80 81 82 83 84 85 86 87…"),
        (b"\xe2\x80\xaeevil", 'e2 80 ae "evil"'),
        (b"x" * 60, '"' + "x" * 38 + "…"),
    ],
)
def test_text_is_shown_as_text_and_the_rest_in_hex(data: bytes, label: str) -> None:
    assert default_label(data) == label


def test_a_label_says_when_not_all_was_kept() -> None:
    assert default_label(b"abc", size=3) == '"abc"'
    assert default_label(b"abc" * 30, size=5_000).endswith("…")


@given(st.binary(max_size=300))
def test_a_label_is_short_and_prints(data: bytes) -> None:
    label = default_label(data)
    assert len(label) <= MAX_DEFAULT_CHARS
    assert label.isprintable()


def test_a_describer_is_loaded_by_name() -> None:
    assert load("binascii:hexlify")(b"\x01") == "b'01'"


@pytest.mark.parametrize("function", ["broken", "talkative"])
def test_a_bad_describer_does_no_harm(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "describers_of_this_test", sys.modules[__name__])
    label = load(f"describers_of_this_test:{function}")(b"hello" * 100)
    assert label.isprintable()
    assert len(label) <= MAX_LABEL_CHARS


@pytest.mark.parametrize("spec", ["", "json", "json:", "no_such_module:f", "json:no_such_function"])
def test_an_unknown_describer_is_an_error_of_the_file_that_names_it(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"module:function"):
        load(spec)


def test_printable_replaces_what_could_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\u202ec") == "a·[2Jb·c"

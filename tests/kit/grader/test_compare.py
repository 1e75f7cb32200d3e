"""The exact texts that a reader sees."""

from __future__ import annotations

from random import Random

import pytest

from dslab.kit.grader.compare import Comparison, compare, first_difference

RANDOM = Random(1).randbytes(5_000)


def shown(left: object, right: object, operator: str = "==") -> str:
    comparison = compare(operator, left, right)
    return "\n".join([comparison.summary, *comparison.rows])


def test_a_byte_differs() -> None:
    assert shown(b"Hello* World*", b"Hello World*") == (
        "byte 5 differs\n"
        'came back  "Hello* World*"\n'
        'expected   "Hello World*"\n'
        "                 ^ byte 5 of 13\n"
        "in hex     48 65 6c 6c 6f 2a 20 57 6f 72 6c 64 2a\n"
        "           48 65 6c 6c 6f 20 57 6f 72 6c 64 2a\n"
        "                          ^^"
    )


def test_it_ends_too_early() -> None:
    assert shown(b"Hello", b"Hello*") == (
        "it ends 1 byte too early, after 5 bytes\n"
        'came back  "Hello"\n'
        'expected   "Hello*"\n'
        "                 ^ ends here; 1 byte missing\n"
        "in hex     48 65 6c 6c 6f\n"
        "           48 65 6c 6c 6f 2a\n"
        "                          ^^"
    )


def test_too_much_comes_back() -> None:
    assert shown(b"Hi**", b"Hi*") == (
        "1 byte too much came back\n"
        'came back  "Hi**"\n'
        'expected   "Hi*"\n'
        "               ^ should end here; 1 byte too much\n"
        "in hex     48 69 2a 2a\n"
        "           48 69 2a\n"
        "                    ^^"
    )


def test_nothing_comes_back() -> None:
    assert shown(b"", b"Hi*") == (
        'nothing came back\ncame back  ""\nexpected   "Hi*"\n            ^ ends here; 3 bytes missing'
    )


def test_control_characters_keep_the_caret_in_place() -> None:
    assert shown(b"a\r\n\x00bX", b"a\r\n\x00bc").splitlines()[1:4] == [
        'came back  "a\\r\\n\\x00bX"',
        'expected   "a\\r\\n\\x00bc"',
        "                      ^ byte 5 of 6",
    ]


def test_long_text_is_shown_around_the_difference() -> None:
    left, right = b"abcd" * 1000, b"abcd" * 600 + b"X" + b"abcd" * 400
    assert shown(left, right) == (
        "byte 2,400 differs\n"
        'came back  ..."abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd"...\n'
        'expected   ..."abcdabcdabcdabcdabcdabcdXabcdabcdabcdabcdabcdabcdabcdabc"...\n'
        "                                       ^ byte 2,400 of 4,001\n"
        "from 2,388 61 62 63 64 61 62 63 64 61 62 63 64 61 62 63 64 61 62 63 64\n"
        "           61 62 63 64 61 62 63 64 61 62 63 64 58 61 62 63 64 61 62 63\n"
        "                                               ^^"
    )


def test_bytes_that_are_no_text_are_shown_in_hex() -> None:
    changed = RANDOM[:3000] + b"*" + RANDOM[3001:]
    assert shown(changed, RANDOM) == (
        "byte 3,000 differs\ncame back  f5 b1 65 22 4a 58 b7 91 ... f3 91 7d a7 1d (5,000 bytes)\n".replace(
            "f3 ", ""
        )
        + "expected   f5 b1 65 22 4a 58 b7 91 ... 91 7d a7 1d (5,000 bytes)\n"
        "from 2,988 8c 71 06 cb 1e 04 7d a5 4c 75 c1 ee 2a cb ab 6a 4e 95 ef f9\n"
        "           8c 71 06 cb 1e 04 7d a5 4c 75 c1 ee 78 cb ab 6a 4e 95 ef f9\n"
        "                                               ^^"
    )


def test_difference_far_back() -> None:
    rows = compare("==", RANDOM * 1000 + b"a", RANDOM * 1000 + b"b").rows
    assert rows[2] == "4,999,988  1e f2 97 66 27 fd 90 3d 91 7d a7 1d 61"


def test_text_beside_what_is_no_text_is_shown_in_hex() -> None:
    assert shown(b"*", b"\xff\xfe\xfd*").splitlines()[1:3] == [
        'came back  "*" (1 byte)',
        "expected   ff fe fd 2a (4 bytes)",
    ]


def test_letters_of_all_languages() -> None:
    assert shown("Grüße", "Grüsse").splitlines()[1:] == [
        'came back  "Grüße"',
        'expected   "Grüsse"',
        "               ^ character 3 of 6",
    ]


def test_text_of_several_lines() -> None:
    assert shown("one\ntwo\nthree\n", "one\ntwo\ntree\n") == (
        'line 2 differs\nline 2:\ncame back  "three"\nexpected   "tree"\n             ^ character 1 of 5'
    )
    assert shown("one\n\n", "one\n\ntwo\n") == (
        '2 lines came back, 3 expected\nline 2, missing: "two" (3 characters)'
    )


def test_only_the_end_of_a_line_differs() -> None:
    assert shown("a\nb", "a\nb\n").startswith("it ends 1 character too early")


def test_numbers() -> None:
    assert shown(3, 4) == "another value came back\ncame back  3\nexpected   4"


def test_lists() -> None:
    assert shown([b"a", b"bcd"], [b"a", b"bce", b"x"]) == (
        "item 1 differs\n"
        "came back  2 items\n"
        "expected   3 items\n"
        "item 1 of 2:\n"
        'came back  "bcd"\n'
        'expected   "bce"\n'
        "              ^ byte 2 of 3\n"
        "in hex     62 63 64\n"
        "           62 63 65\n"
        "                 ^^"
    )
    assert shown([1, 2, 3], [1]) == (
        "3 items came back, 1 expected\n"
        "came back  3 items\n"
        "expected   1 item\n"
        "item 1, too much: 2\n"
        "item 2, too much: 3"
    )


def test_sets_and_dicts() -> None:
    assert shown({1, 2}, {2, 3}) == "1 missing, 1 too much\nmissing:  3\ntoo much: 1"
    assert shown({"a": 1, "b": 2}, {"a": 2, "c": 3}) == (
        "the entries differ\n"
        'at "a" (1 character):\n'
        "came back  1\n"
        "expected   2\n"
        'missing:  "c" (1 character): 3\n'
        'too much: "b" (1 character): 2'
    )


@pytest.mark.parametrize(
    ("operator", "left", "right", "text"),
    [
        ("<", 3.5, 2, "3.5 is not less than 2\ncame back  3.5\nexpected   less than 2"),
        (">=", 1, 2, "1 is not at least 2\ncame back  1\nexpected   at least 2"),
        ("!=", 1, 1, "it is 1, and must not be\ncame back  1\nexpected   anything but 1"),
        ("is not", None, None, "it is None, and must not be\ncame back  None\nexpected   anything but None"),
        (
            "in",
            b"abc",
            b"xyz",
            '"abc" (3 bytes) is not in what came back\n'
            'came back  "xyz" (3 bytes)\nexpected   something with "abc" (3 bytes)',
        ),
        (
            "not in",
            "b",
            "abc",
            '"b" (1 character) is in what came back\n'
            'came back  "abc" (3 characters)\nexpected   nothing with "b" (1 character)',
        ),
    ],
)
def test_other_operators(operator: str, left: object, right: object, text: str) -> None:
    assert shown(left, right, operator) == text


def test_bytearray_is_compared_as_bytes() -> None:
    assert compare("==", bytearray(b"ab"), b"ac").summary == "byte 1 differs"


def test_values_of_unlike_types() -> None:
    assert (
        shown(b"1", "1") == 'another value came back\ncame back  "1" (1 byte)\nexpected   "1" (1 character)'
    )
    assert shown((1,), [1]) == "another value came back\ncame back  (1,)\nexpected   [1]"


def test_short_texts_that_have_nothing_to_do_with_each_other() -> None:
    assert shown("BadArguments", "TypeError") == (
        "another value came back\n"
        'came back  "BadArguments" (12 characters)\n'
        'expected   "TypeError" (9 characters)'
    )
    assert shown(b"ValueError", b"TypeError").startswith("another value came back\n")


def test_a_text_whose_beginning_is_wrong() -> None:
    assert shown("hello", "Hello").startswith("character 0 differs\n")
    assert shown(b"ello*", b"hello*").startswith("byte 0 differs\n")
    assert shown("x" * 100, "y" * 100).startswith("character 0 differs\n")
    assert shown(b"\x05\x00", b"\x00\x05").startswith("byte 0 differs\n")  # these are no texts


def test_which_item_of_a_list_differs() -> None:
    assert compare("==", [1, 2, 3], [1, 5, 3]).item == (1, 3)
    assert compare("==", "abc", "abd").item is None


def test_headline_is_one_short_line() -> None:
    comparison = compare("==", RANDOM, b"\n" * 10_000)
    assert "\n" not in comparison.headline
    assert len(comparison.headline) < 160


@pytest.mark.parametrize("seed", range(40))
def test_rows_fit_a_terminal(seed: int) -> None:
    rng = Random(seed)
    alphabet = rng.choice([b"ab", b'\x00\n\\"', bytes(range(256))])
    left = bytes(rng.choices(alphabet, k=rng.choice([0, 1, 10, 60, 70, 5_000])))
    place = rng.randint(0, len(left))
    right = left[:place] + b"*" + left[place + rng.randint(0, 1) :]
    for sides in ((left, right), (left.decode("latin-1"), right.decode("latin-1"))):
        comparison: Comparison = compare("==", *sides)
        assert all(len(row) <= 76 for row in comparison.rows)
        assert all(row.isprintable() for row in comparison.rows)


@pytest.mark.parametrize("seed", range(40))
def test_first_difference(seed: int) -> None:
    rng = Random(seed)
    left, right = (bytes(rng.choices(b"ab", k=rng.randint(0, 8))) for _ in range(2))
    naive = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None)
    assert first_difference(left, right) == (min(len(left), len(right)) if naive is None else naive)

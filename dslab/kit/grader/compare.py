"""What came back beside what was expected, so that a reader sees the difference at once. Pure.

::

    came back  "Hello* World*"
    expected   "Hello World*"
                     ^ the first difference: byte 5 of 13
    in hex     48 65 6c 6c 6f 2a 20 57 6f 72 6c 64 2a
               48 65 6c 6c 6f 20 57 6f 72 6c 64 2a
                              ^^

Positions count from 0, as indices do. Up to the first difference both sides are equal, so both rows are
rendered equal up to there and the caret stands under it in both, whatever needed an escape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from dslab.kit.grader.render import (
    LINE_WIDTH,
    as_text,
    counted,
    cut,
    head,
    is_text,
    printable,
    render,
    tail,
    written,
)

HEX_BYTES = 20  # three columns each
BEFORE_CARET = 24  # how much of what is equal stays in sight
ANOTHER = "another value came back"
MANY = 200  # a detail has room for a long value, in one cut line

_LABELS = ("came back  ", "expected   ")
_MARGIN = " " * len(_LABELS[0])
_WORDS = {
    "!=": "anything but",
    "<": "less than",
    "<=": "at most",
    ">": "more than",
    ">=": "at least",
    "is": "just",
    "is not": "anything but",
    "in": "one of",
    "not in": "none of",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison that did not hold, for a reader.

    Attributes:
        summary: One line without the values: what kind of difference it is.
        actual: What came back, in one line.
        expected: What was expected, in one line.
        rows: Both, one above the other, with the caret and in hex; what a terminal shows.
        item: Of two lists, the first item that differs, and how many were expected; None for anything else.
    """

    summary: str
    actual: str
    expected: str
    rows: tuple[str, ...]
    item: tuple[int, int] | None = None

    @property
    def headline(self) -> str:
        """What pytest puts behind the word ``assert``."""
        return f"came back {cut(self.actual, LINE_WIDTH)}, expected {cut(self.expected, LINE_WIDTH)}"


def compare(operator: str, left: object, right: object) -> Comparison:
    """Describe why ``left operator right`` did not hold; left is what came back."""
    if operator in {"in", "not in"} and isinstance(right, bytes | str | Sequence | Mapping | Set):
        return _containment(operator, left, right)
    if operator != "==":
        wanted = f"{_WORDS.get(operator, operator)} {render(right)}"
        return _plain(_relation(operator, left, right), left, wanted)
    return _unequal(*_same_kind(left, right))


def _relation(operator: str, left: object, right: object) -> str:
    if operator in {"!=", "is not"}:
        return f"it is {render(left, 40)}, and must not be"
    return f"{render(left, 30)} is not {_WORDS.get(operator, operator)} {render(right, 30)}"


def _unequal(left: object, right: object) -> Comparison:
    result: Comparison
    match left, right:
        case ((bytes() | str()), (bytes() | str())) if type(left) is type(right) and _unlike(left, right):
            result = _plain(ANOTHER, left, render(right))
        case bytes(), bytes():
            result = _bytes(left, right)
        case str(), str():
            several = "\n" in left.rstrip("\n") or "\n" in right.rstrip("\n")
            result = _lines(left, right) if several else _text(left, right)
        case ((list() | tuple() as ours), (list() | tuple() as theirs)) if type(ours) is type(theirs):
            result = _items(ours, theirs)
        case dict(), dict():
            result = _entries(left, right)
        case ((set() | frozenset()), (set() | frozenset())):
            result = _members(left, right)
        case _:
            result = _plain(ANOTHER, left, render(right))
    return result


def _unlike(left: bytes | str, right: bytes | str) -> bool:
    """Whether two short texts have so little to do with each other that no place in them tells anything.

    They have no common beginning; and their common end is short, so that no letter was merely left out.
    """
    longer = max(len(left), len(right))
    if not left or not right or left[0] == right[0] or longer > LINE_WIDTH:
        return False
    readable = all(isinstance(text, str) or is_text(text) for text in (left, right))
    return readable and first_difference(left[::-1], right[::-1]) * 3 < longer * 2


def _same_kind(left: object, right: object) -> tuple[object, object]:
    """Bytearray and memoryview compare with bytes; so they are shown as bytes."""
    kinds = (bytes, bytearray, memoryview)
    if isinstance(left, kinds) and isinstance(right, kinds):
        return bytes(left), bytes(right)
    return left, right


def _plain(summary: str, left: object, wanted: str) -> Comparison:
    actual = render(left)
    return Comparison(summary, actual, wanted, (_LABELS[0] + actual, _LABELS[1] + wanted))


def first_difference(left: Sequence[object], right: Sequence[object]) -> int:
    """The first index at which they differ; the shorter one's length if it is the other's beginning."""
    shorter = min(len(left), len(right))
    # Halving on equality of slices runs at memcmp's speed; five megabytes in milliseconds.
    low, high = 0, shorter
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _bytes(left: bytes, right: bytes) -> Comparison:
    at = first_difference(left, right)
    summary = _summary(len(left), len(right), at, "byte")
    rows = []
    if is_text(left[:1000]) and is_text(right[:1000]):
        rows += _caret_rows(as_text(left), as_text(right), at, "byte")
    else:
        rows += [_LABELS[0] + render(left), _LABELS[1] + render(right)]
    if left and right:
        rows += _hex_rows(left, right, at)
    return Comparison(summary, render(left, MANY), render(right, MANY), tuple(rows))


def _text(left: str, right: str) -> Comparison:
    at = first_difference(left, right)
    summary = _summary(len(left), len(right), at, "character")
    rows = _caret_rows(left, right, at, "character")
    return Comparison(summary, render(left, MANY), render(right, MANY), tuple(rows))


def _lines(left: str, right: str) -> Comparison:
    """Texts of several lines: the first line that differs."""
    ours, theirs = left.splitlines(), right.splitlines()
    at = first_difference(ours, theirs)
    if at >= min(len(ours), len(theirs)):
        if len(ours) == len(theirs):  # only the ends of lines differ
            return _text(left, right)
        summary = f"{counted(len(ours), 'line')} came back, {len(theirs):,} expected"
        missing = len(ours) < len(theirs)
        what, line = ("missing", theirs[at]) if missing else ("too much", ours[at])
        rows = [f"line {at}, {what}: {render(line, LINE_WIDTH - 14)}"]
    else:
        inner = first_difference(ours[at], theirs[at])
        summary = f"line {at} differs"
        rows = [f"line {at}:", *_caret_rows(ours[at], theirs[at], inner, "character")]
    return Comparison(summary, render(left, MANY), render(right, MANY), tuple(rows))


def _summary(left: int, right: int, at: int, noun: str) -> str:
    if left == 0:
        return "nothing came back"
    if at == left:
        return f"it ends {counted(right - left, noun)} too early, after {counted(left, noun)}"
    if at == right:
        return f"{counted(left - right, noun)} too much came back"
    return f"{noun} {at:,} differs"


def _caret_rows(left: str, right: str, at: int, noun: str) -> list[str]:
    """Both texts from a little before the difference, and the caret beneath."""
    # What is equal gives the same rendering on both sides, and its length is the caret's place.
    before = left[max(0, at - BEFORE_CARET) : at]
    equal = tail(before, BEFORE_CARET)
    whole = len(before) == at and printable(before) == equal
    equal = f'"{equal}' if whole else f'..."{equal}'
    rows = [_LABELS[0] + _row(equal, left, at), _LABELS[1] + _row(equal, right, at)]
    return [*rows, f"{_MARGIN}{' ' * len(equal)}^ {_pointer(len(left), len(right), at, noun)}"]


def _row(equal: str, text: str, at: int) -> str:
    rest = head(text[at:], max(LINE_WIDTH - len(equal) - 4, 4))
    complete = len(printable(text[at : at + LINE_WIDTH])) == len(rest) and len(text) - at <= LINE_WIDTH
    return f'{equal}{rest}"' + ("" if complete else "...")


def _pointer(left: int, right: int, at: int, noun: str) -> str:
    if at == left:
        return f"ends here; {counted(right - left, noun)} missing"
    if at == right:
        return f"should end here; {counted(left - right, noun)} too much"
    return f"{noun} {at:,} of {max(left, right):,}"


def _hex_rows(left: bytes, right: bytes, at: int) -> list[str]:
    # Whole groups of four before the difference, so that the row shifts rarely.
    start = max(0, (at - HEX_BYTES // 2) // 4 * 4)
    windows = [data[start : start + HEX_BYTES].hex(" ") for data in (left, right)]
    label = "in hex" if start == 0 else f"from {start:,}"
    if len(label) >= len(_MARGIN):
        label = f"{start:,}"
    place = " " * (3 * (at - start))
    return [f"{label:<{len(_MARGIN)}}{windows[0]}", _MARGIN + windows[1], f"{_MARGIN}{place}^^"]


def _items(left: Sequence[object], right: Sequence[object]) -> Comparison:
    at = 0
    while at < min(len(left), len(right)) and left[at] == right[at]:
        at += 1
    if at < min(len(left), len(right)):
        inner = compare("==", left[at], right[at])
        summary, rows = f"item {at} differs", (f"item {at} of {len(left):,}:", *inner.rows)
    else:
        summary = f"{counted(len(left), 'item')} came back, {len(right):,} expected"
        longer, what = (right, "missing") if len(left) < len(right) else (left, "too much")
        rows = tuple(
            f"item {n}, {what}: {render(longer[n], LINE_WIDTH - 14)}" for n in range(at, len(longer))
        )[:3]
    rows = (*_count_row(left, right), *rows)
    return Comparison(summary, render(left, MANY), render(right, MANY), rows, (at, len(right)))


def _count_row(left: Sequence[object], right: Sequence[object]) -> tuple[str, ...]:
    if len(left) == len(right):
        return ()
    return (_LABELS[0] + counted(len(left), "item"), _LABELS[1] + counted(len(right), "item"))


def _entries(left: Mapping[object, object], right: Mapping[object, object]) -> Comparison:
    rows: list[str] = []
    for key in right:
        if key not in left:
            rows.append(f"missing:  {render(key, 24)}: {render(right[key], 34)}")
        elif left[key] != right[key]:
            rows += [f"at {render(key, 50)}:", *compare("==", left[key], right[key]).rows]
    rows += [f"too much: {render(key, 24)}: {render(left[key], 34)}" for key in left if key not in right]
    return Comparison("the entries differ", render(left, MANY), render(right, MANY), tuple(rows[:9]))


def _members(left: Set[object], right: Set[object]) -> Comparison:
    rows = [f"missing:  {render(item, 54)}" for item in _in_order(right - left)]
    rows += [f"too much: {render(item, 54)}" for item in _in_order(left - right)]
    summary = f"{len(right - left):,} missing, {len(left - right):,} too much"
    return Comparison(summary, render(left, MANY), render(right, MANY), tuple(rows[:9]))


def _in_order(items: Set[object]) -> list[object]:
    return sorted(items, key=written)


def _containment(operator: str, left: object, right: object) -> Comparison:
    """``assert b"x" in reply``: here the right side is what came back."""
    wanted = ("something with " if operator == "in" else "nothing with ") + render(left, LINE_WIDTH - 16)
    summary = f"{render(left, 40)} is {'not ' if operator == 'in' else ''}in what came back"
    return _plain(summary, right, wanted)

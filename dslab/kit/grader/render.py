"""Any value in one line that a reader can take in and a terminal can bear. Pure.

What a student's program wrote reaches the reader only through these functions: a control character could
otherwise move the cursor and paint over the grader's own words.
"""

from __future__ import annotations

from collections.abc import Callable

LINE_WIDTH = 64  # what remains of 80 columns beside the margin and the label

MAX_INT_BITS = 10_000  # Python writes out no more than 4,300 digits, lest it take for ever

_ESCAPES = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}


def render(value: object, width: int = LINE_WIDTH) -> str:
    """Write a value in one line, as text where it is text, in hex where it is not, cut in the middle."""
    match value:
        case bytes() | bytearray() | memoryview():
            return _render_bytes(bytes(value), width)
        case bool():
            return str(value)
        case int() if value.bit_length() <= MAX_INT_BITS:
            return cut(f"{value:,}", width)
        case str():
            return _cut_with_length(value, width, "character")
        case _:
            return harmless(cut(written(value), width))


def written(value: object, write: Callable[[object], str] = repr) -> str:
    """The value as Python writes it; only its kind if that is more than Python can bear.

    A student's program may have sent a list in a list in a list, to be told that the grader broke.
    """
    try:
        return write(value)
    except (RecursionError, ValueError):
        return f"a value of type {type(value).__name__} that is too deep or too long to be written"


def cut(text: str, width: int) -> str:
    """Cut a line in the middle, saying how much is missing."""
    if len(text) <= width:
        return text
    note = f" ...{len(text) - width:,} more... "
    keep = max(width - len(note), 2)
    return text[: keep - keep // 3] + f" ...{len(text) - keep:,} more... " + text[len(text) - keep // 3 :]


def counted(number: int, noun: str) -> str:
    """``1 byte``, ``5,000 bytes``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def printable(text: str) -> str:
    """Make every character visible and harmless to a terminal; keep letters of all languages."""
    return "".join(_visible(character) for character in text)


def harmless(line: str) -> str:
    """A line that a program wrote, as it is but for what could move a cursor.

    Quotes and backslashes are no danger, and source lines are easier to read with them as they are.
    """
    return "".join(c if c.isprintable() else _visible(c) for c in line)


def _visible(character: str) -> str:
    code = ord(character)
    if code in _ESCAPES:
        return _ESCAPES[code]
    if character.isprintable():
        return character
    if code < 0x100 or 0xDC80 <= code < 0xDD00:
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def render_beginning(data: bytes, size: str, width: int = LINE_WIDTH) -> str:
    """Write the beginning of a value of which no more is known but its size."""
    length = f" ... ({size})"
    room = max(width - len(length) - 2, 8)
    if is_text(data[:1000]):
        return f'"{head(as_text(data), room)}"{length}'
    return data[: room // 3].hex(" ") + length


def as_text(data: bytes) -> str:
    """One character per byte, for `printable`; a byte that is not ASCII will be shown as an escape."""
    return data.decode("ascii", errors="surrogateescape")


def is_text(data: bytes) -> bool:
    """Whether at most one byte in three is neither a readable character nor a common blank."""
    strange = sum(byte not in _ESCAPES and not 0x20 <= byte < 0x7F for byte in data)
    return strange * 3 <= len(data)


def _render_bytes(data: bytes, width: int) -> str:
    if not data:
        return "nothing (0 bytes)"
    if is_text(data[:1000]):
        return _cut_with_length(as_text(data), width, "byte")
    length = f" ({counted(len(data), 'byte')})"
    room = max((width - len(length)) // 3, 4)
    if len(data) <= room:
        return data.hex(" ") + length
    kept = max(room - 4, 2)
    return f"{data[: kept - kept // 3].hex(' ')} ... {data[len(data) - kept // 3 :].hex(' ')}{length}"


def _cut_with_length(text: str, width: int, noun: str) -> str:
    length = f" ({counted(len(text), noun)})"
    room = max(width - len(length) - 2, 8)
    # Rendering only what may be shown keeps five megabytes cheap.
    if len(text) <= room and len(shown := printable(text)) <= room:
        return f'"{shown}"{length}'
    half = (room - 5) // 2
    return f'"{head(text, half)}" ... "{tail(text, half - 2)}"{length}'


def head(text: str, width: int) -> str:
    """As many characters from the front as fit when they are made visible."""
    shown = ""
    for character in text:
        if len(shown) + len(_visible(character)) > width:
            break
        shown += _visible(character)
    return shown


def tail(text: str, width: int) -> str:
    """As many characters from the end as fit when they are made visible."""
    shown = ""
    for character in reversed(text):
        if len(shown) + len(_visible(character)) > width:
            break
        shown = _visible(character) + shown
    return shown

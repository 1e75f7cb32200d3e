"""Step 2.1. Values as bytes, by hand: a part of MessagePack.

The first byte of a value says what it is, and how long, or how many values follow (README, step 2.1). Every
number of more than one byte has its most significant byte first, whatever this machine has.
"""

# BEGIN SOLUTION DELETE
import struct

# END SOLUTION
from typing import Any

Value = Any
"""None, a bool, an int of up to 64 bits, a float, a str, a list of values, or a dict of such."""


def marshal(value: Value) -> bytes:
    """Write a value. Where there are several forms you may take any, the longest for instance.

    Raises:
        TypeError: It is none of the types above.
    """
    # BEGIN SOLUTION step-2.1 "for each type its first byte, then the number, or the length and what follows"
    match value:
        case None | bool():
            return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
        case int():
            return b"\xd3" + struct.pack("!q", value)
        case float():
            return b"\xcb" + struct.pack("!d", value)
        case str():
            text = value.encode()
            return b"\xdb" + struct.pack("!I", len(text)) + text
        case list():
            return b"\xdd" + struct.pack("!I", len(value)) + b"".join(map(marshal, value))
        case dict():
            pairs = [marshal(part) for pair in value.items() for part in pair]
            return b"\xdf" + struct.pack("!I", len(value)) + b"".join(pairs)
        case _:
            raise TypeError(f"a {type(value).__name__} does not travel")
    # END SOLUTION


def read_value(data: bytes, start: int) -> tuple[Value, int]:
    """Read the value whose first byte is at `start`: the value, and where the next one begins.

    Raises:
        ValueError: There is none, or not all of it.
    """
    # BEGIN SOLUTION step-2.1 "look at the first byte; all forms of the table, whole or not at all"
    constants = {0xC0: None, 0xC2: False, 0xC3: True}
    numbers = {
        0xCA: "!f", 0xCB: "!d",
        0xCC: "!B", 0xCD: "!H", 0xCE: "!I", 0xCF: "!Q",
        0xD0: "!b", 0xD1: "!h", 0xD2: "!i", 0xD3: "!q",
    }  # fmt: skip
    lengths = {
        0xD9: ("!B", str), 0xDA: ("!H", str), 0xDB: ("!I", str),
        0xDC: ("!H", list), 0xDD: ("!I", list),
        0xDE: ("!H", dict), 0xDF: ("!I", dict),
    }  # fmt: skip
    if start >= len(data):
        raise ValueError("a value is missing")
    first, after = data[start], start + 1
    if first <= 0x7F or first >= 0xE0:
        return (first if first <= 0x7F else first - 256), after
    if first in constants:
        return constants[first], after
    if first in numbers:
        return read_number(data, after, numbers[first])
    if first in lengths:
        form, kind = lengths[first]
        length, after = read_number(data, after, form)
        return read_many(data, after, kind, length)
    if first <= 0xBF:  # the short forms: the length is in the last bits
        kind = dict if first <= 0x8F else list if first <= 0x9F else str
        return read_many(data, after, kind, first & (0x1F if kind is str else 0x0F))
    raise ValueError(f"nothing in this lab begins with {first:#04x}")
    # END SOLUTION


def read_number(data: bytes, start: int, form: str) -> tuple[Any, int]:
    """Read the number at `start` whose form, for `struct`, is `form`: the number, and where it ends.

    Raises:
        ValueError: Its bytes are not all there.
    """
    # BEGIN SOLUTION step-2.1 "how many bytes? are they there? unpack them"
    end = start + struct.calcsize(form)
    if end > len(data):
        raise ValueError("a number is cut off")
    return struct.unpack_from(form, data, start)[0], end
    # END SOLUTION


def read_many(data: bytes, start: int, kind: type, length: int) -> tuple[Any, int]:
    """Read what follows a length, at `start`: the bytes of a text, or the values of a list or a map.

    Raises:
        ValueError: They are not all there; or a map has a list or a map for a key, which no dict has.
    """
    # BEGIN SOLUTION step-2.1 "a text: so many bytes, decoded; a list: so many values; a map: twice as many"
    if kind is str:
        if start + length > len(data):
            raise ValueError("a text is cut off")
        return data[start : start + length].decode(), start + length
    values = []
    for _ in range(length if kind is list else 2 * length):
        value, start = read_value(data, start)
        values.append(value)
    if kind is list:
        return values, start
    if any(isinstance(key, list | dict) for key in values[::2]):
        raise ValueError("a list or a map is no key")
    return dict(zip(values[::2], values[1::2], strict=True)), start
    # END SOLUTION


def unmarshal(data: bytes) -> Value:
    """Read the one value that a datagram holds.

    Raises:
        ValueError: It does not hold one value, whole, and nothing else.
    """
    # BEGIN SOLUTION step-2.1 "one value, from the first byte to the last"
    value, end = read_value(data, 0)
    if end < len(data):
        raise ValueError(f"{len(data) - end} bytes follow the value")
    return value
    # END SOLUTION

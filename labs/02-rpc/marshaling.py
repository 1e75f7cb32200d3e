"""Step 2.1. Values as bytes, by hand: a part of MessagePack.

The first byte of a value says what it is, and how long, or how many values follow (README, step 2.1). Every
number of more than one byte has its most significant byte first, whatever this machine has.
"""

from typing import Any

Value = Any
"""None, a bool, an int of up to 64 bits, a float, a str, a list of values, or a dict of such."""


def marshal(value: Value) -> bytes:
    """Write a value. Where there are several forms you may take any, the longest for instance.

    Raises:
        TypeError: It is none of the types above.
    """
    # TODO step 2.1: for each type its first byte, then the number, or the length and what follows
    raise NotImplementedError("lab 2, step 2.1")


def read_value(data: bytes, start: int) -> tuple[Value, int]:
    """Read the value whose first byte is at `start`: the value, and where the next one begins.

    Raises:
        ValueError: There is none, or not all of it.
    """
    # TODO step 2.1: look at the first byte; all forms of the table, whole or not at all
    raise NotImplementedError("lab 2, step 2.1")


def read_number(data: bytes, start: int, form: str) -> tuple[Any, int]:
    """Read the number at `start` whose form, for `struct`, is `form`: the number, and where it ends.

    Raises:
        ValueError: Its bytes are not all there.
    """
    # TODO step 2.1: how many bytes? are they there? unpack them
    raise NotImplementedError("lab 2, step 2.1")


def read_many(data: bytes, start: int, kind: type, length: int) -> tuple[Any, int]:
    """Read what follows a length, at `start`: the bytes of a text, or the values of a list or a map.

    Raises:
        ValueError: They are not all there; or a map has a list or a map for a key, which no dict has.
    """
    # TODO step 2.1: a text: so many bytes, decoded; a list: so many values; a map: twice as many
    raise NotImplementedError("lab 2, step 2.1")


def unmarshal(data: bytes) -> Value:
    """Read the one value that a datagram holds.

    Raises:
        ValueError: It does not hold one value, whole, and nothing else.
    """
    # TODO step 2.1: one value, from the first byte to the last
    raise NotImplementedError("lab 2, step 2.1")

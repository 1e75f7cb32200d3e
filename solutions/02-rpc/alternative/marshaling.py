"""Step 2.1, with a reader that knows where it is, and the shortest form for writing."""

import io
import struct
from typing import Any, Self

LONG = {b: form for form, group in {
    ">f": [0xCA], ">d": [0xCB], ">B": [0xCC], ">H": [0xCD], ">I": [0xCE], ">Q": [0xCF],
    ">b": [0xD0], ">h": [0xD1], ">i": [0xD2], ">q": [0xD3],
}.items() for b in group}  # fmt: skip


def head(size: int, short: int, room: int, wide: tuple[int, ...]) -> bytes:
    """A first byte that holds a size itself, or one with the size in 1, 2 or 4 bytes after it."""
    if size < room:
        return bytes([short | size])
    for first, width in zip(wide, (4, 2, 1), strict=False):
        if width == 4 or size >= 256**width:
            continue
        return bytes([first]) + size.to_bytes(width, "big")
    return bytes([wide[0]]) + size.to_bytes(4, "big")


def marshal(value: Any) -> bytes:
    """Write a value."""
    if value is None:
        return b"\xc0"
    if value is True or value is False:
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return whole(value)
    if isinstance(value, float):
        return struct.pack(">Bd", 0xCB, value)
    return sized(value)


def whole(value: int) -> bytes:
    """Write an int."""
    if -32 <= value <= 127:
        return value.to_bytes(1, "big", signed=True)
    if value > 0:
        return b"\xcf" + value.to_bytes(8, "big")
    return b"\xd3" + value.to_bytes(8, "big", signed=True)


def sized(value: Any) -> bytes:
    """Write what has a length."""
    if isinstance(value, str):
        data = value.encode("utf-8")
        return head(len(data), 0xA0, 32, (0xDB, 0xDA, 0xD9)) + data
    if isinstance(value, list):
        return head(len(value), 0x90, 16, (0xDD, 0xDC)) + b"".join(marshal(each) for each in value)
    if isinstance(value, dict):
        pairs = (marshal(key) + marshal(each) for key, each in value.items())
        return head(len(value), 0x80, 16, (0xDF, 0xDE)) + b"".join(pairs)
    raise TypeError(type(value))


class Reader:
    """Reads values one after the other."""

    def __init__(self, data: bytes) -> None:
        self.stream = io.BytesIO(data)

    def take(self, count: int) -> bytes:
        """So many bytes, or an error."""
        data = self.stream.read(count)
        if len(data) != count:
            raise ValueError("the end came too early")
        return data

    def number(self, count: int) -> int:
        """An unsigned number."""
        return int.from_bytes(self.take(count), "big")

    def value(self) -> Any:
        """The next value."""
        first = self.take(1)[0]
        if first < 0x80:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first in LONG:
            form = LONG[first]
            return struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return self.sized(first)

    def sized(self, first: int) -> Any:
        """What has a length, or is a constant."""
        if first < 0xC0:
            kind, size = ("map", "list", "text", "text")[(first >> 4) - 8], first & 0x0F
            return self.many(kind, size if first < 0xA0 else first & 0x1F)
        match first:
            case 0xC0:
                return None
            case 0xC2 | 0xC3:
                return first == 0xC3
            case 0xD9 | 0xDA | 0xDB:
                return self.many("text", self.number(1 << (first - 0xD9)))
            case 0xDC | 0xDD:
                return self.many("list", self.number(2 << (first - 0xDC)))
            case 0xDE | 0xDF:
                return self.many("map", self.number(2 << (first - 0xDE)))
        raise ValueError("unknown")

    def many(self, kind: str, size: int) -> Any:
        """So many bytes of text, or values."""
        if kind == "text":
            return self.take(size).decode("utf-8")
        if kind == "list":
            return [self.value() for _ in range(size)]
        try:
            return {self.value(): self.value() for _ in range(size)}
        except TypeError as error:  # no such key
            raise ValueError(str(error)) from error

    def end(self) -> Self:
        """Nothing may follow."""
        if self.stream.read(1):
            raise ValueError("something follows")
        return self


def unmarshal(data: bytes) -> Any:
    """Read a datagram."""
    reader = Reader(data)
    value = reader.value()
    reader.end()
    return value

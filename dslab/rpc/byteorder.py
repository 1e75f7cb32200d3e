"""Big and little endian: what a marshaller does about it.

Most processors keep the low byte of a number first (little endian), some the high one. Bytes that are
copied as they lie in memory mean something else on the other kind of machine: 7 is 117,440,512 there. There
are two remedies:

- **One order for all** (`to_network`): whoever sends writes big-endian, "network byte order", whoever
  receives reads it so. Internet protocols, XDR and MessagePack do it. Two little-endian machines convert
  twice for nothing.
- **Receiver makes it right** (`to_tagged`): the sender writes its own order, and says which in a first byte.
  Only a receiver of the other kind converts. CORBA's CDR and DCE's NDR do this.

``layout`` is a format of the module `struct`, without its first character: "iid" is two int32 and a float64.

Source: ch. 4, Parameter passing (marshaling). RFC 4506 (XDR); CORBA 3.4, part 2, 9.3 (CDR).
"""

from __future__ import annotations

import struct
from typing import Any, Final, Literal, TypeAlias

from dslab.rpc.messages import MalformedMessage

Order: TypeAlias = Literal["big", "little"]

_SIGN: Final[dict[str, str]] = {"big": ">", "little": "<"}
_TAGS: Final[dict[Order, int]] = {"big": 0, "little": 1}


def to_network(layout: str, *values: Any) -> bytes:
    """Write values in network byte order."""
    return struct.pack(f">{layout}", *values)


def from_network(layout: str, data: bytes) -> tuple[Any, ...]:
    """Read values in network byte order.

    Raises:
        MalformedMessage: There are too few bytes, or too many.
    """
    return _unpack(f">{layout}", data)


def to_tagged(layout: str, *values: Any, order: Order) -> bytes:
    """Write values in the sender's order, and that order before them."""
    return bytes([_TAGS[order]]) + struct.pack(_SIGN[order] + layout, *values)


def from_tagged(layout: str, data: bytes) -> tuple[Any, ...]:
    """Read values in the order that their first byte tells."""
    orders: dict[int, Order] = {tag: order for order, tag in _TAGS.items()}
    if not data or data[0] not in orders:
        raise MalformedMessage("The first byte does not tell the byte order.")
    return _unpack(_SIGN[orders[data[0]]] + layout, data[1:])


def misread(layout: str, *values: Any, written: Order, read: Order) -> tuple[Any, ...]:
    """Show what becomes of values when nobody does anything about it."""
    return struct.unpack(_SIGN[read] + layout, struct.pack(_SIGN[written] + layout, *values))


def _unpack(layout: str, data: bytes) -> tuple[Any, ...]:
    try:
        return struct.unpack(layout, data)
    except struct.error as error:
        raise MalformedMessage(f"{len(data)} bytes are not {layout!r}: {error}.") from error

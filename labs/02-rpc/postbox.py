"""Step 2.1. A program around your `marshaling.py`. Nothing to be filled in.

Usage: python postbox.py HOST:PORT marshaling.py

Of each datagram it makes a value, ``[0, id, what, [value]]``, and

- ``read``: prints the value, as Python writes it;
- ``write``: makes the value that the text ``value`` stands for, and sends ``[1, id, nil, value]`` back.

A datagram of which `unmarshal` makes a ValueError is dropped.
"""

import ast
import importlib
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from channel import MAX_DATAGRAM_BYTES, address_of


def answer(yours: ModuleType, datagram: bytes) -> bytes | None:
    """The reply to a datagram, if it has one."""
    try:
        _, number, what, [value] = yours.unmarshal(datagram)
    except ValueError as error:
        print(f"dropped {len(datagram)} bytes: {error}", file=sys.stderr, flush=True)
        return None
    if what == "write":
        return yours.marshal([1, number, None, meant(value)])
    print(repr(value), flush=True)
    return None


def meant(text: str) -> Any:
    """The value that a text stands for; the text itself, if it stands for none (is cut off)."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def main() -> None:
    """Answer for ever."""
    yours = importlib.import_module(Path(sys.argv[2]).stem)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(address_of(sys.argv[1]))
        while True:
            datagram, sender = listener.recvfrom(MAX_DATAGRAM_BYTES)
            reply = answer(yours, datagram)
            if reply is not None:
                listener.sendto(reply, sender)


if __name__ == "__main__":
    main()

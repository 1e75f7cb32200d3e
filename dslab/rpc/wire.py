"""For links and pictures: where a message ends, and what to write on its arrow; for every codec.

The codec is told from the first bytes: JSON begins with ``{`` or ``[``, HTTP with a word, a MessagePack-RPC
message with one of the bytes 93 to 95.
"""

from __future__ import annotations

import re
from typing import Any, Final

from dslab.rpc import json_rpc, msgpack_rpc
from dslab.rpc.errors import as_fault
from dslab.rpc.messages import (
    DEFAULT_MAX_MESSAGE_BYTES,
    Batch,
    Context,
    Invalid,
    Message,
    Notification,
    RefData,
    Request,
    Response,
)

_JSON: Final = b"{[ \t\r\n"
_HTTP = re.compile(rb"(POST|HTTP/1\.[01]) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_BLANK: Final = b"\r\n\r\n"
_codecs = {"msgpack": msgpack_rpc.MsgpackCodec(), "json": json_rpc.JsonCodec()}


def frames(buffer: bytes | memoryview) -> int | None:
    """Say how long the first whole message in a buffer is; None while it is incomplete.

    Raises:
        ValueError: The buffer does not start with a message that anybody would take.
    """
    if not buffer:
        return None
    if _HTTP.match(buffer):
        return _http_length(bytes(buffer))
    codec = _codecs["json" if buffer[0] in _JSON else "msgpack"]
    if codec.name == "msgpack" and not 0x93 <= buffer[0] <= 0x95:
        raise ValueError(f"a message does not begin with the byte {buffer[0]:02x}")
    return codec.scanner(DEFAULT_MAX_MESSAGE_BYTES).find_end(buffer, 0, len(buffer)) or None


def describe(data: bytes) -> str:
    """Label a message for a picture: ``add(1, 2) #7``, ``#7 -> 3``."""
    if _HTTP.match(data):
        head, _, body = data.partition(_BLANK)
        return f"{head.split(b' ', 1)[0].decode()} {describe(body) if body else _status(head)}"
    codec = _codecs["json" if data[:1] and data[0] in _JSON else "msgpack"]
    return _label(codec.decode(data))


def describe_steps(data: bytes) -> str:
    """Label a message with the step of the call that it is: ``3 add(1, 2) #7``, ``8 #7 -> 3``."""
    label = describe(data)
    return f"8 {label}" if " -> " in label else f"3 {label}"


def _http_length(data: bytes) -> int | None:
    end = data.find(_BLANK)
    if end < 0:
        return None
    length = _LENGTH.search(data[: end + len(_BLANK)])
    total = end + len(_BLANK) + (int(length[1]) if length else 0)
    return total if len(data) >= total else None


def _status(head: bytes) -> str:
    return head.split(b"\r\n", 1)[0].split(b" ", 1)[-1].decode(errors="replace")


def _label(message: Message) -> str:
    match message:
        case Request(id=number, method=method, params=params, context=context):
            return f"{method}({_arguments(params)}) #{number}{_identity(context)}"
        case Notification(method=method, params=params):
            return f"{method}({_arguments(params)}) one-way"
        case Response(id=number, error=None, result=result):
            return f"#{number} -> {_value(result)}"
        case Response(id=number, error=error) | Invalid(id=number, fault=error):
            return f"#{number} -> error: {as_fault(error).message}"
        case Batch(messages=messages):
            return "[" + ", ".join(map(_label, messages)) + "]"


def _identity(context: Context | None) -> str:
    """Show what makes copies recognizable: the end of the session's number, and the call's.

    ``call ..839/7 ack 5``: the caller needs no reply any more to calls below 5.
    """
    if not context or not context.number:
        return ""
    return f" call ..{context.session % 1000:03d}/{context.number} ack {context.acknowledged}"


def _arguments(params: Any) -> str:
    if isinstance(params, dict):
        return ", ".join(f"{name}={_value(value)}" for name, value in params.items())
    return ", ".join(map(_value, params))


def _value(value: Any) -> str:
    if isinstance(value, RefData):
        return f"<{value.kind} {value.object} at {value.host}:{value.port}>"
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."

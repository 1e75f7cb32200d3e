"""Bytes to a label: what to write on an arrow.

A lab's compose file may name a describer for its protocol (``describe: "dslab.rpc.wire:describe"``), a
function from the bytes to a short text. Where there is none, or where it fails, the bytes are shown as they
are: text as text, the rest in hex.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable

from dslab.kit.errors import ConfigError
from dslab.kit.trace.quantity import ELLIPSIS, shorten

Describer = Callable[[bytes], str]

MAX_LABEL_CHARS = 120
MAX_DEFAULT_CHARS = 40
MAX_HEX_CHARS = 8 * 3  # enough to tell two apart
# Two letters in a row come up by chance in binary data; from three on it is text.
_TEXT_RUN = re.compile(rb"[\x20-\x7e]{3,}")


def load(spec: str) -> Describer:
    """The describer that ``module:function`` names, made safe: it always gives a short printable label.

    Raises:
        ConfigError: There is no such module or function.
    """
    module_name, _, function_name = spec.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"The describer {spec!r} cannot be loaded: {error}.",
            remedy="Write it as module:function, a function from bytes to a short text.",
        ) from error
    return _safe(function)


def default_label(data: bytes, size: int | None = None) -> str:
    """Text in quotes, other bytes in hex, cut at the end where long.

    Args:
        data: The bytes that were kept.
        size: How many there were, if more than that.
    """
    head = data[: MAX_DEFAULT_CHARS * 2]
    text = _as_text(head)
    label, room = (text, MAX_DEFAULT_CHARS) if text else (_mixed(head), MAX_HEX_CHARS)
    cut = (len(data) if size is None else max(size, len(data))) > len(head)
    return shorten(label + ELLIPSIS, room) if cut or len(label) > room else label


def printable(text: str) -> str:
    """The text with all that would not print (control characters, direction marks) replaced by a dot."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "·" for character in text)


def _safe(describe: Describer) -> Describer:
    def label(data: bytes) -> str:
        try:
            text = str(describe(data))
        except Exception:  # noqa: BLE001  a describer meets every byte a student can send; a picture must not fail
            return default_label(data)
        return shorten(printable(text), MAX_LABEL_CHARS)

    return label


def _as_text(data: bytes) -> str:
    """The bytes in quotes if they are printable UTF-8, but for a last character cut in two; else nothing."""
    for end in range(len(data), max(len(data) - 4, 0), -1):
        try:
            text = data[:end].decode("utf-8")
        except UnicodeDecodeError:
            continue
        text = text.replace("\r", "␍").replace("\n", "␊").replace("\t", "␉")
        return f'"{text}"' if text.isprintable() else ""
    return ""


def _mixed(data: bytes) -> str:
    """Runs of ASCII in quotes, what lies between in hex: ``00 00 00 05 "hello"``."""
    parts = []
    position = 0
    for run in _TEXT_RUN.finditer(data):
        parts.append(data[position : run.start()].hex(" "))
        parts.append(f'"{run.group().decode("ascii")}"')
        position = run.end()
    parts.append(data[position:].hex(" "))
    return " ".join(part for part in parts if part)

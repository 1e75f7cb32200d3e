"""Quantities as a reader wants them: three digits and a unit. Pure."""

from __future__ import annotations

ELLIPSIS = "…"


def duration(seconds: float) -> str:
    """``85 µs``, ``4.2 ms``, ``0.40 s``, ``12.3 s``."""
    if seconds >= 100:
        return f"{seconds:,.0f} s"
    if seconds >= 10:
        return f"{seconds:.1f} s"
    if seconds >= 0.1:
        return f"{seconds:.2f} s"
    if seconds >= 0.01:
        return f"{seconds * 1e3:.0f} ms"
    if seconds >= 0.001:
        return f"{seconds * 1e3:.1f} ms"
    return f"{max(seconds, 0) * 1e6:.0f} µs"


def size(count_bytes: int) -> str:
    """``11 B``, ``1.4 kB``, ``12.1 MB``; thousands, as on a wire."""
    if count_bytes < 1_000:
        return f"{count_bytes} B"
    value = float(count_bytes)
    for unit in ("kB", "MB"):
        value /= 1_000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1_000:.1f} GB"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """``1 message``, ``1,996 messages``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def shorten(text: str, max_chars: int) -> str:
    """The text, its end replaced by an ellipsis where it is longer than that."""
    return text if len(text) <= max_chars else text[: max(0, max_chars - 1)].rstrip() + ELLIPSIS

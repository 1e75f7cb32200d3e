"""Times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(now: datetime | None = None) -> str:
    """The local time as a folder name that sorts: ``2026-03-01T141530``."""
    return (now or datetime.now(tz=UTC)).astimezone().strftime("%Y-%m-%dT%H%M%S")


def ago(then: datetime, now: datetime | None = None) -> str:
    """How long ago something was, roughly: ``5 min ago``."""
    passed_s = max(((now or datetime.now(tz=UTC)) - then).total_seconds(), 0)
    for unit_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if passed_s >= unit_s:
            return f"{passed_s // unit_s:.0f} {unit} ago"
    return "just now"

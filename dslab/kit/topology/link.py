"""The handle by which a check breaks a link: `Link`. The same for both backends.

What each fault does stands in `dslab.kit.links.faults`. Parameters that all of these methods pass on, beside
their own: ``direction`` ("forward" or "backward") and ``count`` (so many pieces only).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dslab.kit.links import LinksClient, LinkStats


class Faults:
    """What a topology's links were asked to do, to know afterwards which of it never happened."""

    def __init__(self, links: LinksClient) -> None:
        self._links = links
        self._asked: dict[tuple[tuple[str, ...], str], None] = {}

    def apply(self, names: Sequence[str], kind: str, **parameters: Any) -> None:
        """Let these proxies misbehave, which count as one link."""
        for name in names:
            self._links.apply(name, {"kind": kind, **parameters})
        self._asked[tuple(names), kind] = None

    def idle(self) -> list[str]:
        """Those that were asked for and happened on none of their proxies: ``client->server: delay``."""
        return [f"{', '.join(names)}: {kind}" for names, kind in self._asked if not self._count(names, kind)]

    def _count(self, names: Sequence[str], kind: str) -> int:
        return sum(self._links.stats(name).injected.get(kind, 0) for name in names)


class Link:
    """The link from one service to another: one proxy, or one per replica and port.

    Args:
        names: The names of the proxies.
        links: The client of the links program.
        faults: Keeps what was asked for.
    """

    def __init__(self, names: Sequence[str], links: LinksClient, faults: Faults) -> None:
        self.names = tuple(names)
        self._links = links
        self._faults = faults

    def delay(self, s: float, jitter_s: float = 0.0, **limits: Any) -> None:
        """Let each piece arrive that much later, give or take the jitter."""
        self._apply("delay", s=s, jitter_s=jitter_s, **limits)

    def fragment(self, max_bytes: int, **limits: Any) -> None:
        """Let each piece arrive in parts."""
        self._apply("fragment", max_bytes=max_bytes, **limits)

    def coalesce(self, **limits: Any) -> None:
        """Let pieces wait for each other and arrive as one."""
        self._apply("coalesce", **limits)

    def throttle(self, bytes_per_s: float, **limits: Any) -> None:
        """Carry no more than that."""
        self._apply("throttle", bytes_per_s=bytes_per_s, **limits)

    def stall(self, **limits: Any) -> None:
        """Accept connections, and say nothing."""
        self._apply("stall", **limits)

    def cut(self, **limits: Any) -> None:
        """Close connections on both sides, new ones at once."""
        self._apply("cut", **limits)

    def reset(self, after_bytes: int | None = None, **limits: Any) -> None:
        """Send RST to both sides: now, or in each connection after so many bytes."""
        if after_bytes is not None:
            limits["after_bytes"] = after_bytes
        self._apply("reset", **limits)

    def half_close(self, after_bytes: int = 0, **limits: Any) -> None:
        """Let the receiver see the end of the stream after so many bytes; the other direction goes on."""
        self._apply("half_close", after_bytes=after_bytes, **limits)

    def refuse(self, **limits: Any) -> None:
        """Refuse new connections."""
        self._apply("refuse", **limits)

    def lose(self, p: float = 1.0, **limits: Any) -> None:
        """Lose each message with that probability."""
        self._apply("lose", p=p, **limits)

    def duplicate(self, p: float = 1.0, **limits: Any) -> None:
        """Let each message arrive twice with that probability."""
        self._apply("duplicate", p=p, **limits)

    def reorder(self, p: float = 1.0, **limits: Any) -> None:
        """Let each message be overtaken by the next with that probability."""
        self._apply("reorder", p=p, **limits)

    def corrupt(self, p: float = 1.0, **limits: Any) -> None:
        """Change one byte of each message with that probability."""
        self._apply("corrupt", p=p, **limits)

    def partition(self) -> None:
        """Be silent: bytes wait for the heal, new connections get no further, datagrams are lost."""
        self._apply("partition")

    def heal(self) -> None:
        """End all of its faults."""
        for name in self.names:
            self._links.heal(name)

    @property
    def injected(self) -> int:
        """How often its faults have happened."""
        return sum(self.stats().injected.values())

    def stats(self) -> LinkStats:
        """What it has carried and done so far; of several proxies, the sum."""
        return _sum([self._links.stats(name) for name in self.names])

    def _apply(self, kind: str, **parameters: Any) -> None:
        self._faults.apply(self.names, kind, **parameters)


def _sum(parts: Sequence[LinkStats]) -> LinkStats:
    injected: Counter[str] = Counter()
    for part in parts:
        injected.update(part.injected)
    return LinkStats(
        connections=sum(part.connections for part in parts),
        open_connections=sum(part.open_connections for part in parts),
        forward_bytes=sum(part.forward_bytes for part in parts),
        backward_bytes=sum(part.backward_bytes for part in parts),
        forward_pieces=sum(part.forward_pieces for part in parts),
        backward_pieces=sum(part.backward_pieces for part in parts),
        injected=dict(injected),
        faults=tuple(fault for part in parts for fault in part.faults),
    )

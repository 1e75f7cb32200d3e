"""The state of one link, shared by its proxy and its connections: what it carried, what it does to it."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable

from dslab.kit.errors import UsageError
from dslab.kit.links.spec import LinkSpec, LinkStats
from dslab.kit.links.tap import KEPT_BYTES, Tap
from dslab.kit.trace.event import Direction, Event, Kind


class Link:
    """One link.

    Args:
        spec: What it is.
        tap: Where it records.
        seed: What its faults are decided from.
    """

    def __init__(self, spec: LinkSpec, tap: Tap, seed: int) -> None:
        self.spec = spec
        self.tap = tap
        self.seed = seed
        self.connections = 0
        self.open_connections = 0
        self.bytes: Counter[str] = Counter()
        self.pieces: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()
        self._describe = load_function(spec.describe) if spec.describe else None

    def stats(self) -> LinkStats:
        """What it has carried and done so far."""
        return LinkStats(
            connections=self.connections,
            open_connections=self.open_connections,
            forward_bytes=self.bytes["forward"],
            backward_bytes=self.bytes["backward"],
            forward_pieces=self.pieces["forward"],
            backward_pieces=self.pieces["backward"],
            injected=dict(self.injected),
        )

    def note(self, kind: Kind, direction: Direction, connection: int, note: str = "") -> None:
        """Record what happened to a connection."""
        if self.tap.on:
            event = Event(
                t_s=self.tap.now(),
                link=self.spec.name,
                kind=kind,
                direction=direction,
                note=note,
                connection=connection,
            )
            self.tap.record(event)

    def record(
        self,
        kind: Kind,
        direction: Direction,
        connection: int,
        data: bytes,
        *,
        size: int,
        t_s: float,
        arrive_s: float | None,
        note: str = "",
    ) -> None:
        """Record a piece that travelled. `data` is what is kept of it, `size` its whole length."""
        self.tap.record(
            Event(
                t_s=t_s,
                link=self.spec.name,
                kind=kind,
                direction=direction,
                data=data[:KEPT_BYTES],
                size=size,
                label=self._describe(data) if self._describe else "",
                note=note,
                connection=connection,
                arrive_s=arrive_s,
            )
        )


def load_function(name: str) -> Callable[..., str]:
    """The function called ``module:function``.

    Raises:
        UsageError: There is none.
    """
    module, _, function = name.partition(":")
    try:
        loaded: Callable[..., str] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"There is no function {name!r}: {error}.") from error
    return loaded

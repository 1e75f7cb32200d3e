"""What services print, as they print it: `Tails`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

MAX_BYTES = 64 * 1024  # of one stream at one look; what a service prints beyond it is in its file


class Tails:
    """Follows ``<node>.out`` and ``<node>.err`` of every node.

    Args:
        folder: Where they are, or will be.
        nodes: Whose.
    """

    def __init__(self, folder: Path, nodes: Sequence[str]) -> None:
        self._read = {(node, folder / f"{node}.{stream}"): 0 for node in nodes for stream in ("out", "err")}
        self._rest = dict.fromkeys(self._read, b"")

    def new_lines(self) -> Iterator[tuple[str, str]]:
        """The complete lines that have come since the last look, each with its node."""
        for key in self._read:
            node, path = key
            data = self._rest[key] + self._new_bytes(key, path)
            *lines, self._rest[key] = data.split(b"\n")
            for line in lines:
                yield node, line.decode(errors="replace").rstrip("\r")

    def _new_bytes(self, key: tuple[str, Path], path: Path) -> bytes:
        try:
            with path.open("rb") as stream:
                stream.seek(self._read[key])
                data = stream.read(MAX_BYTES)
        except FileNotFoundError:
            return b""
        self._read[key] += len(data)
        return data

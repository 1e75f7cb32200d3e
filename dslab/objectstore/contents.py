"""An object's bytes, open for reading: from one file, or from many in a row.

All files are opened before the first byte is read. From then on they can be removed, and the reader still
sees the one version that it began with: a file goes when its last name and its last reader have gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator


class Contents:
    """A range of bytes of one or more files, all of them open. Iterating gives them, piece by piece.

    Args:
        files: Where, and how long.
        start: The first byte.
        end: After the last byte.

    Raises:
        FileNotFoundError: One is gone.

    Attributes:
        size_bytes: How many they are.
        ranges: Of each file its descriptor, from, and to.
    """

    PIECE_BYTES = 512 * 1024

    def __init__(self, files: Iterable[tuple[str, int]], start: int, end: int) -> None:
        self.size_bytes = end - start
        self.ranges: list[tuple[int, int, int]] = []
        try:
            for path, size in files:
                if start < size and end > 0 and start < end:
                    self.ranges.append((os.open(path, os.O_RDONLY), max(0, start), min(end, size)))
                start, end = start - size, end - size
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        try:
            for descriptor, start, end in self.ranges:
                at = start
                while at < end:
                    piece = os.pread(descriptor, min(self.PIECE_BYTES, end - at), at)
                    if not piece:
                        raise OSError("A file of the store has been cut short.")
                    at += len(piece)
                    yield piece
        finally:
            self.close()

    def close(self) -> None:
        """Close the files."""
        for descriptor, _, _ in self.ranges:
            os.close(descriptor)
        self.ranges = []

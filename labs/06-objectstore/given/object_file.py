"""One object in one file, with what is said about it: `label` writes, `open_object` reads.

=================  ==================================================================
bytes              what
=================  ==================================================================
any number         the content
any number         the label: key, ETag and content type, as JSON in UTF-8
4                  the length of the label, the most significant byte first
=================  ==================================================================

The label stands at the end since the ETag is not known before the last byte has come; and in the same file,
so that nobody can ever see new content with an old label.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

PIECE_BYTES = 65_536
LENGTH_BYTES = 4


def label(key: str, etag: str, content_type: str) -> bytes:
    """What stands behind the content."""
    text = json.dumps({"key": key, "etag": etag, "content_type": content_type}).encode()
    return text + len(text).to_bytes(LENGTH_BYTES, "big")


class StoredFile:
    """An object whose file is open. It can be read even when another one has taken its place on the disk.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has no label: it is not whole.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")  # closed with the last reference to this
        end = self._file.seek(0, 2)
        self._file.seek(max(end - LENGTH_BYTES, 0))
        length = int.from_bytes(self._file.read(), "big")
        self.size = end - LENGTH_BYTES - length
        if end < LENGTH_BYTES or self.size < 0:
            raise ValueError(f"{path} is torn")
        self._file.seek(self.size)
        said = json.loads(self._file.read(length))
        self.key: str = said["key"]
        self.etag: str = said["etag"]
        self.content_type: str = said["content_type"]

    def pieces(self, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """That part of the content."""
        left = self.size - start if size is None else size
        self._file.seek(start)
        while left > 0:
            piece = self._file.read(min(left, PIECE_BYTES))
            left -= len(piece)
            yield piece

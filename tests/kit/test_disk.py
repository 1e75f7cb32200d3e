"""What must outlive a crash."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from dslab.kit.disk import sync_folder, write_whole


class Nearly(io.BytesIO):
    """A file that takes three bytes at a time, and no more than so many."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def write(self, data: Any) -> int:
        taken = super().write(bytes(data[: min(3, self._room - self.tell())]))
        if not taken:
            raise OSError("No space left on device")
        return taken


def test_what_is_taken_in_parts_is_written_whole() -> None:
    file = Nearly(room=10)
    write_whole(file, b"0123456789")
    assert file.getvalue() == b"0123456789"


def test_a_full_disk_is_an_error_though_a_part_was_written() -> None:
    file = Nearly(room=9)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, b"0123456789")
    assert file.getvalue() == b"012345678"


def test_a_folder_is_synced_by_its_name_and_must_be_there(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    sync_folder(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")

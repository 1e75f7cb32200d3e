"""Bringing to the disk what must outlive a crash.

Source: ch. 8, Fault tolerance (stable storage); T. Pillai et al., "All file systems are not created equal",
2014.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def sync_folder(folder: Path | str) -> None:
    """Wait until what was made, renamed or removed in a folder is on disk: a file's name is not the file's.

    Raises:
        OSError: The disk does not take it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(file: BinaryIO, data: bytes) -> None:
    """Write all of it to an unbuffered file: a disk that is nearly full takes a part, and only then says so.

    Raises:
        OSError: The disk is full; a part may be written.
    """
    unwritten = memoryview(data)
    while unwritten:
        unwritten = unwritten[file.write(unwritten) :]

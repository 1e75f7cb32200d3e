"""Bringing to the disk what must outlive a crash, and having a file for oneself.

Source: ch. 8, Fault tolerance (stable storage); T. Pillai et al., "All file systems are not created equal",
2014.
"""

from __future__ import annotations

import fcntl
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


def lock_file(path: Path) -> BinaryIO:
    """Lock a file, made if need be, until what comes is closed, be it by the end of the process.

    A forked child does not keep the lock: it may outlive who took it.

    Raises:
        BlockingIOError: Another process has it.
        OSError: It cannot be made; there are also file systems on which nothing can be locked.
    """
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    os.register_at_fork(after_in_child=file.close)
    return file

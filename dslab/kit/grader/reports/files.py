"""Writes a file whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from dslab.kit.errors import MachineError


def write_whole(path: Path, text: str) -> None:
    """Write beside the file, then rename over whatever is there: a file, a link, or even a folder.

    The name beside it cannot be guessed, and a link in the place of the file is replaced, not followed: the
    programs that are graded may run as the same user.

    Raises:
        MachineError: The folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            os.fchmod(handle, 0o644)
            file.write(text)
        _rename(Path(aside), path)
    except OSError as error:
        remedy = "Check that the folder is yours and that the disk is not full."
        raise MachineError(f"{path} cannot be written: {error.strerror}.", remedy=remedy) from error


def _rename(aside: Path, path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    try:
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise

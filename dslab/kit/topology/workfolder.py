"""The files that services run on: a copy of the student's and the lab's, made anew for every check.

A copy, so that a service which overwrites its own program, or litters, does so for its own check only, and so
that what the lab provides is really what the lab provides.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from dslab.kit.errors import UsageError

# Not needed by any service, or not for a service to read: the checks. Solutions have wrong/ and alternative/
# beside them, each a submission of its own, and what their makers keep. All of it, and the handout, would be
# copied for every check.
LEFT_OUT = (
    "test_*.py",
    "conftest.py",
    "lab.toml",
    "*.md",
    "pictures",
    "wrong",
    "alternative",
    "golden",
    "equivalent.toml",
    "__pycache__",
    ".*",
    "venv",
)
_UNWANTED = re.compile("|".join(map(fnmatch.translate, LEFT_OUT)))
MAX_FILES = 2_000
MAX_BYTES = 100 * 1024 * 1024


def fill_work_folder(
    work: Path,
    *,
    submission: Path,
    provided: Path,
    edited: Collection[str],
) -> None:
    """Copy the student's files, then the lab's over them.

    Links and special files are not copied: a link could point anywhere, a pipe would be read for ever.

    Args:
        work: Where to; made here.
        submission: The folder with the student's files.
        provided: The lab's folder.
        edited: The names of the files that the student writes; the lab's version of them is not taken.

    Raises:
        UsageError: A folder does not exist, or holds more than a lab's files can be.
    """
    work.mkdir()
    same = submission.resolve() == provided.resolve()
    _copy(submission, work, ())
    if not same:
        _copy(provided, work, edited)


def _copy(source: Path, target: Path, edited: Collection[str]) -> None:
    if not source.is_dir():
        raise UsageError(f"There is no folder {source}.")
    total_bytes = 0
    for number, file in enumerate(_files(source)):
        name = os.path.relpath(file.path, source)
        if name in edited:
            continue
        status = file.stat(follow_symlinks=False)
        total_bytes += status.st_size
        if number >= MAX_FILES or total_bytes > MAX_BYTES:
            limit = f"more than {MAX_FILES:,} files or {MAX_BYTES // 2**20} MiB"
            raise UsageError(f"{source} holds {limit}.", remedy="Is it the right folder?")
        copy = target / name
        if copy.parent != target:
            copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.path, copy)
        copy.chmod(0o755 if status.st_mode & 0o100 else 0o644)


def _files(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_symlink() or _UNWANTED.match(entry.name):
            continue
        if entry.is_dir():
            yield from _files(entry.path)
        elif entry.is_file():
            yield entry

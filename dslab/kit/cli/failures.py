"""What a person reads when a command ends in an exception: one paragraph, and what to do about it.

Only the standard library is imported here: an error message waits for nothing and depends on nothing.
"""

from __future__ import annotations

import errno
import shutil
import sys
import textwrap
import traceback
from pathlib import Path

from dslab.kit.errors import DslabError, MachineError, ServiceFailed

BUG_STATUS = 3

# The machine ran out of something; no file of ours is to blame.
_RESOURCES = {
    errno.ENOSPC,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EAGAIN,
    errno.EADDRINUSE,
    errno.EADDRNOTAVAIL,
}


def explain(error: Exception, *, debug: bool) -> int:
    """Print what went wrong to stderr.

    Args:
        error: What escaped from the command.
        debug: Print the traceback first.

    Returns:
        The exit status that the error asks for.
    """
    known = as_dslab_error(error)
    if debug:
        traceback.print_exception(error)
    sys.stderr.write(paragraph(str(known) if known else bug_report(error)) + "\n")
    if isinstance(known, ServiceFailed) and known.stderr:
        sys.stderr.write(textwrap.indent(known.stderr.rstrip(), "  | ") + "\n")
    return known.exit_status if known else BUG_STATUS


def as_dslab_error(error: Exception) -> DslabError | None:
    """See the machine's own refusals (no rights, no space) as errors with a remedy; None is a bug."""
    match error:
        case DslabError():
            return error
        case PermissionError(filename=str(name)):
            return MachineError(
                f"No permission to read or write {name}.",
                remedy=f"See who owns it with: ls -ld {name}  (a run with sudo may have left it).",
            )
        case OSError(filename=str(name), strerror=str(reason)) if not isinstance(error, FileNotFoundError):
            return MachineError(f"{reason}: {name}.", remedy="`dslab doctor` looks over this machine.")
        case OSError(strerror=str(reason)) if error.errno in _RESOURCES:
            return MachineError(f"{reason}.", remedy="`dslab doctor` looks over this machine.")
        case _:
            return None


def bug_report(error: Exception) -> str:
    """Say that dslab is to blame, where it happened, and how to report it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({_short(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    what = "".join(traceback.format_exception_only(error)).strip()
    return (
        f"This is a bug in dslab, not in your work: {what}{where}. "
        "To report it, run the same command with --debug and send all that it prints, "
        "together with the output of `dslab doctor --json`, to those who run your course."
    )


def paragraph(text: str) -> str:
    """Name the program that speaks, and wrap for a terminal; a file or a pipe gets one line."""
    lines = f"dslab: {text}".splitlines()
    if not sys.stderr.isatty():
        return "\n".join(lines)
    width = max(shutil.get_terminal_size().columns, 40)
    wrapper = textwrap.TextWrapper(width=width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapper.fill(line) for line in lines)


def _short(filename: str) -> str:
    """Write a file of dslab's as it stands in the repository."""
    parts = Path(filename).parts
    return "/".join(parts[len(parts) - parts[::-1].index("dslab") - 1 :]) if "dslab" in parts else filename

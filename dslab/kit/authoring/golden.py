"""Golden files: what a wrong submission shows on the terminal, word for word.

``solutions/NN-name/golden/NAME.txt`` holds the whole output for ``wrong/NAME.py``, with what differs from run
to run (times, addresses, folders) replaced by a word. A change of any message shows as a difference that a
reviewer reads. ``make golden`` records them anew.
"""

from __future__ import annotations

import re
from difflib import unified_diff
from pathlib import Path

GOLDEN_SEED = 1
VARYING = (
    (re.compile(r"\S*\.dslab/runs/[^/\s]+"), "RUN"),
    (re.compile(r"\b127(?:\.\d+){3}:\d+"), "ADDRESS"),
    (re.compile(r"\b\d+(?:\.\d+)? (ms|s)(?!\w)"), r"N \1"),
    (re.compile(r'(File "[^"\n]+", line) \d+'), r"\1 N"),
    (re.compile(r"\b\d+ (descriptors|threads|processes) are left"), r"N \1 are left"),
    (re.compile(r"\b(?:reset|closed)(\s+)the\s+connection"), r"ended\1the connection"),  # who is faster
    # A link accepts before it knows that nobody listens behind it. The reset meets the client as it connects,
    # as it sends, or as it waits.
    (
        re.compile(r"took no connection: Connection reset by\s+peer"),
        "ended the connection: waited for a reply",
    ),
    (re.compile(r"(ended the connection: waited for) \d+ more bytes to be taken"), r"\1 a reply"),
    (re.compile(r"-\d+(\s+asks\s+again)"), r"-N\1"),  # which of several is noticed first
    (re.compile(r"grown by \d+ (MB|MiB)"), r"grown by N \1"),
    (re.compile(r"printed \d+ of the \d+ bytes"), "printed N of the N bytes"),  # how many pieces had a star
    # Of many bytes: how many had been sent when the program ended, or answered out of turn.
    (
        re.compile(r"^( +sent +).* \.\.\. .*\((?:more than )?[\d,]{5,} bytes\)$", re.MULTILINE),
        r"\1N bytes",
    ),
    (re.compile(r"^( +came back +)\d{1,3}(?:,\d{3}){2,}$", re.MULTILINE), r"\1N"),
)
# Who is waited for in vain still runs. What it says or raises then is about the check's leaving, and may come
# too late for the report.
FAILURE = re.compile(r"^\d+\.\d+ fail: (?:.*\n)*?(?= {4}hint )", re.MULTILINE)
LAST_WORDS = re.compile(
    r"\s\S+\s+raised\s+\w+Error:[^()]*\([^)]*\)\.|^ {4}stderr .*\n(?:(?: {8,}.*)?\n)*", re.MULTILINE
)
# What stands between a failure's property and its hint; and the failures in short, as those that end in the
# same words share a line.
CHANCE = (
    (re.compile(r"^(\d+\.\d+ fail: (?:.*\n)*?.*\.\n)(?:(?: {4}.*)?\n)*?(?= {4}hint )", re.MULTILINE), r"\1"),
    (re.compile(r"^\d+ more, in short.*\n(?:\d+\.\d+ fail  .*\n)+\n", re.MULTILINE), ""),
)


def normalised(printed: str, submission: Path, *, by_chance: bool = False) -> str:
    """The output without what differs from run to run.

    Args:
        printed: What ``dslab test`` wrote to a pipe.
        submission: The folder that was graded.
        by_chance: What the wrong program answers, or says in the end, depends on how TCP happened to cut its
            input, or on who is faster. Then it counts which properties fail, of those that are told at
            length, and how many of each step; and not in which words.
    """
    text = printed.replace(str(submission), "SUBMISSION")
    for pattern, word in VARYING + (CHANCE if by_chance else ()):
        text = pattern.sub(word, text)
    text = FAILURE.sub(_without_late_words, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _without_late_words(failure: re.Match[str]) -> str:
    return LAST_WORDS.sub("", failure[0]) if re.search(r"\bin\s+vain\b", failure[0]) else failure[0]


def difference(golden: Path, text: str) -> str:
    """A unified diff from the golden file to this text; empty if they are equal."""
    recorded = golden.read_text(encoding="utf-8") if golden.is_file() else ""
    lines = unified_diff(recorded.splitlines(), text.splitlines(), str(golden), "this run", lineterm="")
    return "\n".join(lines)


def record(golden: Path, text: str) -> None:
    """Write the golden file."""
    golden.parent.mkdir(exist_ok=True)
    golden.write_text(text, encoding="utf-8")

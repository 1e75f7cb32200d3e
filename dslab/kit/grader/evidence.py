"""What a check leaves behind for its reader: the last bytes sent, the programs' last words, a picture.

All of it is read from the check's folder after its topology has been torn down, when the traces are whole.
None of it decides a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dslab.kit.grader.compare import Comparison
from dslab.kit.grader.lastwords import LastException, exceptions, last_exception, tail
from dslab.kit.grader.render import LINE_WIDTH, counted, render, render_beginning, written
from dslab.kit.topology.interpolation import Template, Variable
from dslab.kit.topology.spec import GRADER, ServiceSpec, TopologySpec
from dslab.kit.trace.event import CARRIES_BYTES, Event, Kind
from dslab.kit.trace.recorder import MAX_BYTES_PER_EVENT

PICTURE = "picture.html"
MAX_STDERR_CHARACTERS = 64 * 1024
LIBRARY = re.compile(r'File "/[^"\n]*/(?:lib/python3\.\d+|site-packages)/')
OURS = re.compile(r'File "/[^"\n]*/(?=dslab/(?:\w+/)*\w+\.py")')
IN_A_CONTAINER = 'File "/lab/'  # docker_entry.WORK; that module takes the engine's library along
_GOODBYES = ("ConnectionResetError", "BrokenPipeError", "ConnectionAbortedError")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known beside the exception.

    Attributes:
        sent: The last bytes that the grader sent, rendered.
        stderr: The last lines of each of the student's programs, under its name.
        causes: The last exception of each of them.
        picture: The picture's path, relative to the run's folder.
        work: What the paths of the student's files begin with, where the programs ran.
    """

    sent: str = ""
    stderr: str = ""
    causes: Mapping[str, LastException] = field(default_factory=dict)
    picture: str = ""
    work: str = ""

    def short(self, text: str) -> str:
        """The text with paths as a student knows them.

        That is framing.py, not the copy of it that ran; socket.py; dslab/rpc/objects.py.
        """
        text = text.replace(self.work, "") if self.work else text
        for pattern in (LIBRARY, OURS):
            text = pattern.sub('File "', text)
        return text.replace(IN_A_CONTAINER, 'File "')


def stated(value: object, comparison: Comparison | None) -> str:
    """What the check said that it sent; of a list that is too long for a line, what the failure is about.

    That is, the item at whose place among what came back the first difference is.
    """
    if (
        comparison
        and comparison.item
        and isinstance(value, list | tuple)
        and len(written(value)) > LINE_WIDTH
    ):
        at, expected = comparison.item
        if at < len(value) == expected:
            return f"item {at} of {expected:,}: {render(value[at])}"
    return render(value)


def last_sent(events: Iterable[Event]) -> str:
    """What the grader sent last: everything since something last came back on that connection."""
    sent: list[Event] = []
    answered = False
    for event in events:
        if event.kind not in CARRIES_BYTES or not event.link.startswith(f"{GRADER}->"):
            continue
        same = bool(sent) and (event.link, event.connection) == (sent[-1].link, sent[-1].connection)
        if event.direction == "forward":
            if answered or not same:
                sent = []
            sent.append(event)
            answered = False
        elif same:
            answered = True
    return _render_pieces(sent)


def _render_pieces(pieces: Sequence[Event]) -> str:
    kept = b"".join(piece.data for piece in pieces)
    size = sum(max(piece.size, len(piece.data)) for piece in pieces)
    if not size:
        return ""
    if size == len(kept):
        return render(kept)
    # How much of a stream got as far as the link before the check failed is chance; a message is whole.
    whole = all(piece.kind is not Kind.CHUNK for piece in pieces)
    return render_beginning(
        kept, counted(size, "byte") if whole else f"more than {MAX_BYTES_PER_EVENT:,} bytes"
    )


def programs(spec: TopologySpec, own_files: Collection[str]) -> tuple[str, ...]:
    """The nodes that run one of the student's files."""
    return tuple(
        node
        for service in spec.services.values()
        if any(name in words for name in own_files for words in _words(service))
        for node in service.nodes
    )


def _words(service: ServiceSpec) -> Iterable[str]:
    lines = (line for line in (service.command, service.local) if line)
    return [text for line in lines for word in line.words for text in _texts(word)]


def _texts(template: Template) -> Iterable[str]:
    for part in template.parts:
        if isinstance(part, Variable):
            yield from _texts(part.argument or Template(()))
        else:
            yield part


def read_stderr(folder: Path, nodes: Iterable[str], earlier: Mapping[str, int]) -> dict[str, str]:
    """What those programs wrote to stderr; those that wrote nothing are left out.

    Only since their last start: what an earlier life has said is not why this one ended.

    Args:
        folder: The check's folder.
        nodes: The programs.
        earlier: How many characters each had written before its last start.
    """
    short = Evidence(work=work_prefix(folder)).short
    written = {node: short(_end_of(folder / f"{node}.err", earlier.get(node, 0))) for node in nodes}
    return {node: text for node, text in written.items() if text.strip()}


def work_prefix(folder: Path) -> str:
    """What the paths of the student's files begin with in that check's folder."""
    return f"{folder / 'work'}/"


def _end_of(path: Path, earlier: int) -> str:
    try:  # whole: it is never longer than `dslab.kit.topology.backend.MAX_OUTPUT_BYTES`
        return path.read_text(encoding="utf-8", errors="replace")[earlier:][-MAX_STDERR_CHARACTERS:]
    except OSError:
        return ""  # it was never started


def last_words(stderr: Mapping[str, str]) -> str:
    """The last lines of each program; its name stands above where there are several."""
    if len(stderr) == 1:
        return tail(next(iter(stderr.values())))
    return "\n".join(f"{node}:\n{tail(text)}" for node, text in stderr.items())


def without_goodbyes(stderr: Mapping[str, str]) -> dict[str, str]:
    """Leave out who only complains that the other side has gone.

    A check that got a wrong answer fails and leaves, and a server in the middle of its work notices, or does
    not, as chance has it. Where no answer came, such an exception may be the reason, and stays.
    """
    # The last told of, whatever follows: which of its threads has the last word is chance, too.
    found = {node: [*filter(None, exceptions(text))] for node, text in stderr.items()}
    return {
        node: text
        for node, text in stderr.items()
        if not ((told := found[node]) and told[-1].text.startswith(_GOODBYES))
    }


def causes(stderr: Mapping[str, str], own_files: Collection[str]) -> dict[str, LastException]:
    """The exception that each program told of last, if it said nothing else after it."""
    found = {node: last_exception(text, own_files) for node, text in stderr.items()}
    return {node: exception for node, exception in found.items() if exception}

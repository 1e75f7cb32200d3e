"""The same picture for a terminal: one line per row, no scale, the columns where the page has them.

Where the terminal is too narrow for that, texts are cut, and the last line says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from rich.text import Text

from dslab.kit.trace.columns import CHARACTER_PX, INSET_PX, characters, cut, fit, write
from dslab.kit.trace.event import CARRIES_BYTES, Event, Kind
from dslab.kit.trace.layout import clock, lay_out
from dslab.kit.trace.picture import Arrow, Ending, FoldRow, Notice, Picture, Rule, Sign, Wait
from dslab.kit.trace.quantity import duration
from dslab.kit.trace.spans import Life

GUTTER = 9
FIRST = GUTTER + 4  # the first column
MARGIN = 20
NARROWEST_LANE = 14
WIDEST_LANE = 56
TELLING_DELAY_S = 0.001

FAULT = "yellow"
FAILURE = "bold red"
MUTED = "dim"
MARK = "magenta"

LIFE = {Life.ALIVE: ("│", ""), Life.PAUSED: ("┊", FAULT), Life.DOWN: (" ", "")}
ENDS = {Ending.LOST: "✕", Ending.HELD: "┤", Ending.REFUSED: "┤"}
SIGNS = {"killed": "✕", "exited": "┴", "paused": "‖"}

Shape = Arrow | FoldRow | Notice | Rule | Sign | Wait


@dataclass(slots=True)
class _Line:
    """A line of so many characters, each with its style; what is put later covers what was there."""

    width: int
    cells: list[tuple[str, str]] = field(default_factory=list)
    lacks: bool = False  # something, for want of room

    def __post_init__(self) -> None:
        self.cells = [(" ", "")] * self.width

    def put(self, at: int, text: str, style: str = "") -> None:
        position = at
        for character in text:
            wide = characters(character) == 2
            if position >= 0 and position + wide < self.width:
                self.cells[position] = (character, style)
                if wide:
                    self.cells[position + 1] = ("", style)
            else:
                self.lacks |= character != " "
            position += 1 + wide

    def text(self) -> Text:
        line = Text(no_wrap=True, end="")
        for character, style in self.cells:
            line.append(character, style)
        line.rstrip()
        return line


def draw_text(
    events: Sequence[Event], columns: Sequence[str] = (), failed_at_s: float | None = None, width: int = 100
) -> Text:
    """Draw a trace for a terminal.

    Args:
        events: In the order of time.
        columns: Services to draw although nobody may have talked to them.
        failed_at_s: When the check failed; without it, when the trace says so, if it does.
        width: Of the terminal, in characters.
    """
    picture = lay_out(events, columns, failed_at_s)
    drawing = _Drawing(picture, _places(picture, width), width)
    lines = list(drawing.lines())
    texts = [line.text() for line in lines]
    if drawing.lacks or any(line.lacks for line in lines):
        told = f"Cut for {width} columns: a wider terminal, or --open in place of --text, shows more."
        texts.append(Text(told, style=MUTED))
    return Text("\n", no_wrap=True, overflow="crop").join(texts)


def _places(picture: Picture, width: int) -> dict[float, int]:
    """Which character each column stands at."""
    lanes = max(1, len(picture.columns) - 1)
    # So many columns that there is no margin are still all in sight.
    narrowest = max(4, min(NARROWEST_LANE, (width - FIRST - 3) // lanes))
    lane = min(WIDEST_LANE, max(narrowest, (width - GUTTER - MARGIN) // lanes))
    return {column.x: FIRST + index * lane for index, column in enumerate(picture.columns)}


@dataclass(slots=True)
class _Drawing:
    picture: Picture
    at: Mapping[float, int]
    width: int
    lacks: bool = False  # a part of some text, for want of room

    def lines(self) -> Iterator[_Line]:
        yield self._heads()
        for y, shape in sorted(_shapes(self.picture), key=lambda pair: pair[0]):
            line = self._lifelines(y)
            match shape:
                case Arrow():
                    self._arrow(line, shape)
                case FoldRow():
                    self._between(line, shape.x0, shape.x1, f"… {shape.text}", MUTED)
                case Wait():
                    style = FAILURE if shape.fatal else MUTED
                    self._across(line, shape.text, style)
                case Notice():
                    self._notice(line, shape)
                case Sign():
                    self._sign(line, shape)
                case Rule():
                    line = self._rule(shape)
            yield line

    def _line(self) -> _Line:
        last = max(self.at.values(), default=GUTTER + MARGIN)
        return _Line(max(last + 2, min(last + MARGIN, self.width)))

    def _across(self, line: _Line, text: str, style: str) -> None:
        """Write in the middle between the first and the last column."""
        places = sorted(self.at.values()) or [line.width // 2]
        self._centre(line, (places[0] + places[-1]) // 2, text, style)

    def _heads(self) -> _Line:
        line = self._line()
        line.put(GUTTER - 2 - len(self.picture.unit), self.picture.unit, MUTED)
        places = sorted(self.at.values())
        halves = [(earlier + later + 1) // 2 for earlier, later in pairwise(places)]
        for column, (begin, end) in zip(
            self.picture.columns, pairwise([GUTTER, *halves, line.width + 1]), strict=False
        ):
            name = self._cut(column.name, end - begin - 1)
            wanted = self.at[column.x] - characters(name) // 2
            line.put(max(begin, min(wanted, end - 1 - characters(name))), name, "bold")
        return line

    def _cut(self, text: str, room: int) -> str:
        short = cut(text, room)
        self.lacks |= short != text
        return short

    def _lifelines(self, y: float) -> _Line:
        line = self._line()
        for piece in self.picture.lifelines:
            if piece.top <= y < piece.bottom:
                line.put(self.at[piece.x], *LIFE[piece.life])
        for band in self.picture.bands:
            if band.blocks and band.top <= y < band.bottom:
                for x, inwards in ((band.left, 1), (band.right, -1)):
                    line.put(self.at[x] + inwards, "░", FAULT)
        return line

    def _time(self, line: _Line, event: Event) -> None:
        elapsed_s = event.t_s - self.picture.start_s
        if elapsed_s >= 0:
            line.put(0, clock(elapsed_s, self.picture.unit).rjust(GUTTER - 2), MUTED)

    def _arrow(self, line: _Line, arrow: Arrow) -> None:
        event = arrow.event
        self._time(line, event)
        start, end = self.at[arrow.x0], self._arrival(arrow)
        forward = end > start
        first, last = (start + 1, end - 1) if forward else (end + 1, start - 1)
        thin = event.kind in (Kind.OPEN, Kind.CLOSE)
        style = FAULT if arrow.effects else FAILURE if arrow.last else MUTED if thin else ""
        line.put(first, ("╌" if thin else "─") * (last - first + 1), style)
        head = ENDS.get(arrow.ending) or ("▷" if forward else "◁") if thin else ENDS.get(arrow.ending)
        line.put(last if forward else first, head or ("▶" if forward else "◀"), style)
        text = f" {self._words(arrow, last - first)} "
        line.put(first + 1 if forward else last - characters(text), text, style)

    def _arrival(self, arrow: Arrow) -> int:
        """The character that the arrow ends at: a column, or short of it."""
        if arrow.x1 in self.at:
            return self.at[arrow.x1]
        start, goal = self.at[arrow.x0], self.at[arrow.goal]
        return start + round((goal - start) * 0.8)

    def _words(self, arrow: Arrow, room: int) -> str:
        whole = write(arrow.event, self.picture.many)
        px = (room - 2) * CHARACTER_PX + 2 * INSET_PX
        writing = fit(whole, px)
        if writing.characters > room - 3:  # a little of the label tells more than half of the size
            writing = fit(replace(whole, detail=""), px)
        self.lacks |= (writing.label, writing.effects) != (whole.label, whole.effects)
        words = [part for part in (writing.connection, writing.label, writing.detail) if part]
        words += [arrow.effects] if arrow.effects else []
        delay_s = (arrow.event.arrive_s or 0.0) - arrow.event.t_s
        if arrow.event.kind in CARRIES_BYTES and delay_s >= TELLING_DELAY_S:
            words.append(f"(takes {duration(delay_s)})")
        return self._cut(" ".join(words), max(0, room - 3))

    def _between(self, line: _Line, x0: float, x1: float, text: str, style: str) -> None:
        self._centre(line, (self.at[x0] + self.at[x1]) // 2, text, style)

    def _centre(self, line: _Line, middle: int, text: str, style: str) -> None:
        line.put(max(0, middle - characters(text) // 2 - 1), f" {text} ", style)

    def _notice(self, line: _Line, notice: Notice) -> None:
        self._time(line, notice.event)
        first, last = self.at[notice.x0] + 1, self.at[notice.x1] - 1
        line.put(first, "┄" * (last - first + 1), FAULT)
        self._between(line, notice.x0, notice.x1, self._cut(notice.text, max(4, last - first - 3)), FAULT)

    def _sign(self, line: _Line, sign: Sign) -> None:
        self._time(line, sign.event)
        mark = sign.event.kind is Kind.MARK
        grave = sign.event.label in SIGNS
        style = MARK if mark else FAILURE if sign.bad else FAULT if grave else MUTED
        line.put(self.at[sign.x], "◀" if mark else SIGNS.get(sign.event.label, "○"), style)
        text = characters(sign.text)
        fits = self.at[sign.x] + 2 + text <= line.width or self.at[sign.x] - 2 - text < GUTTER
        line.put(self.at[sign.x] + 2 if fits else self.at[sign.x] - 1 - text, sign.text, style)

    def _rule(self, rule: Rule) -> _Line:
        line = self._line()
        style = FAILURE if rule.failure else MUTED
        line.put(GUTTER, ("━" if rule.failure else "─") * (line.width - GUTTER), style)
        self._across(line, f"{'✕ ' if rule.failure else ''}{rule.text}", style)
        if rule.elapsed_s >= 0:
            line.put(0, clock(rule.elapsed_s, self.picture.unit).rjust(GUTTER - 2), style)
        return line


def _shapes(picture: Picture) -> Iterator[tuple[float, Shape]]:
    yield from ((arrow.y0, arrow) for arrow in picture.arrows)
    yield from ((row.y, row) for row in picture.folds)
    yield from ((wait.top, wait) for wait in picture.waits)
    yield from ((notice.y, notice) for notice in picture.notices)
    yield from ((sign.y, sign) for sign in picture.signs)
    yield from ((rule.y, rule) for rule in picture.rules)

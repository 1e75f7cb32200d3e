"""Events to coordinates: the whole picture as plain numbers and texts, before anything is drawn. Pure.

Three stages: `tell` chooses the rows, `schedule` gives each its height, and one function per shape makes
shapes of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from dslab.kit.trace.columns import GUTTER_PX, HEAD_PX, MARGIN_PX, cut, fit, order, place, write
from dslab.kit.trace.describe import printable
from dslab.kit.trace.event import CARRIES_BYTES, Effect, Event, Kind, NodeState
from dslab.kit.trace.fold import QUIET_EFFECTS, Fold
from dslab.kit.trace.picture import (
    Arrow,
    Band,
    Column,
    Ending,
    FoldRow,
    LifeLine,
    Notice,
    Picture,
    Rule,
    Sign,
    Tick,
    Wait,
)
from dslab.kit.trace.quantity import duration
from dslab.kit.trace.schedule import TRAVELS, Lanes, Row, schedule
from dslab.kit.trace.spans import HEAL, faults, lives
from dslab.kit.trace.story import BEGIN, FAILED, Story, is_check, tell
from dslab.kit.trace.timeline import Timeline

BOTTOM_PX = 28.0
TICK_PX = 15.0
LOST_AT = 0.62  # of the way to the other column
HELD_AT = 0.5
SUCCESS = " 0"  # as in ``exit status 0``
SIGN_CHARACTER_PX = 6.6
BOLD_CHARACTER_PX = 7.4
CHIP_PX = 34.0  # around the text on a line
SIGN_INSET_PX = 16.0


def lay_out(
    events: Sequence[Event], columns: Sequence[str] = (), failed_at_s: float | None = None
) -> Picture:
    """Lay out a picture.

    Args:
        events: In the order of time.
        columns: Services to draw although nobody may have talked to them.
        failed_at_s: When the check failed; without it, when the trace says so, if it does.
    """
    story = tell(events, failed_at_s)
    names = order(story.events, columns)
    shown = [item for item in story.items if isinstance(item, Event)]
    placed = place(names, shown, story.many)
    lanes = Lanes({name: index for index, name in enumerate(names)})
    rows, timeline = schedule(story, lanes)
    bottom = timeline.bottom + BOTTOM_PX
    x = {column.name: column.x for column in placed}
    singles = [(row, row.item) for row in rows if isinstance(row.item, Event)]
    return Picture(
        width=(placed[-1].x if placed else GUTTER_PX + HEAD_PX) + MARGIN_PX,
        height=bottom,
        start_s=story.start_s,
        unit=_unit(story),
        many=story.many,
        columns=placed,
        lifelines=_lifelines(story, placed, timeline, bottom),
        arrows=tuple(_arrow(row, event, x, story) for row, event in singles if event.kind in TRAVELS),
        signs=tuple(_sign(row, event, placed) for row, event in singles if _is_sign(event)),
        notices=tuple(_notice(row, event, x) for row, event in singles if event.kind is Kind.FAULT),
        bands=_bands(story, x, timeline, bottom),
        folds=tuple(_fold_row(row, row.item, x) for row in rows if isinstance(row.item, Fold)),
        waits=_waits(story, timeline, rows),
        ticks=tuple(_ticks(rows, story)),
        rules=tuple(_rules(singles, story)),
    )


def _arrow(row: Row, event: Event, x: Mapping[str, float], story: Story) -> Arrow:
    x0, x1 = x[event.sender], x[event.receiver]
    ending = ending_of(event)
    writing = fit(write(event, story.many), abs(x1 - x0))
    share = {Ending.LOST: LOST_AT, Ending.HELD: HELD_AT}.get(ending, 1.0)
    return Arrow(
        event=event,
        x0=x0,
        y0=row.y,
        x1=round(x0 + (x1 - x0) * share, 1),
        y1=row.arrival_y,
        goal=x1,
        connection=writing.connection,
        label=writing.label,
        detail=writing.detail,
        effects=writing.effects or ("held" if ending is Ending.HELD else ""),
        ending=ending,
        struck=bool(event.effects - QUIET_EFFECTS) or ending is not Ending.ARRIVED,
        last=event is story.last,
    )


def ending_of(event: Event) -> Ending:
    """What became of something that travelled."""
    if event.kind is Kind.OPEN:
        return Ending.REFUSED if event.note else Ending.ARRIVED
    if event.kind not in CARRIES_BYTES or event.arrive_s is not None:
        return Ending.ARRIVED
    return Ending.LOST if Effect.LOST in event.effects else Ending.HELD


def _is_sign(event: Event) -> bool:
    return event.kind in (Kind.NODE, Kind.MARK)


def _sign(row: Row, event: Event, columns: Sequence[Column]) -> Sign:
    here = next(index for index, column in enumerate(columns) if column.name == event.link)
    following = columns[here + 1].x if here + 1 < len(columns) else columns[here].x + MARGIN_PX
    room = int((following - columns[here].x - 2 * SIGN_INSET_PX) / SIGN_CHARACTER_PX)
    news = event.note if event.label == NodeState.EXITED and event.note else event.label
    text = news if news == event.note or not event.note else f"{news}, {event.note}"
    bad = event.label == NodeState.EXITED and not event.note.endswith(SUCCESS)
    return Sign(event, columns[here].x, row.y, cut(printable(text), room), bad)


def _notice(row: Row, event: Event, x: Mapping[str, float]) -> Notice:
    x0, x1 = sorted((x.get(event.sender, GUTTER_PX), x.get(event.receiver, GUTTER_PX)))
    label = event.label.replace(f", {event.direction}", "", 1) if event.direction else event.label
    ends = f"{label} ends" if event.note == "off" else label
    text = "healed" if event.label == HEAL else ends
    if event.direction:
        text += f" to {event.receiver}"
    return Notice(event, x0, x1, row.y, cut(printable(text), int((x1 - x0 - CHIP_PX) / BOLD_CHARACTER_PX)))


def _bands(story: Story, x: Mapping[str, float], timeline: Timeline, bottom: float) -> tuple[Band, ...]:
    bands = []
    for span in faults(story.events):
        source, _, target = span.link.partition("->")
        if source in x and target in x:
            left, right = sorted((x[source], x[target]))
            lasts = span.end_s > story.events[-1].t_s
            top = timeline.y_at(span.start_s)
            end = bottom - BOTTOM_PX / 2 if lasts else timeline.y_at(span.end_s)
            bands.append(Band(left, right, top, max(top, end), span.label, span.blocks))
    return tuple(bands)


def _lifelines(
    story: Story, columns: Sequence[Column], timeline: Timeline, bottom: float
) -> tuple[LifeLine, ...]:
    x = {column.name: column.x for column in columns}
    end_s = story.events[-1].t_s if story.events else 0.0

    def y_at(t_s: float) -> float:
        return 0.0 if t_s < story.start_s - 1e6 else bottom if t_s > end_s else timeline.y_at(t_s)

    spans = lives(story.events, x)
    return tuple(LifeLine(x[span.service], y_at(span.start_s), y_at(span.end_s), span.life) for span in spans)


def _fold_row(row: Row, folded: Fold, x: Mapping[str, float]) -> FoldRow:
    ends = list(chain.from_iterable((event.sender, event.receiver) for event in folded.events))
    places = [x[name] for name in ends if name in x]
    left, right = (min(places), max(places)) if places else (GUTTER_PX, GUTTER_PX)
    room = int((max(x.values(), default=GUTTER_PX) + MARGIN_PX) / SIGN_CHARACTER_PX) - 12
    return FoldRow(folded, left, right, row.y, cut(folded.text, room))


def _waits(story: Story, timeline: Timeline, rows: Iterable[Row]) -> tuple[Wait, ...]:
    failure = [row.y for row in rows if isinstance(row.item, Event) and is_check(row.item, FAILED)]
    others = [row.y for row in rows if not failure or row.y != failure[0]]
    waits = []
    for pause in timeline.breaks:
        end = pause.y + pause.height
        fatal = bool(failure) and pause.y < failure[0] and not any(end <= y < failure[0] for y in others)
        text = f"{duration(pause.seconds)} later"
        if fatal and (unanswered := story.unanswered):
            text += f", {_which(unanswered)}"
        waits.append(Wait(pause.y, end, text, fatal))
    return tuple(waits)


def _which(connections: Sequence[int]) -> str:
    """``still no answer``, or where there are several connections: ``no answer on #1, #2, 47 more``."""
    if list(connections) == [0]:
        return "still no answer"
    named = [f"#{connection}" for connection in connections[:2]]
    more = [f"{len(connections) - 2} more"] if len(connections) > 2 else []
    return f"no answer on {', '.join(named + more)}"


def _unit(story: Story) -> str:
    """Milliseconds, unless the story takes a second or more."""
    return "ms" if not story.events or story.events[-1].t_s - story.start_s < 1 else "s"


def _ticks(rows: Iterable[Row], story: Story) -> Iterator[Tick]:
    last_y = -TICK_PX
    unit = _unit(story)
    for row in rows:
        elapsed_s = row.item.t_s - story.start_s
        if row.y - last_y >= TICK_PX and elapsed_s >= 0:
            last_y = row.y
            yield Tick(row.y, clock(elapsed_s, unit))


def clock(elapsed_s: float, unit: str) -> str:
    """A time as the gutter shows it, in that unit."""
    return f"{elapsed_s * 1e3:.1f}" if unit == "ms" else f"{elapsed_s:.3f}"


def _rules(singles: Iterable[tuple[Row, Event]], story: Story) -> Iterator[Rule]:
    texts = {FAILED: "the check fails here", BEGIN: "the check begins"}
    for row, event in singles:
        if event.kind is Kind.CHECK:
            text = texts.get(event.label) or ": ".join(part for part in (event.label, event.note) if part)
            yield Rule(row.y, event.t_s - story.start_s, text, failure=event.label == FAILED)

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations

import pytest

from dslab.kit.trace.columns import CHARACTER_PX, INSET_PX, Writing, characters, cut, fit, order, place
from dslab.kit.trace.event import Event, Kind
from dslab.kit.trace.layout import lay_out
from dslab.kit.trace.picture import Arrow, Ending, Picture
from dslab.kit.trace.spans import Life

Scenario = tuple[list[Event], object, tuple[str, ...]]
Scenarios = Mapping[str, Callable[[], Scenario]]


def picture_of(scenarios: Scenarios, name: str) -> Picture:
    events, _, services = scenarios[name]()
    return lay_out(events, services)


def arrow(picture: Picture, label: str) -> Arrow:
    return next(arrow for arrow in picture.arrows if arrow.label == label)


def test_the_grader_stands_first_then_who_came_into_contact() -> None:
    events = [
        Event(t_s=0, link="idle", kind=Kind.NODE, label="started"),
        Event(t_s=1, link="b->c", kind=Kind.OPEN),
        Event(t_s=2, link="grader->b", kind=Kind.OPEN),
        Event(t_s=3, link="d->b", kind=Kind.OPEN, direction="backward"),
    ]
    assert order(events, ["never", "c"]) == ["grader", "b", "c", "d", "never", "idle"]


def test_columns_are_apart_and_within_the_picture(scenario: Scenario) -> None:
    events, _, services = scenario
    picture = lay_out(events, services)
    for left, right in combinations(picture.columns, 2):
        assert left.x + left.width / 2 < right.x - right.width / 2
    assert picture.columns[0].x - picture.columns[0].width / 2 >= 60
    assert picture.columns[-1].x + picture.columns[-1].width / 2 <= picture.width


def test_everything_lies_within_the_picture(scenario: Scenario) -> None:
    events, _, services = scenario
    picture = lay_out(events, services)
    heights = [y for arrow in picture.arrows for y in (arrow.y0, arrow.y1)]
    heights += [sign.y for sign in picture.signs] + [notice.y for notice in picture.notices]
    heights += [row.y for row in picture.folds] + [rule.y for rule in picture.rules]
    heights += [y for band in picture.bands for y in (band.top, band.bottom)]
    heights += [y for wait in picture.waits for y in (wait.top, wait.bottom)]
    heights += [y for line in picture.lifelines for y in (line.top, line.bottom)]
    assert all(0 <= y <= picture.height for y in heights)


def test_the_texts_of_two_arrows_never_touch(scenario: Scenario) -> None:
    events, _, services = scenario
    boxes = [_text_box(arrow) for arrow in lay_out(events, services).arrows]
    for one, other in combinations(boxes, 2):
        apart = one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]
        assert apart, (one, other)


def _text_box(arrow: Arrow) -> tuple[float, float, float, float]:
    """Left, right, top, bottom of what is written on it."""
    texts = (arrow.connection, arrow.label, arrow.detail, arrow.effects)
    width = (sum(characters(text) + 1 for text in texts if text) - 1) * CHARACTER_PX
    start = arrow.x0 + 12 if arrow.x1 > arrow.x0 else arrow.x0 - 12 - width
    return start, start + width, arrow.y0 - 14, arrow.y0


def test_the_text_of_an_arrow_stays_between_its_columns(scenario: Scenario) -> None:
    events, _, services = scenario
    for one in lay_out(events, services).arrows:
        left, right, _, _ = _text_box(one)
        low, high = sorted((one.x0, one.goal))
        assert low <= left
        assert right <= high


def test_time_goes_downwards(scenario: Scenario) -> None:
    events, _, services = scenario
    picture = lay_out(events, services)
    by_time = sorted(picture.arrows, key=lambda arrow: arrow.event.t_s)
    assert [arrow.y0 for arrow in by_time] == sorted(arrow.y0 for arrow in by_time)
    assert all(arrow.y1 > arrow.y0 for arrow in picture.arrows)


def test_what_gets_ready_before_anything_happens_is_no_news(scenarios: Scenarios) -> None:
    picture = picture_of(scenarios, "stalled")
    assert picture.signs == ()
    assert {line.life for line in picture.lifelines} == {Life.ALIVE}
    assert picture.start_s == 0.2


def test_a_late_delivery_slants_its_arrow(scenarios: Scenarios) -> None:
    picture = picture_of(scenarios, "lossy")
    late = next(arrow for arrow in picture.arrows if "reordered" in arrow.effects)
    again = next(arrow for arrow in picture.arrows if arrow.event.t_s == 0.73)
    asked = next(arrow for arrow in picture.arrows if arrow.event.t_s == 0.75)
    assert late.y0 < again.y0 < asked.y0 < late.y1


def test_a_lost_message_ends_on_the_way_and_a_held_one_in_the_middle(scenarios: Scenarios) -> None:
    lost = next(arrow for arrow in picture_of(scenarios, "lossy").arrows if arrow.ending is Ending.LOST)
    assert lost.x0 < lost.x1 < lost.goal
    held = arrow(picture_of(scenarios, "stalled"), "debit bob 10")
    assert (held.ending, held.effects) == (Ending.HELD, "held")
    assert held.x1 == pytest.approx((held.x0 + held.goal) / 2, abs=1)


def test_the_last_message_is_the_one_that_arrived_last(scenarios: Scenarios) -> None:
    """Not the one that set off last: the late reply of the lossy trace did the damage."""
    [last] = [arrow for arrow in picture_of(scenarios, "lossy").arrows if arrow.last]
    assert last.effects == "reordered"
    [last] = [arrow for arrow in picture_of(scenarios, "stalled").arrows if arrow.last]
    assert last.label == "debit bob 10"
    assert not any(arrow.last for arrow in picture_of(scenarios, "partitioned").arrows)


def test_a_stall_is_a_band_across_its_two_columns(scenarios: Scenarios) -> None:
    picture = picture_of(scenarios, "stalled")
    [band] = picture.bands
    assert (band.left, band.right) == (picture.columns[0].x, picture.columns[1].x)
    assert band.blocks
    held = arrow(picture, "debit bob 10")
    assert band.top < held.y0 < band.bottom


def test_a_healed_fault_ends_where_it_was_healed(scenarios: Scenarios) -> None:
    picture = picture_of(scenarios, "restarted")
    [band] = picture.bands
    healed = next(notice for notice in picture.notices if notice.text == "healed")
    assert band.bottom == pytest.approx(healed.y)
    assert not band.blocks


def test_a_lifeline_has_a_gap_while_its_service_is_down(scenarios: Scenarios) -> None:
    picture = picture_of(scenarios, "restarted")
    server = next(column.x for column in picture.columns if column.name == "server")
    pieces = [line for line in picture.lifelines if line.x == server]
    assert [line.life for line in pieces] == [Life.ALIVE, Life.DOWN, Life.ALIVE, Life.PAUSED, Life.ALIVE]
    killed = next(sign for sign in picture.signs if sign.text == "killed")
    assert pieces[1].top == pytest.approx(killed.y)
    assert [one.bottom for one in pieces[:-1]] == [other.top for other in pieces[1:]]


def test_a_wait_of_twenty_seconds_takes_no_page(scenarios: Scenarios) -> None:
    picture = picture_of(scenarios, "stalled")
    assert picture.height < 500
    last = picture.waits[-1]
    assert last.text == "20.0 s later"
    assert last.fatal
    assert picture.failure_y is not None
    assert last.bottom <= picture.failure_y


def test_it_says_who_got_no_answer(scenarios: Scenarios) -> None:
    picture = picture_of(scenarios, "silent_client")
    assert picture.waits[-1].text == "5.04 s later, no answer on #1, #2, 47 more"


def test_connections_have_numbers_only_where_there_are_several(scenarios: Scenarios) -> None:
    assert {arrow.connection for arrow in picture_of(scenarios, "two_thousand").arrows} == {""}
    assert "#49" in {arrow.connection for arrow in picture_of(scenarios, "silent_client").arrows}


def test_two_thousand_messages_fit_on_a_page(scenarios: Scenarios) -> None:
    picture = picture_of(scenarios, "two_thousand")
    assert picture.height < 800
    [row] = picture.folds
    assert row.text == "1,984 more messages, 11.9 MB, 0.40 s"


def test_the_failure_may_be_told_by_the_caller() -> None:
    events = [
        Event(t_s=1, link="grader->s", kind=Kind.CHUNK, direction="forward", data=b"x", size=1, arrive_s=1)
    ]
    picture = lay_out(events, failed_at_s=1.5)
    assert [rule.failure for rule in picture.rules] == [True]
    assert picture.rules[0].elapsed_s == pytest.approx(0.5)
    assert lay_out(events).failure_y is None


@pytest.mark.parametrize("services", [(), ("a",), ("a", "b")])
def test_there_may_be_nothing_to_draw(services: tuple[str, ...]) -> None:
    picture = lay_out([], services)
    assert len(picture.columns) == len(services)
    assert picture.arrows == ()
    assert lay_out([], services, failed_at_s=3.0).failure_y is not None


def test_times_count_from_when_everything_was_up(scenarios: Scenarios) -> None:
    picture = picture_of(scenarios, "lossy")
    assert picture.unit == "ms"
    assert picture.ticks[0].text == "10.0"
    assert picture_of(scenarios, "stalled").unit == "s"


def test_a_label_gives_way_to_what_happened_to_it() -> None:
    writing = Writing("#12", "a very long label indeed, really", "5.0 kB", "lost")
    narrow = fit(writing, 20 * CHARACTER_PX + 2 * INSET_PX)
    assert narrow == Writing("#12", "a very long…", "", "lost") or narrow.characters <= 20
    assert narrow.effects == "lost"
    assert narrow.detail == ""
    assert fit(writing, 1_000) == writing


def test_of_raw_bytes_the_size_says_more_than_the_end() -> None:
    writing = Writing("", "00 01 02 03 04 05 06 07…", "262.1 kB", "", described=False)
    narrow = fit(writing, 22 * CHARACTER_PX + 2 * INSET_PX)
    assert narrow.detail == "262.1 kB"
    assert narrow.characters <= 22


def test_wide_characters_count_twice() -> None:
    assert characters("日本") == 4
    assert cut("日本語", 5) == "日本…"
    assert cut("abc", 3) == "abc"


def test_a_long_name_is_cut_before_it_touches_its_neighbour() -> None:
    columns = place(["x" * 60, "y" * 60], [], frozenset())
    assert columns[0].x + columns[0].width / 2 < columns[1].x - columns[1].width / 2
    assert columns[0].label.endswith("…")


def test_a_backlog_is_drawn_without_its_delays() -> None:
    """Twenty messages that wait for the same accept would be twenty lines through one point."""
    backlog = [
        Event(
            t_s=number // 10 / 1e4,
            link="a->b",
            kind=Kind.CHUNK,
            direction="forward",
            data=b"x",
            size=1,
            note="fragment into 2",
            arrive_s=0.05,
        )
        for number in range(20)
    ]
    assert {round(arrow.y1 - arrow.y0) for arrow in lay_out(backlog).arrows} == {7}
    delayed = [replace(event, note="delayed 0.05 s") for event in backlog]
    assert min(arrow.y1 - arrow.y0 for arrow in lay_out(delayed).arrows) > 7


def test_an_exit_other_than_with_0_is_bad() -> None:
    notes = ("exit status 0", "exit status 10", "exit status -9", "")
    ends = [Event(t_s=1, link="s", kind=Kind.NODE, label="exited", note=note) for note in notes]
    assert [sign.bad for sign in lay_out(ends).signs] == [False, True, True, True]


def test_a_lost_message_is_the_last_only_where_all_were_lost() -> None:
    got = Event(t_s=1, link="a->b", kind=Kind.DATAGRAM, direction="forward", label="got", arrive_s=1)
    lost = Event(t_s=2, link="a->b", kind=Kind.DATAGRAM, direction="forward", label="lost", note="lost")
    assert [arrow.last for arrow in lay_out([got, lost], failed_at_s=3).arrows] == [True, False]
    assert [arrow.last for arrow in lay_out([lost], failed_at_s=3).arrows] == [True]


def test_what_led_to_the_failure_does_not_arrive_after_it() -> None:
    """The link's clock is read a moment later than the grader's."""
    answer = Event(
        t_s=1, link="grader->s", kind=Kind.CHUNK, direction="backward", data=b"x", size=1, arrive_s=1.1
    )
    picture = lay_out([answer], failed_at_s=1.05)
    assert picture.failure_y is not None
    assert picture.arrows[0].y1 < picture.failure_y
    assert picture.arrows[0].last


def test_a_fault_of_one_direction_says_towards_whom() -> None:
    fault = Event(
        t_s=1, link="a->b", kind=Kind.FAULT, direction="backward", label="lose, backward, first 1", note="on"
    )
    assert [notice.text for notice in lay_out([fault]).notices] == ["lose, first 1 to a"]

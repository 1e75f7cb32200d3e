from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import pytest
from rich.console import Console

from dslab.kit.trace.event import Event, Kind
from dslab.kit.trace.text import draw_text
from tests.kit.trace.conftest import check, node, travel

Scenario = tuple[list[Event], object, tuple[str, ...]]
Scenarios = Mapping[str, Callable[[], Scenario]]


def lines_of(scenario: Scenario, width: int = 100) -> list[str]:
    events, _, services = scenario
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(draw_text(events, services, width=width), soft_wrap=True)
    return capture.get().splitlines()


def test_a_stall_as_a_terminal_shows_it(scenarios: Scenarios) -> None:
    assert lines_of(scenarios["stalled"](), width=60) == [
        "      s   client                         server",
        "  0.110      │╌ connect ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌▷│",
        "  0.111      │─ debit alice 10 ────────────▶│",
        "  0.113      │◀──────────────────────── ok ─│",
        "  0.130      │┄┄┄┄┄┄┄┄┄┄┄ stall ┄┄┄┄┄┄┄┄┄┄┄┄│",
        "  0.160      │─ debit bob 10 held ───┤     ░│",
        "             │░       20.0 s later         ░│",
        " 20.200  ━━━━━━━ ✕ the check fails here ━━━━━━━━━━━━━━━━━━━━",
    ]


def test_losses_end_on_the_way(scenarios: Scenarios) -> None:
    lost = [line for line in lines_of(scenarios["lossy"]()) if "lost" in line]
    assert len(lost) == 2
    assert all("✕" in line and "▶" not in line and "◀" not in line for line in lost)


def test_a_long_delivery_says_how_long(scenarios: Scenarios) -> None:
    assert any("reply c reordered (takes 0.26 s)" in line for line in lines_of(scenarios["lossy"]()))


def test_a_service_that_is_down_has_no_lifeline(scenarios: Scenarios) -> None:
    lines = lines_of(scenarios["restarted"]())
    refused = next(line for line in lines if "#1 reset" in line)
    answered = next(line for line in lines if "#2 get x" in line)
    assert not refused.endswith("│")
    assert answered.endswith("│")


def test_two_thousand_messages_are_a_screenful(scenarios: Scenarios) -> None:
    lines = lines_of(scenarios["two_thousand"]())
    assert len(lines) < 30
    assert any("1,984 more messages" in line for line in lines)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_longer_than_the_columns_need(scenario: Scenario, width: int) -> None:
    lines = [line for line in lines_of(scenario, width) if not line.startswith("Cut for ")]
    narrowest = 13 + 14 * (len(lines[0].split()) - 1) + 20
    assert max(map(len, lines)) <= max(width, narrowest)


LONG = ("grader", "retrying-client", "multicast-client", "server-1", "server-2", "server-3")


def relay(*names: str) -> Scenario:
    """Each asks the next one; the last one ends."""
    events = [check(0.05, "begin"), *[node(0.1, name, "started") for name in names]]
    for number, (source, target) in enumerate(pairwise(names)):
        request = {"data": b"PUT /mybucket/some-key", "link": f"{source}->{target}"}
        events.append(travel(0.2 + number / 10, Kind.CHUNK, "forward", **request))  # type: ignore[arg-type]
    return [*events, node(0.9, names[-1], "exited", "exit status 1")], None, ()


@pytest.mark.parametrize("columns", [1, 2, 4, 6])
def test_heads_never_touch_and_every_column_is_in_sight(columns: int) -> None:
    lines = lines_of(relay(*LONG[-columns:]), width=80)
    heads = lines[0].split()
    assert heads[0] == "ms"
    assert len(heads) == 1 + columns
    assert all(
        name.startswith(head.removesuffix("…")) for head, name in zip(heads[1:], LONG[-columns:], strict=True)
    )
    assert any("exit status 1" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_what_had_to_be_cut_is_told() -> None:
    told = "Cut for 80 columns: a wider terminal, or --open in place of --text, shows more."
    assert lines_of(relay(*LONG[:4]), width=80)[-1] == told
    assert not any(line.startswith("Cut") for line in lines_of(relay(*LONG[:4]), width=200))
    assert lines_of(relay("durable-server"), width=80)[0] == "     ms  durable-server"


def test_a_narrow_column_holds_what_was_said_rather_than_its_size() -> None:
    assert '─ "PUT /mybuc… ▶' in "\n".join(lines_of(relay(*LONG[:4]), width=80))


def test_nothing_can_move_the_cursor(scenarios: Scenarios) -> None:
    assert all(line.isprintable() for line in lines_of(scenarios["hostile"]()))


def test_an_empty_trace_draws_too() -> None:
    assert lines_of(([], None, ())) == ["     ms"]

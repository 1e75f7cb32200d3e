"""What `dslab watch` does next, decided without a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from dslab.kit.cli.watching import (
    KEYS,
    Action,
    Hint,
    Picture,
    Quit,
    Rest,
    Run,
    Say,
    View,
    on_key,
    on_result,
    on_save,
    on_start,
)

STEPS = ("1.1", "1.2", "1.3")


def result(**verdicts: str) -> dict[str, Any]:
    """A result of some steps, each with one check: ``s1_1="pass"``."""
    return {
        "steps": [
            {
                "id": key[1:].replace("_", "."),
                "checks": [{"verdict": verdict, "trace": f"{key}.html" if verdict == "fail" else ""}],
            }
            for key, verdict in verdicts.items()
        ]
    }


def after(ran: str | None = None, *, only: str | None = None, **verdicts: str) -> tuple[View, Action]:
    return on_result(View(STEPS, only=only), ran, result(**verdicts))


def test_at_first_everything_runs() -> None:
    assert on_start(View(STEPS)) == Run(None)
    assert on_save(View(STEPS)) == Run(None)
    assert on_start(View(STEPS, only="1.2")) == on_save(View(STEPS, only="1.2")) == Run("1.2")


def test_a_save_runs_the_first_step_that_fails() -> None:
    view, action = after(s1_1="pass", s1_2="fail", s1_3="skipped")
    assert (action, view.focus, on_save(view)) == (Rest(), "1.2", Run("1.2"))


def test_when_nothing_fails_a_save_runs_everything() -> None:
    view, action = after(s1_1="pass", s1_2="pass", s1_3="pass")
    assert (action, view.focus, on_save(view)) == (Rest(), None, Run(None))


def test_a_step_that_passes_now_is_followed_by_everything() -> None:
    view, _ = after(s1_1="pass", s1_2="fail", s1_3="fail")
    view, action = on_result(view, "1.2", result(s1_1="pass", s1_2="pass"))
    assert (action, view.focus) == (Run(None), "1.3")
    view, action = on_result(view, "1.3", result(s1_1="fail", s1_3="skipped"))
    assert (action, view.focus) == (Rest(), "1.1")


def test_who_wants_one_step_gets_no_other() -> None:
    assert after("1.2", only="1.2", s1_1="pass", s1_2="pass")[1] == Rest()


def test_next_goes_round() -> None:
    view, _ = after(s1_1="fail", s1_2="pass", s1_3="fail")
    seen = []
    for _ in range(3):
        view, action = on_key(view, "n")
        seen.append(action)
    assert seen == [Run("1.3"), Run("1.1"), Run("1.3")]


def test_next_stays_in_view_after_its_run() -> None:
    view, _ = after(s1_1="pass", s1_2="fail", s1_3="fail")
    view, _ = on_key(view, "n")
    view, _ = on_result(view, "1.3", result(s1_1="pass", s1_3="fail"))
    assert view.focus == "1.2"
    assert on_key(view, "p")[1] == Picture("s1_2.html")


@pytest.mark.parametrize(
    ("key", "action"),
    [
        ("q", Quit()),
        ("\x04", Quit()),
        ("a", Run(None)),
        ("h", Hint("1.2")),
        ("p", Picture("s1_2.html")),
        ("n", Run("1.2")),
        ("x", Say(KEYS)),
    ],
)
def test_keys(key: str, action: Action) -> None:
    view, _ = after(s1_1="pass", s1_2="fail", s1_3="pass")
    assert on_key(view, key)[1] == action


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("n", "No step fails."),
        ("h", "No step fails; there is nothing to hint at."),
        ("p", "There is no picture: no check of this step failed."),
    ],
)
def test_keys_when_all_is_well(key: str, text: str) -> None:
    view, _ = after(s1_1="pass", s1_2="pass", s1_3="pass")
    assert on_key(view, key)[1] == Say(text)

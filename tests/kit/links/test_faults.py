from __future__ import annotations

from typing import Any

import pytest

from dslab.kit.errors import UsageError
from dslab.kit.links import faults


@pytest.mark.parametrize(
    ("typed", "fault", "words"),
    [
        ("delay 0.2", faults.Delay(s=0.2), "delay 0.2 s"),
        ("delay 0.2 0.05", faults.Delay(s=0.2, jitter_s=0.05), "delay 0.2 s, jitter 0.05 s"),
        ("fragment 1", faults.Fragment(max_bytes=1), "fragment max 1 bytes"),
        ("throttle 1000", faults.Throttle(bytes_per_s=1000), "throttle 1000 bytes/s"),
        (
            "lose 0.3 direction=backward count=2",
            faults.Lose(p=0.3, direction="backward", count=2),
            "lose 0.3, backward, first 2",
        ),
        ("lose", faults.Lose(), "lose"),
        ("corrupt 0.5 3", faults.Corrupt(p=0.5, offset=3), "corrupt 0.5, offset 3"),
        ("reset", faults.Reset(), "reset"),
        ("reset 100", faults.Reset(after_bytes=100), "reset after 100 bytes"),
        ("half-close", faults.HalfClose(), "half_close, forward"),
        ("half_close direction=backward", faults.HalfClose(direction="backward"), "half_close, backward"),
        ("cut", faults.Cut(), "cut"),
    ],
)
def test_typed_faults(typed: str, fault: faults.Fault, words: str) -> None:
    assert faults.from_words(typed.split()) == fault
    assert faults.from_json(faults.to_json(fault)) == fault
    assert str(fault) == words


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("", "There is no such fault"),
        ("gremlins", "There is no such fault"),
        ("delay", "delay needs s"),
        ("delay soon", "s is a number, not 'soon'"),
        ("fragment 1.5", "max_bytes is a whole number, not 1.5"),
        ("delay -1", "s is at least 0, not -1"),
        ("delay inf", "s is at least 0, not inf"),
        ("delay nan", "s is at least 0, not nan"),
        ("delay 1 2 3", "delay takes no '3'"),
        ("delay 1 speed=2", "delay has no 'speed'; it has: s, jitter_s, direction, count"),
        ("lose 1.5", "p is from 0 to 1, not 1.5"),
        ("fragment 0", "max_bytes is at least 1"),
        ("lose count=0", "count is at least 1"),
        ("lose direction=up", "'up' is no direction"),
        ("cut direction=forward", "'forward' is no direction"),
        ("stall count=1", "cannot be counted"),
    ],
)
def test_wrongly_typed_faults(typed: str, complaint: str) -> None:
    with pytest.raises(UsageError) as error:
        faults.from_words(typed.split())
    assert complaint in str(error.value)


@pytest.mark.parametrize("told", [None, [], "delay", {}, {"kind": ["delay"]}, {"kind": "delay", "s": True}])
def test_what_is_no_fault_on_the_channel(told: Any) -> None:
    with pytest.raises(UsageError):
        faults.from_json(told)


def test_every_kind_has_a_name_and_a_sentence() -> None:
    for name, kind in faults.KINDS.items():
        assert kind.kind == name
        assert kind.__doc__
        assert faults.from_words([name, *(["1"] if name in {"delay", "fragment", "throttle"} else [])])


def test_both_directions_survive_the_channel() -> None:
    both = faults.HalfClose(direction=None)
    assert faults.from_json(faults.to_json(both)) == both

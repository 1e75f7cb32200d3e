"""What a check says about itself.

A check is a pytest test with a step's id and a docstring, the sentence that the student reads::

    @step("1.3", starts=("server",))
    def test_message_in_pieces(topology: Topology, rng: Random) -> None:
        \"\"\"A message delivered one byte at a time is answered whole.\"\"\"

This module knows nothing of pytest, so that whoever imports it pays for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

DEFAULT_TIMEOUT_S = 60.0
_ATTRIBUTE = "_dslab_step"

Check = TypeVar("Check", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class StepMark:
    """Where a check belongs, and what it needs around it.

    Attributes:
        step: The step's id in lab.toml.
        starts: The services that run and are ready when the check begins; None means every service without
            a profile. An empty tuple starts none.
        timeout_s: The last resort. A check that is still running then is an *error*, so a check bounds its
            own waiting well below this.
        private: Hidden from students until the grades are published.
    """

    step: str
    starts: tuple[str, ...] | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    private: bool = False


def step(
    step_id: str,
    *,
    starts: Sequence[str] | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    private: bool = False,
) -> Callable[[Check], Check]:
    """Make a test a check of one step of the lab. The arguments are those of `StepMark`."""
    if isinstance(starts, str):
        starts = (starts,)
    mark = StepMark(step_id, None if starts is None else tuple(starts), timeout_s, private)

    def decorate(check: Check) -> Check:
        setattr(check, _ATTRIBUTE, mark)
        return check

    return decorate


def mark_of(check: object) -> StepMark | None:
    """The mark that `step` left on a function, if any."""
    mark = getattr(check, _ATTRIBUTE, None)
    return mark if isinstance(mark, StepMark) else None


class Sent:
    """What the running check has said that it sent. One check runs at a time, whatever threads it uses."""

    def __init__(self) -> None:
        self.value: object = None
        self.stated = False

    def clear(self) -> None:
        """Forget, before the next check."""
        self.value, self.stated = None, False


SENT = Sent()


def sent(value: object) -> None:
    """State what this check sent, where the last bytes on the grader's link would not tell the reader.

    A failure shows it under "sent". The last statement before the failure counts.
    """
    SENT.value, SENT.stated = value, True

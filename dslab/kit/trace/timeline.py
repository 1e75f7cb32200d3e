"""Time downwards: from the times of the rows to heights, and back for anything that lies between. Pure.

Time is drawn to scale as far as it can be read: two rows whose labels would touch are moved apart, and a wait
that would make an empty page is shortened to a break that says how long it was. Rows in different lanes (the
spaces between two columns) do not touch, so they may stand side by side.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median, quantiles

BREAK_PX = 46.0
MAX_GAP_PX = 110.0
ALWAYS_BREAK_S = 0.5
WAIT_S = 0.005
WAIT_PX = 40.0
BURST_PX = 26.0
MIN_SLANT_PX = 7.0
HEAD_PX = 4.0  # half an arrow's head: no text may stand in it


@dataclass(frozen=True, slots=True)
class Break:
    """A wait that is drawn shorter than it was."""

    y: float
    height: float
    seconds: float


def scale_for(times_s: Sequence[float]) -> float:
    """Pixels per second at which the usual wait between two events is a comfortable step.

    Waits and bursts differ by a factor of thousands. Where there are waits, they set the scale and bursts are
    moved apart; in a trace that is one burst, its own gaps do.
    """
    gaps = sorted(later - earlier for earlier, later in pairwise(times_s))
    waits = [gap for gap in gaps if WAIT_S <= gap < ALWAYS_BREAK_S]
    if waits:
        return WAIT_PX / median(waits)
    bursts = [gap for gap in gaps if 0 < gap < WAIT_S]
    if len(bursts) > 1:
        return BURST_PX / quantiles(bursts, n=10)[7]
    return BURST_PX / WAIT_S


@dataclass(slots=True)
class Timeline:
    """Hands out heights in the order of time, and remembers them.

    Args:
        lanes: How many lanes there are.
        px_per_s: The scale.
        top: Where the first row may stand.
    """

    lanes: int
    px_per_s: float
    top: float
    breaks: list[Break] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)
    _heights: list[float] = field(default_factory=list)
    _taken: list[float] = field(default_factory=list)
    _y: float = 0.0
    _t_s: float | None = None

    def __post_init__(self) -> None:
        self._y = self.top
        self._taken = [self.top] * self.lanes

    @property
    def bottom(self) -> float:
        """Below everything so far."""
        return max([self._y, *self._taken])

    def row(self, t_s: float, lanes: Iterable[int], above: float, below: float) -> float:
        """A row at that time, which needs so much room above and below itself in those lanes."""
        self._pass_until(t_s)
        ours = list(lanes)
        self._y = max([self._y, *(self._taken[lane] + above for lane in ours)])
        for lane in ours:
            self._taken[lane] = self._y + below
        self._remember(t_s)
        return self._y

    def arrival(self, t_s: float, lanes: Iterable[int], left_at_y: float) -> float:
        """Where something that left at that height arrives: always lower, or time would stand still."""
        self._pass_until(t_s)
        self._y = max(self._y, left_at_y + MIN_SLANT_PX)
        for lane in lanes:
            self._taken[lane] = max(self._taken[lane], self._y - HEAD_PX)
        self._remember(t_s)
        return self._y

    def skip(self, t_s: float, px: float) -> float:
        """What happens until that time is not drawn to scale: it takes so many pixels."""
        self._y += px
        self._t_s = max(t_s, self._t_s if self._t_s is not None else t_s)
        self._remember(self._t_s)
        return self._y

    def y_at(self, t_s: float) -> float:
        """The height of any moment: between two remembered ones in proportion, outside them the nearest."""
        if not self._times:
            return self.top
        after = bisect_right(self._times, t_s)
        if after == 0:
            return self._heights[0]
        if after == len(self._times):
            return self._heights[-1]
        before_s, after_s = self._times[after - 1], self._times[after]
        share = (t_s - before_s) / (after_s - before_s)
        return self._heights[after - 1] + share * (self._heights[after] - self._heights[after - 1])

    def _pass_until(self, t_s: float) -> None:
        gap_s = 0.0 if self._t_s is None else max(0.0, t_s - self._t_s)
        px = gap_s * self.px_per_s
        if gap_s >= ALWAYS_BREAK_S or px > MAX_GAP_PX:
            start = self.bottom
            self.breaks.append(Break(start, BREAK_PX, gap_s))
            self._y = start + BREAK_PX
            self._taken = [self._y] * self.lanes
        else:
            self._y += px
        self._t_s = t_s if self._t_s is None else max(t_s, self._t_s)

    def _remember(self, t_s: float) -> None:
        if not self._times or t_s >= self._times[-1]:
            self._times.append(t_s)
            self._heights.append(self._y)

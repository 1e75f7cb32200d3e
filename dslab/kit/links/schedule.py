"""When bytes may leave a throttled wire. Pure: the time is an argument."""

from __future__ import annotations

# A timer fires up to a millisecond or two late. Within this slack the wire counts as having been busy all the
# time, or every late timer would make it a little slower than asked for.
SLACK_S = 0.02
# A slice takes about this long to send: short enough to look smooth, long enough for the timer.
SLICE_S = 0.02


class Pacer:
    """A wire of a given rate: whoever sends gets the time when the last byte is through.

    From any moment on, within t seconds at most ``bytes_per_s * (t + SLACK_S)`` bytes leave, and one slice.
    """

    def __init__(self, bytes_per_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self.slice_bytes = max(1, int(bytes_per_s * SLICE_S))
        self._free_s = float("-inf")

    def reserve(self, now_s: float, size: int) -> float:
        """Take the wire for ``size`` bytes.

        Returns:
            When they have arrived.
        """
        start_s = self._free_s if self._free_s > now_s - SLACK_S else now_s
        self._free_s = start_s + size / self.bytes_per_s
        return self._free_s

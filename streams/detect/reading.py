"""What every method is fed with: one value beside what was usual.

Only plain numbers: where they come from is `baseline.py`'s business, what follows from them the methods'.
"""

from typing import NamedTuple, Protocol


class Reading(NamedTuple):
    """One value of one indicator against its baseline.

    at_ms: the step. value, expected: in the indicator's unit, |expected| > 0.
    spread: usual standard deviation of value / expected - 1, ratio, > 0.
    sign: +1.0 when larger is worse, -1.0 when smaller is worse.
    season: what the same time of day usually has, None = not known yet.
    freedom: how many independent values `spread` was learned from, > 0.
    events: how many events a share was taken of; None = not a share, or not known.
    """

    at_ms: int
    value: float
    expected: float
    spread: float
    sign: float
    season: float | None = None
    freedom: float = 1e9
    events: float | None = None


class Method(Protocol):
    """What the four methods share; `tests/unit/test_detector_behaviour.py` holds every one to it."""

    def observe(self, reading: Reading) -> bool:
        """Take the next reading; whether this method says that it is worse than usual."""

    def snapshot(self) -> bytes:
        """Everything it remembers."""

    def restore(self, data: bytes) -> None:
        """Go on where `snapshot` was taken: the same readings give the same numbers, bit by bit."""

"""What is usual for an indicator, as a document can say it: how a baseline leaves one process and enters another.

The bytes of a snapshot belong to one version of the program; this is for people, orders and other installations.
"""

import msgspec


class Usual(msgspec.Struct, frozen=True):
    """A baseline in numbers.

    level: mean of the last day, in the indicator's unit. spread: usual standard deviation relative to it, ratio.
    since, until: times of the oldest and the newest value behind it, Unix ms. values: how many there were.
    hours: means of the hours from `hours_since` (Unix ms) on, None = nothing to learn from; empty = level and spread
    are all that is known. peaks: largest relative deviations of the latest of these hours, aligned at their ends.
    """

    level: float
    spread: float
    since: int
    until: int
    values: int
    hours_since: int = 0
    hours: tuple[float | None, ...] = ()
    peaks: tuple[float | None, ...] = ()

"""Local time of those whom a service serves: hours, days of the week, holidays. Numbers only.

The offsets of a time zone come in as a table, because asking for them means reading files (`budgets/time_zone.py`
does). History is kept in hours of UTC and looked up by the local time that they had: a day of 23 or 25 hours needs no
treatment of its own, and a budget may change its time zone without losing what was learned.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
SUNDAY = 6
WEEKS = 4
_DAYS = 7
_THURSDAY = 3  # 1970-01-01
_REMEMBERED_HOURS = 4


class LocalTime:
    """A time zone and the holidays in it.

    offsets: (first moment, Unix ms; local time minus UTC, ms), increasing; the first one also holds before it.
    holidays: local days since 1970-01-01. Like a Sunday in what is usual on them.

    >>> berlin = LocalTime([(0, 3_600_000), (1_774_746_000_000, 7_200_000)])
    >>> berlin.same_hours(1_774_828_800_000 // HOUR_MS)[0] * HOUR_MS  # 2026-03-30 at 2: an hour that the 29th had not
    1774746000000
    """

    __slots__ = ("_offsets", "_same_hours", "_same_kinds", "_starts", "holidays")

    def __init__(self, offsets: Sequence[tuple[int, int]] = ((0, 0),), holidays: Iterable[int] = ()) -> None:
        self._starts = [start for start, _ in offsets]
        self._offsets = [offset for _, offset in offsets]
        self.holidays = frozenset(holidays)
        # The same for every indicator of this time zone, so found once an hour and not once for each.
        self._same_hours: dict[int, tuple[int, ...]] = {}
        self._same_kinds: dict[int, tuple[int, ...]] = {}

    def offset_ms(self, at_ms: int) -> int:
        """Local time minus UTC at a moment."""
        return self._offsets[max(0, bisect_right(self._starts, at_ms) - 1)]

    def day_of(self, at_ms: int) -> int:
        """The local day of a moment, in days since 1970-01-01."""
        return (at_ms + self.offset_ms(at_ms)) // DAY_MS

    def kind_of(self, day: int) -> int:
        """The weekday that a local day is like: 0 = Monday, 6 = Sunday or a holiday."""
        return SUNDAY if day in self.holidays else (day + _THURSDAY) % _DAYS

    def same_hours(self, hour: int) -> tuple[int, ...]:
        """The hours of UTC that had the same local time on the seven days before, holidays left out."""
        return _remember(self._same_hours, hour, self._find_same_hours)

    def same_kinds(self, hour: int) -> tuple[int, ...]:
        """The hours of UTC that had the same local time on the days of the same kind in the four weeks before."""
        return _remember(self._same_kinds, hour, self._find_same_kinds)

    def same_moment(self, at_ms: int, since_ms: int, days: int) -> int:
        """The moment of the `days` days from `since_ms` on at which it was as late as at `at_ms`, which is not before.

        Of a week it is the day that is of the same kind.
        """
        behind = max(0, at_ms - since_ms) // DAY_MS
        kind = self.kind_of(self.day_of(at_ms))
        moment = at_ms
        for back in range(behind, behind - days, -1):
            earlier = at_ms - back * DAY_MS
            moment = earlier + self.offset_ms(at_ms) - self.offset_ms(earlier)
            if days == 1 or self.kind_of(self.day_of(moment)) == kind:
                break
        return moment

    def _find_same_hours(self, hour: int) -> list[int]:
        earlier = [self._same_hour(hour, days) for days in range(1, _DAYS + 1)]
        return [found for found in earlier if self._day_of_hour(found) not in self.holidays]

    def _find_same_kinds(self, hour: int) -> list[int]:
        kind = self.kind_of(self._day_of_hour(hour))
        earlier = [self._same_hour(hour, days) for days in range(1, WEEKS * _DAYS + 1)]
        return [found for found in earlier if self.kind_of(self._day_of_hour(found)) == kind]

    def _same_hour(self, hour: int, days: int) -> int:
        """The hour of UTC in which it was as late as in `hour`, some days before."""
        before = hour - 24 * days
        moved_ms = self.offset_ms(hour * HOUR_MS) - self.offset_ms(before * HOUR_MS)
        return before + round(moved_ms / HOUR_MS)

    def _day_of_hour(self, hour: int) -> int:
        return self.day_of(hour * HOUR_MS + HOUR_MS // 2)  # where an hour lies on midnight, where most of it is


def _remember(known: dict[int, tuple[int, ...]], hour: int, find: Callable[[int], list[int]]) -> tuple[int, ...]:
    """What was found for an hour, found once while the log passes it."""
    if hour not in known:
        while len(known) >= _REMEMBERED_HOURS:
            del known[next(iter(known))]
        known[hour] = tuple(find(hour))
    return known[hour]

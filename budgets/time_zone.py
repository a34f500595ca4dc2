"""From a time zone's name to the table that the core computes with. The one place that asks the time zone database.

The database is the same for all workers of a release; what it says of a zone is looked up once a process and then
only a list of numbers.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from streams.detect.local_time import LocalTime

_EPOCH = date(1970, 1, 1)
# Zones are looked at from week to week: none changes its clocks and back within one.
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_END = datetime(2100, 1, 1, tzinfo=UTC)
_STRIDE = timedelta(days=7)
_PRECISION = timedelta(minutes=1)


@lru_cache(maxsize=256)
def local_time_of(timezone: str, holidays: Sequence[str] = ()) -> LocalTime:
    """A budget's local time, one object for all indicators that share it.

    timezone: a name of the IANA database. holidays: a tuple of dates, `2026-12-25`.
    """
    return LocalTime(offsets_of(timezone), (day_number(holiday) for holiday in holidays))


def day_number(text: str) -> int:
    """A date as days since 1970-01-01.

    Raises:
        ValueError: not a date.
    """
    return (date.fromisoformat(text) - _EPOCH).days


@lru_cache(maxsize=64)
def offsets_of(timezone: str) -> tuple[tuple[int, int], ...]:
    """Since when, Unix ms, local time is how far ahead of UTC, ms.

    >>> offsets_of("UTC")
    ((946684800000, 0),)
    """
    return tuple(
        (round(start.timestamp() * 1000), offset // timedelta(milliseconds=1)) for start, offset in _changes(timezone)
    )


def _changes(timezone: str) -> Iterator[tuple[datetime, timedelta]]:
    zone = ZoneInfo(timezone)
    at, known = _FIRST, _offset(zone, _FIRST)
    yield at, known
    while at < _END:
        following = at + _STRIDE
        if (offset := _offset(zone, following)) != known:
            yield _find_change(zone, at, following), offset
        at, known = following, offset


def _find_change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first moment, to the minute, at which the offset is that of `after`."""
    offset = _offset(zone, after)
    while after - before > _PRECISION:
        middle = before + ((after - before) / 2 // _PRECISION) * _PRECISION
        if _offset(zone, middle) == offset:
            after = middle
        else:
            before = middle
    return after


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset

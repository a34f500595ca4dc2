"""Hours that had the same local time, whatever the zone and whatever its clocks do: days of 23 and of 25 hours too."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.time_zone import local_time_of, offsets_of
from streams.detect.local_time import HOUR_MS, SUNDAY

ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"),
    *("Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu"),
)
HOURS = st.integers(
    round(datetime(2008, 1, 1, tzinfo=UTC).timestamp()) // 3600,
    round(datetime(2060, 1, 1, tzinfo=UTC).timestamp()) // 3600,
)
ZONE = st.sampled_from(ZONES)


def local(hour: int, zone: str) -> datetime:
    return datetime.fromtimestamp(hour * 3600, tz=ZoneInfo(zone))


@given(HOURS, ZONE)
def test_the_table_says_what_the_database_says(hour: int, zone: str) -> None:
    offset = local(hour, zone).utcoffset()
    assert timedelta(milliseconds=local_time_of(zone).offset_ms(hour * HOUR_MS)) == offset


@pytest.mark.parametrize("zone", ZONES)
def test_the_table_moves_forward_only_and_never_repeats_itself(zone: str) -> None:
    for (start, offset), (following, other) in pairwise(offsets_of(zone)):
        assert following > start
        assert other != offset


@given(HOURS, ZONE)
def test_same_hours_have_the_same_local_time_unless_the_clocks_skipped_it(hour: int, zone: str) -> None:
    now = local(hour, zone)
    found = local_time_of(zone).same_hours(hour)
    assert len(found) == 7
    for days, earlier in enumerate(found, 1):
        wanted = now.replace(tzinfo=None) - timedelta(days=days)
        then = local(earlier, zone).replace(tzinfo=None)
        exists = any(local(earlier + near, zone).replace(tzinfo=None) == wanted for near in (-1, 0, 1))
        # Where clocks move by half an hour, or over a time that never was: the nearest hour there is.
        assert then == wanted if exists else abs(then - wanted) <= timedelta(hours=1), (now, then)


@given(HOURS, ZONE)
def test_same_kinds_are_the_same_day_of_the_week_in_each_of_four_weeks(hour: int, zone: str) -> None:
    found = local_time_of(zone).same_kinds(hour)
    middle = timedelta(minutes=30)
    now = local(hour, zone) + middle
    days = [(local(earlier, zone) + middle).date() for earlier in found]
    assert {day.weekday() for day in days} <= {now.weekday()}
    assert len(set(days)) == len(days) >= 3


@given(st.dates(date(2010, 1, 10), date(2050, 1, 1)), st.integers(0, 23), ZONE)
def test_a_holiday_is_a_sunday_and_nothing_else(day: date, at: int, zone: str) -> None:
    holidays = (day.isoformat(),)
    local_time = local_time_of(zone, holidays)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone)).timestamp()
    number = local_time.day_of(round(noon * 1000))
    assert local_time.kind_of(number) == SUNDAY
    assert number not in {
        local_time.day_of(each * HOUR_MS + HOUR_MS // 2)
        for each in local_time.same_hours(round(noon) // 3600 + 24 - 12 + at)
    }

"""Functions of elements by hand: mathematics, calendar, labels, absence, time."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.promql.calendar import CALENDAR
from streams.promql.choose import format_value
from tests.unit.promql_cases import AT, INF, NAN, ask, value

ONE = {'g{a="x-1"}': [(-10.0, 2.5)]}


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("ceil(g)", 3.0),
        ("floor(-g)", -3.0),
        ("round(g)", 3.0),
        ("round(-g)", -2.0),
        ("round(g, 0.4)", 2.4000000000000004),
        ("sgn(-g)", -1.0),
        ("1 / sgn(g * -0)", None),
        ("exp(g)", math.exp(2.5)),
        ("ln(g)", math.log(2.5)),
        ("log2(g)", math.log2(2.5)),
        ("log10(g * 400)", 3.0),
        ("ln(-g)", None),
        ("sqrt(g)", math.sqrt(2.5)),
        ("sin(g)", math.sin(2.5)),
        ("acosh(g)", math.acosh(2.5)),
        ("atanh(g / 5)", math.atanh(0.5)),
        ("deg(g)", math.degrees(2.5)),
        ("rad(g)", math.radians(2.5)),
        ("g atan2 -g", math.atan2(2.5, -2.5)),
        ("clamp(g, 3, 4)", 3.0),
        ("clamp(g, 0, 1)", 1.0),
        ("clamp(g, NaN, 4)", None),
        ("1 / clamp(g, Inf, NaN)", 0.0),
        ("1 / clamp_min(g * NaN, Inf)", 0.0),
        ("1 / clamp_max(g * NaN, -Inf)", 0.0),
        ("1 / clamp_max(g * NaN, Inf)", None),
        ("sum(sort(g)) + sum(sort_desc(g))", 5.0),
        ("timestamp(g)", AT / 1000 - 10),
        ("timestamp(g offset 5s)", AT / 1000 - 10),
        ("timestamp(g + 0)", AT / 1000),
        ("time() + vector(pi())", AT / 1000 + math.pi),
        ("count_over_time(vector(1)[5m:])", 5.0),
    ],
)
def test_a_function_of_each_element(expr: str, expected: float | None) -> None:
    (found,) = ask(expr, ONE).values()
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-15))


def test_a_clamp_without_room_has_no_elements() -> None:
    assert ask("clamp(g, 4, 3)", ONE) == {"": None}
    assert ask("count(clamp(g, 4, 3)) or vector(0)", ONE) == {"": 0.0}


@given(seconds=st.integers(-60_000_000_000, 250_000_000_000))
def test_the_calendar_is_the_calendar(seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    found = {name: float(read(np.array([float(seconds)]))[0]) for name, read in CALENDAR.items()}
    following = datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
    assert found == {
        "year": moment.year,
        "month": moment.month,
        "day_of_month": moment.day,
        "day_of_week": moment.isoweekday() % 7,
        "day_of_year": moment.timetuple().tm_yday,
        "days_in_month": (following - moment.replace(day=1, hour=0, minute=0, second=0)).days,
        "hour": moment.hour,
        "minute": moment.minute,
    }


def test_the_calendar_begins_with_the_step_and_knows_no_end() -> None:
    assert value("hour()", {}) == value("hour(vector(time()))", {}) == AT // 3_600_000 % 24
    assert ask("year(g)", {'g{a="1"}': [(-1.0, 1e15)]}) == {"a=1": 31_690_708.0}
    assert ask("year(g)", {'g{a="1"}': [(-1.0, NAN)]}) == {"a=1": 292_277_026_596.0}


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ('label_replace(g, "b", "$1/$2", "a", "(.)-(.)")', "a=x-1,b=x/1"),
        ('label_replace(g, "b", "${1}0", "a", "(.)-.*")', "a=x-1,b=x0"),
        ('label_replace(g, "b", "$10$3$$", "a", "(.)-.*")', "a=x-1,b=$"),
        ('label_replace(g, "b", "$n", "a", "(?P<n>x)-1")', "a=x-1,b=x"),
        ('label_replace(g, "b", "y", "a", "x")', "a=x-1"),
        ('label_replace(g, "a", "", "a", ".*")', ""),
        ('label_replace(g, "b", "none", "missing", "")', "a=x-1,b=none"),
        ('label_join(g, "b", "+", "a", "missing", "a")', "a=x-1,b=x-1++x-1"),
        ('label_join(g, "a", "+")', ""),
        ('absent(h{a="1", b=~"2", c="3", c="4"})', "a=1"),
        ("absent(sum(h))", ""),
        ('absent_over_time(h{a="1"}[5m])', "a=1"),
        ("absent_over_time(sum(h)[5m:1m])", ""),
        ('count_values("v", g)', "v=2.5"),
        ('count_values by (a) ("a", g)', "a=2.5"),
        ('count_values without (a) ("a", g)', ""),
    ],
)
def test_labels_are_made(expr: str, expected: str) -> None:
    result = ask(expr, ONE)
    assert list(result) == [expected]
    assert result[expected] is not None


def test_labels_that_come_to_be_the_same_are_no_result() -> None:
    two = {'g{a="1"}': [(-1.0, 1.0)], 'g{a="2"}': [(-1.0, 2.0)]}
    assert ask('label_replace(g, "a", "", "a", ".*")', two) == {"": None}


def test_what_is_there_is_not_absent() -> None:
    assert ask("absent(g)", ONE) == {"": None}
    assert ask("absent_over_time(g[5m])", ONE) == {"": None}


@pytest.mark.parametrize(
    ("number", "text"),
    [(1e21, "1000000000000000000000"), (1e-7, "0.0000001"), (-0.0, "-0"), (NAN, "NaN"), (-INF, "-Inf"), (0.1, "0.1")],
)
def test_values_become_labels_as_prometheus_writes_them(number: float, text: str) -> None:
    assert format_value(number) == text

"""`rate increase delta irate idelta` by hand: extrapolation, resets, stale markers, too few samples."""

import pytest

from streams.wire.samples import STALE_NAN
from tests.unit.promql_cases import INF, NAN, value

# Every 15 s, the last one 5 s before the step; rises by 3 a sample.
STEADY = [(-5 - 15 * n, 100.0 - 3 * n) for n in range(19, -1, -1)]


@pytest.mark.parametrize(
    ("function", "samples", "expected"),
    [
        # 19 intervals of 15 s in 300 s; 10 s to the start, 5 s to the end, both within 1.1 intervals.
        ("increase", STEADY, 57 * 300 / 285),
        ("rate", STEADY, 57 / 285),
        ("delta", STEADY, 57 * 300 / 285),
        # Starts 200 s late: half an interval instead. 25 s to the end are more than 1.1 intervals.
        ("increase", [(-100, 50), (-80, 60), (-60, 70), (-25, 80)], 30 * (75 + 12.5 + 25) / 75),
        ("increase", [(-100, 50), (-80, 60), (-60, 70), (-40, 80)], 30 * (60 + 10 + 10) / 60),
        # A counter that begins at 2 with a slope of 1/s was 0 two seconds before.
        ("increase", [(-30, 2), (-20, 12), (-10, 22)], 20 * (20 + 2 + 10) / 20),
        ("delta", [(-30, 2), (-20, 12), (-10, 22)], 20 * (20 + 5 + 10) / 20),
        # A reset adds what was there before it: 3 + 10 + 4.
        ("increase", [(-280, 10), (-200, 13), (-120, 5), (-40, 9)], (-1 + 13) * (240 + 20 + 40) / 240),
        ("delta", [(-280, 10), (-200, 13), (-120, 5), (-40, 9)], -1 * (240 + 20 + 40) / 240),
        # Two resets.
        ("increase", [(-280, 10), (-200, 1), (-120, 5), (-40, 2)], (-8 + 10 + 5) * (240 + 20 + 40) / 240),
        # A stale marker is no sample.
        ("increase", [(-280, 10), (-200, 13), (-120, STALE_NAN), (-40, 19)], 9 * (240 + 20 + 40) / 240),
        ("increase", [(-280, 10), (-160, 13), (-40, STALE_NAN)], 3 * (120 + 20 + 60) / 120),
        ("increase", [(-280, STALE_NAN), (-160, 13), (-40, 14)], 1 * (120 + 60 + 40) / 120),
        # Left-open: a sample at the very start of the range is not in it, one at its end is.
        ("increase", [(-300, 0), (-200, 100), (-100, 200), (0, 300)], 200 * (200 + 100 + 0) / 200),
        ("rate", [(-300, 1), (0, 2)], None),
        ("rate", [(-10, 2)], None),
        ("rate", [(-20, 2), (-10, STALE_NAN)], None),
        ("rate", [(-20, NAN), (-10, 1)], None),
        ("rate", [(-20, 1), (-10, INF)], None),
        ("increase", [(-20, 5), (-10, 5)], 0.0),
        ("irate", STEADY, 0.2),
        ("irate", [(-50, 1), (-40, 8), (-30, 3)], 0.3),
        ("irate", [(-50, 1), (-40, 8), (-30, STALE_NAN)], 0.7),
        ("irate", [(-50, 1), (-40, STALE_NAN), (-30, 3)], 0.1),
        ("irate", [(-40, STALE_NAN), (-30, 3)], None),
        ("irate", [(-301, 1), (-30, 3)], None),
        ("idelta", [(-50, 1), (-40, 8), (-30, 3)], -5.0),
        ("idelta", [(-50, 8)], None),
    ],
)
def test_a_function_over_five_minutes(
    function: str, samples: list[tuple[float, float]], expected: float | None
) -> None:
    assert value(f"{function}(c[5m])", {"c": samples}) == (
        None if expected is None else pytest.approx(expected, rel=1e-12)
    )


def test_an_offset_moves_the_window() -> None:
    samples = [(-600.0, 0.0), (-400.0, 20.0), (-310.0, 29.0), (-100.0, 99.0)]
    assert value("increase(c[5m] offset 5m)", {"c": samples}) == pytest.approx(9 * (90 + 45 + 10) / 90)
    assert value("increase(c[5m] offset 1h)", {"c": samples}) is None


def test_ranges_of_one_series_do_not_get_into_each_others_way() -> None:
    expr = "increase(c[5m]) - increase(c[1m]) * 5"
    assert value(expr, {"c": STEADY}) == pytest.approx(57 * 300 / 285 - 5 * 9 * 60 / 45)

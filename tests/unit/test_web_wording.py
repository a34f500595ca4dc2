"""Numbers, times and pictures as people see them."""

import doctest
import re

import numpy as np
import pytest

from agents.settings import IngestSettings, Settings
from agents.storage.history import PointColumns
from agents.web import wording
from agents.web.page import write_url_of
from agents.web.sparkline import HEIGHT, SPAN_MS, WIDTH, sparkline_of
from budgets.event import RecentChange
from tests.unit.web_house import spec, throughput

NOW_MS = 1_790_000_000_000 // 180_000 * 180_000
STEP_MS = 15_000


def points(values: list[float | None], every_ms: int = 180_000, end_ms: int = NOW_MS) -> PointColumns:
    at = end_ms - every_ms * np.arange(len(values) - 1, -1, -1, dtype=np.int64)
    return PointColumns(at, np.array(values, dtype=np.float64), np.full(len(values), np.nan))


def coordinates(path: str) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in re.findall(r"[ML](-?\d+) (-?\d+)", path)]


def test_examples_in_the_docstrings_are_true() -> None:
    failures, tried = doctest.testmod(wording)
    assert tried >= 5
    assert failures == 0


def test_a_change_without_a_real_time_is_shown_in_its_own_words() -> None:
    assert wording.change_moment(RecentChange("api", "2", "this morning"), NOW_MS) == "this morning"


def test_an_indicator_without_limits_says_that_only_changes_are_watched() -> None:
    only_changes = spec("api", "latency", limit=None, warning=None, critical=None)
    assert wording.bounds_of(only_changes) == "no limit: only changes are watched"
    assert wording.bounds_of(throughput("api")) == "warning below 900 /s, critical below 800 /s"


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:9797", "http://127.0.0.1:9797/api/v1/write"),
        (":9797", "http://INGEST-HOST:9797/api/v1/write"),
        ("[::]:9797", "http://INGEST-HOST:9797/api/v1/write"),
        ("[::1]:80", "http://[::1]:80/api/v1/write"),
    ],
)
def test_the_address_to_write_to_can_be_copied(listen: str, url: str) -> None:
    assert write_url_of(Settings(ingest=IngestSettings(listen=listen))) == url


def test_a_sparkline_ends_now_and_stays_in_its_picture() -> None:
    spark = sparkline_of(spec("api", "latency"), points([100.0, 150.0, 120.0]), NOW_MS, STEP_MS)
    assert spark is not None
    drawn = coordinates(spark.path)
    assert drawn[-1][0] == WIDTH
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn)
    assert (spark.low, spark.high) == (100.0, 150.0)
    assert spark.limit_y is not None
    assert spark.limit_y < min(y for _, y in drawn)


def test_a_gap_in_the_data_is_a_gap_in_the_line() -> None:
    spark = sparkline_of(spec("api", "latency"), points([1.0, 2.0, None, 3.0, 4.0]), NOW_MS, STEP_MS)
    assert spark is not None
    assert spark.path.count("M") == 2


def test_what_stopped_coming_leaves_the_right_side_empty() -> None:
    old = points([1.0, 2.0], end_ms=NOW_MS - SPAN_MS // 2)
    spark = sparkline_of(spec("api", "latency"), old, NOW_MS, STEP_MS)
    assert spark is not None
    assert coordinates(spark.path)[-1][0] == WIDTH // 2


@pytest.mark.parametrize(("direction", "seen"), [("above", 900.0), ("below", 1.0)])
def test_a_single_bad_value_among_many_is_still_seen(direction: str, seen: float) -> None:
    values: list[float | None] = [100.0] * 100
    values[50] = 900.0 if direction == "above" else 1.0
    spark = sparkline_of(spec("api", "x", direction=direction), points(values, STEP_MS), NOW_MS, STEP_MS)
    assert spark is not None
    assert seen in {spark.low, spark.high}
    assert len({y for _, y in coordinates(spark.path)}) == 2


def test_the_range_in_words_is_that_of_all_values_not_of_the_drawn_ones() -> None:
    spark = sparkline_of(spec("api", "x"), points([100.0, 110.0] * 50, STEP_MS), NOW_MS, STEP_MS)
    assert spark is not None
    assert (spark.low, spark.high) == (100.0, 110.0)


def test_noise_on_a_level_does_not_fill_the_picture() -> None:
    quiet = points([1000.0 + number % 2 for number in range(20)])
    spark = sparkline_of(spec("api", "x", limit=None), quiet, NOW_MS, STEP_MS)
    assert spark is not None
    heights = [y for _, y in coordinates(spark.path)]
    assert max(heights) - min(heights) <= 2
    assert spark.limit_y is None


def test_nothing_measured_is_no_picture() -> None:
    assert sparkline_of(spec("api", "x"), points([None, None]), NOW_MS, STEP_MS) is None

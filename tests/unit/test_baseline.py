"""What is usual: level, spread and season, what may teach them, and how long it takes to know."""

import numpy as np
import pytest

from streams.detect.baseline import Baseline
from streams.detect.detector import ADOPT_BETTER_AFTER_MS, ADOPT_WORSE_AFTER_MS, UTC, Detector, Watch
from streams.detect.hours import Hours
from streams.detect.local_time import HOUR_MS
from streams.detect.memory import FadingMean

STEP_MS = 60_000
WINDOW_MS = 300_000
START_MS = 1_790_000_040_000
DAY_STEPS = 24 * 60
WATCH = Watch(step_ms=STEP_MS, window_ms=WINDOW_MS, sign=1.0, threshold=0.15, alarm_budget=1.0, is_share=False)


class Feed:
    """A detector and how many values it has had."""

    def __init__(self, watch: Watch = WATCH) -> None:
        self.detector = Detector(watch)
        self.steps = 0
        self._rng = np.random.default_rng(5)

    def give(self, value: float, count: int, *, claimed: bool = False, noise: float = 0.0) -> list[bool]:
        """Feed `count` values; whether each is a regression."""
        regressed = []
        for _ in range(count):
            strayed = value * (1.0 + noise * float(self._rng.standard_normal()))
            finding = self.detector.observe(START_MS + self.steps * STEP_MS, strayed, None)
            regressed.append(finding is not None and finding.regressed)
            self.detector.learn(claimed=claimed)
            self.steps += 1
        return regressed

    @property
    def expected(self) -> float | None:
        return self.detector.baseline.expect(START_MS + self.steps * STEP_MS)


def rhythm(step: int) -> float:
    return 100.0 * (1.0 + 0.3 * float(np.cos(2 * np.pi * step / DAY_STEPS)))


def test_the_ladder_is_climbed_rung_by_rung() -> None:
    baseline = Baseline(STEP_MS, WINDOW_MS, 0.015, 14_400.0, UTC)
    rungs: dict[str, int] = {}
    for step in range(3 * DAY_STEPS):
        at = START_MS + step * STEP_MS
        expected = baseline.expect(at)
        rungs.setdefault(baseline.rung, step)
        baseline.learn(at, rhythm(step), expected, 1.0)
    assert list(rungs) == ["limits", "change", "zscore", "season"]
    assert rungs["change"] == 5
    assert rungs["zscore"] == 30
    assert 2 * DAY_STEPS <= rungs["season"] <= 2 * DAY_STEPS + 60


def test_a_season_that_is_known_is_expected() -> None:
    baseline = Baseline(STEP_MS, WINDOW_MS, 0.015, 14_400.0, UTC)
    worst = 0.0
    for step in range(4 * DAY_STEPS):
        at = START_MS + step * STEP_MS
        expected = baseline.expect(at)
        if step > 3 * DAY_STEPS:
            assert expected is not None
            worst = max(worst, abs(rhythm(step) / expected - 1.0))
        baseline.learn(at, rhythm(step), expected, 1.0)
    assert worst < 0.04


def test_without_a_season_the_level_follows_a_daily_rhythm_closely_enough() -> None:
    feed = Feed()
    assert not any(any(feed.give(rhythm(step), 1)) for step in range(2 * DAY_STEPS))


def test_a_claimed_value_teaches_nothing() -> None:
    feed = Feed()
    feed.give(100.0, 200)
    feed.give(110.0, 200, claimed=True)
    assert feed.expected == 100.0


def test_an_excursion_teaches_nothing_even_if_nobody_claims_it() -> None:
    feed = Feed()
    feed.give(100.0, 200, noise=0.01)
    before = feed.expected
    feed.give(60.0, 100, noise=0.01)
    assert feed.expected == before


def test_one_wild_value_hardly_moves_the_level() -> None:
    feed = Feed()
    feed.give(100.0, 200, noise=0.01)
    before = feed.expected
    feed.give(1e9, 1)
    assert before is not None
    assert feed.expected == pytest.approx(before, rel=0.001)


@pytest.mark.parametrize(("value", "after_ms"), [(130.0, ADOPT_WORSE_AFTER_MS), (70.0, ADOPT_BETTER_AFTER_MS)])
def test_a_level_that_lasts_is_accepted_after_its_declared_time_and_not_before(value: float, after_ms: int) -> None:
    feed = Feed()
    feed.give(100.0, 200)
    steps = -(-after_ms // STEP_MS)
    feed.give(value, steps - 1, claimed=value > 100.0)
    assert feed.expected == pytest.approx(100.0)
    feed.give(value, 1, claimed=value > 100.0)
    assert feed.expected == pytest.approx(value)


def test_accepting_a_level_keeps_the_season() -> None:
    feed = Feed()
    for step in range(3 * DAY_STEPS):
        feed.give(rhythm(step), 1)
    for step in range(3 * DAY_STEPS, 7 * DAY_STEPS + 120):
        feed.give(0.7 * rhythm(step), 1)
    assert feed.detector.baseline.rung == "season"
    assert feed.expected == pytest.approx(0.7 * rhythm(feed.steps), rel=0.05)


def test_going_on_from_a_snapshot_changes_nothing() -> None:
    whole, first = Feed(), Feed()
    for feed in (whole, first):
        for step in range(3 * DAY_STEPS):
            feed.give(rhythm(step), 1, noise=0.01)
    second = Feed()
    second.steps, second._rng = first.steps, first._rng
    second.detector.restore(first.detector.snapshot())
    for feed in (whole, second):
        feed.give(150.0, 100, noise=0.01)
        feed.give(60.0, 2 * DAY_STEPS, noise=0.01)
        feed.give(100.0, 500, noise=0.01)
    assert second.detector.snapshot() == whole.detector.snapshot()


def test_the_alarm_level_lies_above_what_noise_does_in_years_and_below_what_matters() -> None:
    hours = Hours(STEP_MS, 14_400.0, UTC)
    rng = np.random.default_rng(2)
    for step in range(3 * DAY_STEPS):
        hours.advance(START_MS + step * STEP_MS)
        hours.add(100.0)
        hours.stray(float(rng.normal(0.0, 0.01)))
    # An hour has 60 values here: once in 14,400 hours is the 1 - 1/864,000 quantile, 4.7 standard deviations.
    assert 0.04 < hours.alarm_level < 0.07


def test_hours_that_were_hardly_seen_do_not_count() -> None:
    hours = Hours(STEP_MS, 14_400.0, UTC)
    for step in range(3 * DAY_STEPS):
        hours.advance(START_MS + step * STEP_MS)
        if step % 60 < 20:
            hours.add(100.0)
    assert hours.season(START_MS + 3 * DAY_STEPS * STEP_MS) is None


def test_one_bad_day_does_not_change_the_season() -> None:
    hours = Hours(STEP_MS, 14_400.0, UTC)
    for step in range(5 * DAY_STEPS):
        hours.advance(START_MS + step * STEP_MS)
        hours.add(500.0 if 2 * DAY_STEPS <= step < 3 * DAY_STEPS else 100.0)
    assert hours.season(START_MS + 5 * DAY_STEPS * STEP_MS) == 100.0


def test_what_is_older_than_a_week_is_forgotten() -> None:
    hours = Hours(STEP_MS, 14_400.0, UTC)
    for step in range(3 * DAY_STEPS):
        hours.advance(START_MS + step * STEP_MS)
        hours.add(100.0)
    later = START_MS + 20 * 24 * HOUR_MS
    hours.advance(later)
    assert hours.season(later) is None


@pytest.mark.parametrize("count", [0, 1, 59, 60, 61, 500])
def test_a_running_mean_goes_on_exactly_where_it_was(count: int) -> None:
    values = np.random.default_rng(count).normal(100.0, 5.0, 600).tolist()
    whole, first = FadingMean(STEP_MS, HOUR_MS), FadingMean(STEP_MS, HOUR_MS)
    for value in values:
        whole.update(value)
    for value in values[:count]:
        first.update(value)
    second = FadingMean(STEP_MS, HOUR_MS)
    second.state = first.state
    for value in values[count:]:
        second.update(value)
    assert second.state == whole.state


def test_a_running_mean_is_a_plain_mean_while_it_is_young_and_forgets_later() -> None:
    mean = FadingMean(STEP_MS, HOUR_MS)
    for value in (1.0, 2.0, 3.0):
        mean.update(value)
    assert mean.mean == pytest.approx(2.0)
    for _ in range(1000):
        mean.update(10.0)
    assert mean.mean == pytest.approx(10.0, rel=1e-4)

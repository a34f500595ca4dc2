"""Weeks, holidays, time zones and deployments: what a baseline expects when, and what may teach it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from budgets.time_zone import day_number, local_time_of
from streams.detect.detector import Detector, Watch
from streams.detect.local_time import HOUR_MS

STEP_MS = 300_000
HOUR_STEPS = HOUR_MS // STEP_MS
DAY_STEPS = 24 * HOUR_STEPS
BERLIN = ZoneInfo("Europe/Berlin")
# A Monday, midnight in Berlin; summer time ends on 2026-10-25.
MONDAY = datetime(2026, 8, 31, tzinfo=BERLIN)
THROUGHPUT = Watch(step_ms=STEP_MS, window_ms=STEP_MS, sign=-1.0, threshold=0.1, alarm_budget=1.0, is_share=False)


def office_hours(local: datetime) -> float:
    """A throughput of those who work: busy from 6 to 20 o'clock, hardly so at weekends."""
    hour = local.hour + local.minute / 60
    busy = np.sin(np.pi * (hour - 6) / 14) ** 2 if 6 <= hour < 20 else 0.0
    return 300.0 + 700.0 * float(busy) * (0.3 if local.weekday() >= 5 else 1.0)


def steady(local: datetime) -> float:
    """A throughput that sinks by a third on Friday evenings and comes back on Monday mornings."""
    hour = local.weekday() * 24 + local.hour + local.minute / 60
    return float(np.interp(hour, [0, 6, 114, 120, 168], [667, 1000, 1000, 667, 667]))


class Life:
    """A detector of a throughput that lives in Berlin. `regressed`: local times of the steps that were regressions."""

    def __init__(self, timezone: str = "Europe/Berlin", holidays: Sequence[str] = (), start: datetime = MONDAY) -> None:
        watch = msgspec.structs.replace(THROUGHPUT, local_time=local_time_of(timezone, tuple(holidays)))
        self.detector = Detector(watch)
        self.at_ms = round(start.timestamp() * 1000)
        self.regressed: list[datetime] = []
        self._rng = np.random.default_rng(11)
        self._claimed = False

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at_ms / 1000, tz=BERLIN)

    def live(self, days: float, load: Callable[[datetime], float] = office_hours) -> None:
        for _ in range(round(days * DAY_STEPS)):
            value = load(self.now) * (1.0 + 0.01 * float(self._rng.standard_normal()))
            finding = self.detector.observe(self.at_ms, value, None)
            regressed = finding is not None and finding.regressed
            # As an alert would: it keeps its values until the deviation is over.
            recovered = finding is None or finding.worse_by < 0.05
            self._claimed = regressed or (self._claimed and not recovered)
            self.detector.learn(claimed=self._claimed)
            if regressed:
                self.regressed.append(self.now)
            self.at_ms += STEP_MS

    def expected(self) -> float:
        expected = self.detector.baseline.expect(self.at_ms)
        assert expected is not None
        return expected


def test_a_weekend_is_a_regression_twice_and_a_rhythm_from_then_on() -> None:
    life = Life()
    life.live(14, steady)
    assert {local.date().isoformat() for local in life.regressed if local.weekday() == 5} == {
        "2026-09-05",
        "2026-09-12",
    }
    life.live(1 / 24, steady)  # the hour that leads into Monday is of the old week
    life.regressed.clear()
    life.live(28, steady)
    assert life.regressed == []


def test_a_service_that_is_quiet_at_weekends_does_not_regress_on_saturdays() -> None:
    life = Life()
    life.live(14)
    life.regressed.clear()
    life.live(28)
    assert life.regressed == []
    assert life.detector.baseline.period == "week"
    assert life.detector.baseline.rung == "season"


def test_a_service_that_is_quiet_on_saturdays_is_still_watched_on_saturdays() -> None:
    life = Life()
    life.live(19.5)
    life.regressed.clear()
    life.live(0.25, lambda local: 0.7 * office_hours(local))
    assert life.regressed != []


def test_one_bad_friday_does_not_become_the_weeks_profile() -> None:
    life = Life()
    life.live(18)
    life.live(1, lambda local: 0.4 * office_hours(local))
    life.live(6)
    life.regressed.clear()
    life.live(1, lambda local: 0.6 * office_hours(local))
    assert life.regressed != []


def test_the_rhythm_moves_with_the_clocks_of_the_people_and_not_with_utc() -> None:
    # The clocks go back on 2026-10-25: one UTC hour later from then on.
    start = datetime(2026, 9, 14, tzinfo=BERLIN)
    at_home, abroad = Life(start=start), Life("UTC", start=start)
    for life in (at_home, abroad):
        life.live(14)
        life.regressed.clear()
        life.live(35)
    assert at_home.regressed == []
    assert abroad.regressed != []
    assert all(local >= datetime(2026, 10, 25, tzinfo=BERLIN) for local in abroad.regressed)


def test_a_holiday_is_like_a_sunday_and_teaches_no_weekday() -> None:
    holiday = "2026-10-08"  # a Thursday

    def load(local: datetime) -> float:
        quiet = local.date().isoformat() == holiday
        return office_hours(local - timedelta(days=local.weekday() - 6) if quiet else local)

    ready, surprised = Life(holidays=[holiday]), Life()
    for life in (ready, surprised):
        life.live(21, load)
        life.regressed.clear()
        life.live(22, load)
    assert ready.regressed == []
    assert {local.date().isoformat() for local in surprised.regressed} == {holiday}


def test_values_of_a_deployment_teach_nothing() -> None:
    life = Life()
    life.live(3)
    before = life.detector.baseline.learned_ms
    life.detector.protect(life.at_ms + HOUR_MS)
    life.live(1 / 24)
    assert life.detector.baseline.learned_ms == before
    life.live(1)
    assert life.detector.baseline.learned_ms > before


def test_protection_and_profile_survive_a_restart() -> None:
    whole = Life()
    whole.live(20)
    whole.detector.protect(whole.at_ms + 2 * HOUR_MS)
    second = Detector(msgspec.structs.replace(THROUGHPUT, local_time=local_time_of("Europe/Berlin")))
    second.restore(whole.detector.snapshot())
    first = whole.detector
    for step in range(3 * DAY_STEPS):
        at_ms = whole.at_ms + step * STEP_MS
        for detector in (first, second):
            detector.observe(at_ms, 900.0 + step % 7, None)
            detector.learn(claimed=False)
    assert second.snapshot() == first.snapshot()


def test_a_new_time_zone_keeps_what_was_learned() -> None:
    life = Life("UTC")
    life.live(21)
    moved = Detector(msgspec.structs.replace(THROUGHPUT, local_time=local_time_of("Asia/Tokyo")))
    moved.restore(life.detector.snapshot())
    assert moved.baseline.expect(life.at_ms) == pytest.approx(life.expected(), rel=0.02)


def test_holidays_are_dates() -> None:
    assert day_number("1970-01-02") == 1
    with pytest.raises(ValueError, match="month"):
        day_number("2026-13-01")

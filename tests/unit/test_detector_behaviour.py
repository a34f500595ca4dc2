"""One suite for every method: what they share is tested once, with each of them."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from streams.detect.change_ratio import ChangeRatio, change_ratio
from streams.detect.confidence import Confidence, alarm_z, effective_samples, student_z
from streams.detect.reading import Method, Reading
from streams.detect.share import share_interval, share_z
from streams.detect.trend import Trend, theil_sen
from streams.detect.zscore import ZScore

STEP_MS = 15_000
WINDOW_MS = 300_000
SPREAD = 0.02

CREATE: dict[str, Callable[[], Method]] = {
    "change_ratio": lambda: ChangeRatio(0.15),
    "zscore": ZScore,
    "confidence": lambda: Confidence(STEP_MS, WINDOW_MS, alarm_z(1.0, WINDOW_MS)),
    "trend": lambda: Trend(STEP_MS, 0.075, alarm_z(1.0, 14_400_000)),
}
# What each method has to find: relative deviations, one a step.
STEP_UP = np.r_[np.zeros(1200), np.full(400, 0.5)]
SLOPE_UP = np.r_[np.zeros(200), np.linspace(0.0, 0.5, 1200)]
FINDS = {"change_ratio": STEP_UP, "zscore": STEP_UP, "confidence": STEP_UP, "trend": SLOPE_UP}


@pytest.fixture(params=sorted(CREATE))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def noise(count: int, seed: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Deviations of overlapping windows: the mean of 20 neighbours, spread `SPREAD`."""
    white = np.random.default_rng(seed).normal(0.0, SPREAD * np.sqrt(20), count + 19)
    return np.convolve(white, np.full(20, 0.05), "valid")


def readings(deviations: "np.ndarray[tuple[int], np.dtype[np.float64]]", sign: float = 1.0) -> Iterator[Reading]:
    for number, deviation in enumerate(deviations.tolist()):
        yield Reading(
            number * STEP_MS, 100.0 * (1 + deviation), 100.0, SPREAD, sign, season=100.0, freedom=200.0, events=None
        )


def test_noise_gets_no_vote_from_a_method_that_knows_about_chance(name: str) -> None:
    method = CREATE[name]()
    votes = sum(method.observe(reading) for reading in readings(noise(20_000, 3)))
    # z alone is beyond two deviations one time in forty: that is why it never decides alone.
    assert votes == 0 if name != "zscore" else 0 < votes < 1000


def test_it_votes_when_the_indicator_gets_worse(name: str) -> None:
    method = CREATE[name]()
    deviations = FINDS[name] + noise(FINDS[name].size, 1)
    assert any(method.observe(reading) for reading in readings(deviations))


def test_it_does_not_vote_when_the_indicator_gets_better(name: str) -> None:
    method = CREATE[name]()
    deviations = -0.9 * FINDS[name]
    assert not any(method.observe(reading) for reading in readings(deviations))


def test_worse_is_smaller_where_the_sign_says_so(name: str) -> None:
    method = CREATE[name]()
    assert any(method.observe(reading) for reading in readings(-FINDS[name], sign=-1.0))


@pytest.mark.parametrize("stop", [0, 1, 19, 21, 333, 1399])
def test_going_on_from_a_snapshot_changes_nothing(name: str, stop: int) -> None:
    deviations = FINDS[name] + noise(FINDS[name].size, 7)
    whole, first = CREATE[name](), CREATE[name]()
    votes = [whole.observe(reading) for reading in readings(deviations)]
    stream = list(readings(deviations))
    resumed = [first.observe(reading) for reading in stream[:stop]]
    second = CREATE[name]()
    second.restore(first.snapshot())
    assert second.snapshot() == first.snapshot()
    resumed += [second.observe(reading) for reading in stream[stop:]]
    assert resumed == votes
    assert second.snapshot() == whole.snapshot()


def test_its_state_does_not_grow(name: str) -> None:
    method = CREATE[name]()
    sizes = set()
    for number, reading in enumerate(readings(noise(3000, 2))):
        method.observe(reading)
        if number >= 100:
            sizes.add(len(method.snapshot()))
    assert len(sizes) == 1
    assert sizes.pop() <= 512


def test_a_change_relative_to_nothing_is_not_a_number() -> None:
    assert change_ratio(1.0, 0.0) is None
    assert change_ratio(80.0, 100.0) == pytest.approx(-0.2)


def test_overlapping_windows_are_worth_about_one_value() -> None:
    assert effective_samples(20, 0.95) == 1.0
    assert effective_samples(20, 0.0) == 20.0


def test_nearly_independent_values_are_averaged_and_a_small_change_is_found() -> None:
    method = Confidence(STEP_MS, WINDOW_MS, alarm_z(1.0, WINDOW_MS))
    white = np.random.default_rng(4).normal(0.0, SPREAD, 2000)
    assert not any(method.observe(reading) for reading in readings(white))
    shifted = white[:40] + 2.0 * SPREAD
    votes = [(method.observe(reading), method.averaged) for reading in readings(shifted)]
    assert (True, 20) in votes[20:]
    low, high = method.interval
    assert low < method.change < high
    assert low > 0


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    method = Confidence(STEP_MS, WINDOW_MS, alarm_z(1.0, WINDOW_MS))
    held = []
    for number, reading in enumerate(readings(noise(40_000, 9))):
        method.observe(reading)
        if number > 500:
            held.append(method.interval[0] <= 0.0 <= method.interval[1])
    assert 0.93 <= np.mean(held) <= 0.99


def test_a_spread_from_few_values_needs_a_larger_deviation() -> None:
    assert student_z(1.96, 1e9) == pytest.approx(1.96)
    assert student_z(4.9, 6.0) > 12
    # Student's t, two-sided 95 % with 10 degrees of freedom, from any table.
    assert student_z(1.959964, 10.0) == pytest.approx(2.228, abs=0.005)


def test_a_smaller_alarm_budget_needs_a_larger_deviation() -> None:
    assert alarm_z(0.1, WINDOW_MS) > alarm_z(1.0, WINDOW_MS) > alarm_z(10.0, WINDOW_MS) > 2.0
    assert alarm_z(1.0, 15_000) > alarm_z(1.0, WINDOW_MS)


def test_one_error_more_in_few_requests_is_chance_and_in_many_it_is_not() -> None:
    assert share_z(0.002, 0.001, 1_000) < 1.0
    assert share_z(0.002, 0.001, 1_000_000) > 20.0
    assert share_z(0.98, 0.99, 100_000) < -20.0


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.8, 0.999, 1.0])
def test_the_interval_of_a_share_stays_within_zero_and_one_and_holds_the_share(share: float) -> None:
    low, high = share_interval(share, 1_000, 1.96)
    assert 0.0 <= low <= share <= high <= 1.0
    assert share_interval(share, 0.0, 1.96) == (0.0, 1.0)


def test_the_slope_shrugs_off_outliers() -> None:
    hours = np.arange(48) / 12
    values = 100.0 + 3.0 * hours
    values[[5, 20, 33]] = 1e6
    slope = theil_sen(hours, values, 3.3)
    assert slope.per_hour == pytest.approx(3.0, rel=0.05)
    assert slope.low <= 3.0 <= slope.high


@pytest.mark.parametrize("place", range(100, 1400, 50))
def test_a_step_is_no_trend_wherever_it_stands(place: int) -> None:
    method = CREATE["trend"]()
    deviations = np.r_[np.zeros(place), np.full(1500 - place, 0.3)] + noise(1500, place)
    assert not any(method.observe(reading) for reading in readings(deviations))


def test_a_slope_that_every_day_has_is_no_trend() -> None:
    method = CREATE["trend"]()
    slope = np.linspace(0.0, 0.5, 1400)
    for number, deviation in enumerate(slope.tolist()):
        usual = 100.0 * (1 + deviation)
        assert not method.observe(Reading(number * STEP_MS, usual, usual, SPREAD, 1.0, season=usual))


def test_one_deviation_does_not_change_how_alike_neighbours_are() -> None:
    method = Confidence(STEP_MS, WINDOW_MS, alarm_z(1.0, WINDOW_MS))
    for reading in readings(0.1 * noise(2000, 6)):
        method.observe(reading)
    before = method.autocorrelation
    # Far beyond the noise that there is, yet within four times the spread that is assumed at least.
    method.observe(Reading(2000 * STEP_MS, 105.0, 100.0, SPREAD, 1.0))
    assert method.autocorrelation == pytest.approx(before, abs=0.02)
    assert before > 0.9

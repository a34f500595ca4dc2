"""The bank of transients: what it calls strange, what it does not, and that it repeats itself to the last bit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.detect.bank import BoolArray, FloatArray, IntArray
from streams.detect.transient import Transients

DAY_MS = 86_400_000
STEP_MS = 60_000
DAY = DAY_MS // STEP_MS


class Played:
    """What a bank said of a matrix of values, a line a step and a column a row."""

    def __init__(
        self, values: FloatArray, bank: Transients, rows: IntArray, since: int = 0, step_ms: int = STEP_MS
    ) -> None:
        seen = [bank.observe(rows, (since + i) * step_ms, line) for i, line in enumerate(values)]
        self.score: FloatArray = np.array([one.score for one in seen])
        self.expected: FloatArray = np.array([one.expected for one in seen])
        self.sigma: FloatArray = np.array([one.sigma for one in seen])
        self.anomalous: BoolArray = np.array([one.anomalous for one in seen])
        self.began: BoolArray = np.array([one.began for one in seen])


def bank_of(rows: int, step_ms: int = STEP_MS, interval_ms: float = DAY_MS) -> tuple[Transients, IntArray]:
    bank = Transients(step_ms)
    return bank, np.array([bank.add(interval_ms) for _ in range(rows)])


def play(values: FloatArray, step_ms: int = STEP_MS) -> Played:
    bank, rows = bank_of(values.shape[1], step_ms)
    return Played(values, bank, rows, step_ms=step_ms)


def noise(steps: int, rows: int = 1, seed: int = 1) -> FloatArray:
    return 100.0 + 5.0 * np.random.default_rng(seed).normal(size=(steps, rows))


def same(first: Played, second: Played) -> bool:
    names = ("score", "expected", "sigma", "anomalous", "began")
    return all(np.array_equal(getattr(first, name), getattr(second, name), equal_nan=name != "began") for name in names)


@pytest.mark.parametrize("factor", [2.0, 0.0])
def test_a_spike_and_a_dip_are_anomalous_at_their_first_value(factor: float) -> None:
    values = noise(DAY)
    values[-1] *= factor
    played = play(values)
    assert played.began[-1, 0]
    assert played.score[-1, 0] > 0.99


def test_a_deviation_begins_once_and_is_over_when_its_values_are_back() -> None:
    values = noise(DAY)
    values[-20:-17] += 200.0
    played = play(values)
    assert played.began[-20:, 0].tolist() == [True] + [False] * 19
    assert played.anomalous[-20:-17].all()
    assert not played.anomalous[-10:].any()


def test_steady_noise_alarms_about_as_rarely_as_its_row_may() -> None:
    played = play(noise(3 * DAY, rows=20))
    assert played.began[DAY:].sum() / 40.0 < 1.5  # alarms a day


def test_a_row_that_may_alarm_more_rarely_alarms_more_rarely() -> None:
    values = np.random.default_rng(2).standard_t(3, size=(2 * DAY, 10))
    often = Played(values, *bank_of(10, interval_ms=DAY_MS / 24))
    rarely = Played(values, *bank_of(10, interval_ms=30 * DAY_MS))
    assert rarely.began.sum() < often.began.sum()
    assert np.array_equal(rarely.score, often.score)


def test_scores_of_calm_and_of_jumpy_indicators_mean_the_same() -> None:
    random = np.random.default_rng(3)
    values = np.stack((random.normal(size=4 * DAY), np.exp(2.0 * random.normal(size=4 * DAY))), axis=1)
    passed = (play(values).score[DAY:] > 0.1).sum(axis=0) / 3.0  # nominally nine a day
    assert (passed > 2.0).all()
    assert (passed < 30.0).all()


def test_a_peak_at_the_same_time_of_every_day_becomes_usual() -> None:
    values = noise(6 * DAY)
    for day in range(6):
        values[day * DAY + 600 : day * DAY + 660] += 100.0
    played = play(values)
    first, last = played.score[600:610].max(), played.score[5 * DAY + 602 : 5 * DAY + 650].max()
    assert first > 0.9
    assert last < 0.5


def test_a_dip_that_hides_in_the_days_range_is_found_by_its_time_of_day() -> None:
    clock = np.arange(6 * DAY)[:, None] / DAY
    values = noise(6 * DAY) + 80.0 * np.sin(2 * math.pi * clock)
    values[-DAY + 360] -= 60.0  # still above every night
    played = play(values)
    assert played.began[-DAY + 360, 0]
    assert played.expected[-DAY + 360, 0] == pytest.approx(180.0, abs=6.0)


def test_the_expected_value_and_the_deviation_are_in_the_unit_of_the_values() -> None:
    played = play(noise(2 * DAY))
    assert played.expected[-1, 0] == pytest.approx(100.0, abs=8.0)
    assert played.sigma[-1, 0] == pytest.approx(5.0, rel=0.15)


def test_a_new_level_is_strange_for_hours_at_most() -> None:
    values = noise(2 * DAY)
    values[DAY:] += 50.0
    played = play(values)
    assert played.began[DAY, 0]
    assert not played.anomalous[DAY + 240 :].any()


def test_an_accepted_level_is_expected_at_once() -> None:
    values = noise(DAY + 10)
    values[DAY:] += 50.0
    bank, rows = bank_of(1)
    Played(values, bank, rows)
    bank.accept(0)
    assert Played(values[-1:], bank, rows, since=DAY + 10).expected[0, 0] == pytest.approx(150.0, abs=10.0)


def test_nothing_is_said_before_an_hour_of_values() -> None:
    values = noise(60)
    values[30] = 1e6
    assert play(values).score.max() == 0.0


def test_what_comes_later_changes_nothing_that_was_said() -> None:
    values = noise(2 * DAY, rows=3)
    values[700:900, 1] = np.nan
    whole, part = play(values), play(values[: DAY + 77])
    assert np.array_equal(whole.score[: DAY + 77], part.score)
    assert np.array_equal(whole.anomalous[: DAY + 77], part.anomalous)


def test_neighbours_in_the_bank_change_nothing() -> None:
    values = noise(DAY + 100, rows=3)
    values[500:600, 0] = np.nan
    together, alone = play(values), play(values[:, 1:2])
    assert np.array_equal(together.score[:, 1:2], alone.score)


def test_a_restored_row_goes_on_bit_by_bit() -> None:
    values = noise(2 * DAY, rows=2)
    values[DAY - 3 :, 0] += 40.0
    bank, rows = bank_of(2)
    Played(values[:DAY], bank, rows)
    other, places = bank_of(5)
    other.restore(3, bank.state(0))
    other.restore(1, bank.state(1))
    moved = Played(values[DAY:], other, places[[3, 1]], since=DAY)
    stayed = Played(values[DAY:], bank, rows, since=DAY)
    assert same(moved, stayed)
    assert other.state(3) == bank.state(0)


def test_a_row_costs_little_beside_its_week() -> None:
    bank, _ = bank_of(1)
    assert len(bank.state(0)) <= 1200 + 8200


def test_a_row_that_is_given_again_knows_nothing() -> None:
    values = noise(2 * DAY)
    bank, rows = bank_of(1)
    Played(values, bank, rows)
    bank.remove(0)
    assert bank.add(DAY_MS) == 0
    assert same(Played(values, bank, rows), play(values))


def test_missing_values_are_neither_strange_nor_learned() -> None:
    values = noise(DAY)
    holes = np.insert(values, range(500, 600), np.nan, axis=0)
    played = play(holes)
    lost = np.isnan(holes[:, 0])
    assert not played.anomalous[lost].any()
    assert (played.score[lost] == 0.0).all()
    assert np.isnan(played.expected[lost]).all()


def test_rows_that_are_not_named_have_no_value() -> None:
    values = noise(300, rows=2)
    values[100:200, 1] = np.nan
    named, rows = bank_of(2)
    silent, _ = bank_of(2)
    for i, line in enumerate(values):
        named.observe(rows, i * STEP_MS, line)
        there = ~np.isnan(line)
        silent.observe(rows[there], i * STEP_MS, line[there])
    assert [named.state(row) for row in range(2)] == [silent.state(row) for row in range(2)]


def test_a_hole_of_weeks_leaves_no_old_days_behind() -> None:
    bank, rows = bank_of(1)
    Played(noise(3 * DAY), bank, rows)
    later = Played(noise(2 * DAY) + 900.0, bank, rows, since=40 * DAY)
    assert later.expected[-1, 0] == pytest.approx(1000.0, abs=10.0)
    assert not later.anomalous[DAY:].any()


@pytest.mark.parametrize("level", [0.0, 1.0, -3e8, 1e-9])
def test_a_constant_is_never_strange_until_it_moves(level: float) -> None:
    values = np.full((2 * DAY, 1), level)
    values[-1] += max(abs(level), 1.0) * 0.1
    played = play(values)
    assert not played.anomalous[:-1].any()
    assert played.began[-1, 0]


@pytest.mark.parametrize("value", [1e308, -1e308, math.inf, -math.inf, math.nan, 5e-324])
def test_any_number_leaves_numbers(value: float) -> None:
    values = noise(DAY)
    values[400] = value
    values[700:705] = value
    played = play(values)
    assert np.isfinite(played.score).all()
    assert np.isfinite(played.sigma[np.isfinite(values)]).all()
    assert not played.anomalous[-100:].any()


@pytest.mark.parametrize("step_ms", [1_000, 15_000, 300_000, 3_600_000])
def test_steps_of_a_second_and_of_an_hour_find_a_spike(step_ms: int) -> None:
    values = noise(1_000)
    values[-1] = 200.0
    played = play(values, step_ms)
    assert played.began[-1, 0]


_NUMBERS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0, math.nan]))


@settings(max_examples=30, deadline=None)
@given(st.lists(_NUMBERS, min_size=2, max_size=200), st.data())
def test_restarting_at_any_prefix_changes_nothing(numbers: list[float], data: st.DataObject) -> None:
    values = np.array(numbers)[:, None]
    cut = data.draw(st.integers(0, len(values)))
    whole, rows = bank_of(1, 300_000)
    first, _ = bank_of(1, 300_000)
    said = Played(values, whole, rows, step_ms=300_000)
    Played(values[:cut], first, rows, step_ms=300_000)
    second, _ = bank_of(1, 300_000)
    second.restore(0, first.state(0))
    rest = Played(values[cut:], second, rows, since=cut, step_ms=300_000)
    assert np.array_equal(rest.score.ravel(), said.score[cut:].ravel())
    assert second.state(0) == whole.state(0)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-6, 1e6), st.integers(0, 2**31))
def test_the_unit_of_an_indicator_does_not_matter(unit: float, seed: int) -> None:
    values = noise(200, seed=seed)
    scores = [play(values * factor).score for factor in (1.0, unit)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_the_farther_out_the_higher_the_score(seed: int) -> None:
    values = np.repeat(noise(200, seed=seed), 4, axis=1)
    values[-1] = 100.0 + np.array([20.0, 40.0, 80.0, 160.0])
    scores = play(values).score[-1].tolist()
    assert scores == sorted(scores)

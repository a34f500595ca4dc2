"""The bank of change points: what it calls a shift, when that is over, and that a row is nobody else's business."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from streams.detect.change_point import ChangePoints, Shifts

Values = NDArray[np.float64]

STEP_MS = 300_000
START_MS = 1_790_006_400_000  # a midnight
DAY_STEPS = 288
NEVER_MS = 3_650 * 86_400_000.0
LEVEL, SIGMA = 200.0, 4.0
# By now a row has seen that nothing wanders.
HISTORY = 6 * DAY_STEPS


def white(rng: np.random.Generator, steps: int, rows: int) -> Values:
    return rng.standard_normal((steps, rows))


def coloured(rng: np.random.Generator, steps: int, rows: int) -> Values:
    values = rng.standard_normal((steps, rows))
    for step in range(1, steps):
        values[step] = 0.5 * values[step - 1] + np.sqrt(0.75) * values[step]
    return values


def wild(rng: np.random.Generator, steps: int, rows: int) -> Values:
    return np.asarray(rng.standard_t(4, (steps, rows)) / np.sqrt(2.0))


def daily(rng: np.random.Generator, steps: int, rows: int) -> Values:
    return white(rng, steps, rows) + 5.0 * np.sin(2.0 * np.pi * np.arange(steps) / DAY_STEPS)[:, np.newaxis]


def ragged(rng: np.random.Generator, steps: int, rows: int) -> Values:
    values = white(rng, steps, rows)
    values[rng.random((steps, rows)) < 0.5] = np.nan
    return values


NOISES: dict[str, Callable[[np.random.Generator, int, int], Values]] = {
    "white": white,
    "coloured": coloured,
    "wild": wild,
    "daily": daily,
    "ragged": ragged,
}


class Feed:
    """A bank and how many steps it has seen."""

    def __init__(self, rows: int, interval_ms: float = NEVER_MS) -> None:
        self.bank = ChangePoints(STEP_MS)
        self.rows = np.array([self.bank.add(interval_ms) for _ in range(rows)], dtype=np.int64)
        self.steps = 0

    def give(self, values: Values) -> list[Shifts]:
        """Feed (steps, rows) values."""
        answers = []
        for row in values:
            answers.append(self.bank.observe(self.rows, START_MS + self.steps * STEP_MS, row))
            self.steps += 1
        return answers


def steady(steps: int, rows: int = 1, seed: int = 1) -> Values:
    return LEVEL + SIGMA * white(np.random.default_rng(seed), steps, rows)


def beginnings(answers: list[Shifts], row: int = 0) -> list[int]:
    return [number for number, answer in enumerate(answers) if answer.began[row]]


@pytest.mark.parametrize("name", sorted(NOISES))
def test_noise_of_any_kind_is_no_shift(name: str) -> None:
    values = LEVEL + SIGMA * NOISES[name](np.random.default_rng(7), 10 * DAY_STEPS, 12)
    answers = Feed(12).give(values)
    assert sum(int(answer.began.sum()) for answer in answers) == 0


@pytest.mark.parametrize("name", sorted(NOISES))
@pytest.mark.parametrize("sign", [1, -1])
def test_a_step_is_found_in_noise_of_any_kind(name: str, sign: int) -> None:
    values = LEVEL + SIGMA * NOISES[name](np.random.default_rng(8), HISTORY + DAY_STEPS, 8)
    values[HISTORY:] += 4.0 * SIGMA * sign
    answers = Feed(8).give(values)
    for row in range(8):
        (found,) = beginnings(answers, row)
        assert 0 <= found - HISTORY <= 60
        assert answers[-1].shifted[row] == sign


def test_a_shift_says_since_when_from_where_to_where_and_how_surely() -> None:
    feed = Feed(1)
    feed.give(steady(HISTORY))
    answers = feed.give(steady(60, seed=2) + 3 * SIGMA)
    (found,) = beginnings(answers)
    answer = answers[found]
    assert abs(int(answer.onset_ms[0]) - (START_MS + HISTORY * STEP_MS)) <= 2 * STEP_MS
    assert answer.before[0] == pytest.approx(LEVEL, abs=SIGMA / 2)
    assert answers[-1].after[0] == pytest.approx(LEVEL + 3 * SIGMA, abs=SIGMA)
    assert answer.sigma[0] == pytest.approx(SIGMA, rel=0.15)
    assert 0.0 < answer.p_value[0] < 1e-3
    assert answer.count[0] == pytest.approx(found + 1, abs=2)
    assert answers[-1].count[0] == answer.count[0] + len(answers) - 1 - found


def test_what_did_not_shift_says_so() -> None:
    (*_, answer) = Feed(2).give(steady(50, 2))
    assert answer.shifted.tolist() == [0, 0]
    assert answer.onset_ms.tolist() == [0, 0]
    assert answer.p_value.tolist() == [1.0, 1.0]
    assert answer.count.tolist() == [0, 0]


def test_a_shift_lasts_until_the_values_are_back_and_the_way_back_is_no_shift() -> None:
    feed = Feed(1)
    feed.give(steady(HISTORY))
    away = feed.give(steady(3 * DAY_STEPS, seed=2) + 5 * SIGMA)
    back = feed.give(steady(DAY_STEPS, seed=3))
    assert len(beginnings(away)) == 1
    assert all(answer.shifted[0] == 1 for answer in away[beginnings(away)[0] :])
    assert beginnings(back) == []
    assert next(number for number, answer in enumerate(back) if answer.shifted[0] == 0) <= 6
    assert back[-1].before[0] == pytest.approx(LEVEL, abs=SIGMA / 2)


def test_a_shift_that_the_noise_hides_is_one_shift() -> None:
    feed = Feed(8, 30 * 86_400_000.0)
    feed.give(steady(HISTORY, 8))
    answers = feed.give(steady(3 * DAY_STEPS, 8, seed=2) + 0.7 * SIGMA)
    assert sum(int(answer.began.sum()) for answer in answers) <= 9


def test_an_accepted_level_is_the_usual_one() -> None:
    feed = Feed(1)
    feed.give(steady(HISTORY))
    feed.give(steady(40, seed=2) + 5 * SIGMA)
    feed.bank.accept(0)
    stayed = feed.give(steady(2 * DAY_STEPS, seed=3) + 5 * SIGMA)
    assert all(answer.shifted[0] == 0 for answer in stayed)
    assert stayed[0].before[0] == pytest.approx(LEVEL + 5 * SIGMA, abs=SIGMA)
    left = feed.give(steady(60, seed=4))
    assert left[-1].shifted[0] == -1


def test_accepting_what_did_not_shift_changes_nothing() -> None:
    one, other = Feed(1), Feed(1)
    for feed in (one, other):
        feed.give(steady(HISTORY))
    one.bank.accept(0)
    assert one.give(steady(9, seed=2))[-1].before == other.give(steady(9, seed=2))[-1].before


def test_a_spike_is_no_shift() -> None:
    feed = Feed(1)
    feed.give(steady(HISTORY))
    values = steady(DAY_STEPS, seed=2)
    values[50] = 100 * LEVEL
    values[120:122] = 0.0
    assert beginnings(feed.give(values)) == []


def test_before_a_second_day_nobody_can_tell_a_season_from_a_shift() -> None:
    feed = Feed(1)
    feed.give(steady(200))
    assert not any(answer.shifted[0] for answer in feed.give(steady(60, seed=2) + 10 * SIGMA))


def test_missing_values_neither_begin_nor_end_a_shift() -> None:
    feed = Feed(2)
    feed.give(steady(HISTORY, 2))
    feed.give(steady(40, 2, seed=2) + np.array([5 * SIGMA, 0.0]))
    for answer in feed.give(np.full((DAY_STEPS, 2), np.nan)):
        assert answer.shifted.tolist() == [1, 0]
        assert not answer.began.any()
    assert feed.give(steady(1, 2, seed=3) + np.array([5 * SIGMA, 0.0]))[-1].shifted.tolist() == [1, 0]


def test_no_value_is_the_same_as_not_being_named() -> None:
    named, left_out = Feed(2), Feed(2)
    values = steady(HISTORY, 2)
    values[np.random.default_rng(3).random(values.shape) < 0.2] = np.nan
    for step, row in enumerate(values):
        at_ms = START_MS + step * STEP_MS
        named.bank.observe(named.rows, at_ms, row)
        known = np.isfinite(row)
        left_out.bank.observe(left_out.rows[known], at_ms, row[known])
    assert [named.bank.state(row) for row in (0, 1)] == [left_out.bank.state(row) for row in (0, 1)]


def test_alarms_are_those_of_the_values_so_far() -> None:
    values = steady(HISTORY + 200, 10)
    values[HISTORY:] += np.linspace(-6, 6, 10) * SIGMA
    cut = HISTORY + 120
    whole, part = Feed(10), Feed(10)
    first = whole.give(values)[:cut]
    other = values.copy()
    other[cut:] = 1e6
    for one, two in zip(first, part.give(other)[:cut], strict=True):
        assert one.shifted.tolist() == two.shifted.tolist()
        assert one.onset_ms.tolist() == two.onset_ms.tolist()
        assert one.before.tolist() == two.before.tolist()


@pytest.mark.parametrize("cut", [0, 1, 100, HISTORY - 1, HISTORY + 3, HISTORY + 50])
def test_a_row_goes_on_in_another_bank_as_if_nothing_had_happened(cut: int) -> None:
    values = steady(HISTORY + 100, 2)
    values[HISTORY:, 0] += 4 * SIGMA
    home = Feed(2)
    home.give(values[:cut])
    moved = ChangePoints(STEP_MS)
    for _ in range(3):
        row = moved.add(1.0)
    moved.restore(row, home.bank.state(0))
    for number in range(cut, len(values)):
        at_ms = START_MS + number * STEP_MS
        stayed = home.bank.observe(home.rows, at_ms, values[number])
        went = moved.observe(np.array([row]), at_ms, values[number, :1])
        assert went.before[0] == stayed.before[0]
        assert went.shifted[0] == stayed.shifted[0]
    assert moved.state(row) == home.bank.state(0)


def test_a_row_that_is_given_again_knows_nothing() -> None:
    feed, fresh = Feed(2), Feed(2)
    feed.give(steady(HISTORY, 2))
    feed.bank.remove(1)
    assert feed.bank.add(NEVER_MS) == 1
    assert feed.bank.state(1) == fresh.bank.state(1)
    assert feed.bank.state(0) != fresh.bank.state(0)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(900),
        np.full(900, 1e-300),
        np.full(900, -1e308),
        np.r_[np.full(500, 7.0), np.full(400, 7.1)],
        np.r_[np.zeros(500), np.full(400, 1e308)],
        np.tile([1e308, -1e308, 5e-324], 300),
        np.tile([0.0, 0.0, 0.0, 1.0], 225),
        np.tile([np.inf, -np.inf, np.nan, 3.0], 225),
        np.full(900, np.nan),
        10.0 ** np.linspace(-300, 300, 900),
    ],
    ids=["zero", "tiny", "huge", "two constants", "to the largest", "swinging", "rare", "infinite", "none", "growing"],
)
def test_values_of_any_size_give_numbers(values: Values) -> None:
    for answer in Feed(1).give(values[:, np.newaxis]):
        for numbers in (answer.before, answer.after, answer.sigma, answer.p_value):
            assert np.isfinite(numbers).all()


def test_a_constant_that_becomes_another_one_has_shifted() -> None:
    answers = Feed(1).give(np.r_[np.full(1000, 7.0), np.full(40, 7.1)][:, np.newaxis])
    assert answers[-1].shifted[0] == 1
    assert answers[999].shifted[0] == 0


def test_a_level_that_wanders_asks_for_more_evidence_than_one_that_stays() -> None:
    rng = np.random.default_rng(4)
    wandering = np.cumsum(rng.standard_normal((10 * DAY_STEPS, 10)), axis=0) * 0.3 + white(rng, 10 * DAY_STEPS, 10)
    answers = Feed(10, 30 * 86_400_000.0).give(LEVEL + SIGMA * wandering)
    assert sum(int(answer.began.sum()) for answer in answers) <= 10


def test_what_is_remembered_of_a_row_is_small() -> None:
    feed = Feed(1)
    profile = 8 * 86_400_000 // 900_000
    assert len(feed.bank.state(0)) - profile <= 1_536

"""The mathematical limit, against published run lengths and what is known in closed form."""

import math

import numpy as np
import pytest

from benchmarks.detection.limit import cusum_run_lengths, delay_limit, effective_shift

MONTH = 172_800


def test_a_cusum_has_the_run_lengths_of_the_tables() -> None:
    # One-sided, k = 0.5, h = 4: 336 samples without a shift of one sigma, 8.4 with it (Montgomery, table 9.3: two-sided
    # 168 and 8.38). The threshold of likelihood ratios is h times the shift.
    threshold, delay = cusum_run_lengths("gaussian", 1.0, 335.4)
    assert threshold == pytest.approx(4.0, abs=0.02)
    assert delay == pytest.approx(8.38, abs=0.05)


@pytest.mark.parametrize(("shift", "samples"), [(0.5, 72), (1.0, 21), (2.0, 6)])
def test_the_limit_in_gaussian_noise_is_the_published_one(shift: float, samples: int) -> None:
    assert round(delay_limit("gaussian", shift, MONTH)) == samples


def test_a_season_that_is_known_changes_nothing() -> None:
    assert delay_limit("season", 1.0, MONTH) == delay_limit("gaussian", 1.0, MONTH)


def test_autocorrelation_weakens_a_step_as_its_innovations_say() -> None:
    assert effective_shift(1.0, 0.5) == pytest.approx(math.sqrt(1 / 3))
    assert effective_shift(1.0, 0.0) == 1.0
    assert delay_limit("ar1", 1.0, MONTH) == pytest.approx(delay_limit("gaussian", math.sqrt(1 / 3), MONTH), rel=1e-9)


def test_small_steps_in_heavy_tails_are_found_sooner_by_the_fisher_information() -> None:
    ratio = delay_limit("gaussian", 0.25, MONTH) / delay_limit("t4", 0.25, MONTH)
    # Of the location of Student's t with n degrees of freedom and unit variance: n (n + 1) / ((n + 3) (n - 2)). The
    # ratio of delays comes near it from below, since a larger information also needs a higher threshold.
    assert 1.3 < ratio < 4 * 5 / (7 * 2)


def test_the_limit_is_what_a_simulated_cusum_does() -> None:
    threshold, delay = cusum_run_lengths("gaussian", 1.0, 1_000.0)
    values = np.random.default_rng(1).standard_normal((200, 4_000)) + 1.0
    statistic, found = np.zeros(4_000), np.zeros(4_000)
    for number, row in enumerate(values, 1):
        statistic = np.maximum(0.0, statistic + row - 0.5)
        found[(found == 0) & (statistic > threshold)] = number
    assert found.min() > 0
    assert found.mean() == pytest.approx(delay, rel=0.03)

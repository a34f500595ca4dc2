"""The mathematical limit: how soon the best detector of all finds a step, if it knew noise, level, size and sign.

That detector is the CUSUM of log-likelihood ratios (Lorden 1971, Moustakides 1986: no other with as few false alarms
has a smaller worst mean delay). Its run lengths come from a Markov chain over its statistic, cut into cells (Brook and
Evans 1972): with Q the transitions among cells below the threshold, the mean run lengths L solve (I - Q) L = 1.

Whoever does not know the sign watches both sides and may alarm on each half as often: ln 2 / information later.

- Gaussian noise: the ratio of x is d x - d^2 / 2.
- Student-t: the ratio of the two t densities; it is bounded, so one wild value says little. The gain over Gaussian
  noise of the same variance is the Fisher information of the location, 10 / 7 for four degrees of freedom.
- AR(1): the innovations e[t] = x[t] - phi x[t-1] are independent and carry all there is to know. Of a step d they keep
  (1 - phi) d, in units of their own deviation sqrt(1 - phi^2): d sqrt((1 - phi) / (1 + phi)). The first innovation
  after the step carries more; the limit leaves that out.
- A season that is known changes nothing.
"""

import math
from functools import lru_cache

import numpy as np

from benchmarks.detection.method import FloatArray
from benchmarks.detection.noise import AR_COEFFICIENT, T_FREEDOM, NoiseName

_CELLS = 400
_REACH = 60.0
_GRID = 1e-3
_HALVINGS = 24


def _log_density(noise: NoiseName, x: FloatArray) -> FloatArray:
    """Logarithm of the unit-variance density, a constant left out."""
    if noise != "t4":
        return -0.5 * x * x
    return -0.5 * (T_FREEDOM + 1) * np.log1p(x * x / (T_FREEDOM - 2))


def _probabilities(log_density: FloatArray) -> FloatArray:
    weights = np.exp(log_density)
    weights /= weights.sum()
    return np.asarray(weights, dtype=np.float64)


def _run_length(ratio: FloatArray, weights: FloatArray, threshold: float) -> float:
    """Mean samples until a CUSUM of the increments `ratio`, drawn with `weights`, passes the threshold from zero."""
    cell = threshold / _CELLS
    jumps = np.clip(np.rint(ratio / cell), -_CELLS, _CELLS).astype(np.int64) + _CELLS
    chance = np.bincount(jumps, weights, 2 * _CELLS + 1)
    at_most = np.cumsum(chance)
    places = np.arange(_CELLS)
    stay = chance[places[None, :] - places[:, None] + _CELLS]
    stay[:, 0] = at_most[_CELLS - places]
    return float(np.linalg.solve(np.eye(_CELLS) - stay, np.ones(_CELLS))[0])


def cusum_run_lengths(noise: NoiseName, shift: float, run_length: float) -> tuple[float, float]:
    """(threshold, mean delay) of the one-sided CUSUM that alarms by chance once in `run_length` samples.

    shift: in standard deviations, > 0.
    """
    x = np.arange(-_REACH, _REACH + shift, _GRID)
    usual, shifted = _log_density(noise, x), _log_density(noise, x - shift)
    before, after = _probabilities(usual), _probabilities(shifted)
    ratio = shifted - usual
    low, high = 0.1, 2.0 * math.log(run_length)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if _run_length(ratio, before, middle) > run_length:
            high = middle
        else:
            low = middle
    return low, _run_length(ratio, after, low)


def effective_shift(shift: float, coefficient: float) -> float:
    """What AR(1) noise with that coefficient leaves of a step, in deviations of the innovations."""
    return shift * math.sqrt((1.0 - coefficient) / (1.0 + coefficient))


@lru_cache
def delay_limit(noise: NoiseName, shift: float, run_length: float) -> float:
    """Smallest mean delay, in samples, at one false alarm in `run_length` samples.

    shift: in standard deviations of the noise.
    """
    if noise == "ar1":
        shift = effective_shift(shift, AR_COEFFICIENT)
    return cusum_run_lengths("t4" if noise == "t4" else "gaussian", shift, run_length)[1]

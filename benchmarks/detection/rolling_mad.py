"""Rival: a value is an anomaly when it is far from the median of the last samples, in their median deviations.

The rule that nearly every home-made alert is. Three deviations, as in its textbooks.
"""

import numpy as np

from benchmarks.detection.method import BoolArray, Decision, FloatArray, rises

WINDOW = 60
_LEAST = 10
_DEVIATIONS = 3.0
_TO_SIGMA = 1.4826  # of a Gaussian, standard deviation / median absolute deviation


class RollingMad:
    """Keeps the last `WINDOW` values of every stream."""

    def __init__(self, streams: int) -> None:
        self._values = np.full((streams, WINDOW), np.nan)
        self._count = np.zeros(streams, dtype=np.int64)
        self._open: BoolArray = np.zeros(streams, dtype=np.bool_)

    def observe(self, _at_ms: int, values: FloatArray) -> Decision:
        """Compare with the window, then let the value in."""
        known = np.isfinite(values)
        score = np.zeros(len(values))
        ready = known & (self._count >= _LEAST)
        if ready.any():
            window = self._values[ready]
            median = _median(window)
            spread = _TO_SIGMA * _median(np.abs(window - median[:, None]))
            far = np.abs(values[ready] - median)
            z = np.divide(far, spread, out=np.where(far > 0, np.inf, 0.0), where=spread > 0)
            score[ready] = 1.0 - 1.0 / (1.0 + z)
        place = self._count[known] % WINDOW
        self._values[np.flatnonzero(known), place] = values[known]
        self._count += known
        alarm = np.where(known, score > 1.0 - 1.0 / (1.0 + _DEVIATIONS), self._open)
        began, self._open = rises(alarm, self._open), alarm
        return Decision(began, alarm, alarm, score)


def _median(values: FloatArray) -> FloatArray:
    """Along rows; NaN, which sorts last, is left out."""
    count = np.count_nonzero(np.isfinite(values), axis=1)
    if count.min() == values.shape[1]:
        middle = values.shape[1] // 2
        parted = np.partition(values, (middle - 1, middle), axis=1)
        return np.asarray((parted[:, middle - 1] + parted[:, middle]) / 2.0)
    ordered = np.sort(values, axis=1)
    rows = np.arange(len(values))
    return np.asarray((ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2.0)

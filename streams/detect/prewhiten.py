"""What of a value is news: its deviation without what follows from the last ones.

Neighbours in time are alike, so a CUSUM of plain deviations believes one slow wave many times over. Every row learns
the autocovariances of its own deviations and from them, once in a while, how the next one follows from the last
`LAGS` (Yule-Walker equations by Levinson's recursion, always a stable filter). What the filter cannot foretell is the
innovation; of a shift its first innovation has all, the later ones only `1 - sum(weights)`.
"""

import numpy as np

from streams.detect.bank import FloatArray
from streams.detect.shift_columns import LAGS, ShiftColumns

# Deviations teach no further than this many standard deviations: a spike is not what its neighbours follow from.
_CLIP = 4.0
_SMALLEST_GAIN = 0.1


def innovation_of(columns: ShiftColumns, deviation: FloatArray) -> FloatArray:
    """The deviations without what the last ones foretell."""
    foretold: FloatArray = columns.weights[0] * (columns.lags[0] - columns.level)
    for lag in range(1, LAGS):
        foretold += columns.weights[lag] * (columns.lags[lag] - columns.level)
    np.subtract(deviation, foretold, out=foretold)
    return foretold


def learn_covariance(columns: ShiftColumns, deviation: FloatArray, rate: FloatArray) -> None:
    """Move the autocovariances by a part `rate` towards this deviation's."""
    far = np.where(columns.sigma > 0, _CLIP * columns.sigma, np.inf)
    clipped = np.clip(deviation, -far, far)
    columns.covariance[0] += rate * (clipped * clipped - columns.covariance[0])
    for lag in range(LAGS):
        before = np.clip(columns.lags[lag] - columns.level, -far, far)
        columns.covariance[lag + 1] += rate * (clipped * before - columns.covariance[lag + 1])


def push(columns: ShiftColumns, value: FloatArray) -> None:
    """The newest value becomes the first lag."""
    for lag in range(LAGS - 1, 0, -1):
        columns.lags[lag] = columns.lags[lag - 1]
    columns.lags[0] = value


def solve(columns: ShiftColumns) -> None:
    """Weights, gain and jump from the autocovariances."""
    variance = columns.covariance[0]
    safe = np.where(variance > 0, variance, 1.0)
    left = np.ones_like(safe)
    weights = np.zeros_like(columns.weights)
    for order in range(LAGS):
        ahead = columns.covariance[order + 1] / safe
        for lag in range(order):
            ahead = ahead - weights[lag] * columns.covariance[order - lag] / safe
        partial = np.clip(ahead / left, -0.99, 0.99)
        # Chance alone gives 1 / count: what is not more than that is not believed.
        square = np.maximum(partial * partial, 1e-12)
        partial = partial * np.maximum(0.0, 1.0 - 2.0 / (np.maximum(columns.count, 1.0) * square))
        before = weights[:order].copy()
        for lag in range(order):
            weights[lag] = before[lag] - partial * before[order - 1 - lag]
        weights[order] = partial
        left = left * (1.0 - partial * partial)
    columns.weights[:] = weights
    columns.jump[:] = 1.0 / np.sqrt(left)
    stays = np.maximum(1.0 - weights.sum(axis=0), 0.0)
    columns.gain[:] = np.maximum(stays * columns.jump, _SMALLEST_GAIN)

"""Distances between values, in square roots where an indicator is never negative.

Counts, rates and durations are noisier where they are larger, so the same plain distance is a surprise by night and
nothing by day. The noise of their square roots stays about the same. A point that has negative values in its first day
(a difference, a score) keeps plain distances: a root would tear its zero apart. A negative value that comes later
counts as the negative root, for it is a dip that has never been seen.

Source: Bartlett (1936), the square root transformation in analysis of variance.
"""

from typing import Final

import numpy as np

from streams.detect.bank import FloatArray
from streams.detect.transient_columns import TransientColumns

_DAY_MS: Final = 86_400_000


def choose(columns: TransientColumns, value: FloatArray, step_ms: int) -> None:
    """Give up roots where a negative value comes early; what was learned in roots means nothing then."""
    turns = (value < 0.0) & (columns.signed == 0.0) & (columns.count * step_ms < _DAY_MS)
    if turns.any():
        columns.signed[turns] = 1.0
        columns.count[turns] = 0.0
        columns.hour_count[:, turns] = 0.0


def scaled(columns: TransientColumns, values: FloatArray) -> FloatArray:
    """Values, (n,) or (VIEWS, n), as distances are taken of them."""
    return np.where(columns.signed > 0.0, values, np.sign(values) * np.sqrt(np.abs(values)))


def in_unit(columns: TransientColumns, expected: FloatArray, spread: FloatArray) -> FloatArray:
    """A distance above an expected value, in the indicator's unit."""
    rooted = spread * (2.0 * np.sqrt(np.abs(expected)) + spread)
    return np.where(columns.signed > 0.0, spread, rooted)

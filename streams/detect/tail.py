"""How rarely a deviation is passed: the tail of each row's own deviations, learned as they come.

One value in twenty passes `far`; by how much those pass it follows an exponential law well enough, which gives the
chance of any larger one. So deviations of steady and of jumpy indicators mean the same. A row is never taken to be
quieter than noise is: a threshold learned from a still stretch would make an anomaly of the first breath.

Source: Pickands (1975), peaks over a threshold; Robbins and Monro (1951) for the quantile.
"""

from typing import Final

import numpy as np

from streams.detect.bank import FloatArray
from streams.detect.transient_columns import TransientColumns

_DAY_MS: Final = 86_400_000
_SHARE: Final = 0.05
_MEMORY_DAYS: Final = 2.0
_FASTEST: Final = 1.0 / 50.0
_CUT: Final = 4.0
# What a row is judged by is at least this: noise alone has deviations around one.
_LEAST_FAR: Final = 2.5
_LEAST_EXCESS: Final = 0.5
# Both go on learning below that, but stay positive.
_NEVER_BELOW: Final = 0.1
_PRIOR_PASSES: Final = 10.0
_LARGEST_EXPONENT: Final = 700.0


class Tail:
    """step_ms: the time between two values of a row."""

    __slots__ = ("_gain",)

    def __init__(self, step_ms: int) -> None:
        self._gain = min(_FASTEST, step_ms / (_MEMORY_DAYS * _DAY_MS))

    def observe(self, columns: TransientColumns, deviation: FloatArray) -> FloatArray:
        """The chance of a deviation as large as this one, 0-1, before it is learned from."""
        over = deviation - np.maximum(columns.far, _LEAST_FAR)
        excess = np.maximum(columns.excess, _LEAST_EXCESS)
        chance = np.minimum(1.0, _SHARE * np.exp(-np.minimum(over / excess, _LARGEST_EXPONENT)))
        self._learn(columns, deviation - columns.far)
        return chance

    def _learn(self, columns: TransientColumns, over: FloatArray) -> None:
        passes = over > 0.0
        gain = np.maximum(self._gain, np.minimum(_FASTEST, 1.0 / (columns.count + 1.0)))
        columns.far += gain * columns.excess * np.where(passes, (1.0 - _SHARE) / _SHARE, -1.0)
        columns.passes += passes
        gain = np.minimum(1.0, np.maximum(self._gain / _SHARE, 1.0 / (columns.passes + _PRIOR_PASSES)))
        cut = np.minimum(over, _CUT * columns.excess)
        columns.excess += np.where(passes, gain * (cut - columns.excess), 0.0)
        np.maximum(columns.far, _NEVER_BELOW, out=columns.far)
        np.maximum(columns.excess, _NEVER_BELOW, out=columns.excess)

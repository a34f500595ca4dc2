"""How far values usually are from each expectation: over days, and at this hour of the day.

Noise follows the clock: a service is restless by day and still at night, or the other way round. Residuals far off
are cut before they teach, and what they would have taught uncut keeps the spread from falling to nothing on rows that
are still most of the time and jump.
"""

from typing import Final

import numpy as np

from streams.detect.bank import FloatArray
from streams.detect.transient_columns import HOURS, VIEWS, TransientColumns

_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_MEMORY_DAYS: Final = 3.0
_HOURLY_MEMORY_DAYS: Final = 5.0
# How much the hour of the day counts beside all hours.
_HOURLY_SHARE: Final = 0.7
_CUT: Final = 10.0
_WIDE_SHARE: Final = 0.6
# Single precision of the week, relative to a value: less than that is no deviation.
_RELATIVE_FLOOR: Final = 1e-6
_ABSOLUTE_FLOOR: Final = 1e-30
_YOUNG: Final = 60.0


class Spread:
    """step_ms: the time between two values of a row."""

    __slots__ = ("_gain", "_hourly_gain")

    def __init__(self, step_ms: int) -> None:
        self._gain = min(1.0, step_ms / (_MEMORY_DAYS * _DAY_MS))
        self._hourly_gain = min(1.0, step_ms * HOURS / (_HOURLY_MEMORY_DAYS * _DAY_MS))

    def observe(self, columns: TransientColumns, at_ms: int, residuals: FloatArray, size: FloatArray) -> FloatArray:
        """(VIEWS, n): the usual distance before these residuals, which it then learns from.

        residuals: (VIEWS, n), not negative. size: (n,) of the values themselves.
        """
        hour = at_ms % _DAY_MS // _HOUR_MS
        hourly = columns.hourly[hour * VIEWS : (hour + 1) * VIEWS]
        here = columns.hour_count[hour]
        share = np.where(here > 0.0, _HOURLY_SHARE, 0.0)
        usual = columns.scale + share * (hourly - columns.scale)
        spread = np.maximum(usual, np.maximum(_WIDE_SHARE * columns.wide, _RELATIVE_FLOOR * size + _ABSOLUTE_FLOOR))
        cut = np.where(columns.count < _YOUNG, residuals, np.minimum(residuals, _CUT * spread))
        here += 1.0
        gain = np.maximum(self._gain, 1.0 / (columns.count + 1.0))
        columns.scale += gain * (cut - columns.scale)
        columns.wide += gain * (residuals - columns.wide)
        hourly += np.maximum(self._hourly_gain, 1.0 / here) * (cut - hourly)
        return spread

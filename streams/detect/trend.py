"""Method 4: the slope of the last hours, robust, with an interval that knows about autocorrelation.

Values are gathered into buckets (5 minutes); when one closes, a Theil-Sen slope over the last four hours is taken.
Numpy stands here because 48 buckets have 1,128 pairs; River has no robust slope.
"""

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.detect.reading import Reading

BUCKET_MS = 300_000
_BUCKETS = 48
_MIN_BUCKETS = 36
_HOUR_MS = 3_600_000
# 99.9 %: a trend is looked for every few minutes, all month, and is never urgent.
_Z_SLOPE = 3.29
# A step is no trend: the first and the second half must both carry a part of the rise.
_MIN_HALF_SHARE = 0.25
_STATE = struct.Struct(f"<qddq{_BUCKETS}f{_BUCKETS}f")
_NAN = math.nan


@dataclass(frozen=True, slots=True)
class Slope:
    """per_hour: in the unit of the values; low, high: its 99.9 % interval."""

    per_hour: float
    low: float
    high: float


def _autocorrelation(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    centred = [value - mean for value in values]
    square = math.fsum(c * c for c in centred)
    product = math.fsum(a * b for a, b in zip(centred[:-1], centred[1:], strict=True))
    return min(0.95, max(0.0, product / square)) if square > 0 else 0.0


def theil_sen(hours: NDArray[np.float64], values: NDArray[np.float64]) -> Slope:
    """Median of the slopes between all pairs, with Sen's interval.

    Args:
        hours, values: (n,) float64, n >= 3, hours ascending.

    Source: Sen (1968); variance of Kendall's score inflated for autocorrelated residuals after Yue and Wang (2004).
    """
    count = values.size
    first, second = np.triu_indices(count, 1)
    slopes = np.sort((values[second] - values[first]) / (hours[second] - hours[first]))
    pairs = slopes.size
    middle = float((slopes[(pairs - 1) // 2] + slopes[pairs // 2]) / 2)
    lag1 = _autocorrelation([float(residual) for residual in values - middle * hours])
    variance = count * (count - 1) * (2 * count + 5) / 18 * (1 + lag1) / (1 - lag1)
    half_width = _Z_SLOPE * math.sqrt(variance)
    low = math.floor((pairs - half_width) / 2)
    high = math.ceil((pairs + half_width) / 2)
    if low < 0 or high >= pairs:
        return Slope(middle, -math.inf, math.inf)
    return Slope(middle, float(slopes[low]), float(slopes[high]))


def _is_gradual(values: NDArray[np.float64], sign: float) -> bool:
    third = values.size // 3
    start, centre, end = (float(np.median(part)) for part in (values[:third], values[third:-third], values[-third:]))
    rise = (end - start) * sign
    return rise > 0 and min((centre - start) * sign, (end - centre) * sign) >= _MIN_HALF_SHARE * rise


class Trend:
    """Votes when the indicator worsens steadily, beyond what its season does anyway.

    step_ms: one reading a step. The vote and the slope change when a bucket closes.
    """

    __slots__ = (
        "_bucket",
        "_bucket_ms",
        "_count",
        "_ratio_total",
        "_ratios",
        "_total",
        "_values",
        "per_hour",
        "votes",
    )

    def __init__(self, step_ms: int) -> None:
        self._bucket_ms = max(BUCKET_MS, step_ms)
        self._values = [_NAN] * _BUCKETS
        self._ratios = [_NAN] * _BUCKETS
        self._bucket = -1
        self._total = 0.0
        self._ratio_total = 0.0
        self._count = 0
        self.per_hour: float | None = None
        self.votes = False

    def observe(self, reading: Reading) -> bool:
        """Whether the last four hours worsened steadily."""
        bucket = reading.at_ms // self._bucket_ms
        if bucket != self._bucket:
            if self._bucket >= 0:
                self._close_until(bucket)
                self._fit(reading.sign)
            self._bucket = bucket
        self._total += reading.value
        self._ratio_total += reading.value / reading.season if reading.season else _NAN
        self._count += 1
        return self.votes

    def _close_until(self, bucket: int) -> None:
        slot = self._bucket % _BUCKETS
        self._values[slot] = float(np.float32(self._total / self._count)) if self._count else _NAN
        self._ratios[slot] = float(np.float32(self._ratio_total / self._count)) if self._count else _NAN
        for skipped in range(max(self._bucket + 1, bucket - _BUCKETS), bucket):
            self._values[skipped % _BUCKETS] = self._ratios[skipped % _BUCKETS] = _NAN
        self._total = self._ratio_total = 0.0
        self._count = 0
        self._bucket = bucket

    def _fit(self, sign: float) -> None:
        slope = self._slope_of(self._values, sign)
        self.per_hour = slope[0].per_hour if slope else None
        self.votes = False
        if slope and slope[1]:
            beyond_season = self._slope_of(self._ratios, sign)
            self.votes = beyond_season is not None and beyond_season[1]

    def _slope_of(self, ring: list[float], sign: float) -> tuple[Slope, bool] | None:
        """The slope of a ring and whether it is a steady worsening; None before three hours."""
        newest = self._bucket % _BUCKETS
        values = np.array(ring[newest:] + ring[:newest])
        known = np.isfinite(values)
        if int(known.sum()) < _MIN_BUCKETS:
            return None
        hours = np.arange(_BUCKETS, dtype=np.float64)[known] * (self._bucket_ms / _HOUR_MS)
        slope = theil_sen(hours, values[known])
        worst = slope.low if sign > 0 else -slope.high
        return slope, worst > 0 and _is_gradual(values[known], sign)

    def snapshot(self) -> bytes:
        """416 bytes."""
        return _STATE.pack(
            self._bucket, self._total, self._ratio_total, self._count, *self._values, *self._ratios
        ) + struct.pack("<d?", _NAN if self.per_hour is None else self.per_hour, self.votes)

    def restore(self, data: bytes) -> None:
        """Take a snapshot's state."""
        self._bucket, self._total, self._ratio_total, self._count, *rings = _STATE.unpack_from(data)
        self._values = rings[:_BUCKETS]
        self._ratios = rings[_BUCKETS:]
        per_hour, self.votes = struct.unpack_from("<d?", data, _STATE.size)
        self.per_hour = None if math.isnan(per_hour) else per_hour

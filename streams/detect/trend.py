"""Method 4: the slope of the last hours, robust, with an interval that knows about autocorrelation.

Values are gathered into buckets (5 minutes); when one closes and the last four hours look like a worsening, a
Theil-Sen slope is taken. Numpy stands here because 48 buckets have 1,128 pairs; River has no robust slope.
"""

import math
import struct
from array import array
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streams.detect.reading import Reading

BUCKET_MS = 300_000
_BUCKETS = 48
_MIN_BUCKETS = 36
_HOUR_MS = 3_600_000
# A step shows in two of the three differences between quarters at most; of a straight line each has a third.
_MIN_QUARTER_SHARE = 0.1
_STATE = struct.Struct(f"<qddq?{_BUCKETS}f{_BUCKETS}f")
_NAN = math.nan


@dataclass(frozen=True, slots=True)
class Slope:
    """per_hour: in the unit of the values; low, high: its interval."""

    per_hour: float
    low: float
    high: float


def _autocorrelation(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    centred = [value - mean for value in values]
    square = math.fsum(c * c for c in centred)
    product = math.fsum(a * b for a, b in pairwise(centred))
    return min(0.95, max(0.0, product / square)) if square > 0 else 0.0


def theil_sen(hours: NDArray[np.float64], values: NDArray[np.float64], z: float) -> Slope:
    """Median of the slopes between all pairs, with Sen's interval.

    Args:
        hours, values: (n,) float64, n >= 3, hours ascending.
        z: half the interval's width in standard errors.

    Source: Sen (1968); variance of Kendall's score inflated for autocorrelated residuals after Yue and Wang (2004).
    """
    count = values.size
    first, second = np.triu_indices(count, 1)
    slopes = np.sort((values[second] - values[first]) / (hours[second] - hours[first]))
    pairs = slopes.size
    middle = float((slopes[(pairs - 1) // 2] + slopes[pairs // 2]) / 2)
    lag1 = _autocorrelation([float(residual) for residual in values - middle * hours])
    variance = count * (count - 1) * (2 * count + 5) / 18 * (1 + lag1) / (1 - lag1)
    half_width = z * math.sqrt(variance)
    low = math.floor((pairs - half_width) / 2)
    high = math.ceil((pairs + half_width) / 2)
    if low < 0 or high >= pairs:
        return Slope(middle, -math.inf, math.inf)
    return Slope(middle, float(slopes[low]), float(slopes[high]))


def _gradual_rise(values: list[float], sign: float) -> float:
    """How much worse the last quarter is than the first; 0.0 unless every quarter worsens: a step is no trend."""
    quarter = len(values) // 4
    cuts = (0, quarter, 2 * quarter, 3 * quarter, len(values))
    means = [math.fsum(values[start:end]) / (end - start) for start, end in pairwise(cuts)]
    rise = (means[-1] - means[0]) * sign
    smallest = min((after - before) * sign for before, after in pairwise(means))
    return rise if rise > 0 and smallest >= _MIN_QUARTER_SHARE * rise else 0.0


class Trend:
    """Votes when the indicator worsens steadily, beyond what its season does anyway.

    step_ms: one reading a step. smallest_rise: over the four hours, ratio of the season.
    required_z: how sure the slope must be; from `confidence.alarm_z`.
    phase_ms: shifts the buckets, so that not every indicator is fitted at the same step.
    """

    __slots__ = (
        "_bucket",
        "_bucket_ms",
        "_count",
        "_phase_ms",
        "_ratio_total",
        "_ratios",
        "_required_z",
        "_smallest_rise",
        "_total",
        "_values",
        "votes",
    )

    def __init__(self, step_ms: int, smallest_rise: float, required_z: float, phase_ms: int = 0) -> None:
        self._bucket_ms = max(BUCKET_MS, step_ms)
        self._smallest_rise = smallest_rise
        self._required_z = required_z
        self._phase_ms = phase_ms % self._bucket_ms
        self._values = array("f", [_NAN] * _BUCKETS)
        self._ratios = array("f", [_NAN] * _BUCKETS)
        self._bucket = -1
        self._total = 0.0
        self._ratio_total = 0.0
        self._count = 0
        self.votes = False

    def observe(self, reading: Reading) -> bool:
        """Whether the last four hours worsened steadily; changes when a bucket closes."""
        bucket = (reading.at_ms + self._phase_ms) // self._bucket_ms
        if bucket != self._bucket:
            if self._bucket >= 0:
                self._close_until(bucket)
                self.votes = self._worsens(reading.sign)
            self._bucket = bucket
        self._total += reading.value
        self._ratio_total += reading.value / reading.season if reading.season else _NAN
        self._count += 1
        return self.votes

    def _close_until(self, bucket: int) -> None:
        slot = self._bucket % _BUCKETS
        self._values[slot] = self._total / self._count if self._count else _NAN
        self._ratios[slot] = self._ratio_total / self._count if self._count else _NAN
        for skipped in range(max(self._bucket + 1, bucket - _BUCKETS), bucket):
            self._values[skipped % _BUCKETS] = self._ratios[skipped % _BUCKETS] = _NAN
        self._total = self._ratio_total = 0.0
        self._count = 0
        self._bucket = bucket

    def _worsens(self, sign: float) -> bool:
        """Both as measured and against the season; the cheap question first."""
        _, ratios = self._known(self._ratios)
        if len(ratios) < _MIN_BUCKETS or _gradual_rise(ratios, sign) < self._smallest_rise:
            return False
        _, values = self._known(self._values)
        return (
            _gradual_rise(values, sign) > 0 and self._is_sure(self._ratios, sign) and self._is_sure(self._values, sign)
        )

    def _is_sure(self, ring: "array[float]", sign: float) -> bool:
        slope = self._slope_of(ring)
        return slope is not None and (slope.low > 0 if sign > 0 else slope.high < 0)

    def _known(self, ring: "array[float]") -> tuple[list[int], list[float]]:
        """(places, values) of the buckets that were seen, oldest first."""
        newest = self._bucket % _BUCKETS
        ordered = (*ring[newest:], *ring[:newest])
        places = [place for place, value in enumerate(ordered) if math.isfinite(value)]
        return places, [ordered[place] for place in places]

    def _slope_of(self, ring: "array[float]") -> Slope | None:
        places, values = self._known(ring)
        if len(values) < _MIN_BUCKETS:
            return None
        hours = np.array(places, dtype=np.float64) * (self._bucket_ms / _HOUR_MS)
        return theil_sen(hours, np.array(values, dtype=np.float64), self._required_z)

    @property
    def per_hour(self) -> float | None:
        """The slope of the last four hours, in the indicator's unit; None before three of them."""
        slope = self._slope_of(self._values)
        return slope.per_hour if slope else None

    def snapshot(self) -> bytes:
        """417 bytes."""
        return _STATE.pack(
            self._bucket, self._total, self._ratio_total, self._count, self.votes, *self._values, *self._ratios
        )

    def restore(self, data: bytes) -> None:
        """Take a snapshot's state."""
        self._bucket, self._total, self._ratio_total, self._count, self.votes, *rings = _STATE.unpack(data)
        self._values = array("f", rings[:_BUCKETS])
        self._ratios = array("f", rings[_BUCKETS:])

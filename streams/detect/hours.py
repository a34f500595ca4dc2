"""The last eight days in hours: what the same time of day usually has, and how far values stray in an hour.

Two rings of 192 single-precision numbers, whatever the step. Medians over days, so that one bad day changes nothing.
Values that an alert has claimed must not come in: `detector.py` keeps them out. Hours are UTC; the budget's time zone
and the week come with the baseline's own issue.
"""

import math
import struct
from array import array
from statistics import median

HOUR_MS = 3_600_000
_SLOTS = 192  # eight days: the same hour of seven days back stays readable while an hour is being written
_DAYS = 7
_FORMAT = struct.Struct(f"<qdqd{_SLOTS}f{_SLOTS}f")

# An hour counts when half of it was seen; a season when two days agree on it; peaks when there is a day of them.
_MIN_SHARE = 0.5
_MIN_DAYS = 2
_MIN_PEAK_HOURS = 24
_LARGEST = 3.4e38  # of single precision
_MAX_LOG = 50.0

# Gumbel distribution: median = mu + 0.3665 beta, interquartile range = 1.5725 beta.
_GUMBEL_MEDIAN = -math.log(math.log(2.0))
_GUMBEL_IQR = math.log(math.log(4.0)) - math.log(math.log(4.0 / 3.0))

_NAN = math.nan


def _single(value: float) -> float:
    """The value within what single precision holds; an hour that was not seen stays one."""
    return value if math.isnan(value) else max(-_LARGEST, min(_LARGEST, value))


class Hours:
    """Hourly means and hourly peaks of the relative deviation.

    step_ms: one value at most a step. hours_between_alarms: how rarely `alarm_level` may be passed by chance.
    """

    __slots__ = (
        "_alarm_level",
        "_hour",
        "_hours_between_alarms",
        "_means",
        "_min_count",
        "_peak",
        "_peaks",
        "_season_hour",
        "_season_next",
        "_season_now",
        "_summary_hour",
        "_total",
        "count",
    )

    def __init__(self, step_ms: int, hours_between_alarms: float) -> None:
        self._min_count = max(1.0, _MIN_SHARE * HOUR_MS / step_ms)
        self._hours_between_alarms = max(2.0, hours_between_alarms)
        self._means = array("f", [_NAN] * _SLOTS)
        self._peaks = array("f", [_NAN] * _SLOTS)
        self._hour = -1
        self._total = 0.0
        self._peak = 0.0
        self.count = 0
        self._forget_summaries()

    def _forget_summaries(self) -> None:
        self._season_hour = -1
        self._summary_hour = -1
        self._season_now: float | None = None
        self._season_next: float | None = None
        self._alarm_level = 0.0

    def advance(self, at_ms: int) -> None:
        """Close the hours that ended before `at_ms`."""
        hour = at_ms // HOUR_MS
        if hour <= self._hour:
            return
        if self._hour >= 0:
            whole = self.count >= self._min_count
            self._means[self._hour % _SLOTS] = _single(self._total / self.count) if whole else _NAN
            self._peaks[self._hour % _SLOTS] = _single(self._peak) if whole else _NAN
            for skipped in range(max(self._hour + 1, hour - _SLOTS), hour):
                self._means[skipped % _SLOTS] = self._peaks[skipped % _SLOTS] = _NAN
        self._hour = hour
        self._total = self._peak = 0.0
        self.count = 0

    def add(self, value: float) -> None:
        """Count a value into the current hour."""
        self._total += value
        self.count += 1

    def stray(self, ratio: float) -> None:
        """Remember the largest deviation of the current hour; ratio in the bad direction."""
        self._peak = max(self._peak, ratio)

    def season(self, at_ms: int) -> float | None:
        """What the same time of day had: medians over days, interpolated between hours; None before two days."""
        since_centre = at_ms - HOUR_MS // 2
        hour = since_centre // HOUR_MS
        if hour != self._season_hour:
            self._season_hour = hour
            self._season_now = self._same_hour(hour)
            self._season_next = self._same_hour(hour + 1)
        if self._season_now is None or self._season_next is None:
            return None
        share = (since_centre - hour * HOUR_MS) / HOUR_MS
        return self._season_now + (self._season_next - self._season_now) * share

    def _same_hour(self, hour: int) -> float | None:
        days = [self._means[(hour - 24 * day) % _SLOTS] for day in range(1, _DAYS + 1)]
        known = [mean for mean in days if not math.isnan(mean)]
        return median(known) if len(known) >= _MIN_DAYS else None

    def _summarise(self) -> None:
        if self._summary_hour == self._hour:
            return
        self._summary_hour = self._hour
        self._alarm_level = self._fit_peaks()

    def _fit_peaks(self) -> float:
        peaks = sorted(math.log1p(peak) for peak in self._peaks if not math.isnan(peak))
        if len(peaks) < _MIN_PEAK_HOURS:
            return 0.0
        quarter = len(peaks) // 4
        scale = (peaks[-1 - quarter] - peaks[quarter]) / _GUMBEL_IQR
        location = median(peaks) - _GUMBEL_MEDIAN * scale
        return math.expm1(min(_MAX_LOG, location + scale * math.log(self._hours_between_alarms)))

    @property
    def alarm_level(self) -> float:
        """The relative deviation that chance passes once in `hours_between_alarms`; 0.0 before a day.

        A Gumbel distribution through the quartiles of the hourly peaks' logarithms: block maxima need no assumption
        about the values' own distribution, and none about how much neighbouring values resemble each other.

        Source: Coles, An Introduction to Statistical Modeling of Extreme Values, chapter 3.
        """
        self._summarise()
        return self._alarm_level

    def scale(self, factor: float) -> None:
        """Move every remembered level: a new usual was adopted."""
        self._means = array("f", [_single(mean * factor) for mean in self._means])
        self._total *= factor
        self._forget_summaries()

    def snapshot(self) -> bytes:
        """1,568 bytes."""
        return _FORMAT.pack(self._hour, self._total, self.count, self._peak, *self._means, *self._peaks)

    def restore(self, data: bytes) -> None:
        """Take a snapshot's state."""
        self._hour, self._total, self.count, self._peak, *rings = _FORMAT.unpack(data)
        self._means = array("f", rings[:_SLOTS])
        self._peaks = array("f", rings[_SLOTS:])
        self._forget_summaries()

"""The last four weeks in hours: what the same time of day and of the week usually has, how far values stray in an hour.

Rings of single-precision numbers, whatever the step. Medians, so that one bad day changes nothing; hours are those of
UTC and are looked up by the local time that they had (`local_time.py`).

What `detector.py` keeps out (an alert has claimed it, a deployment is under way, it is too far off) teaches nothing
when it happens once. But what happens at the same hour of two weeks and agrees is a rhythm and no incident: a service
that is quiet at weekends alarms on its first Saturdays and not on the third.
"""

import math
import struct
from array import array
from collections.abc import Sequence
from statistics import fmean, median
from typing import Literal

from streams.detect.local_time import HOUR_MS, WEEKS, LocalTime

Period = Literal["day", "week"]
_PERIODS: tuple[Period, ...] = ("week", "day")  # the better one first

# Four weeks, and a day in which the same hour stays readable while an hour is being written.
_SLOTS = (7 * WEEKS + 1) * 24
_PEAK_SLOTS = 8 * 24
_HEAD = struct.Struct("<qdqdqd")
# What the profile takes in a snapshot, beside everything else that an indicator remembers.
PROFILE_BYTES = (4 + 1) * _SLOTS + 4 * _PEAK_SLOTS

# An hour counts when half of it was seen; a season when two days or two weeks agree on it; peaks from a day on.
_MIN_SHARE = 0.5
_MIN_HOURS = 2
_MIN_PEAK_HOURS = 24
_MIN_DAY_HOURS = 12
# Two hours that were kept out agree when the larger is not more than this part larger.
_AGREEMENT = 0.25
_LARGEST = 3.4e38  # of single precision
_MAX_LOG = 50.0

# Gumbel distribution: median = mu + 0.3665 beta, interquartile range = 1.5725 beta.
_GUMBEL_MEDIAN = -math.log(math.log(2.0))
_GUMBEL_IQR = math.log(math.log(4.0)) - math.log(math.log(4.0 / 3.0))

_NAN = math.nan


def _single(value: float) -> float:
    """The value within what single precision holds; an hour that was not seen stays one."""
    return value if math.isnan(value) else max(-_LARGEST, min(_LARGEST, value))


def _plain(value: float) -> float | None:
    """As much of a number as single precision holds; None = not known."""
    return None if math.isnan(value) else float(f"{value:.8g}")


class Hours:
    """Hourly means and hourly peaks of the relative deviation.

    step_ms: one value at most a step. hours_between_alarms: how rarely `alarm_level` may be passed by chance.
    period: what `season` last spoke of; None = it knew nothing.
    """

    __slots__ = (
        "_alarm_level",
        "_clean",
        "_hour",
        "_hours_between_alarms",
        "_kept_out_count",
        "_kept_out_total",
        "_local_time",
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
        "period",
    )

    def __init__(self, step_ms: int, hours_between_alarms: float, local_time: LocalTime) -> None:
        self._min_count = max(1.0, _MIN_SHARE * HOUR_MS / step_ms)
        self._hours_between_alarms = max(2.0, hours_between_alarms)
        self._local_time = local_time
        self._means = array("f", [_NAN] * _SLOTS)
        self._clean = bytearray(_SLOTS)  # 1 = its mean is of values that may teach
        self._peaks = array("f", [_NAN] * _PEAK_SLOTS)
        self._hour = -1
        self._start_hour()
        self._forget_summaries()

    def _start_hour(self) -> None:
        self._total = self._kept_out_total = self._peak = 0.0
        self.count = self._kept_out_count = 0

    def _forget_summaries(self) -> None:
        self._season_hour = -1
        self._summary_hour = -1
        self._season_now = self._season_next = 0.0
        self.period: Period | None = None
        self._alarm_level = 0.0

    def advance(self, at_ms: int) -> None:
        """Close the hours that ended before `at_ms`."""
        hour = at_ms // HOUR_MS
        if hour <= self._hour:
            return
        if self._hour >= 0:
            self._close_hour()
            for skipped in range(max(self._hour + 1, hour - _SLOTS), hour):
                self._means[skipped % _SLOTS] = self._peaks[skipped % _PEAK_SLOTS] = _NAN
        self._hour = hour
        self._start_hour()

    def _close_hour(self) -> None:
        clean = self.count >= self._min_count
        mean = _NAN
        if clean:
            mean = self._total / self.count
        elif self.count + self._kept_out_count >= self._min_count:
            mean = (self._total + self._kept_out_total) / (self.count + self._kept_out_count)
        self._means[self._hour % _SLOTS] = _single(mean)
        self._clean[self._hour % _SLOTS] = clean
        self._peaks[self._hour % _PEAK_SLOTS] = _single(self._peak) if clean else _NAN

    def add(self, value: float) -> None:
        """Count a value into the current hour."""
        self._total += value
        self.count += 1

    def keep_out(self, value: float) -> None:
        """Note a value that may not teach."""
        self._kept_out_total += value
        self._kept_out_count += 1

    def stray(self, ratio: float) -> None:
        """Remember the largest deviation of the current hour; ratio in the bad direction."""
        self._peak = max(self._peak, ratio)

    # --- what is usual now ---------------------------------------------------------------------------------------

    def season(self, at_ms: int) -> float | None:
        """What the same time usually had, interpolated between hours; None = not known yet.

        Of the same days of the week where two weeks know it, else of the seven days before: `period` says which.
        """
        since_centre = at_ms - HOUR_MS // 2
        hour = since_centre // HOUR_MS
        if hour != self._season_hour:
            self._season_hour = hour
            self._find_season(hour)
        if self.period is None:
            return None
        share = (since_centre - hour * HOUR_MS) / HOUR_MS
        return self._season_now + (self._season_next - self._season_now) * share

    def _find_season(self, hour: int) -> None:
        self.period = None
        for period in _PERIODS:
            find = self._of_same_kinds if period == "week" else self._of_same_hours
            now, following = find(hour), find(hour + 1)
            if now is not None and following is not None:
                self.period, self._season_now, self._season_next = period, now, following
                return

    def _of_same_hours(self, hour: int) -> float | None:
        clean = self._clean_means(self._local_time.same_hours(hour))
        return median(clean) if len(clean) >= _MIN_HOURS else None

    def _of_same_kinds(self, hour: int) -> float | None:
        hours = self._local_time.same_kinds(hour)
        clean = self._clean_means(hours)
        if len(clean) >= _MIN_HOURS:
            return median(clean)
        latest = [mean for each in hours if not math.isnan(mean := self._means[each % _SLOTS])][:_MIN_HOURS]
        agree = len(latest) == _MIN_HOURS and max(latest) - min(latest) <= _AGREEMENT * min(map(abs, latest))
        return median(latest) if agree else None

    def _clean_means(self, hours: tuple[int, ...]) -> list[float]:
        means, clean = self._means, self._clean
        return [mean for hour in hours if clean[slot := hour % _SLOTS] and not math.isnan(mean := means[slot])]

    # --- what is far off -----------------------------------------------------------------------------------------

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

    # --- for documents -------------------------------------------------------------------------------------------

    def daily_levels(self, at_ms: int) -> list[float]:
        """Levels of the last seven local days, oldest first; empty while one of them is not known.

        Where the same days of earlier weeks are known, relative to them: a quiet Sunday is no unsteady level.
        """
        local_time, sums = self._local_time, dict[int, list[float]]()
        for hour in range(self._hour - _SLOTS + 1, self._hour):
            mean = self._means[hour % _SLOTS]
            if self._clean[hour % _SLOTS] and not math.isnan(mean):
                sums.setdefault(local_time.day_of(hour * HOUR_MS + HOUR_MS // 2), []).append(mean)
        levels = {day: fmean(means) for day, means in sums.items() if len(means) >= _MIN_DAY_HOURS}
        today = local_time.day_of(at_ms)
        days = range(today - 7, today)
        if any(day not in levels for day in days):
            return []
        usual = {
            day: [levels[day - 7 * weeks] for weeks in range(1, WEEKS) if day - 7 * weeks in levels] for day in days
        }
        if all(usual.values()):
            return [levels[day] / base if (base := fmean(usual[day])) else math.inf for day in days]
        return [levels[day] for day in days]

    def latest_level(self) -> float | None:
        """The mean of the last day; None = too little of it is known."""
        hours = tuple(range(max(0, self._hour - 24), self._hour))
        means = self._clean_means(hours)
        return fmean(means) if len(means) >= _MIN_DAY_HOURS else None

    def tell(self) -> tuple[int, list[float | None], list[float | None]]:
        """The first hour that is remembered and the means and peaks from then on, for `take`."""
        hours = range(max(0, self._hour - _SLOTS + 1), self._hour)
        means = [self._means[hour % _SLOTS] if self._clean[hour % _SLOTS] else _NAN for hour in hours]
        known = [index for index, mean in enumerate(means) if not math.isnan(mean)]
        first = known[0] if known else len(means)
        peaks = [self._peaks[hour % _PEAK_SLOTS] for hour in hours[-_PEAK_SLOTS + 1 :]]
        return hours.start + first, [_plain(mean) for mean in means[first:]], [_plain(peak) for peak in peaks]

    def take(self, first_hour: int, means: Sequence[float | None], peaks: Sequence[float | None]) -> None:
        """Replace what is remembered of the hours before the present one."""
        self._means = array("f", [_NAN] * _SLOTS)
        self._clean = bytearray(_SLOTS)
        self._peaks = array("f", [_NAN] * _PEAK_SLOTS)
        end = first_hour + len(means)
        for hour, mean in enumerate(means, first_hour):
            if mean is not None and self._hour - _SLOTS < hour < self._hour:
                self._means[hour % _SLOTS] = _single(mean)
                self._clean[hour % _SLOTS] = 1
        for hour, peak in enumerate(peaks, end - len(peaks)):
            if peak is not None and self._hour - _PEAK_SLOTS < hour < self._hour:
                self._peaks[hour % _PEAK_SLOTS] = _single(peak)
        self._forget_summaries()

    # --- state ---------------------------------------------------------------------------------------------------

    def scale(self, factor: float) -> None:
        """Move every level that was learned: a new usual was adopted. What was kept out may have been it already."""
        moved = (mean * factor if clean else mean for mean, clean in zip(self._means, self._clean, strict=True))
        self._means = array("f", [_single(mean) for mean in moved])
        self._total *= factor
        self._forget_summaries()

    def snapshot(self) -> bytes:
        """The profile, and 48 bytes."""
        head = _HEAD.pack(self._hour, self._total, self.count, self._peak, self._kept_out_count, self._kept_out_total)
        return head + self._means.tobytes() + bytes(self._clean) + self._peaks.tobytes()

    def restore(self, data: bytes) -> None:
        """Take a snapshot's state."""
        head = _HEAD.unpack_from(data)
        self._hour, self._total, self.count, self._peak, self._kept_out_count, self._kept_out_total = head
        clean_from = _HEAD.size + 4 * _SLOTS
        self._means = array("f", data[_HEAD.size : clean_from])
        self._clean = bytearray(data[clean_from : clean_from + _SLOTS])
        self._peaks = array("f", data[clean_from + _SLOTS :])
        self._forget_summaries()

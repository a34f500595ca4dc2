"""Method 3: the 95 % confidence interval of the change, and whether chance explains it.

Neighbouring values share most of their window (a 5-minute rate every 15 s: 19 of 20 parts), so n values are worth
far fewer: the lag-1 autocorrelation is estimated as they come and the effective sample size follows from it. Where
values are nearly independent the newest window of them is averaged, if that says more than the newest one alone.
"""

import math
import struct
from array import array
from functools import lru_cache
from statistics import NormalDist

from streams.detect.memory import FadingMean
from streams.detect.reading import Reading
from streams.detect.share import share_interval, share_z

Z95 = 1.959964
_MAX_RECENT = 40
_MEMORY_MS = 2 * 3_600_000
_NOISE_SIGMAS = 4.0
# Averaging delays; it must be worth at least this many independent values.
_MIN_EFFECTIVE = 2.0
_HEAD = struct.Struct("<2db")

_MONTH_MS = 30 * 86_400_000
# The alarm budget is the installation's; one Judge sees a part of it. Twenty indicators are taken to share it.
INDICATORS_SHARING = 20.0


def effective_samples(count: int, autocorrelation: float) -> float:
    """How many independent values `count` neighbours are worth, 1 <= result <= count.

    Args:
        count: >= 1.
        autocorrelation: between neighbours, 0 <= r < 1.

    Source: Bartlett (1946); Zwiers and von Storch (1995), exact for AR(1) as count grows.
    """
    return max(1.0, count * (1.0 - autocorrelation) / (1.0 + autocorrelation))


@lru_cache(maxsize=1024)
def alarm_z(alarm_budget: float, window_ms: int) -> float:
    """The deviation that stationary Gaussian noise passes as rarely as the alarm budget says.

    Args:
        alarm_budget: false alarms in 30 days for the installation, > 0.
        window_ms: how long values stay correlated; a window's mean has a triangular autocorrelation.

    Source: the rate at which such a process first passes u is u * phi(u) a window (Slepian 1961).
    """
    allowed = alarm_budget / INDICATORS_SHARING * window_ms / _MONTH_MS
    low, high = 2.0, 10.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        rate = middle * NormalDist().pdf(middle)
        low, high = (middle, high) if rate > allowed else (low, middle)
    return high


def student_z(z: float, freedom: float) -> float:
    """A normal quantile widened for a spread that was learned from few values.

    Args:
        z: normal quantile, > 0. freedom: independent values behind the spread, > 0.

    Source: Abramowitz and Stegun, 26.7.5, first two terms.

    >>> round(student_z(1.96, 20), 2)
    2.09
    """
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    return z + first / freedom + second / freedom**2


class Confidence:
    """Votes when the interval excludes zero and the alarm budget allows so small a chance.

    step_ms: one reading a step. window_ms: what may be averaged. required_z: from `alarm_z`.
    change: the estimate, ratio. averaged: how many values it is the mean of.
    """

    __slots__ = (
        "_agreement",
        "_error",
        "_last",
        "_max_recent",
        "_reading",
        "_recent",
        "_required_z",
        "averaged",
        "change",
    )

    def __init__(self, step_ms: int, window_ms: int, required_z: float) -> None:
        self._max_recent = max(1, min(_MAX_RECENT, window_ms // step_ms))
        self._recent = array("d")
        self._agreement = FadingMean(step_ms, _MEMORY_MS)
        self._required_z = required_z
        self._reading: Reading | None = None
        self._last: bool | None = None  # which side of the baseline the last value was on
        self._error = 0.0
        self.change = 0.0
        self.averaged = 1

    @property
    def autocorrelation(self) -> float:
        """Between neighbouring deviations, 0 <= r <= 0.999; where nothing varies, nothing is independent.

        From how often neighbours are on the same side of the baseline: one deviation, however large, is one vote.

        Source: Blomqvist (1950), quadrant correlation; r = sin(pi/2 q) for Gaussian values.
        """
        return min(0.999, max(0.0, math.sin(math.pi / 2.0 * self._agreement.mean)))

    @property
    def samples(self) -> int:
        """How many of the newest values are at hand."""
        return len(self._recent)

    def observe(self, reading: Reading) -> bool:
        """Whether the newest values are off by more than chance explains."""
        change = (reading.value - reading.expected) / abs(reading.expected)
        recent = self._recent
        if len(recent) >= self._max_recent:
            del recent[0]
        recent.append(change)
        if abs(change) > _NOISE_SIGMAS * reading.spread:  # an excursion must not teach how noise behaves
            self._last = None
        else:
            above = change >= 0
            if self._last is not None:
                self._agreement.update(1.0 if above == self._last else -1.0)
            self._last = above

        self.averaged, self.change, self._error = 1, change, reading.spread
        effective = effective_samples(len(recent), self.autocorrelation)
        if effective >= _MIN_EFFECTIVE:
            mean, error = math.fsum(recent) / len(recent), reading.spread / math.sqrt(effective)
            # A jump shows in the newest value first, a small shift in the mean only.
            if abs(mean) / error > abs(change) / reading.spread:
                self.averaged, self.change, self._error = len(recent), mean, error
        self._reading = reading
        return self.deviation > self._required_z and self.deviation > self.required

    @property
    def sigmas(self) -> float:
        """Standard errors between the change and none; 0.0 when the last step had no reading.

        Of several views the most doubtful one counts: a rise is measured in logarithms, because latencies and
        other positive quantities have long upper tails; a share of events also against chance in their number.
        """
        reading = self._reading
        if reading is None:
            return 0.0
        change = self.change
        sigmas = (math.log1p(change) if change > 0 else change) / self._error
        if reading.events is None:
            return sigmas
        by_chance = share_z(reading.value, reading.expected, reading.events)
        return min(sigmas, by_chance, key=abs)

    @property
    def deviation(self) -> float:
        """`sigmas` in the bad direction."""
        return self.sigmas * self._reading.sign if self._reading is not None else 0.0

    @property
    def required(self) -> float:
        """How large `deviation` must be: what the alarm budget asks for, and more while the spread is uncertain."""
        if self._reading is None:
            return self._required_z
        return max(self._required_z, student_z(self._required_z, self._reading.freedom))

    def is_surprising(self) -> bool:
        """Whether the change, good or bad, is more than the alarm budget leaves to chance."""
        return abs(self.sigmas) > self._required_z

    @property
    def p_value(self) -> float:
        """The chance of a change this bad when nothing has changed, one-sided."""
        return 0.5 * math.erfc(self.deviation / math.sqrt(2.0))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `change`."""
        reading = self._reading
        if reading is None:
            return 0.0, 0.0
        half = student_z(Z95, reading.freedom) * self._error
        low, high = self.change - half, self.change + half
        if reading.events is not None:
            share_low, share_high = share_interval(reading.value, reading.events, Z95)
            size = abs(reading.expected)
            low = min(low, (share_low - reading.expected) / size)
            high = max(high, (share_high - reading.expected) / size)
        return low, high

    def forget_recent(self) -> None:
        """Readings were missing: what comes next does not neighbour what came before."""
        del self._recent[:]
        self._last = None
        self._reading = None

    def snapshot(self) -> bytes:
        """At most 338 bytes."""
        side = -1 if self._last is None else int(self._last)
        return _HEAD.pack(*self._agreement.state, side) + struct.pack(f"<{len(self._recent)}d", *self._recent)

    def restore(self, data: bytes) -> None:
        """Take a snapshot's state; the last estimate is not part of it."""
        count, mean, side = _HEAD.unpack_from(data)
        self._agreement.state = (count, mean)
        self._last = None if side < 0 else bool(side)
        recent = struct.unpack(f"<{(len(data) - _HEAD.size) // 8}d", data[_HEAD.size :])
        self._recent = array("d", recent[-self._max_recent :])
        self._reading = None

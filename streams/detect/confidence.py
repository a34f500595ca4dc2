"""Method 3: the 95 % confidence interval of the change, and whether chance explains it.

Neighbouring values share most of their window (a 5-minute rate every 15 s: 19 of 20 parts), so n values are worth
far fewer: the lag-1 autocorrelation is estimated as they come and the effective sample size follows from it.
"""

import math
import struct
from collections import deque
from statistics import NormalDist

from streams.detect.memory import FadingMean
from streams.detect.reading import Reading

_Z95 = 1.959964
_MAX_RECENT = 40
_MEMORY_MS = 2 * 3_600_000
_CLIP_SIGMAS = 4.0
_HEAD = struct.Struct("<5d")

_MONTH_MS = 30 * 86_400_000
# The alarm budget is the installation's; one Judge sees a part of it. Twenty indicators are taken to share it.
_INDICATORS_SHARING = 20.0


def effective_samples(count: int, autocorrelation: float) -> float:
    """How many independent values `count` neighbours are worth, 1 <= result <= count.

    Args:
        count: >= 1.
        autocorrelation: between neighbours, 0 <= r < 1.

    Source: Bartlett (1946); Zwiers and von Storch (1995), exact for AR(1) as count grows.
    """
    return max(1.0, count * (1.0 - autocorrelation) / (1.0 + autocorrelation))


def alarm_z(alarm_budget: float, window_ms: int) -> float:
    """The deviation that stationary Gaussian noise passes as rarely as the alarm budget says.

    Args:
        alarm_budget: false alarms in 30 days for the installation, > 0.
        window_ms: how long values stay correlated; a window's mean has a triangular autocorrelation.

    Source: the rate at which such a process first passes u is u * phi(u) a window (Slepian 1961).
    """
    allowed = alarm_budget / _INDICATORS_SHARING * window_ms / _MONTH_MS
    low, high = 2.0, 10.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        rate = middle * NormalDist().pdf(middle)
        low, high = (middle, high) if rate > allowed else (low, middle)
    return high


class Confidence:
    """Votes when the interval excludes zero and the alarm budget allows so small a chance.

    step_ms: one reading a step. recent_ms: the newest values are compared over this time.
    required_z: from `alarm_z`.
    """

    __slots__ = ("_last", "_product", "_recent", "_required_z", "_square", "interval", "p_value")

    def __init__(self, step_ms: int, recent_ms: int, required_z: float) -> None:
        self._recent: deque[float] = deque(maxlen=max(1, min(_MAX_RECENT, recent_ms // step_ms + 1)))
        self._product = FadingMean(step_ms, _MEMORY_MS)
        self._square = FadingMean(step_ms, _MEMORY_MS)
        self._required_z = required_z
        self._last = 0.0
        self.interval = (0.0, 0.0)
        self.p_value = 0.5

    @property
    def autocorrelation(self) -> float:
        """Between neighbouring deviations, 0 <= r <= 0.999."""
        square = self._square.mean
        return min(0.999, max(0.0, self._product.mean / square)) if square > 0 else 0.0

    def observe(self, reading: Reading) -> bool:
        """Whether the newest values' mean is off by more than chance explains."""
        change = (reading.value - reading.expected) / abs(reading.expected)
        recent = self._recent
        recent.append(change)
        bound = _CLIP_SIGMAS * reading.spread
        deviation = max(-bound, min(bound, change))  # an excursion must not teach how noise behaves
        self._product.update(deviation * self._last)
        self._square.update(deviation * deviation)
        self._last = deviation

        mean = sum(recent) / len(recent)
        error = reading.spread / math.sqrt(effective_samples(len(recent), self.autocorrelation))
        self.interval = (mean - _Z95 * error, mean + _Z95 * error)
        t = mean / error * reading.sign
        self.p_value = 0.5 * math.erfc(t / math.sqrt(2.0))
        return t > self._required_z

    def forget_recent(self) -> None:
        """Readings were missing: what comes next does not neighbour what came before."""
        self._recent.clear()
        self._last = 0.0

    def snapshot(self) -> bytes:
        """At most 360 bytes."""
        head = _HEAD.pack(*self._product.state, *self._square.state, self._last)
        return head + struct.pack(f"<{len(self._recent)}d", *self._recent)

    def restore(self, data: bytes) -> None:
        """Take a snapshot's state; the last interval is not part of it."""
        *memory, self._last = _HEAD.unpack_from(data)
        self._product.state = (memory[0], memory[1])
        self._square.state = (memory[2], memory[3])
        self._recent.clear()
        self._recent.extend(struct.unpack(f"<{(len(data) - _HEAD.size) // 8}d", data[_HEAD.size :]))

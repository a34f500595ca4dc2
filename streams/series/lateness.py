"""How late samples arrive: log time less the sample's own time, counted in buckets.

What `evaluation_delay` should be is read off here: a step that closes this long after itself misses the samples that
are later. Counting must cost nothing beside taking the samples: mostly the whole record falls in one bucket, or two.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from itertools import accumulate
from operator import add
from statistics import median_low
from typing import Final

import numpy as np

from streams.series.arrays import Times

# Fine around the default delay of 10 s, where the choice is made. The first holds what is stamped ahead of the log.
BOUNDS_MS: Final = (0, 500, 1_000, 2_500, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000)

# A step may miss one sample in a thousand. Of fewer samples than this an hour says nothing.
_MISSED_RATIO: Final = 0.001
_ENOUGH_SAMPLES: Final = 1_000
_HOUR_MS: Final = 3_600_000
_MOST_HOURS: Final = 24


@dataclass(slots=True)
class Lateness:
    """Counts of samples by lateness.

    counts: (len(BOUNDS_MS) + 1,) up to each bound and above the one before; the last one above all.
    total_ms: the sum of all lateness; a sample ahead of the log is not late.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    total_ms: int = 0

    def add(self, times: Times, log_time: int) -> None:
        """Count samples by their times; both since the same epoch."""
        if not len(times):
            return
        oldest, newest = int(times.min()), int(times.max())
        first, last = bisect_left(BOUNDS_MS, log_time - newest), bisect_left(BOUNDS_MS, log_time - oldest)
        before = 0
        for place in range(first, last):
            so_far = int(np.count_nonzero(times >= log_time - BOUNDS_MS[place]))
            self.counts[place] += so_far - before
            before = so_far
        self.counts[last] += len(times) - before
        past = np.minimum(times, log_time) if newest > log_time else times
        self.total_ms += log_time * len(times) - int(past.sum(dtype=np.int64))

    def merge(self, other: "Lateness") -> None:
        """Count what another one has, too."""
        self.counts = list(map(add, self.counts, other.counts))
        self.total_ms += other.total_ms

    def delay_ms(self) -> int | None:
        """The least of the bounds as delay at which at most one sample in a thousand misses its step.

        None = there are too few samples to tell. Beyond the last bound there is nothing to wait for: it is the most.
        """
        total = sum(self.counts)
        if total < _ENOUGH_SAMPLES:
            return None
        enough = total * (1 - _MISSED_RATIO)
        return next(
            (bound for bound, so_far in zip(BOUNDS_MS, accumulate(self.counts), strict=False) if so_far >= enough),
            BOUNDS_MS[-1],
        )


class DelayAdvice:
    """Which `evaluation_delay` the measured lateness asks for.

    The median of what each of the last 24 hours asks for: a sender that was away for some hours and then sends what it
    has kept is no reason to wait for it at every step of every day.
    """

    def __init__(self) -> None:
        self._hour: int | None = None
        self._lateness = Lateness()
        self._delays: deque[int] = deque(maxlen=_MOST_HOURS)

    @property
    def delay_ms(self) -> int | None:
        """The advice; None until an hour is over."""
        return median_low(self._delays) if self._delays else None

    def observe(self, lateness: Lateness, log_time_ms: int) -> None:
        """Count the samples of a record by its log time. A record of an hour that is over counts in the current one."""
        hour = log_time_ms // _HOUR_MS
        if self._hour is None or hour > self._hour:
            delay_ms = self._lateness.delay_ms()
            if delay_ms is not None:
                self._delays.append(delay_ms)
            self._hour, self._lateness = hour, Lateness()
        self._lateness.merge(lateness)

"""How late samples arrive: log time less the sample's own time, counted in buckets.

What `evaluation_delay` should be is read off here: a step that closes this long after itself misses the samples that
are later. Counting must cost nothing beside taking the samples: mostly the whole record falls in one bucket, or two.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from streams.series.arrays import Times

# Fine around the default delay of 10 s, where the choice is made. The first holds what is stamped ahead of the log.
BOUNDS_MS: Final = (0, 500, 1_000, 2_500, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000)


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

"""Which series' samples have got other numbers, for the windows that remember numbers.

A sample that comes late moves the ones behind it up by one. Windows are many and move at their own times, so what has
moved is told in a short log; a window that has missed the beginning of it looks everything up again.
"""

from collections import deque

import numpy as np

from streams.series.arrays import Rows

# Rows in the log, with what an array of them takes: bounds memory. Looking up this many takes a few milliseconds.
_MOST = 1 << 16
_OVERHEAD = 32
_NONE: Rows = np.zeros(0, np.int32)


class Moves:
    """A bounded log of rows.

    total: how many entries there have ever been; a window remembers how many it has seen.
    """

    def __init__(self) -> None:
        self.total = 0
        self._entries: deque[Rows] = deque()
        self._taken = 0

    def add(self, rows: Rows) -> None:
        """Samples of these rows have other numbers from here on."""
        self.total += 1
        self._entries.append(rows)
        self._taken += len(rows) + _OVERHEAD
        while self._taken > _MOST:
            self._taken -= len(self._entries.popleft()) + _OVERHEAD

    def forget(self) -> None:
        """Rows were renumbered: what is here means nothing any more."""
        self.total += 1
        self._entries.clear()
        self._taken = 0

    def since(self, seen: int) -> Rows | None:
        """The rows after the first `seen` entries, ascending; None = not known any more, it may be any."""
        missed = self.total - seen
        if missed == 0:
            return _NONE
        if missed > len(self._entries):
            return None
        return np.unique(np.concatenate([self._entries[place] for place in range(-missed, 0)]))

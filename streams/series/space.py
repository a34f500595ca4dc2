"""Which slots of the columns are taken: blocks of some sizes, given back and used again.

The rings of a request's series lie side by side and outgrow their first block together, so what is given back is mostly
one long run: it is kept as a run, from which blocks of any size are cut.
"""

from array import array
from itertools import pairwise

import numpy as np

from streams.series.arrays import Numbers

# Shorter runs are kept as the blocks that they were; what is left of one becomes blocks for new series.
_SHORTEST_RUN = 256
_SMALLEST = 2


class Space:
    """Blocks of slots, by where they start.

    size: how many slots there have ever been. taken: how many of them are in blocks now.
    """

    def __init__(self) -> None:
        self.size = 0
        self.taken = 0
        self._blocks: dict[int, array[int]] = {}
        self._runs: list[tuple[int, int]] = []  # start, end

    def allocate(self, size: int, count: int) -> Numbers:
        """Where `count` new blocks start."""
        self.taken += size * count
        starts = np.empty(count, np.int32)
        free = self._blocks.get(size)
        done = min(count, len(free)) if free else 0
        if free and done:
            starts[:done] = free[-done:]
            del free[-done:]
        while done < count and self._runs:
            start, end = self._runs.pop()
            fitting = min((end - start) // size, count - done)
            starts[done : done + fitting] = start + size * np.arange(fitting)
            done += fitting
            start += size * fitting
            if end - start < _SHORTEST_RUN:
                self._blocks.setdefault(_SMALLEST, array("i")).extend(range(start, end - 1, _SMALLEST))
            else:
                self._runs.append((start, end))
                if not fitting:
                    break
        starts[done:] = self.size + size * np.arange(count - done)
        self.size += size * (count - done)
        return starts

    def release(self, size: int, starts: Numbers) -> None:
        """Give blocks back."""
        self.taken -= size * len(starts)
        ordered = np.sort(starts)
        # Where one block does not follow the other.
        cuts = [0, *(np.flatnonzero(np.diff(ordered) != size) + 1).tolist(), len(ordered)]
        blocks = self._blocks.setdefault(size, array("i"))
        for first, end in pairwise(cuts):
            if size * (end - first) >= _SHORTEST_RUN:
                self._runs.append((int(ordered[first]), int(ordered[end - 1]) + size))
            else:
                blocks.extend(ordered[first:end].tolist())

"""The samples of all series: one ring a series, all rings in two arrays, 12 bytes a sample.

A ring has as many slots as the series needs: it begins with two and, when a sample would fall out that a window still
needs, gets as many as its own scrape interval asks for. So series scraped every second and every minute both fit, and
nobody has to say which is which. Values are kept raw, so nothing is lost to rounding and every number that is
computed from a window depends on the window's samples alone.

Samples of a series are numbered from 0 in the order of their times; number n lies in slot n modulo capacity. One that
comes late takes its place among those that are there, and what is newer moves up by one (`moves` tells whose).

A sample that is a native histogram has its number for a value (`histograms.py`).
"""

import numpy as np

from streams.series.arrays import Floats, Indices, Mask, Numbers, Rows, Times, grown
from streams.series.histograms import Histograms, is_boxed
from streams.series.moves import Moves
from streams.series.space import Space
from streams.wire.samples import STALE_NAN_BITS

# Times are milliseconds after an epoch that moves along (`rebase`), in 32 bits: 24 days.
OLDEST = np.int32(-(2**31))
_FIRST_CAPACITY = 2
# A few samples in quick succession say little about the interval; the next time a ring is full says more.
_MOST_GROWTH = 16
_PART = 1 << 16
_BY_ROW = ("count", "newest", "reset", "marker", "native", "_start", "_capacity")
# Series that late samples are put into at once: bounds the memory for the samples that move.
_MOST_INSERTED = 1 << 12
_CAPACITIES = np.array(
    [2, *sorted({(4 + quarter) << octave for octave in range(28) for quarter in range(4)})], np.int64
)


def move_back(times: Times, by_ms: int) -> None:
    """Make times relative to a later epoch, in place; what leaves the range becomes the oldest there is."""
    for part in range(0, len(times), _PART):
        earlier = times[part : part + _PART].astype(np.int64) - by_ms
        times[part : part + _PART] = np.maximum(earlier, int(OLDEST))


class Columns:
    """Rings of samples, by row.

    epoch_ms: what all times here are relative to, Unix ms; set once, before the first sample.
    count: (rows,) how many samples each series has had. newest: (rows,) the time of the last one.
    reset: the number of its latest sample that is lower than the one before it, 0 = none.
    marker: the number of its latest stale marker, -1 = none. moves: whose samples have got other numbers.
    Both numbers may be too high where samples came late, never too low: who reads them looks again at the samples.
    native: whether some of its samples may be native histograms, which are in `histograms`.
    """

    def __init__(self, histograms: Histograms | None = None) -> None:
        self.epoch_ms = 0
        self.size = 0
        self.count: Numbers = np.zeros(0, np.int32)
        self.newest: Times = np.zeros(0, np.int32)
        self.reset: Numbers = np.zeros(0, np.int32)
        self.marker: Numbers = np.zeros(0, np.int32)
        self.native: Mask = np.zeros(0, np.bool_)
        self.histograms = Histograms() if histograms is None else histograms
        self._start: Numbers = np.zeros(0, np.int32)
        self._capacity: Numbers = np.zeros(0, np.int32)
        self._values: Floats = np.zeros(0)
        self._times: Times = np.zeros(0, np.int32)
        self._space = Space()
        self.moves = Moves()

    @property
    def slot_count(self) -> int:
        """How many slots there have ever been."""
        return self._space.size

    @property
    def byte_count(self) -> int:
        """What the rings and rows in use take. What was given back is used again, so the process needs little more."""
        return 12 * self._space.taken + 25 * self.size + self.histograms.byte_count

    def capacity_of(self, row: int) -> int:
        """How many slots a ring has."""
        return int(self._capacity[row])

    def add_row(self) -> int:
        """A row for a new series."""
        row = self.size
        self.size += 1
        if self.size > len(self.count):
            for name in _BY_ROW:
                setattr(self, name, grown(getattr(self, name), self.size))
        self.count[row] = 0
        self.newest[row] = OLDEST
        self.reset[row] = 0
        self.marker[row] = -1
        self.native[row] = False
        self._start[row] = self._allocate(_FIRST_CAPACITY, 1)[0]
        self._capacity[row] = _FIRST_CAPACITY
        return row

    def append(self, rows: Rows, times: Times, values: Floats, horizon: int, keep_ms: int) -> None:
        """Add one sample to each of the rows, newer than all before it.

        Args:
            rows: no row twice.
            horizon: samples up to this time are not needed any more.
            keep_ms: how much time a ring must hold, for a ring that has to grow.
        """
        count = self.count[rows]
        at = self.slots(rows, count)
        full = np.flatnonzero(count >= self._capacity[rows])
        if full.size:
            crowded = full[self._times[at[full]] > horizon]
            if crowded.size:
                self._enlarge(rows[crowded], keep_ms)
                at = self.slots(rows, count)
        previous = self._values[self.slots(rows, count - 1)]
        self._values[at] = values
        self._times[at] = times
        self.newest[rows] = times
        self.count[rows] = count + 1
        resets = np.flatnonzero((values < previous) & (count > 0))
        self.reset[rows[resets]] = count[resets]
        odd = np.flatnonzero(np.isnan(values))
        if odd.size:
            marked = odd[values[odd].view(np.uint64) == STALE_NAN_BITS]
            self.marker[rows[marked]] = count[marked]
            self.native[rows[odd]] |= is_boxed(values[odd])

    def insert(self, rows: Rows, times: Times, values: Floats, horizon: int, keep_ms: int) -> Mask:
        """Put one sample into each of the rows, older than the newest that is there.

        Args:
            rows, horizon, keep_ms: as in `append`. times: after the horizon.

        Returns:
            (n,), False where the series has a sample of that time already, which stays.
        """
        there = np.empty(len(rows), np.bool_)
        for start in range(0, len(rows), _MOST_INSERTED):
            part = slice(start, start + _MOST_INSERTED)
            numbers = self.first_after(rows[part], times[part])
            before = self._times[self.slots(rows[part], numbers - 1)]
            there[part] = (numbers > self.oldest(rows[part])) & (before == times[part])
            new = ~there[part]
            if new.any():
                moved = rows[part][new]
                self._insert(moved, numbers[new], times[part][new], values[part][new], horizon, keep_ms)
                self.moves.add(moved)
        return ~there

    def _insert(self, rows: Rows, numbers: Numbers, times: Times, values: Floats, horizon: int, keep_ms: int) -> None:
        count = self.count[rows]
        crowded = (count >= self._capacity[rows]) & (self._times[self.slots(rows, count)] > horizon)
        if crowded.any():
            self._enlarge(rows[crowded], keep_ms)
        # All samples from the new one's place on, of all rows one after the other; read before any is written.
        newer = (count - numbers).astype(np.intp)
        whose = np.repeat(rows, newer)
        each = np.arange(len(whose)) - np.repeat(np.cumsum(newer) - newer, newer)
        moving = (np.repeat(numbers, newer) + each).astype(np.int32)
        old, new, place = self.slots(whose, moving), self.slots(whose, moving + 1), self.slots(rows, numbers)
        self._values[new], self._times[new] = self._values[old], self._times[old]
        self._values[place], self._times[place] = values, times
        self.count[rows] = count + 1
        previous, following = self._values[self.slots(rows, numbers - 1)], self._values[self.slots(rows, numbers + 1)]
        reset, marker = self.reset[rows], self.marker[rows]
        reset += (reset >= numbers) & (reset > 0)
        reset = np.maximum(reset, np.where((values < previous) & (numbers > 0), numbers, 0))
        self.reset[rows] = np.maximum(reset, np.where(following < values, numbers + 1, 0))
        marker += marker >= numbers
        stale = values.view(np.uint64) == np.uint64(STALE_NAN_BITS)
        self.marker[rows] = np.maximum(marker, np.where(stale, numbers, -1))
        self.native[rows] |= is_boxed(values)

    def slots(self, rows: Rows, numbers: Numbers) -> Indices:
        """Where samples lie. A number that a series does not have gives some slot of it."""
        at: Indices = (self._start[rows] + numbers % self._capacity[rows]).astype(np.intp)
        return at

    def times_at(self, slots: Indices) -> Times:
        """The times in some slots."""
        return self._times[slots]

    def values_at(self, slots: Indices) -> Floats:
        """The values in some slots."""
        return self._values[slots]

    def oldest(self, rows: Rows) -> Numbers:
        """The lowest number that is still there."""
        numbers: Numbers = np.maximum(self.count[rows] - self._capacity[rows], 0)
        return numbers

    def first_after(self, rows: Rows, time: int | Times) -> Numbers:
        """The number of the first sample after a time, or after one for each row; its count if there is none."""
        low, high = self.oldest(rows), self.count[rows]
        open_ = np.flatnonzero(low < high)
        while open_.size:
            middle = (low[open_] + high[open_]) >> 1
            after = self._times[self.slots(rows[open_], middle)] > (time if isinstance(time, int) else time[open_])
            high[open_[after]] = middle[after]
            low[open_[~after]] = middle[~after] + 1
            open_ = open_[low[open_] < high[open_]]
        return low

    def last_until(self, rows: Rows, time: int) -> Numbers:
        """The number of the last sample up to a time; lower than any that is there if there is none."""
        last: Numbers = self.count[rows] - np.int32(1)
        late = np.flatnonzero(self.newest[rows] > time)
        if late.size:
            # Nearly always it is the newest but one.
            last[late] -= 1
            still = late[self._times[self.slots(rows[late], last[late])] > time]
            if still.size:
                last[still] = self.first_after(rows[still], time) - 1
        return last

    def compact(self, keep: Mask) -> None:
        """Let the rings go whose rows are not kept."""
        capacities = np.where(keep, 0, self._capacity[: self.size])
        for capacity in np.unique(capacities[~keep]).tolist():
            self._space.release(capacity, self._start[: self.size][capacities == capacity])
        for name in _BY_ROW:
            setattr(self, name, getattr(self, name)[: self.size][keep])
        self.size = len(self.count)
        self.moves.forget()

    def rebase(self, by_ms: int) -> None:
        """Move the epoch forward. What gets out of range is older than any window."""
        self.epoch_ms += by_ms
        for times in (self._times, self.newest):
            move_back(times, by_ms)

    def sweep(self) -> None:
        """Let native histograms go that no ring holds any more, if they are many; never within a step."""
        if not self.histograms.crowded:
            return
        rows = np.flatnonzero(self.native[: self.size])
        rings = [
            slice(start, start + size)
            for start, size in zip(self._start[rows].tolist(), self._capacity[rows].tolist(), strict=True)
        ]
        self.histograms.sweep(self._values[ring] for ring in rings)

    def _enlarge(self, rows: Rows, keep_ms: int) -> None:
        """Give full rings the room that their own interval asks for."""
        capacities = self._capacity[rows]
        for capacity in np.unique(capacities).tolist():
            same = rows[capacities == capacity]
            numbers = self.count[same][:, None] + np.arange(-capacity, 0, dtype=np.int32)
            old = self._start[same][:, None] + numbers % np.int32(capacity)
            times, values = self._times[old], self._values[old]
            spans = np.maximum(times[:, -1] - times[:, 0].astype(np.int64), 1)
            wanted = np.clip(keep_ms * (capacity - 1) // spans + 3, capacity + 1, capacity * _MOST_GROWTH)
            larger = _CAPACITIES[np.searchsorted(_CAPACITIES, wanted)]
            for size in np.unique(larger).tolist():
                part = larger == size
                starts = self._allocate(size, int(part.sum()))
                self._times[starts[:, None] + np.arange(size)] = OLDEST
                new = starts[:, None] + numbers[part] % np.int32(size)
                self._times[new], self._values[new] = times[part], values[part]
                self._space.release(capacity, self._start[same[part]])
                self._start[same[part]] = starts
                self._capacity[same[part]] = size

    def _allocate(self, capacity: int, count: int) -> Numbers:
        starts = self._space.allocate(capacity, count)
        if self._space.size > len(self._values):
            self._values = grown(self._values, self._space.size)
            self._times = grown(self._times, self._space.size)
        return starts

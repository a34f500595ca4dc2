"""A range of time over many series that moves from step to step: where it begins and ends in each ring.

The beginning only moves forward, by as many samples as have left since the step before, so a step costs a look at the
samples that leave and nothing for those that stay. Where samples came late, it is looked up anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from streams.native.histogram import NativeHistogram, Sample
from streams.native.over_range import without_buckets
from streams.series.arrays import Floats, Indices, Mask, Numbers, Rows, Times
from streams.series.columns import OLDEST, Columns, move_back
from streams.series.histograms import is_boxed
from streams.wire.samples import STALE_NAN_BITS

_NEVER = np.int32(2**31 - 1)
# Cells of the matrices that samples are laid out in, to bound memory: 8 MB of values.
_MOST_CELLS = 1 << 20
# Series that are computed at once: what is needed in between stays in the cache and takes no memory to speak of.
_MOST_SERIES = 1 << 14


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of some series, a column each, oldest first.

    which: (n,) places of the series in the span. values, times: (longest, n). there: (longest, n), False where a
    series has fewer samples, a stale marker or a native histogram.
    """

    which: Indices
    values: Floats
    times: Times
    there: Mask


@dataclass(frozen=True, slots=True)
class Span:
    """The window at one step, an element for each of its series.

    begin, end: the range (begin, end], left-open. first, last: numbers of the samples; none where last < first.
    first_times: times of the first ones. without_buckets: of native histograms only count and sum are wanted.
    """

    columns: Columns
    rows: Rows
    begin: int
    end: int
    first: Numbers
    last: Numbers
    first_times: Times
    without_buckets: bool = False

    def slots(self, numbers: Numbers) -> Indices:
        """Where the numbered sample of each series lies."""
        return self.columns.slots(self.rows, numbers)

    def marked(self) -> Mask:
        """The series that may have a stale marker in the window."""
        marked: Mask = self.columns.marker[self.rows] >= self.first
        return marked

    def native(self) -> Indices:
        """The places of the series that may have native histograms."""
        return np.flatnonzero(self.columns.native[self.rows])

    def samples_of(self, place: int) -> list[Sample]:
        """The samples of one series, floats and native histograms; oldest first, without stale markers."""
        numbers = np.arange(self.first[place], self.last[place] + 1, dtype=np.int32)
        slots = self.columns.slots(np.repeat(self.rows[place], len(numbers)), numbers)
        values, times = self.columns.values_at(slots), self.columns.times_at(slots)
        there = values.view(np.uint64) != np.uint64(STALE_NAN_BITS)
        values, times = values[there], times[there]
        found: list[float | NativeHistogram] = values.tolist()
        boxed = is_boxed(values)
        for at, histogram in zip(
            np.flatnonzero(boxed).tolist(), self.columns.histograms.unbox(values[boxed]), strict=True
        ):
            found[at] = histogram
        samples = list(zip(times.tolist(), found, strict=True))
        return without_buckets(samples) if self.without_buckets else samples

    def lay_out(self, which: Indices) -> Iterator[Samples]:
        """The samples of some of the series, the ones with about as many together; those without any are left out."""
        counts = self.last[which] - self.first[which] + np.int32(1)
        order = np.argsort(counts, kind="stable")
        which, counts = which[order], counts[order]
        at = int(np.searchsorted(counts, 1))
        while at < len(which):
            # Up to half as many again as the shortest: little is wasted on padding.
            end = int(np.searchsorted(counts, counts[at] + counts[at] // 2 + 4, side="right"))
            end = min(end, at + max(_MOST_CELLS // int(counts[end - 1]), 1))
            yield self._matrix(which[at:end], int(counts[end - 1]))
            at = end

    def _matrix(self, which: Indices, longest: int) -> Samples:
        rows, last = self.rows[which], self.last[which]
        numbers = self.first[which] + np.arange(longest, dtype=np.int32)[:, None]
        slots = self.columns.slots(rows, numbers)
        values = self.columns.values_at(slots)
        there = numbers <= last
        there &= values.view(np.uint64) != np.uint64(STALE_NAN_BITS)
        if len(self.columns.histograms):
            there &= ~is_boxed(values)
        return Samples(which, values, self.columns.times_at(slots), there)


class Window:
    """The range (T - offset - range, T - offset] over a growing set of series, for steps T in ascending order."""

    def __init__(self, columns: Columns, range_ms: int, offset_ms: int, *, without_buckets: bool = False) -> None:
        self.rows: Rows = np.zeros(0, np.int32)
        self._columns = columns
        self._range_ms = range_ms
        self._offset_ms = offset_ms
        self._without_buckets = without_buckets
        self._seen_moves = columns.moves.total
        self._first: Numbers = np.zeros(0, np.int32)
        # What is not known or not there is as old as can be: it is looked up again at the next step.
        self._first_times: Times = np.zeros(0, np.int32)

    def cover(self, rows: Rows) -> None:
        """Take these rows, ascending, instead of the ones before."""
        self.rows = rows
        self._first = np.zeros(len(rows), np.int32)
        self._first_times = np.full(len(rows), OLDEST, np.int32)
        self._seen_moves = self._columns.moves.total

    def extend(self, rows: Rows) -> None:
        """Take more rows, higher than the ones before."""
        self.rows = np.concatenate((self.rows, rows))
        self._first = np.concatenate((self._first, np.zeros(len(rows), np.int32)))
        self._first_times = np.concatenate((self._first_times, np.full(len(rows), OLDEST, np.int32)))

    def rebase(self, by_ms: int) -> None:
        """Follow `Columns.rebase`."""
        move_back(self._first_times, by_ms)

    def move_to(self, step: int) -> list[Span]:
        """The window at a step, in time since the columns' epoch, in parts of many series each."""
        end = step - self._offset_ms
        begin = end - self._range_ms
        if self._seen_moves != self._columns.moves.total:
            self._follow_moves()
        behind = np.flatnonzero(self._first_times <= begin)
        for start in range(0, len(behind), _MOST_SERIES):
            self._advance(behind[start : start + _MOST_SERIES], begin)
        # The arrays go on to change in place; a span is of one step, and is used up within it.
        return [
            Span(
                self._columns,
                self.rows[part],
                begin,
                end,
                self._first[part],
                self._columns.last_until(self.rows[part], end),
                self._first_times[part],
                self._without_buckets,
            )
            for part in self._parts()
        ]

    def latest_at(self, step: int) -> list[Span]:
        """The window with nothing in it but the latest sample up to its end, which may be too old to be in it."""
        end = step - self._offset_ms
        spans = []
        for part in self._parts():
            rows = self.rows[part]
            last = self._columns.last_until(rows, end)
            times = self._columns.times_at(self._columns.slots(rows, last))
            begin = end - self._range_ms
            spans.append(Span(self._columns, rows, begin, end, last, last, times, self._without_buckets))
        return spans

    def _parts(self) -> list[slice]:
        return [slice(at, at + _MOST_SERIES) for at in range(0, max(len(self.rows), 1), _MOST_SERIES)]

    def _follow_moves(self) -> None:
        """Forget where the window begins in series whose samples have got other numbers."""
        moved = self._columns.moves.since(self._seen_moves)
        if moved is None:
            self.cover(self.rows)
            return
        self._seen_moves = self._columns.moves.total
        places = np.searchsorted(self.rows, moved)
        inside = places < len(self.rows)
        places = places[inside][self.rows[places[inside]] == moved[inside]]
        self._first[places] = 0
        self._first_times[places] = OLDEST

    def _advance(self, behind: Indices, begin: int) -> None:
        columns = self._columns
        rows = self.rows[behind]
        count = columns.count[rows]
        # The first sample itself is known to have left, unless it was not looked at yet.
        first = self._first[behind] + (self._first_times[behind] > OLDEST)
        first = np.minimum(np.maximum(first, columns.oldest(rows)), count).astype(np.int32)
        times = columns.times_at(columns.slots(rows, first))
        times[first == count] = _NEVER
        more = np.flatnonzero(times <= begin)
        if more.size:
            first[more] = columns.first_after(rows[more], begin)
            times[more] = columns.times_at(columns.slots(rows[more], first[more]))
        times[first == count] = OLDEST
        self._first[behind] = first
        self._first_times[behind] = times

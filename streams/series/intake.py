"""From a WriteRequest to samples in columns.

Series that are known are found by the hash of their label section, all at once, and their samples move as arrays.
What is new or odd (several samples in a frame, another encoder) is read frame by frame, before anything is kept: a
request that is malformed leaves no trace.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from streams.series.arrays import Floats, Indices, Mask, Rows, Times
from streams.series.hashes import hash_all
from streams.series.store import SeriesStore
from streams.wire.frame import Frame
from streams.wire.limits import DEFAULT_LIMITS
from streams.wire.request import split_series
from streams.wire.samples import FrameReader, Integers, read_tails


class Intake:
    """Reads requests into a store."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store

    def take(self, write_request: bytes, step_ms: int, latest_ms: int, dropped: Counter[str]) -> int:
        """Take what windows may need; how many samples that was.

        Args:
            step_ms: the next step; what none of its windows reaches is too old.
            latest_ms: samples stamped later are refused.
            dropped: the others are counted here, by reason.

        Raises:
            WireError: malformed, or above the limits; nothing of it is kept.
        """
        frames = split_series(write_request)
        tails = read_tails(frames)
        hashes = hash_all(tails.blobs, len(frames))
        rows = self._store.index.find(hashes)
        odd = np.flatnonzero(rows < 0).tolist()
        if not odd:
            return self._append(rows, tails.timestamps_ms, tails.values, step_ms, latest_ms, dropped)
        reader = FrameReader(tails, DEFAULT_LIMITS)
        read = {index: reader.read(frames, index) for index in odd}
        if len(odd) > self._store.room and self._store.make_room(step_ms):
            rows = self._store.index.find(hashes)
        counts = np.ones(len(frames), np.intp)
        counts[odd] = [len(frame.values) for frame in read.values()]
        ends = np.cumsum(counts)
        frame_of = np.repeat(np.arange(len(frames)), counts)
        times, values = tails.timestamps_ms[frame_of], tails.values[frame_of]
        for index, frame in read.items():
            place = slice(int(ends[index] - counts[index]), int(ends[index]))
            times[place], values[place] = frame.timestamps_ms, frame.values
        for index, frame in read.items():
            if rows[index] < 0:
                rows[index] = self._row_of(frame, step_ms, latest_ms)
            dropped["exemplar"] += frame.exemplars
            dropped["histogram"] += frame.histograms
        return self._append(rows[frame_of], times, values, step_ms, latest_ms, dropped)

    def _row_of(self, frame: Frame, step_ms: int, latest_ms: int) -> int:
        """The row of a frame's series, made if one of its samples is worth it; -1 = none, -2 = there is no room."""
        row = self._store.index.find_labels(frame.blob, frame.labels)
        if row >= 0:
            return row
        oldest_ms = step_ms - self._store.keep_ms
        if not any(oldest_ms < time_ms <= latest_ms for time_ms in frame.timestamps_ms):
            return -1
        return self._store.add(frame.blob, frame.labels) if self._store.room > 0 else -2

    def _append(
        self, rows: Rows, times_ms: Integers, values: Floats, step_ms: int, latest_ms: int, dropped: Counter[str]
    ) -> int:
        columns = self._store.columns
        ahead, old = times_ms > latest_ms, times_ms <= step_ms - self._store.keep_ms
        good = ~(ahead | old | (rows < 0))
        if not good.all():
            _count(dropped, {"ahead": ahead, "too_old": old, "series_limit": (rows == -2) & ~ahead & ~old})
            rows, times_ms, values = rows[good], times_ms[good], values[good]
        times = (times_ms - columns.epoch_ms).astype(np.int32)
        taken = 0
        for part in _rounds(rows):
            taken += self._append_once(rows[part], times[part], values[part], step_ms, dropped)
        return taken

    def _append_once(
        self,
        rows: Rows,
        times: Times,
        values: Floats,
        step_ms: int,
        dropped: Counter[str],
    ) -> int:
        """One sample a series."""
        store = self._store
        newest = store.columns.newest[rows]
        newer = times > newest
        if not newer.all():
            _count(dropped, {"duplicate": times == newest, "out_of_order": times < newest})
            rows, times, values = rows[newer], times[newer], values[newer]
        store.columns.append(rows, times, values, step_ms - store.keep_ms - store.columns.epoch_ms, store.ring_ms)
        return len(rows)


def _rounds(rows: Rows) -> Sequence[slice | Indices]:
    """The places of a request's samples in rounds: a series at most once in each, its samples in their order."""
    ordered = np.sort(rows)
    if not (ordered[1:] == ordered[:-1]).any():
        return [slice(None)]
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    new = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    starts = np.flatnonzero(new)
    turn = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    return [order[turn == number] for number in range(int(turn.max()) + 1)]


def _count(dropped: Counter[str], reasons: Mapping[str, Mask]) -> None:
    for reason, places in reasons.items():
        if number := int(np.count_nonzero(places)):
            dropped[reason] += number

"""From a WriteRequest to samples in columns.

Series that are known are found by the hash of their label section, all at once, and their samples move as arrays.
What is new or odd (several samples in a frame, another encoder) is read frame by frame, before anything is kept: a
request that is malformed leaves no trace.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from streams.native.histogram import from_message
from streams.series.arrays import Floats, Hashes, Indices, Mask, Rows, Times
from streams.series.hashes import RowTable, hash_all
from streams.series.histograms import without_boxes
from streams.series.lateness import Lateness
from streams.series.store import REFUSALS, SeriesStore
from streams.wire.frame import Frame
from streams.wire.histogram_message import HistogramMessage
from streams.wire.limits import DEFAULT_LIMITS
from streams.wire.request import split_series
from streams.wire.samples import STALE_NAN, FrameReader, Integers, read_tails

# In place of a row: the series has none. Below it, one number for each of REFUSALS.
_NOT_WORTH = -1
# 1.5 MB.
_MOST_PASSED_OVER = 1 << 16


@dataclass(frozen=True, slots=True)
class Came:
    """When a record came, in Unix ms.

    log_ms: log time. step_ms: the next step; what none of its windows reaches is too old. closed_ms: the latest step
    that log time has closed. latest_ms: samples stamped later are refused.
    """

    log_ms: int
    step_ms: int
    closed_ms: int
    latest_ms: int


@dataclass(slots=True)
class Tally:
    """What became of a record's samples.

    taken: how many are in the windows now. dropped: the others, by reason. late: of those taken, `after_step` (a step
    that they belong to was closed) and `out_of_order` (older than the newest of their series). lateness: of the same.
    """

    taken: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    lateness: Lateness = field(default_factory=Lateness)


class Intake:
    """Reads requests into a store.

    out_of_order_ms: how far behind the newest of its series a sample may be.
    """

    def __init__(self, store: SeriesStore, out_of_order_ms: int) -> None:
        self._store = store
        self._out_of_order_ms = out_of_order_ms
        # Label sections, read before, of series that are not kept because no sample of theirs was worth it.
        self._passed_over = RowTable()

    def take(self, service: str, write_request: bytes, came: Came) -> Tally:
        """Take what windows may need.

        Args:
            service: whom new series are charged to.

        Raises:
            WireError: malformed, or above the limits; nothing of it is kept.
        """
        tally = Tally()
        frames = split_series(write_request)
        tails = read_tails(frames)
        hashes = hash_all(tails.blobs, len(frames))
        rows = self._store.index.find(hashes)
        odd = np.flatnonzero(self._must_read(rows, hashes, tails.timestamps_ms, came)).tolist()
        if not odd:
            self._append(rows, tails.timestamps_ms, without_boxes(tails.values), came, tally)
            return tally
        reader = FrameReader(tails, DEFAULT_LIMITS)
        read = {index: reader.read(frames, index) for index in odd}
        if len(odd) > self._store.room_of(service).series and self._store.make_room(came.step_ms):
            rows = self._store.index.find(hashes)
        counts = np.ones(len(frames), np.intp)
        counts[odd] = [len(frame.values) + len(frame.native) for frame in read.values()]
        ends = np.cumsum(counts)
        frame_of = np.repeat(np.arange(len(frames)), counts)
        times, values = tails.timestamps_ms[frame_of], tails.values[frame_of]
        starts = ends - counts
        for index, frame in read.items():
            place = slice(int(starts[index]), int(starts[index]) + len(frame.values))
            times[place], values[place] = frame.timestamps_ms, frame.values
        values = without_boxes(values)
        for index, frame in read.items():
            if frame.native:
                place = slice(int(starts[index]) + len(frame.values), int(ends[index]))
                times[place] = [message.timestamp for message in frame.native]
                values[place] = [self._value_of(message) for message in frame.native]
        room = self._store.room_of(service)
        left = room.series
        for index, frame in read.items():
            if rows[index] < 0:
                rows[index], is_new = self._row_of(service, frame, came, room.refusal if left <= 0 else None)
                left -= is_new
                if rows[index] == _NOT_WORTH and frame.blob == tails.blobs[index]:
                    self._pass_over(int(hashes[index]))
            tally.dropped["exemplar"] += frame.exemplars
        self._append(rows[frame_of], times, values, came, tally)
        return tally

    def take_known(self, write_request: bytes, came: Came) -> Tally | None:
        """The same, of a request of known series with one plain sample in each frame, none stamped ahead.

        Returns:
            None = it is not such a request; nothing of it was taken.

        Raises:
            WireError: not a WriteRequest.
        """
        frames = split_series(write_request)
        tails = read_tails(frames)
        hashes = hash_all(tails.blobs, len(frames))
        rows = self._store.index.find(hashes)
        if not len(rows) or tails.timestamps_ms.max() > came.latest_ms:
            return None
        if self._must_read(rows, hashes, tails.timestamps_ms, came).any():
            return None
        tally = Tally()
        self._append(rows, tails.timestamps_ms, without_boxes(tails.values), came, tally)
        return tally

    def _must_read(self, rows: Rows, hashes: Hashes, times_ms: Integers, came: Came) -> Mask:
        """Which frames must be read one by one.

        A replay begins before the windows do, with samples that are too old and series that none was kept of: it would
        read their labels again in each record.
        """
        unknown: Mask = rows < 0
        if len(self._passed_over) and unknown.any():
            outside = (times_ms <= came.step_ms - self._store.keep_ms) | (times_ms > came.latest_ms)
            unknown &= ~(outside & (self._passed_over.find(hashes) >= 0))
        return unknown

    def _pass_over(self, section: int) -> None:
        if len(self._passed_over) >= _MOST_PASSED_OVER:
            self._passed_over = RowTable()
        if self._passed_over.get(section) < 0:
            self._passed_over.add(section, 0)

    def _value_of(self, message: HistogramMessage) -> float:
        histogram = from_message(message)
        return STALE_NAN if histogram is None else self._store.columns.histograms.box(histogram)

    def _row_of(self, service: str, frame: Frame, came: Came, refusal: str | None) -> tuple[int, bool]:
        """The row of a frame's series, made if one of its samples is worth it, and whether it was.

        Args:
            refusal: why no series may come, None = it may.

        Returns:
            Below zero instead of a row: `_NOT_WORTH`, or refused.
        """
        row = self._store.index.find_labels(frame.blob, frame.labels)
        if row >= 0:
            return row, False
        oldest_ms = came.step_ms - self._store.keep_ms
        times_ms = [*frame.timestamps_ms, *(message.timestamp for message in frame.native)]
        if not any(oldest_ms < time_ms <= came.latest_ms for time_ms in times_ms):
            return _NOT_WORTH, False
        if refusal is not None:
            return _NOT_WORTH - 1 - REFUSALS.index(refusal), False
        return self._store.add(frame.blob, frame.labels, service), True

    def _append(self, rows: Rows, times_ms: Integers, values: Floats, came: Came, tally: Tally) -> None:
        if not len(rows):
            return
        oldest_ms = came.step_ms - self._store.keep_ms
        if times_ms.max() > came.latest_ms or times_ms.min() <= oldest_ms or rows.min() < 0:
            ahead, old = times_ms > came.latest_ms, times_ms <= oldest_ms
            timely = ~(ahead | old)
            good = timely & (rows >= 0)
            _count(tally.dropped, {"ahead": ahead, "too_old": old})
            _count(
                tally.dropped,
                {name: (rows == _NOT_WORTH - 1 - place) & timely for place, name in enumerate(REFUSALS)},
            )
            rows, times_ms, values = rows[good], times_ms[good], values[good]
        times = (times_ms - self._store.columns.epoch_ms).astype(np.int32)
        for part in _rounds(rows):
            self._append_once(rows[part], times[part], values[part], came, tally)

    def _append_once(self, rows: Rows, times: Times, values: Floats, came: Came, tally: Tally) -> None:
        """One sample a series."""
        store = self._store
        columns = store.columns
        horizon = came.step_ms - store.keep_ms - columns.epoch_ms
        newest = columns.newest[rows]
        newer = times > newest
        if not newer.all():
            other = ~newer
            self._insert(rows[other], times[other], values[other], horizon, came, tally)
            rows, times, values = rows[newer], times[newer], values[newer]
        columns.append(rows, times, values, horizon, store.ring_ms)
        self._count_taken(times, came, tally)

    def _insert(self, rows: Rows, times: Times, values: Floats, horizon: int, came: Came, tally: Tally) -> None:
        """Samples that are not newer than the newest of their series."""
        columns = self._store.columns
        behind = columns.newest[rows].astype(np.int64) - times
        late = (behind > 0) & (behind <= self._out_of_order_ms)
        _count(tally.dropped, {"duplicate": behind == 0, "out_of_order": behind > self._out_of_order_ms})
        if not late.any():
            return
        times = times[late]
        new = columns.insert(rows[late], times, values[late], horizon, self._store.ring_ms)
        _count(tally.dropped, {"duplicate": ~new})
        _count(tally.late, {"out_of_order": new})
        self._count_taken(times[new], came, tally)

    def _count_taken(self, times: Times, came: Came, tally: Tally) -> None:
        epoch_ms = self._store.columns.epoch_ms
        tally.taken += len(times)
        tally.lateness.add(times, came.log_ms - epoch_ms)
        if len(times) and times.min() <= came.closed_ms - epoch_ms:
            _count(tally.late, {"after_step": times <= came.closed_ms - epoch_ms})


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

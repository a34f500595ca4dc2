"""From selectors to values: which windows there are, and who reads what from them.

A *lane* is one window (range and offset) over the series of all selectors that look through it. What several
indicators ask of overlapping series is computed once, and a step costs a few array operations a lane, not a selector.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from streams.native.histogram import NativeHistogram
from streams.promql.column import Column, compute_all
from streams.promql.expression import LOOKBACK_MS, Selector
from streams.promql.vector import Vector
from streams.series.arrays import Floats, Indices, Rows
from streams.series.columns import Columns
from streams.series.histograms import Histograms, is_boxed
from streams.series.selection import Members, Selection
from streams.series.window import Span, Window
from streams.wire.samples import STALE_NAN_BITS


def latest(span: Span) -> Column:
    """The latest sample of each series, as an instant selector takes it: a stale marker ends the series."""
    values = span.columns.values_at(span.slots(span.last))
    # Where all samples are later than the window, `last` is no number of a sample: -1, or one that was overwritten by
    # a later sample.
    present = (span.last >= 0) & (span.first_times > span.begin) & (span.first_times <= span.end)
    present &= values.view(np.uint64) != np.uint64(STALE_NAN_BITS)
    if span.without_buckets:
        _leave_out_buckets(span, np.flatnonzero(present & is_boxed(values)), values)
    return Column(values, present)


def _leave_out_buckets(span: Span, places: Indices, values: Floats) -> None:
    """Of native histograms, leave count, sum, and whether the counter began anew."""
    first = span.last.copy()
    # That is told by the sample before it, or the one before that if it is a stale marker.
    oldest = span.columns.first_after(span.rows[places], span.begin)
    first[places] = np.maximum(oldest, span.last[places] - np.int32(2))
    recent = replace(span, first=first)
    for place in places.tolist():
        _, histogram = recent.samples_of(place)[-1]
        assert isinstance(histogram, NativeHistogram)
        values[place] = span.columns.histograms.box(histogram)


def latest_time(span: Span) -> Column:
    """When each series had its latest sample, in seconds: `timestamp` of an instant selector."""
    times = span.columns.times_at(span.slots(span.last)).astype(np.float64) + span.columns.epoch_ms
    return Column(times / 1000.0, latest(span).present)


class Feed:
    """What one selector reads from its lane."""

    def __init__(self, lane: "Lane", members: Members) -> None:
        self.members = members
        self._lane = lane
        self.places: Indices | None = None  # in the lane; None = it is the lane's only one
        self.generation = members.generation
        self.seen = 0

    def read(self, compute: Callable[..., Column], step_ms: int, *arguments: float) -> Vector:
        """The function's values at a step, with its scalar arguments."""
        column = self._lane.column(compute, step_ms, arguments)
        if self.places is None:
            return Vector(self.members, column.values, column.present)
        return Vector(self.members, column.values[self.places], column.present[self.places])


class Lane:
    """One range and offset, or one offset for instant selectors; native histograms with their buckets or without."""

    def __init__(self, columns: Columns, range_ms: int | None, offset_ms: int, *, without_buckets: bool) -> None:
        window_ms = LOOKBACK_MS if range_ms is None else range_ms
        self.window = Window(columns, window_ms, offset_ms, without_buckets=without_buckets)
        self._columns = columns
        self._instant = range_ms is None
        self._feeds: dict[Members, Feed] = {}
        self._settled = True
        self._step_ms: int | None = None
        self._spans: list[Span] = []
        self._computed: dict[tuple[Callable[..., Column], tuple[float, ...]], Column] = {}

    def feed(self, members: Members) -> Feed:
        """What a selector reads from here."""
        feed = self._feeds.get(members)
        if feed is None:
            feed = self._feeds[members] = Feed(self, members)
            self._settled = False
        return feed

    def retain(self, used: set[Members]) -> bool:
        """Forget the selectors that are not in use any more; whether any is left."""
        feeds = {members: feed for members, feed in self._feeds.items() if members in used}
        self._settled &= len(feeds) == len(self._feeds)
        self._feeds = feeds
        return bool(feeds)

    def forget(self) -> None:
        """Be ready for steps that lie before the latest one."""
        self._settled, self._step_ms = False, None

    def column(self, compute: Callable[..., Column], step_ms: int, arguments: tuple[float, ...]) -> Column:
        """A function's values for all series of the lane, once a step."""
        if step_ms != self._step_ms:
            self._settle()
            step = step_ms - self._columns.epoch_ms
            self._spans = self.window.latest_at(step) if self._instant else self.window.move_to(step)
            self._step_ms = step_ms
            self._computed.clear()
        column = self._computed.get((compute, arguments))
        if column is None:
            column = self._computed[compute, arguments] = compute_all(compute, self._spans, arguments)
        return column

    def _settle(self) -> None:
        """Follow the selectors: new series at the end, everything anew when rows were renumbered."""
        feeds = self._feeds.values()
        if not self._settled or any(feed.generation != feed.members.generation for feed in feeds):
            self.window.cover(_united([feed.members.rows for feed in feeds]))
            for feed in feeds:
                feed.places, feed.seen, feed.generation = np.zeros(0, np.intp), 0, feed.members.generation
            self._settled = True
        elif all(feed.seen == feed.members.size for feed in feeds):
            return
        else:
            self.window.extend(_united([feed.members.rows[feed.seen :] for feed in feeds]))
        for feed in feeds:
            if len(self._feeds) == 1:
                feed.places = None
            elif feed.seen < feed.members.size and feed.places is not None:
                more = np.searchsorted(self.window.rows, feed.members.rows[feed.seen :])
                feed.places = np.concatenate((feed.places, more))
            feed.seen = feed.members.size


def _united(rows: list[Rows]) -> Rows:
    return rows[0] if len(rows) == 1 else np.unique(np.concatenate(rows))


_Key = tuple[int | None, int, bool]


def _key_of(selector: Selector) -> _Key:
    return selector.range_ms, selector.offset_ms, selector.without_buckets


class Lanes:
    """All lanes of a partition."""

    def __init__(self, columns: Columns, selection: Selection) -> None:
        self._columns = columns
        self._selection = selection
        self._lanes: dict[_Key, Lane] = {}

    @property
    def histograms(self) -> Histograms:
        """The native histograms that values may stand for."""
        return self._columns.histograms

    def feed(self, selector: Selector) -> Feed:
        """What a selector reads."""
        key = _key_of(selector)
        lane = self._lanes.get(key)
        if lane is None:
            range_ms, offset_ms, without_buckets = key
            lane = self._lanes[key] = Lane(self._columns, range_ms, offset_ms, without_buckets=without_buckets)
        return lane.feed(self._selection.members_of(selector.matchers))

    def retain(self, used: Iterable[Selector]) -> None:
        """Forget what no selector in use needs."""
        selectors = set(used)
        self._selection.retain(selector.matchers for selector in selectors)
        for key in list(self._lanes):
            members = {
                self._selection.members_of(selector.matchers) for selector in selectors if _key_of(selector) == key
            }
            if not self._lanes[key].retain(members):
                del self._lanes[key]

    def forget(self) -> None:
        """Be ready for steps that lie before the latest one, as those of a subquery do every time."""
        for lane in self._lanes.values():
            lane.forget()

    def another(self) -> "Lanes":
        """Lanes of their own over the same series, for steps of their own."""
        return Lanes(self._columns, self._selection)

    def rebase(self, by_ms: int) -> None:
        """Follow `Columns.rebase`."""
        for lane in self._lanes.values():
            lane.window.rebase(by_ms)

"""How fast and how often counters and gauges change: `rate increase delta irate idelta`, `changes resets`.

Prometheus' own extrapolation (promql/functions.go, `extrapolatedRate`, `instantValue`), for all series of a window at
once: the first and the last sample say it all, unless a counter was reset in between or a stale marker lies there.
Those few series are gone through sample by sample, and so are those with native histograms.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from streams.native.over_range import NATIVE
from streams.promql.column import Column, RangeFunction, with_native
from streams.series.arrays import Floats, Indices, Mask
from streams.series.window import Span


class _Ends:
    """The first and the last sample of each series in the window, and how much it rose between them.

    steps: (n,) samples less one; values from 1 on make a rate. risen: last - first, resets made up for.
    """

    def __init__(self, span: Span, *, counter: bool) -> None:
        self.steps = span.last - span.first
        # Columns that mean nothing where there are no two samples.
        last_slots = span.slots(span.last)
        self.first_values = span.columns.values_at(span.slots(span.first))
        self.first_times = span.first_times.astype(np.float64)
        self.last_times = span.columns.times_at(last_slots).astype(np.float64)
        self.risen = span.columns.values_at(last_slots) - self.first_values
        odd = span.marked()
        if counter:
            odd |= span.columns.reset[span.rows] > span.first
        odd &= self.steps >= 0
        if odd.any():
            self._go_through(span, np.flatnonzero(odd), counter=counter)

    def _go_through(self, span: Span, odd: Indices, *, counter: bool) -> None:
        for samples in span.lay_out(odd):
            there, values, times = samples.there, samples.values, samples.times
            columns = np.arange(there.shape[1])
            first = there.argmax(axis=0)
            last = len(there) - 1 - there[::-1].argmax(axis=0)
            before = values[first, columns]
            self.steps[samples.which] = there.sum(axis=0) - 1
            self.first_values[samples.which] = before
            self.first_times[samples.which] = times[first, columns]
            self.last_times[samples.which] = times[last, columns]
            risen = values[last, columns] - before
            if counter:
                for value, is_there in zip(values, there, strict=True):
                    risen += np.where(is_there & (value < before), before, 0.0)
                    before = np.where(is_there, value, before)
            self.risen[samples.which] = risen


def _extrapolated(span: Span, *, counter: bool) -> Column:
    ends = _Ends(span, counter=counter)
    sampled = (ends.last_times - ends.first_times) / 1000.0
    average = sampled / ends.steps
    # A series that begins or ends further from the edge than its samples from each other, with 10 % to spare, is
    # taken to begin or end half an interval beyond them.
    threshold, half = average * 1.1, average / 2.0
    to_start = (ends.first_times - span.begin) / 1000.0
    to_start = np.where(to_start >= threshold, half, to_start)
    if counter:
        to_start = _not_below_zero(ends, sampled, to_start)
    to_end = (span.end - ends.last_times) / 1000.0
    to_end = np.where(to_end >= threshold, half, to_end)
    values: Floats = ends.risen * ((sampled + to_start + to_end) / sampled)
    return Column(values, ends.steps >= 1)


def _not_below_zero(ends: _Ends, sampled: Floats, to_start: Floats) -> Floats:
    """A counter was not below zero: where its slope meets zero is the earliest that it can have begun."""
    to_zero = np.where(
        (ends.risen > 0) & (ends.first_values >= 0), sampled * (ends.first_values / ends.risen), to_start
    )
    return np.where(to_zero < to_start, to_zero, to_start)


def _increase(span: Span) -> Column:
    return _extrapolated(span, counter=True)


def _rate(span: Span) -> Column:
    increase = _increase(span)
    return Column(increase.values / ((span.end - span.begin) / 1000.0), increase.present)


def _delta(span: Span) -> Column:
    return _extrapolated(span, counter=False)


def _last_two(span: Span, *, counter: bool) -> tuple[Column, Floats]:
    """How much the last sample differs from the one before, and the seconds between them."""
    columns = span.columns
    slots, slots_before = span.slots(span.last), span.slots(span.last - np.int32(1))
    last, before = columns.values_at(slots), columns.values_at(slots_before)
    seconds = (columns.times_at(slots) - columns.times_at(slots_before).astype(np.float64)) / 1000.0
    present = span.last > span.first
    odd = np.flatnonzero(span.marked() & present)
    if odd.size:
        for samples in span.lay_out(odd):
            there = samples.there
            places = np.arange(there.shape[1])
            at = len(there) - 1 - there[::-1].argmax(axis=0)
            others = there.copy()
            others[at, places] = False
            at_before = len(there) - 1 - others[::-1].argmax(axis=0)
            last[samples.which] = samples.values[at, places]
            before[samples.which] = samples.values[at_before, places]
            times = samples.times.astype(np.float64)
            seconds[samples.which] = (times[at, places] - times[at_before, places]) / 1000.0
            present[samples.which] = others.any(axis=0)
    change = last - before
    if counter:
        # After a reset, what the counter shows is what it rose by.
        change = np.where(last < before, last, change)
    return Column(change, present), seconds


def _irate(span: Span) -> Column:
    column, seconds = _last_two(span, counter=True)
    return Column(column.values / seconds, column.present)


def _idelta(span: Span) -> Column:
    return _last_two(span, counter=False)[0]


def _count_pairs(counts: Callable[[Floats, Floats], Mask]) -> Callable[[Span], Column]:
    """How many samples differ from the one before in some way."""

    def compute(span: Span) -> Column:
        values, present = np.zeros(len(span.rows)), np.zeros(len(span.rows), np.bool_)
        for samples in span.lay_out(np.arange(len(span.rows))):
            there = samples.there
            before = samples.values[there.argmax(axis=0), np.arange(there.shape[1])]
            found = np.zeros(there.shape[1])
            for value, is_there in zip(samples.values, there, strict=True):
                found += is_there & counts(before, value)
                before = np.where(is_there, value, before)
            values[samples.which] = found
            present[samples.which] = there.any(axis=0)
        return Column(values, present)

    return compute


def _differs(before: Floats, value: Floats) -> Mask:
    differs: Mask = (value != before) & ~(np.isnan(value) & np.isnan(before))
    return differs


def _falls(before: Floats, value: Floats) -> Mask:
    falls: Mask = value < before
    return falls


FUNCTIONS: Final = {
    "rate": RangeFunction(with_native(_rate, NATIVE["rate"])),
    "increase": RangeFunction(with_native(_increase, NATIVE["increase"])),
    "delta": RangeFunction(with_native(_delta, NATIVE["delta"])),
    "irate": RangeFunction(with_native(_irate, NATIVE["irate"])),
    "idelta": RangeFunction(with_native(_idelta, NATIVE["idelta"])),
    "changes": RangeFunction(with_native(_count_pairs(_differs), NATIVE["changes"])),
    "resets": RangeFunction(with_native(_count_pairs(_falls), NATIVE["resets"])),
}

"""What PromQL's range functions make of one series whose samples are native histograms, or some of them.

Each function takes the samples of a range that is open at its begin, stale markers left out, oldest first. Where
Prometheus answers nothing, a mixture of floats and histograms above all, the answer is None.

Source: Prometheus 3.8, promql/functions.go (extrapolatedRate, histogramRate, instantValue, resets, changes).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Final, TypeAlias

import numpy as np

from streams.native.algebra import compact, divided, equal, is_reset, joined, lowered, times
from streams.native.compensated import average_of, total_of
from streams.native.histogram import EMPTY, NativeHistogram, Sample, bare
from streams.native.total import are_of_one_layout, average_over_time, total_over_time

Outcome: TypeAlias = float | NativeHistogram | None
OverRange: TypeAlias = Callable[[Sequence[Sample], int, int], Outcome]


def _split(samples: Sequence[Sample]) -> tuple[list[float], list[NativeHistogram]]:
    floats: list[float] = []
    histograms: list[NativeHistogram] = []
    for _, value in samples:
        if isinstance(value, NativeHistogram):
            histograms.append(value)
        else:
            floats.append(value)
    return floats, histograms


def reset_places(histograms: Sequence[NativeHistogram]) -> list[int]:
    """Where a histogram tells of a counter reset since the one before."""
    hints = {histogram.hint for histogram in histograms}
    if len(histograms) < 3 or not hints <= {"unknown", "gauge"} or not are_of_one_layout(histograms):
        return [place for place, pair in enumerate(pairwise(histograms), 1) if is_reset(pair[1], pair[0])]
    fallen = np.zeros(len(histograms) - 1, np.bool_)
    for rows in (
        [(histogram.count, histogram.zero_count) for histogram in histograms],
        [histogram.positive.counts for histogram in histograms],
        [histogram.negative.counts for histogram in histograms],
    ):
        numbers = np.array(rows)
        fallen |= (numbers[1:] < numbers[:-1]).any(axis=1)
    return (np.flatnonzero(fallen) + 1).tolist()


def _nothing_like(histogram: NativeHistogram) -> NativeHistogram:
    """No observations, in a layout that any with this resolution goes with."""
    return NativeHistogram(histogram.schema, "unknown", 0.0, 0.0, 0.0, 0.0, EMPTY, EMPTY, histogram.bounds)


def _rise(histograms: Sequence[NativeHistogram], *, counter: bool) -> NativeHistogram | None:
    """How much more the last one counts than the first, resets made up for. None: they do not match."""
    first, last = histograms[0], histograms[-1]
    resets = reset_places(histograms) if counter else []
    if resets and resets[0] == 1:
        # Nothing of the first one counts then, and it need not match the others.
        first = _nothing_like(histograms[1])
    between = histograms[1:-1] if counter else []
    if any(histogram.is_custom is not first.is_custom for histogram in (last, *between)):
        return None
    schema = min(histogram.schema for histogram in (first, last, *between))
    risen = joined(lowered(last, schema), first, -1)
    for place in resets:
        if risen is not None and place > 1:
            risen = joined(risen, histograms[place - 1], 1)
    return None if risen is None else compact(risen)


def _float_rise(values: Sequence[float], *, counter: bool) -> float:
    risen = values[-1] - values[0]
    if counter:
        for before, value in pairwise(values):
            if value < before:
                risen += before
    return risen


def _extrapolated(samples: Sequence[Sample], begin_ms: int, end_ms: int, *, counter: bool, by: float = 1.0) -> Outcome:
    floats, histograms = _split(samples)
    if len(samples) < 2 or (floats and histograms):
        return None
    risen: float | NativeHistogram | None
    if histograms:
        risen = _rise(histograms, counter=counter)
        if risen is None:
            return None
        size, begun = risen.count, histograms[0].count
    else:
        risen = _float_rise(floats, counter=counter)
        size, begun = risen, floats[0]
    sampled = (samples[-1][0] - samples[0][0]) / 1000.0
    average = sampled / (len(samples) - 1)
    # A series that begins or ends further from the edge than its samples from each other, with 10 % to spare, is
    # taken to begin or end half an interval beyond them; a counter not before it was zero.
    to_start, to_end = (samples[0][0] - begin_ms) / 1000.0, (end_ms - samples[-1][0]) / 1000.0
    if to_start >= average * 1.1:
        to_start = average / 2.0
    if counter and size > 0 and begun >= 0:
        to_zero = sampled * (begun / size)
        to_start = min(to_start, to_zero)
    if to_end >= average * 1.1:
        to_end = average / 2.0
    factor = (sampled + to_start + to_end) / sampled / by
    return times(risen, factor) if isinstance(risen, NativeHistogram) else risen * factor


def _increase(samples: Sequence[Sample], begin_ms: int, end_ms: int) -> Outcome:
    return _extrapolated(samples, begin_ms, end_ms, counter=True)


def _rate(samples: Sequence[Sample], begin_ms: int, end_ms: int) -> Outcome:
    """`rate`, to the last bit: an increase that is divided later may put a quantile into the next bucket."""
    return _extrapolated(samples, begin_ms, end_ms, counter=True, by=(end_ms - begin_ms) / 1000.0)


def _delta(samples: Sequence[Sample], begin_ms: int, end_ms: int) -> Outcome:
    return _extrapolated(samples, begin_ms, end_ms, counter=False)


def _last_two(samples: Sequence[Sample], *, counter: bool) -> Outcome:
    """How much the last sample differs from the one before."""
    if len(samples) < 2:
        return None
    before, last = samples[-2][1], samples[-1][1]
    if isinstance(last, NativeHistogram):
        if not isinstance(before, NativeHistogram):
            return None
        # After a reset, what the counter shows is what it rose by.
        change = last if counter and is_reset(last, before) else joined(last, before, -1)
        return None if change is None else compact(replace(change, hint="gauge"))
    if isinstance(before, NativeHistogram):
        return None
    return last if counter and last < before else last - before


def _irate(samples: Sequence[Sample]) -> Outcome:
    change = _last_two(samples, counter=True)
    if change is None:
        return None
    seconds = (samples[-1][0] - samples[-2][0]) / 1000.0
    return divided(change, seconds) if isinstance(change, NativeHistogram) else change / seconds


def _idelta(samples: Sequence[Sample]) -> Outcome:
    return _last_two(samples, counter=False)


def _is_other(before: float | NativeHistogram, value: float | NativeHistogram) -> bool:
    if isinstance(before, NativeHistogram) and isinstance(value, NativeHistogram):
        # The samples that Prometheus keeps together have the same buckets: those that one lacks are empty.
        return not equal(before, value) and (
            are_of_one_layout((before, value)) or not equal(compact(before), compact(value))
        )
    if isinstance(before, NativeHistogram) or isinstance(value, NativeHistogram):
        return True
    return value != before and not (math.isnan(value) and math.isnan(before))


def _changes(samples: Sequence[Sample]) -> Outcome:
    return float(sum(_is_other(before, value) for (_, before), (_, value) in pairwise(samples))) if samples else None


def _resets(samples: Sequence[Sample]) -> Outcome:
    """Within runs of floats and of histograms, and one between two runs."""
    found = -1
    for _, run in groupby(samples, lambda sample: isinstance(sample[1], NativeHistogram)):
        floats, histograms = _split(list(run))
        found += 1 + len(reset_places(histograms)) + sum(value < before for before, value in pairwise(floats))
    return float(found) if samples else None


def _sum(samples: Sequence[Sample]) -> Outcome:
    floats, histograms = _split(samples)
    if not samples or (floats and histograms):
        return None
    return total_over_time(histograms) if histograms else total_of(floats)


def _average(samples: Sequence[Sample]) -> Outcome:
    floats, histograms = _split(samples)
    if not samples or (floats and histograms):
        return None
    return average_over_time(histograms) if histograms else average_of(floats)


def _count(samples: Sequence[Sample]) -> Outcome:
    return float(len(samples)) if samples else None


def _last(samples: Sequence[Sample]) -> Outcome:
    return samples[-1][1] if samples else None


def _present(samples: Sequence[Sample]) -> Outcome:
    return 1.0 if samples else None


def _whatever_the_range(function: Callable[[Sequence[Sample]], Outcome]) -> OverRange:
    return lambda samples, _begin_ms, _end_ms: function(samples)


def without_buckets(samples: Sequence[Sample]) -> list[Sample]:
    """The samples as Prometheus reads them below `histogram_count`, `histogram_sum` and `histogram_avg`.

    Only count and sum are left, and resets in their hints, so all go together: exponential, custom, whatever bounds.
    """
    found: list[Sample] = []
    before: NativeHistogram | None = None
    for time_ms, value in samples:
        if not isinstance(value, NativeHistogram):
            found.append((time_ms, value))
            continue
        hint = value.hint
        if hint == "unknown" and before is not None:
            hint = "reset" if is_reset(value, before) else "not_reset"
        before = value
        found.append((time_ms, bare(value, hint)))
    return found


# By the names that PromQL gives them.
NATIVE: Final[dict[str, OverRange]] = {
    "increase": _increase,
    "rate": _rate,
    "delta": _delta,
    "irate": _whatever_the_range(_irate),
    "idelta": _whatever_the_range(_idelta),
    "changes": _whatever_the_range(_changes),
    "resets": _whatever_the_range(_resets),
    "sum_over_time": _whatever_the_range(_sum),
    "avg_over_time": _whatever_the_range(_average),
    "count_over_time": _whatever_the_range(_count),
    "last_over_time": _whatever_the_range(_last),
    "present_over_time": _whatever_the_range(_present),
}

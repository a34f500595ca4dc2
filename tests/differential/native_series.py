"""Native histograms as the processes of a story expose them, whose shapes change and whose counters reset.

Each is a message of the wire, so that both sides read the same bytes: integer counts or float ones, empty buckets, and
spans that are cut where they need not be.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Final, cast

import numpy as np

from budgets.unit_test.compare import histogram_text
from streams.native.histogram import Buckets, from_message, to_message
from streams.wire.histogram import CUSTOM_BUCKETS, is_float
from streams.wire.histogram_message import Histogram, HistogramMessage
from streams.wire.samples import STALE_NAN

NATIVE_METRICS: Final = ("duration", "size", "balance", "mixed")
_HINTS = ("unknown", "reset", "not_reset", "gauge")
_UNKNOWN, _RESET, _NOT_RESET, _GAUGE = range(len(_HINTS))
_SCHEMAS = (-2, -1, 0, 0, 1, 1, 2, 3)
_THRESHOLDS = (0.0, 2.0**-128, 0.001, 0.125, 0.3, 2.0)
_BOUNDS: Final[Sequence[Sequence[float]]] = (
    (0.1, 0.5, 1.0), (0.25, 0.5, 1.0, 2.0), (0.1, 1.0), (1.0,), (-1.0, 0.0, 1.0), (), (0.5, 1.0, 2.0, 5.0, 10.0),
)  # fmt: skip


def stale_histogram(timestamp_ms: int) -> HistogramMessage:
    """The marker of a series of histograms that ends."""
    marker = Histogram()
    marker.sum = STALE_NAN
    marker.timestamp = timestamp_ms
    return marker


def value_text(message: HistogramMessage) -> str:
    """What a message says, in the notation of test files; float counts where it says so."""
    histogram = from_message(message)
    if histogram is None:
        return "stale"
    hint = f" counter_reset_hint:{_HINTS[message.reset_hint]}" if message.reset_hint else ""
    return f"{'float ' if is_float(message) else ''}{histogram_text(replace(histogram, hint='unknown'))}{hint}"


def refilled(message: HistogramMessage, random: Random) -> HistogramMessage:
    """The same histogram with an empty bucket more, or none at all: equal to what it was equal to only by chance."""
    histogram = from_message(message)
    if histogram is None:
        return message
    last = len(histogram.bounds) if histogram.is_custom else int(max([0, *histogram.positive.indices])) + 2
    positive = _refilled(histogram.positive, range(last + 1), random)
    negative = histogram.negative if histogram.is_custom else _refilled(histogram.negative, range(1), random)
    # As one with other empty buckets it is another one, for whoever looks at filled buckets only, too.
    shaken_sum = math.nextafter(histogram.sum, random.choice((math.inf, -math.inf)))
    other = to_message(replace(histogram, positive=positive, negative=negative, sum=shaken_sum))
    other.timestamp, other.reset_hint = message.timestamp, message.reset_hint
    return other


def united(messages: Sequence[HistogramMessage]) -> list[HistogramMessage]:
    """The same histograms with all buckets that any of their kind has, as Prometheus has those in one chunk."""
    histograms = [from_message(message) for message in messages]
    sides: dict[tuple[object, ...], tuple[set[int], set[int]]] = {}
    for histogram in histograms:
        if histogram is None:
            continue
        positive, negative = sides.setdefault((histogram.schema, histogram.bounds), (set(), set()))
        positive.update(histogram.positive.indices.tolist())
        negative.update(histogram.negative.indices.tolist())
    found = []
    for message, histogram in zip(messages, histograms, strict=True):
        if histogram is None:
            found.append(message)
            continue
        positive, negative = sides[histogram.schema, histogram.bounds]
        both = _spread(histogram.positive, positive), _spread(histogram.negative, negative)
        other = to_message(replace(histogram, positive=both[0], negative=both[1]))
        other.timestamp, other.reset_hint = message.timestamp, message.reset_hint
        found.append(other)
    return found


def _spread(buckets: Buckets, wanted: set[int]) -> Buckets:
    indices = np.array(sorted(wanted), np.int32)
    counts = np.zeros(len(indices))
    counts[np.searchsorted(indices, buckets.indices)] = buckets.counts
    return Buckets(indices, counts)


def _refilled(buckets: Buckets, room: Sequence[int], random: Random) -> Buckets:
    filled = buckets.counts != 0
    indices, counts = buckets.indices[filled], buckets.counts[filled]
    free = sorted(set(room) - set(indices.tolist()))
    if free and random.random() < 0.5:
        at = int(np.searchsorted(indices, chosen := random.choice(free)))
        indices, counts = np.insert(indices, at, chosen), np.insert(counts, at, 0.0)
    return Buckets(indices.astype(np.int32), counts)


class NativeSource:
    """One series of native histograms: what its process has observed until now."""

    def __init__(self, random: Random, metric: str) -> None:
        self._random = random
        self._is_gauge = metric == "balance" and random.random() < 0.7
        self._has_negative = metric == "balance" or random.random() < 0.2
        self._is_float = random.random() < 0.3
        self._unit = random.choice((0.75, 0.1))  # how much an observation counts where counts are floats
        self._says = random.choice((_UNKNOWN, _UNKNOWN, _NOT_RESET))  # what it says where there was no reset
        self._changes = random.choice((0.0, 0.02, 0.1))
        self._bounds: Sequence[float] | None = None
        if metric == "size" or random.random() < 0.1:
            self._bounds = random.choice(_BOUNDS)
        self._schema = random.choice(_SCHEMAS)
        self._threshold = random.choice(_THRESHOLDS[:4])
        self._clear()

    def _clear(self) -> None:
        self._positive: Counter[int] = Counter()
        self._negative: Counter[int] = Counter()
        self._zero = 0
        self._no_number = 0
        self._sum = 0.0

    def scrape(self, timestamp_ms: int) -> HistogramMessage:
        """What the process exposes now, after some more observations."""
        hint = _GAUGE if self._is_gauge else self._says
        if self._is_gauge or self._random.random() < 0.03:
            self._clear()
            if not self._is_gauge:
                hint = self._random.choice((_UNKNOWN, _RESET, self._says))
        if self._random.random() < self._changes:
            self._change()
        elif not self._is_gauge and self._random.random() < 0.01:
            hint = _RESET
        for _ in range(self._random.choice((0, 0, 1, 2, 5))):
            self._observe()
        return self._message(timestamp_ms, hint)

    def _observe(self) -> None:
        value = math.exp(self._random.gauss(-0.5, 0.8))
        chance = self._random.random()
        if chance < 0.001:
            self._no_number += 1
            self._sum = math.nan
            return
        if chance < 0.1:
            value = self._random.choice((0.0, 1e-4, 0.2, 1.0, 0.5))
        if self._has_negative and chance > 0.6:
            value = -value
        self._sum += value
        if self._bounds is not None:
            self._positive[sum(bound < value for bound in self._bounds)] += 1
        elif abs(value) <= self._threshold or value == 0.0:
            self._zero += 1
        else:
            side = self._positive if value > 0 else self._negative
            side[math.ceil(math.log2(abs(value)) * 2.0**self._schema)] += 1

    def _change(self) -> None:
        """Another shape: with a reset, or as a process that has too many buckets goes on."""
        if self._bounds is not None:
            self._bounds = self._random.choice(_BOUNDS)
            self._clear()
        elif self._random.random() < 0.3:
            self._schema = self._random.choice((*_SCHEMAS, 5, 8, -4))
            self._threshold = self._random.choice(_THRESHOLDS[:4])
            self._clear()
        elif self._random.random() < 0.5 and self._schema > -4:
            self._schema -= 1
            self._positive, self._negative = (_coarser(side) for side in (self._positive, self._negative))
        else:
            self._widen(self._random.choice(_THRESHOLDS))

    def _widen(self, threshold: float) -> None:
        if threshold <= self._threshold:
            return
        self._threshold = threshold
        for side in (self._positive, self._negative):
            for index in [index for index in side if 2.0 ** (index * 2.0**-self._schema) <= threshold]:
                self._zero += side.pop(index)

    def _message(self, timestamp_ms: int, hint: int) -> HistogramMessage:
        message = Histogram()
        message.timestamp, message.reset_hint, message.sum = timestamp_ms, hint, self._sum
        count = self._positive.total() + self._negative.total() + self._zero + self._no_number
        if self._bounds is None:
            message.schema, message.zero_threshold = self._schema, self._threshold
            self._write(message, "negative", self._negative)
        else:
            message.schema = CUSTOM_BUCKETS
            cast("list[float]", message.custom_values).extend(self._bounds)
        self._write(message, "positive", self._positive)
        if self._is_float:
            message.count_float, message.zero_count_float = count * self._unit, self._zero * self._unit
        else:
            message.count_int, message.zero_count_int = count, self._zero
        return message

    def _write(self, message: HistogramMessage, side: str, counts: Counter[int]) -> None:
        """Spans and buckets of one side."""
        spans, deltas, floats = (getattr(message, f"{side}_{part}") for part in ("spans", "deltas", "counts"))
        end = before = 0
        for index, count in self._filled(counts):
            if not spans or index != end or self._random.random() < 0.05:
                spans.add(offset=index - end, length=0)
            spans[-1].length += 1
            end = index + 1
            if self._is_float:
                floats.append(count * self._unit)
            else:
                deltas.append(count - before)
            before = count

    def _filled(self, counts: Counter[int]) -> Iterator[tuple[int, int]]:
        """Buckets in their order, with some empty ones between them."""
        end: int | None = None
        for index in sorted(counts):
            if end is not None and index - end < 3 and self._random.random() < 0.5:
                yield from ((empty, 0) for empty in range(end, index))
            yield index, counts[index]
            end = index + 1


def _coarser(side: Counter[int]) -> Counter[int]:
    """The same counts in buckets of the next lower schema."""
    merged: Counter[int] = Counter()
    for index, count in side.items():
        merged[(index + 1) // 2] += count
    return merged

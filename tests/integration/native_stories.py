"""Drawn stories of native histograms: what counters do in life, and what they should not do.

All counts and sums are multiples of a quarter, so that adding and subtracting is exact in whatever order it is done.
What Prometheus answers may depend on which empty buckets it stored with a sample, that is on other samples, also later
ones. So a side has always observations or never, and no sample repeats the one before unless all have the same buckets.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from streams.native.histogram import NativeHistogram, Sample, from_message
from streams.wire.frame import encode_sample
from streams.wire.histogram import read_histogram
from streams.wire.protobuf import encode_bytes
from streams.wire.samples import STALE_NAN
from tests.unit.write_request_2 import Histogram

NAMES = ("f", "g", "h")
SAMPLES = 48
STEP_MS = 15_000
_LOOKBACK_MS = 300_000
_THRESHOLDS = (0.0, 2.0**-128, 0.001, 0.25, 0.7, 1.0)
_BOUNDS = ((1.0, 2.0, 5.0), (0.5, 1.0, 2.0, 5.0, 10.0), (-2.0, 0.0, 2.0), (3.0,), ())


def _spans(counts: dict[int, float]) -> tuple[list[dict[str, int]], list[float]]:
    spans: list[dict[str, int]] = []
    end = 0
    for index in sorted(counts):
        if not spans or index != end:
            spans.append({"offset": index - end, "length": 0})
        spans[-1]["length"] += 1
        end = index + 1
    return spans, [counts[index] for index in sorted(counts)]


def _deltas(counts: list[float]) -> list[int]:
    return [int(count - before) for before, count in zip([0.0, *counts], counts, strict=False)]


@dataclass
class Counter:
    """A sender's histogram, as it goes on."""

    random: Random
    custom: bool
    floats: bool
    two_sided: bool
    fixed: bool
    schema: int = 0
    threshold: float = 0.0
    bounds: tuple[float, ...] = ()
    positive: dict[int, float] = field(default_factory=dict)
    negative: dict[int, float] = field(default_factory=dict)
    zero: float = 0.0
    beyond: float = 0.0
    hint: int = 0

    def begin(self) -> None:
        """Anew, in whatever layout."""
        random = self.random
        self.positive, self.negative, self.zero, self.beyond = {}, {}, 0.0, 0.0
        self.schema = -53 if self.custom else random.choice((-1, 0, 0, 1, 2, 3))
        self.threshold = 0.0 if self.custom else random.choice(_THRESHOLDS)
        self.bounds = random.choice(_BOUNDS) if self.custom else ()
        self.hint = random.choice((0, 0, 0, 0, 3))
        if self.fixed:
            self.positive = dict.fromkeys(range(len(self.bounds) + 1) if self.custom else range(-6, 8), 0.0)
        self._fill()

    def _fill(self) -> None:
        """Something on each side, outside of all zero buckets."""
        for counts in (self.positive, self.negative) if self.two_sided and not self.custom else (self.positive,):
            index = len(self.bounds) if self.custom else 7
            counts[index] = counts.get(index, 0.0) + 1.0

    def _amount(self) -> float:
        return self.random.randrange(1, 20) / (4.0 if self.floats else 1.0)

    def observe(self) -> None:
        """More observations, of any size; some of them no number, or empty buckets."""
        random = self.random
        for _ in range(random.randrange(6)):
            index = random.randrange(len(self.bounds) + 1) if self.custom else random.randrange(-6, 8)
            self.positive[index] = self.positive.get(index, 0.0) + random.choice((0.0, self._amount(), self._amount()))
        if not self.fixed:
            self._fill()
        if self.two_sided and not self.custom and random.random() < 0.3:
            index = random.randrange(-4, 5)
            self.negative[index] = self.negative.get(index, 0.0) + self._amount()
        if not self.custom and random.random() < 0.3:
            self.zero += self._amount()
        if random.random() < 0.005:
            self.beyond += self._amount()

    def coarsen(self) -> None:
        """Half the resolution, as a library does that has too many buckets."""
        if self.custom or self.schema == -4:
            return
        self.schema -= 1
        self.positive, self.negative = self._halved(self.positive), self._halved(self.negative)

    @staticmethod
    def _halved(counts: dict[int, float]) -> dict[int, float]:
        halved: dict[int, float] = {}
        for index, count in counts.items():
            halved[(index + 1) // 2] = halved.get((index + 1) // 2, 0.0) + count
        return halved

    def widen(self) -> None:
        """A wider zero bucket, that may or may not end where a bucket ends."""
        if self.custom:
            self.bounds = tuple(bound for bound in self.bounds if self.random.random() < 0.8)
            self.positive = {index: count for index, count in self.positive.items() if index <= len(self.bounds)}
            return
        self.threshold = self.random.choice((0.001, 0.5, 1.0, 2.0, 3.0))
        if self.random.random() < 0.7:
            ends = {index: 2.0 ** (index * 2.0**-self.schema) for index in {*self.positive, *self.negative}}
            for counts in (self.positive, self.negative):
                for index in [index for index in counts if ends[index] <= self.threshold]:
                    self.zero += counts.pop(index)
        self._fill()

    def lose(self) -> None:
        """One bucket, or some of what it counts."""
        if self.positive:
            index = self.random.choice(sorted(self.positive))
            if self.random.random() < 0.5:
                del self.positive[index]
            else:
                self.positive[index] -= self.positive[index] // 2

    def message(self, time_ms: int) -> bytes:
        count = sum(self.positive.values()) + sum(self.negative.values()) + self.zero + self.beyond
        spans, counts = _spans(self.positive)
        negative_spans, negative_counts = _spans(self.negative)
        fields: dict[str, Any] = {
            "sum": math.nan if self.beyond else round(count * self.random.choice((1.0, 1.25, -0.5)) * 4) / 4,
            "schema": self.schema,
            "zero_threshold": self.threshold,
            "positive_spans": spans,
            "negative_spans": negative_spans,
            "custom_values": self.bounds,
            "reset_hint": self.random.choice((0, 0, 1, 2)) if self.hint == 0 else self.hint,
            "timestamp": time_ms,
        }
        if self.floats:
            fields |= {"count_float": count, "positive_counts": counts, "negative_counts": negative_counts}
            fields |= {} if self.custom else {"zero_count_float": self.zero}
        else:
            fields |= {"count_int": int(count), "positive_deltas": _deltas(counts)}
            fields |= {"negative_deltas": _deltas(negative_counts), "zero_count_int": int(self.zero)}
        content: bytes = Histogram(**fields).SerializeToString()
        return content


def _stale(time_ms: int) -> bytes:
    content: bytes = Histogram(count_int=0, sum=STALE_NAN, timestamp=time_ms).SerializeToString()
    return content


# A time, what is written then, and what Driftline reads of it; None = a stale marker.
Written = tuple[int, bytes, float | NativeHistogram | None]


def _tell(random: Random, end_ms: int) -> Iterator[Written]:
    fixed, two_sided = random.choice(((False, True), (False, False), (True, False)))
    counter = Counter(random, random.random() < 0.3, random.random() < 0.5, two_sided, fixed)
    counter.begin()
    events = (counter.begin,) if fixed else (counter.begin, counter.coarsen, counter.widen, counter.lose)
    wild = random.choice((0.0, 0.05, 0.2))
    for step in range(SAMPLES, 0, -1):
        if random.random() < 0.1:
            continue
        time_ms = end_ms - step * STEP_MS + random.randrange(2_000)
        if random.random() < wild:
            random.choice(events)()
        counter.observe()
        chance = random.random()
        if chance < wild / 10:
            value = random.randrange(100) / 4
            yield time_ms, encode_sample(time_ms, value), value
        elif chance < wild / 5:
            yield time_ms, encode_bytes(4, _stale(time_ms)), None
        else:
            if chance < wild / 3:
                counter.custom = not counter.custom
                counter.begin()
            content = counter.message(time_ms)
            yield time_ms, encode_bytes(4, content), from_message(read_histogram(content))


class Story:
    """Three series of one story."""

    def __init__(self, random: Random, end_ms: int) -> None:
        self.series = {name: list(_tell(random, end_ms)) for name in NAMES}

    def between(self, name: str, begin_ms: int, end_ms: int) -> list[Sample]:
        return [(at, value) for at, _, value in self.series[name] if begin_ms < at <= end_ms and value is not None]

    def at(self, name: str, time_ms: int) -> float | NativeHistogram | None:
        there = [value for at, _, value in self.series[name] if time_ms - _LOOKBACK_MS < at <= time_ms]
        return there[-1] if there else None

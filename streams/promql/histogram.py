"""Quantiles and shares of classic histograms.

The rules are Prometheus' (promql/quantile.go, `BucketQuantile`, `BucketFraction`): buckets sorted by bound and added up
where bounds are equal, linear interpolation in the bucket; for quantiles decreases and differences below 1e-12 are
evened out before.
"""

import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np

from streams.promql.vector import Domain, Follower, Grouping, Vector
from streams.series.arrays import Floats, Indices, Mask
from streams.series.labels import Labels, drop_labels

BUCKET_LABEL: Final = "le"
_WITHOUT: Final = frozenset({BUCKET_LABEL})
# Below it, the difference of two buckets is an artefact of rounding.
_SMALL_DELTA = 1e-12
_MIN_NORMAL = 2.2250738585072014e-308
_MAX = 1.7976931348623157e308
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)|nan", re.IGNORECASE | re.ASCII)
_HEXADECIMAL = re.compile(r"[+-]?0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?\d+", re.ASCII)


def parse_bound(text: str) -> float:
    """The bound in a `le` label as Go reads numbers; NaN = none.

    >>> parse_bound("+Inf"), parse_bound("1_000")
    (inf, nan)
    """
    if _DECIMAL.fullmatch(text):
        bound = float(text)
        # What overflows is an error in Go, not infinity.
        return math.nan if math.isinf(bound) and "n" not in text.lower() else bound
    if _HEXADECIMAL.fullmatch(text):
        try:
            return float.fromhex(text)
        except OverflowError:
            return math.nan
    return math.nan


def bucket_quantile(quantile: float, bounds: list[float], counts: list[float]) -> float:
    """The quantile of one histogram.

    Args:
        bounds: upper bounds, ascending, repeats allowed, not empty. counts: cumulative, one for each bound.
    """
    if quantile < 0.0 or quantile > 1.0:
        return math.copysign(math.inf, quantile)
    if math.isnan(quantile) or bounds[-1] != math.inf:
        return math.nan
    if any(low == high for low, high in pairwise(bounds)):
        bounds, counts = _coalesced(bounds, counts)
    counts = _even_out(counts)
    last = len(bounds) - 1
    observations = counts[-1]
    if last < 1 or observations == 0:
        return math.nan
    return _interpolated(bounds, counts, quantile * observations)


def _interpolated(bounds: list[float], counts: list[float], rank: float) -> float:
    last = len(bounds) - 1
    bucket = _search(counts, rank)
    if bucket == last:
        return bounds[-2]
    if bucket == 0 and bounds[0] <= 0:
        return bounds[0]
    start, count = 0.0, counts[bucket]
    if bucket > 0:
        start = bounds[bucket - 1]
        count -= counts[bucket - 1]
        rank -= counts[bucket - 1]
    # Only counts that are no numbers, or infinite, come to 0 / 0 here.
    return start + (bounds[bucket] - start) * (rank / count if count else math.nan)


def bucket_fraction(lower: float, upper: float, bounds: list[float], counts: list[float]) -> float:
    """The share of the observations of one histogram between two values; as `bucket_quantile`."""
    if bounds[-1] != math.inf:
        return math.nan
    bounds, counts = _coalesced(bounds, counts)
    observations = counts[-1]
    if observations == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    below = [_rank_of(value, bounds, counts) for value in (lower, upper)]
    # Written so that counts that are no numbers come out as Prometheus has them.
    low, high = (observations if rank is None or rank > observations else rank for rank in below)
    return (high - low) / observations if observations else math.nan


def _rank_of(value: float, bounds: list[float], counts: list[float]) -> float | None:
    """How many observations lie below a value; None = it is beyond all buckets."""
    start = 0.0 if bounds[0] > 0 else -math.inf
    rank = 0.0
    for bound, count in zip(bounds, counts, strict=True):
        if start >= value:
            return rank
        if value < bound:
            # A bucket without an end does not tell where in it.
            return count if start == -math.inf else rank + (count - rank) * (value - start) / (bound - start)
        start, rank = bound, count
    return None


def _search(counts: list[float], rank: float) -> int:
    """The first bucket but the last whose count reaches the rank, else the last; by halves, which matters for NaN."""
    low, high = 0, len(counts) - 1
    while low < high:
        middle = (low + high) // 2
        if counts[middle] >= rank:
            high = middle
        else:
            low = middle + 1
    return low


def _coalesced(bounds: list[float], counts: list[float]) -> tuple[list[float], list[float]]:
    new_bounds, new_counts = bounds[:1], counts[:1]
    for bound, count in zip(bounds[1:], counts[1:], strict=True):
        if bound == new_bounds[-1]:
            new_counts[-1] += count
        else:
            new_bounds.append(bound)
            new_counts.append(count)
    return new_bounds, new_counts


def _even_out(counts: list[float]) -> list[float]:
    out = counts[:1]
    before = counts[0]
    for count in counts[1:]:
        if count < before or _almost_equal(before, count):
            out.append(before)
        else:
            out.append(count)
            before = count
    return out


def _almost_equal(first: float, second: float) -> bool:
    if math.isnan(first) and math.isnan(second):
        return True
    if first == second:
        return True
    total, difference = abs(first) + abs(second), abs(first - second)
    if first == 0 or second == 0 or total < _MIN_NORMAL:
        return difference < _SMALL_DELTA * _MIN_NORMAL
    return difference / min(total, _MAX) < _SMALL_DELTA


def _without_bound(labels: Labels) -> Labels:
    return drop_labels(labels, _WITHOUT)


class Buckets(Follower):
    """Which elements of a vector are the buckets of which histogram, in the order of their bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.histograms = Grouping(_without_bound)
        self._bounds: list[float] = []
        self._texts: list[str] = []
        self._order: Indices | None = None

    def apply(self, function: Callable[[list[float], list[float]], float], vector: Vector) -> Vector:
        """A function of each histogram's bounds and counts; the result's elements are `histograms`' groups."""
        groups = self.histograms.of(vector.domain)
        self._follow(vector.domain)
        if self._order is None:
            self._order = self._sort(groups)
        order = self._order[vector.present[self._order]]
        values = np.full(self.histograms.size, np.nan)
        present: Mask = np.zeros(self.histograms.size, np.bool_)
        if not order.size:
            return Vector(self.histograms, values, present)
        owners = groups[order]
        starts = np.concatenate(([0], np.flatnonzero(owners[1:] != owners[:-1]) + 1))
        counts = vector.values[order].tolist()
        bounds = [self._bounds[element] for element in order.tolist()]
        cuts = [*starts.tolist(), len(counts)]
        values[owners[starts]] = [function(bounds[start:end], counts[start:end]) for start, end in pairwise(cuts)]
        present[owners[starts]] = True
        return Vector(self.histograms, values, present)

    def _extend(self, domain: Domain, start: int, end: int) -> None:
        for element in range(start, end):
            text = dict(domain.labels(element)).get(BUCKET_LABEL, "")
            self._texts.append(text)
            self._bounds.append(parse_bound(text))
        self._order = None

    def _keep(self, kept: Mask) -> None:
        self._bounds = [bound for bound, stays in zip(self._bounds, kept.tolist(), strict=True) if stays]
        self._texts = [text for text, stays in zip(self._texts, kept.tolist(), strict=True) if stays]
        self._order = None

    def _sort(self, groups: Indices) -> Indices:
        bounds: Floats = np.array(self._bounds)
        buckets = np.flatnonzero(~np.isnan(bounds))
        # Bounds that are equal but written differently are added up: in an order that does not depend on arrival.
        texts = np.argsort(np.argsort(np.array(self._texts), kind="stable"), kind="stable")
        return buckets[np.lexsort((texts[buckets], bounds[buckets], groups[buckets]))]

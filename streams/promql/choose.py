"""Aggregations that choose elements instead of adding them up, `topk bottomk limitk`, and `count_values`."""

from collections.abc import Callable
from typing import Final

import numpy as np

from streams.promql.numbered import Numbered
from streams.promql.vector import Domain, EvaluationError, Follower, Grouping, Vector
from streams.series.arrays import Floats, Indices, Mask
from streams.series.labels import Labels, drop_labels

# A value's place among those of its group: the lowest come first, NaN last.
CHOOSERS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "topk": np.negative,
    "bottomk": np.positive,
    "limitk": np.zeros_like,
}
_MOST = 2.0**63


class _LabelOrder(Follower):
    """The place of each element in the order of labels, so that ties do not depend on the order of arrival."""

    def __init__(self) -> None:
        super().__init__()
        self._labels: list[Labels] = []
        self._places: Indices | None = None

    def of(self, domain: Domain) -> Indices:
        self._follow(domain)
        if self._places is None:
            order = sorted(range(len(self._labels)), key=self._labels.__getitem__)
            self._places = np.empty(len(order), np.intp)
            self._places[order] = np.arange(len(order))
        return self._places

    def _extend(self, domain: Domain, start: int, end: int) -> None:
        self._labels += [domain.labels(element) for element in range(start, end)]
        self._places = None

    def _keep(self, kept: Mask) -> None:
        self._labels = [labels for labels, stays in zip(self._labels, kept.tolist(), strict=True) if stays]
        self._places = None


class Chooser:
    """Keeps some elements of each group, as they are; among equal ones those whose labels come first."""

    def __init__(self, operator: str, grouping: Grouping) -> None:
        self._key = CHOOSERS[operator]
        self._grouping = grouping
        self._order = _LabelOrder()

    def apply(self, number: float, vector: Vector) -> Vector:
        """The vector with at most so many elements of each group.

        Raises:
            EvaluationError: the number is none, or too large for one.
        """
        if np.isnan(number) or number >= _MOST:
            raise EvaluationError(f"how many elements to choose must be a number of them, got {number:g}")
        present = np.zeros(len(vector.present), np.bool_)
        if number < 1.0:
            return Vector(vector.domain, vector.values, present)
        groups = self._grouping.of(vector.domain)
        elements = np.flatnonzero(vector.present)
        keys = self._key(vector.values[elements])
        places = self._order.of(vector.domain)[elements]
        order = np.lexsort((places, keys, np.isnan(keys), groups[elements]))
        owners = groups[elements][order]
        starts = np.flatnonzero(np.concatenate(([True], owners[1:] != owners[:-1]))) if owners.size else owners
        within = np.arange(len(owners)) - np.repeat(starts, np.diff(starts, append=len(owners)))
        present[elements[order[within < int(min(number, len(owners)))]]] = True
        return Vector(vector.domain, vector.values, present)


class ValueCounter:
    """`count_values`: how many elements of each group have which value, the value as one more label.

    texts: values as they stand in the label.
    shows: whether the label is on the results; it is not where it is among those of `without`.
    """

    def __init__(self, label: str, grouping: Grouping, texts: Callable[[Floats], list[str]], *, shows: bool) -> None:
        self._label = label
        self._texts = texts
        self._shows = shows
        self._grouping = grouping
        self._results = Numbered()
        self._in_use = 0

    def apply(self, vector: Vector) -> Vector:
        """The counts at a step."""
        self._results.tidy(self._in_use)
        groups = self._grouping.of(vector.domain)[vector.present]
        counts: dict[int, int] = {}
        for group, text in zip(groups.tolist(), self._texts(vector.values[vector.present]), strict=True):
            labels = drop_labels(self._grouping.labels(group), frozenset({self._label}))
            if self._shows:
                labels = tuple(sorted((*labels, (self._label, text))))
            number = self._results.number(labels)
            counts[number] = counts.get(number, 0) + 1
        values, present = np.zeros(self._results.size), np.zeros(self._results.size, np.bool_)
        values[list(counts)] = list(counts.values())
        present[list(counts)] = True
        self._in_use = len(counts)
        return Vector(self._results, values, present)


def format_value(value: float) -> str:
    """A number as Prometheus puts it into a label: all digits that tell it apart, no exponent.

    >>> format_value(1e21), format_value(-0.5), format_value(float("inf")), format_value(3.0)
    ('1000000000000000000000', '-0.5', '+Inf', '3')
    """
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return np.format_float_positional(value, unique=True, trim="-")

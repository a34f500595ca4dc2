"""What operators and functions do with elements that are native histograms.

Most take floats only, and such elements leave the vector on the way, as in Prometheus, which adds a note to its answer.
Those that do take them go through them one by one.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from streams.native.algebra import added, divided, equal, scaled, subtracted
from streams.native.histogram import NativeHistogram, text_of
from streams.native.quantile import deviation, mean, variance
from streams.native.total import average, total
from streams.promql.choose import format_value
from streams.promql.vector import EvaluationError, Grouping, Vector
from streams.series.arrays import Floats, Indices, Mask
from streams.series.histograms import Histograms, is_boxed

# Functions of one histogram that are numbers.
MEASURES: Final[dict[str, Callable[[NativeHistogram], float]]] = {
    "histogram_avg": mean,
    "histogram_count": lambda histogram: histogram.count,
    "histogram_stddev": deviation,
    "histogram_stdvar": variance,
    "histogram_sum": lambda histogram: histogram.sum,
}
# Aggregations that count elements, whatever they are.
COUNTING: Final = frozenset({"count", "group", "limitk", "count_values"})
TOTALS: Final[dict[str, Callable[[Sequence[NativeHistogram]], NativeHistogram | None]]] = {
    "sum": total,
    "avg": average,
}

_EQUALITY: Final = frozenset({"==", "!="})


def native_elements(vector: Vector) -> Mask:
    """Which elements are there and are native histograms."""
    return vector.present & is_boxed(vector.values)


class Natives:
    """Operations on vectors, some of whose elements are native histograms."""

    def __init__(self, histograms: Histograms) -> None:
        self.histograms = histograms

    def floats_of(self, vector: Vector) -> Vector:
        """The vector without them."""
        if not len(self.histograms):
            return vector
        boxed = is_boxed(vector.values)
        return Vector(vector.domain, vector.values, vector.present & ~boxed) if boxed.any() else vector

    def find(self, vector: Vector) -> Indices:
        """Their places."""
        return np.flatnonzero(native_elements(vector)) if len(self.histograms) else np.zeros(0, np.intp)

    def measure(self, function: Callable[[NativeHistogram], float], vector: Vector) -> Vector:
        """A number for each of them; the other elements leave."""
        values, present = np.full(len(vector.values), np.nan), np.zeros(len(vector.values), np.bool_)
        places = self.find(vector)
        values[places] = [function(histogram) for histogram in self.histograms.unbox(vector.values[places])]
        present[places] = True
        return Vector(vector.domain, values, present)

    def replace(self, of: Vector, result: Vector, function: Callable[[NativeHistogram], NativeHistogram]) -> Vector:
        """The result of a function of floats, with that of histograms where `of` has them; same elements."""
        places = self.find(of)
        if not places.size:
            return result
        values = result.values.copy()
        values[places] = [self.histograms.box(function(old)) for old in self.histograms.unbox(of.values[places])]
        return Vector(result.domain, values, result.present)

    def with_scalar(
        self, operator: str, vector: Vector, scalar: float, result: Vector, *, scalar_first: bool
    ) -> Vector:
        """The result of an operator with a scalar on floats, with that on histograms: only `*` and `/` have any."""
        if not self.find(vector).size:
            return result
        if operator == "*":
            return self.replace(vector, result, lambda histogram: scaled(histogram, scalar))
        if operator == "/" and not scalar_first:
            return self.replace(vector, result, lambda histogram: divided(histogram, scalar))
        return Vector(result.domain, result.values, result.present & ~is_boxed(vector.values))

    def combine(self, operator: str, left: Floats, right: Floats, values: Floats) -> tuple[Floats, Mask]:
        """The results of arithmetic between floats with those where one side or both are histograms.

        Returns:
            The results, and which pairs have any.
        """
        valid = np.ones(len(left), np.bool_)
        places = self._either(left, right)
        if not places:
            return values, valid
        for place in places:
            result = _combined(operator, self._element(left, place), self._element(right, place))
            valid[place] = result is not None
            if result is not None:
                values[place] = self.histograms.box(result)
        return values, valid

    def compare(self, operator: str, left: Floats, right: Floats, holds: Mask) -> tuple[Mask, Mask]:
        """The answers of a comparison between floats with those where one side or both are histograms; as `combine`."""
        valid = np.ones(len(left), np.bool_)
        for place in self._either(left, right):
            one, other = self._element(left, place), self._element(right, place)
            valid[place] = False
            if operator in _EQUALITY and isinstance(one, NativeHistogram) and isinstance(other, NativeHistogram):
                holds[place], valid[place] = equal(one, other) == (operator == "=="), True
        return holds, valid

    def total(
        self,
        operator: str,
        vector: Vector,
        grouping: Grouping,
        result: Vector,
    ) -> Vector:
        """`sum` or `avg` of floats by groups, with that of histograms.

        A group that has both has no result; neither has one whose histograms cannot be added.

        Args:
            grouping: whose groups the result's elements are. result: of the floats alone.
        """
        places = self.find(vector)
        if not places.size:
            return result
        groups, values, present = grouping.of(vector.domain), result.values.copy(), result.present.copy()
        members: dict[int, list[int]] = {}
        for place in self.in_order(vector, places):
            members.setdefault(int(groups[place]), []).append(place)
        for group, elements in members.items():
            added_up = None if present[group] else TOTALS[operator](self.histograms.unbox(vector.values[elements]))
            present[group] = added_up is not None
            if added_up is not None:
                values[group] = self.histograms.box(added_up)
        return Vector(result.domain, values, present)

    def in_order(self, vector: Vector, places: Indices) -> list[int]:
        """Elements in an order that does not depend on which series came first."""
        return sorted(places.tolist(), key=vector.domain.labels)

    def texts(self, values: Floats) -> list[str]:
        """Values as Prometheus puts them into labels.

        Raises:
            EvaluationError: there is none. What has custom buckets has no zero bucket, and after `* Inf` not even none.
        """
        texts = []
        for element in self.elements_of(values):
            if isinstance(element, NativeHistogram) and element.is_custom and element.zero_count:
                raise EvaluationError("a histogram with custom buckets has a zero bucket")
            texts.append(format_value(element) if isinstance(element, float) else text_of(element))
        return texts

    def elements_of(self, values: Floats) -> list[float | NativeHistogram]:
        """What values stand for."""
        return [self._element(values, place) for place in range(len(values))]

    def _either(self, left: Floats, right: Floats) -> list[int]:
        """The pairs in which one side at least is a histogram."""
        return np.flatnonzero(is_boxed(left) | is_boxed(right)).tolist() if len(self.histograms) else []

    def _element(self, values: Floats, place: int) -> float | NativeHistogram:
        one = values[place : place + 1]
        return self.histograms.unbox(one)[0] if is_boxed(one)[0] else float(one[0])


def _combined(operator: str, left: float | NativeHistogram, right: float | NativeHistogram) -> NativeHistogram | None:
    """Arithmetic between two elements, one of them at least a histogram; None = it has no result."""
    match left, right, operator:
        case NativeHistogram(), NativeHistogram(), "+" | "-":
            if {left.hint, right.hint} == {"reset", "not_reset"}:
                return None  # Prometheus warns, and drops what it warns of
            return added(left, right) if operator == "+" else subtracted(left, right)
        case NativeHistogram(), float(), "*":
            return scaled(left, right)
        case NativeHistogram(), float(), "/":
            return divided(left, right)
        case float(), NativeHistogram(), "*":
            return scaled(right, left)
        case _:
            return None

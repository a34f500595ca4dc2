"""One query at a step: its result as points of a frame."""

import math

import numpy as np

from streams.frame import point_id
from streams.promql.plan import Part
from streams.promql.vector import Domain, EvaluationError, Follower, Value, Vector
from streams.query import Query
from streams.series.arrays import Indices, Mask
from streams.series.histograms import is_boxed
from streams.series.labels import METRIC_NAME

Point = tuple[str, float | None, float | None]

_NO_NUMBER = (
    "the result is a native histogram, and an indicator is a number: "
    "take histogram_quantile, histogram_fraction, histogram_avg, histogram_count or histogram_sum of it"
)


def finite(value: float) -> float | None:
    """The value as it is published: what is no finite number is no data."""
    return value if math.isfinite(value) else None


class _Ids(Follower):
    """The point id of each element of a result, and the order of the ids."""

    def __init__(self, query_id: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self._query_id = query_id
        self._order: Indices | None = None

    def of(self, domain: Domain) -> Indices:
        """The elements in the order of their ids."""
        self._follow(domain)
        if self._order is None:
            self._order = np.array(sorted(range(len(self.ids)), key=self.ids.__getitem__), np.intp)
        return self._order

    def _extend(self, domain: Domain, start: int, end: int) -> None:
        for element in range(start, end):
            labels = {name: value for name, value in domain.labels(element) if name != METRIC_NAME}
            self.ids.append(point_id(self._query_id, labels))
        self._order = None

    def _keep(self, kept: Mask) -> None:
        self.ids = [point for point, stays in zip(self.ids, kept.tolist(), strict=True) if stays]
        self._order = None


class Indicator:
    """A query with the parts that compute it.

    failure: why it had no value at the latest step although it could be computed; None = it had none or one.
    """

    def __init__(self, query: Query, value: Part, weight: Part | None) -> None:
        self.query = query
        self.failure: str | None = None
        self._value = value
        self._weight = weight
        self._value_ids = _Ids(query.id)
        self._weight_ids = _Ids(query.id)

    def points_at(self, step_ms: int) -> list[Point]:
        """Its points at a step, by id; one without a value where there is no data."""
        self.failure = None
        try:
            values = self._read(self._value.at(step_ms), self._value_ids)
            weights = {} if self._weight is None else self._read(self._weight.at(step_ms), self._weight_ids)
        except EvaluationError as error:
            self.failure = str(error)
            return [(self.query.id, None, None)]
        if not values:
            return [(self.query.id, None, weights.get(self.query.id))]
        total = weights.get(self.query.id)
        return [(point, value, weights.get(point, total)) for point, value in values.items()]

    def _read(self, value: Value, ids: _Ids) -> dict[str, float | None]:
        if not isinstance(value, Vector):
            return {self.query.id: finite(value)}
        order = ids.of(value.domain)
        elements = order[value.present[order]]
        points = {
            ids.ids[element]: finite(number)
            for element, number in zip(elements.tolist(), value.values[elements].tolist(), strict=True)
        }
        if is_boxed(value.values[elements]).any():
            raise EvaluationError(_NO_NUMBER)
        if len(points) < len(elements):
            raise EvaluationError("several elements have the same labels but for the metric name")
        return points

"""PromQL evaluated the obvious way, sample by sample, straight from Prometheus' rules: what the plan is compared with.

Shares only the parsed nodes and the matchers with the product.
"""

import math
import operator
import struct
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from operator import itemgetter

from streams.promql.expression import (
    Aggregation,
    Binary,
    Call,
    Expression,
    Matching,
    Negation,
    Number,
    Selector,
    Subquery,
    Text,
)
from streams.series.matchers import matches_all
from tests.property.reference_ranges import Sample, added, deviation, extreme, mean, median, over_range

Labels = tuple[tuple[str, str], ...]
Vector = dict[Labels, float]
STALE = struct.pack("<Q", 0x7FF0000000000002)
LOOKBACK_MS = 300_000
OUT_OF_ORDER_MS = 30_000


class FailedQueryError(Exception):
    """Prometheus would fail the query."""


def is_stale(value: float) -> bool:
    return struct.pack("<d", value) == STALE


def without(labels: Labels, *names: str) -> Labels:
    return tuple(pair for pair in labels if pair[0] not in names)


def only(labels: Labels, *names: str) -> Labels:
    return tuple(pair for pair in labels if pair[0] in names)


class Reference:
    """Samples by series, and what an expression comes to at a step."""

    def __init__(self) -> None:
        self.series: dict[Labels, list[Sample]] = {}

    def add(self, labels: Mapping[str, str], time_ms: int, value: float) -> str | None:
        samples = self.series.setdefault(tuple(sorted((n, v) for n, v in labels.items() if v)), [])
        if samples and time_ms < samples[-1][0] - OUT_OF_ORDER_MS:
            return "out_of_order"
        place = bisect_left(samples, time_ms, key=itemgetter(0))
        if place < len(samples) and samples[place][0] == time_ms:
            return "duplicate"
        samples.insert(place, (time_ms, value))
        return None

    def evaluate(self, node: Expression, step_ms: int) -> float | Vector:
        match node:
            case Number():
                return node.value
            case Selector():
                return self._instant(node, step_ms)
            case Negation():
                value = self.evaluate(node.operand, step_ms)
                return unnamed({k: -v for k, v in value.items()}) if isinstance(value, dict) else -value
            case Aggregation():
                parameter = self.evaluate(node.parameter, step_ms) if isinstance(node.parameter, Number) else 0.0
                assert isinstance(parameter, float)
                return aggregate(node, self._vector(node.operand, step_ms), parameter)
            case Binary():
                return binary(node, self.evaluate(node.left, step_ms), self.evaluate(node.right, step_ms))
            case Call():
                return self._call(node, step_ms)
            case Text() | Subquery():
                raise AssertionError

    def _vector(self, node: Expression, step_ms: int) -> Vector:
        value = self.evaluate(node, step_ms)
        assert isinstance(value, dict)
        return value

    def _select(self, selector: Selector) -> list[tuple[Labels, list[Sample]]]:
        return [(k, s) for k, s in self.series.items() if matches_all(selector.matchers, dict(k))]

    def _instant(self, selector: Selector, step_ms: int) -> Vector:
        at = step_ms - selector.offset_ms
        result = {}
        for labels, samples in self._select(selector):
            past = [s for s in samples if s[0] <= at]
            if past and past[-1][0] > at - LOOKBACK_MS and not is_stale(past[-1][1]):
                result[labels] = past[-1][1]
        return result

    def _call(self, node: Call, step_ms: int) -> float | Vector:
        name = node.function
        first = node.arguments[0]
        if isinstance(first, Subquery) or (isinstance(first, Selector) and first.range_ms is not None):
            return self._range_call(name, first, step_ms)
        values = [self.evaluate(argument, step_ms) for argument in node.arguments]
        if name == "vector":
            assert isinstance(values[0], float)
            return {(): values[0]}
        vector = values[1 if name == "histogram_quantile" else 0]
        assert isinstance(vector, dict)
        if name == "scalar":
            return next(iter(vector.values())) if len(vector) == 1 else math.nan
        if name == "abs":
            return unnamed({k: abs(v) for k, v in vector.items()})
        scalar = values[0 if name == "histogram_quantile" else 1]
        assert isinstance(scalar, float)
        if name == "histogram_quantile":
            return histogram_quantile(scalar, vector)
        choose: Callable[[float, float], float] = max if name == "clamp_min" else min
        return unnamed(
            {k: math.nan if math.isnan(v) or math.isnan(scalar) else choose(v, scalar) for k, v in vector.items()}
        )

    def _range_call(self, name: str, node: Selector | Subquery, step_ms: int) -> Vector:
        assert node.range_ms is not None
        end = step_ms - node.offset_ms
        begin = end - node.range_ms
        result = {}
        for labels, samples in self._replay(node, begin, end) if isinstance(node, Subquery) else self._select(node):
            inside = [(t, v) for t, v in samples if begin < t <= end and not is_stale(v)]
            value = over_range(name, inside, begin, end) if inside else None
            if value is not None:
                result[labels] = value
        return result if name == "last_over_time" else unnamed(result)

    def _replay(self, node: Subquery, begin: int, end: int) -> list[tuple[Labels, list[Sample]]]:
        found: dict[Labels, list[Sample]] = defaultdict(list)
        for number in range(begin // node.step_ms + 1, end // node.step_ms + 1):
            for labels, value in self._vector(node.operand, number * node.step_ms).items():
                found[labels].append((number * node.step_ms, value))
        return list(found.items())


def unnamed(vector: Vector) -> Vector:
    result = {without(labels, "__name__"): value for labels, value in vector.items()}
    if len(result) < len(vector):
        raise FailedQueryError("same labelset")
    return result


AGGREGATORS: dict[str, Callable[[list[float]], float]] = {
    "sum": added,
    "avg": mean,
    "count": len,
    "group": lambda _: 1.0,
    "stddev": deviation,
    "quantile": median,  # the only one that is asked for
    "min": extreme(min),
    "max": extreme(max),
}


def aggregate(node: Aggregation, vector: Vector, parameter: float) -> Vector:
    groups: dict[Labels, list[tuple[Labels, float]]] = defaultdict(list)
    for labels, value in vector.items():
        key = without(labels, "__name__", *node.labels) if node.without else only(labels, *node.labels)
        groups[key].append((labels, value))
    if node.operator == "topk":
        chosen = (sorted(elements, key=from_the_top)[: int(parameter)] for elements in groups.values())
        return {labels: value for elements in chosen for labels, value in elements}
    if node.operator == "count_values":
        assert isinstance(node.parameter, Text)
        counts: Vector = defaultdict(float)
        for key, elements in groups.items():
            for _, value in elements:
                counts[tuple(sorted((*key, (node.parameter.value, f"{value:g}"))))] += 1.0
        return dict(counts)
    return {key: AGGREGATORS[node.operator]([value for _, value in elements]) for key, elements in groups.items()}


def from_the_top(element: tuple[Labels, float]) -> tuple[bool, float, Labels]:
    labels, value = element
    return math.isnan(value), 0.0 if math.isnan(value) else -value, labels


def histogram_quantile(quantile: float, vector: Vector) -> Vector:
    histograms: dict[Labels, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for labels, value in vector.items():
        try:
            bound = float(dict(labels).get("le", ""))
        except ValueError:
            continue
        histograms[without(labels, "le")][bound] += value
    return unnamed({key: bucket_quantile(quantile, sorted(b.items())) for key, b in histograms.items()})


def bucket_quantile(quantile: float, buckets: list[tuple[float, float]]) -> float:
    if math.isnan(quantile) or not 0 <= quantile <= 1:
        return math.nan if math.isnan(quantile) else math.copysign(math.inf, quantile)
    if buckets[-1][0] != math.inf or len(buckets) < 2:
        return math.nan
    counts = [buckets[0][1]]
    for _, count in buckets[1:]:
        close = abs(count - counts[-1]) < 1e-12 * (abs(count) + abs(counts[-1])) and count and counts[-1]
        counts.append(counts[-1] if count < counts[-1] or close else count)
    if counts[-1] == 0 or math.isnan(counts[-1]):
        return math.nan
    rank = quantile * counts[-1]
    at = next((i for i in range(len(counts) - 1) if counts[i] >= rank), len(counts) - 1)
    if at == len(counts) - 1:
        return buckets[-2][0]
    if at == 0 and buckets[0][0] <= 0:
        return buckets[0][0]
    low, below = (buckets[at - 1][0], counts[at - 1]) if at else (0.0, 0.0)
    inside = counts[at] - below
    return low + (buckets[at][0] - low) * ((rank - below) / inside) if inside else math.nan


def divide(left: float, right: float) -> float:
    if right == 0:
        nothing = left == 0 or math.isnan(left)
        return math.nan if nothing else math.copysign(math.inf, left) * math.copysign(1, right)
    return left / right


def modulo(left: float, right: float) -> float:
    return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


def power(left: float, right: float) -> float:
    try:
        result = left**right
    except (ZeroDivisionError, OverflowError):
        return math.inf
    return math.nan if isinstance(result, complex) else float(result)


OPERATORS: dict[str, Callable[[float, float], float | bool]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
    "%": modulo,
    "^": power,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def operate(name: str, left: float, right: float) -> float | bool:
    return OPERATORS[name](left, right)


def binary(node: Binary, left: float | Vector, right: float | Vector) -> float | Vector:
    if node.operator in {"and", "or", "unless"}:
        assert isinstance(left, dict)
        assert isinstance(right, dict)
        return set_operation(node, left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return between_vectors(node, left, right)
    if not isinstance(left, dict) and not isinstance(right, dict):
        return float(operate(node.operator, left, right))
    vector = left if isinstance(left, dict) else right
    assert isinstance(vector, dict)
    result = {}
    drops = node.as_bool
    for labels, value in vector.items():
        sides = (value, right) if isinstance(left, dict) else (left, value)
        answer = operate(node.operator, *sides)  # type: ignore[arg-type]  # the other side is a scalar
        if not isinstance(answer, bool):
            result[labels], drops = answer, True
        elif node.as_bool:
            result[labels] = float(answer)
        elif answer:
            result[labels] = value
    return unnamed(result) if drops or node.operator in "+-*/%^" else result


def signature(matching: Matching, labels: Labels) -> Labels:
    return only(labels, *matching.labels) if matching.on else without(labels, "__name__", *matching.labels)


def set_operation(node: Binary, left: Vector, right: Vector) -> Vector:
    lefts = {signature(node.matching, labels) for labels in left}
    rights = {signature(node.matching, labels) for labels in right}
    if node.operator == "or":
        return {**left, **{k: v for k, v in right.items() if signature(node.matching, k) not in lefts}}
    return {k: v for k, v in left.items() if (signature(node.matching, k) in rights) == (node.operator == "and")}


def between_vectors(node: Binary, left: Vector, right: Vector) -> Vector:
    if not left or not right:
        return {}
    matching = node.matching
    swapped = matching.many == "right"
    many, one = (right, left) if swapped else (left, right)
    partners: dict[Labels, tuple[Labels, float]] = {}
    for labels, value in one.items():
        if signature(matching, labels) in partners:
            raise FailedQueryError("many to many")
        partners[signature(matching, labels)] = (labels, value)
    result: Vector = {}
    met = set()
    for labels, value in many.items():
        key = signature(matching, labels)
        if key not in partners:
            continue
        other, other_value = partners[key]
        sides = (other_value, value) if swapped else (value, other_value)
        answer = operate(node.operator, *sides)
        if answer is False and not node.as_bool:
            continue
        filters = answer is True and not node.as_bool
        out = result_labels(matching, labels if filters else without(labels, "__name__"), other)
        if out in result or (matching.many is None and key in met):
            raise FailedQueryError("not unique")
        met.add(key)
        result[out] = sides[0] if filters else float(answer)
    return result


def result_labels(matching: Matching, many: Labels, one: Labels) -> Labels:
    if matching.many is None:
        many = only(many, *matching.labels) if matching.on else without(many, *matching.labels)
    return tuple(sorted((*without(many, *matching.include), *only(one, *matching.include))))

"""What rounding decides: a plan whose numbers are shaken in their last places, and what that leaves of an answer.

So is what Prometheus' storage decides: the order in which histograms are added up, which matters where they are not
alike, and which empty buckets they have.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

import numpy as np

from streams.native.histogram import Buckets, NativeHistogram
from streams.promql.expression import Aggregation, Binary, Call, Expression
from streams.promql.lanes import Feed, Lanes
from streams.promql.native import Natives
from streams.promql.parse import parse_expression
from streams.promql.plan import Evaluate, Part, Plan
from streams.promql.subquery import Replay
from streams.promql.vector import Grouping, Value, Vector
from streams.series.arrays import Floats, Indices
from streams.series.histograms import is_boxed
from tests.differential.answers import COUNT, RELATIVE, SUM, Answer, Key, difference, elements_in, evaluate, number_at
from tests.differential.series import Stored

# Functions that give the same bits on every machine and in every order: nothing is added up or approximated.
_EXACT = frozenset(
    {
        "abs", "absent", "absent_over_time", "ceil", "changes", "clamp", "clamp_max", "clamp_min", "count_over_time",
        "day_of_month", "day_of_week", "day_of_year", "days_in_month", "floor", "histogram_count", "histogram_sum",
        "hour", "label_join", "label_replace", "last_over_time", "max_over_time", "min_over_time", "minute", "month",
        "pi", "present_over_time", "resets", "round", "scalar", "sgn", "sort", "sort_desc", "sqrt", "time", "timestamp",
        "vector", "year",
    }
)  # fmt: skip
# As many stories with other empty buckets by chance are told.
_STORIES = 3
_ADDED = frozenset({"sum", "avg", "stddev", "stdvar"})


class ShuffledNatives(Natives):
    """Adds histograms up in an order by chance."""

    def in_order(self, vector: Vector, places: Indices) -> list[int]:
        return Shaken.random.sample(super().in_order(vector, places), len(places))


class Shaken(Plan):
    """A plan whose sums and approximations are off by some units in the last place, as another order would have them.

    What answers something else then has no value to 1e-9, in Prometheus neither: the order of its series is its own.
    """

    random = Random(0)

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(lanes)
        self.natives = ShuffledNatives(lanes.histograms)
        self._all: list[Part | Replay] = []

    def part(self, expression: Expression) -> Part:
        """A part of its own for each occurrence: Prometheus computes each anew, in another order."""
        part = Part(self._compile(expression))
        self._all.append(part)
        return part

    def forget(self) -> None:
        super().forget()
        for part in self._all:
            part.forget()

    def _source(self, node: Expression) -> Feed | Replay:
        source = super()._source(node)
        if isinstance(source, Replay):
            self._replays.clear()
            self._all.append(source)
        return source

    def _compile(self, node: Expression) -> Evaluate:
        evaluate = super()._compile(node)
        match node:
            case Call() if node.function not in _EXACT:
                return self._shaking(evaluate)
            case Aggregation() if node.operator in _ADDED or node.operator == "quantile":
                return self._shaking(evaluate)
            case Binary() if node.operator in {"^", "atan2"}:
                return self._shaking(evaluate)
        return evaluate

    def _shaking(self, evaluate: Evaluate) -> Evaluate:
        def shaken(step_ms: int) -> Value:
            value = evaluate(step_ms)
            if isinstance(value, Vector):
                return Vector(value.domain, self._shake(value.values), value.present)
            return float(self._shake(np.array([value]))[0])

        return shaken

    def _shake(self, values: Floats) -> Floats:
        shaken: Floats = values * np.array([self._factor() for _ in values])
        boxed, histograms = is_boxed(values), self.natives.histograms
        shaken[boxed] = [histograms.box(self._shaken(histogram)) for histogram in histograms.unbox(values[boxed])]
        return shaken

    def _factor(self) -> float:
        return 1.0 + self.random.randrange(-4, 5) * 2.0**-52

    def _shaken(self, histogram: NativeHistogram) -> NativeHistogram:
        return replace(
            histogram,
            count=histogram.count * self._factor(),
            sum=histogram.sum * self._factor(),
            zero_count=histogram.zero_count * self._factor(),
            positive=Buckets(histogram.positive.indices, self._shake(histogram.positive.counts)),
            negative=Buckets(histogram.negative.indices, self._shake(histogram.negative.counts)),
        )

    def _fold(
        self, operator: str, operand: Part, grouping: Grouping, compute: Callable[[Floats, Indices, int], Floats]
    ) -> Callable[[int], Vector]:
        if operator in _ADDED:
            operand = Part(self._shaking(operand.at))
            self._all.append(operand)
        return super()._fold(operator, operand, grouping, compute)


def _gap(first: float, second: float) -> float:
    """Absolute; infinite where they cannot be compared."""
    off = difference(first, second)
    return abs(first - second) if 0.0 < off < math.inf else off


def is_undetermined(stored: Stored, text: str, at_ms: int, ours: Answer, theirs: Answer) -> bool:
    """Whether the two answers differ by no more than rounding can make of the expression."""
    expression = parse_expression(text)
    stories = [stored.united(), *(stored.refilled(Shaken.random) for _ in range(_STORIES))]
    shaken = [evaluate(stories[turn % len(stories)], expression, at_ms, 0, Shaken) for turn in range(24)]
    if ours is None or theirs is None:
        return any((answer is None) != (ours is None) for answer in shaken)
    answers = [answer for answer in shaken if answer is not None]
    if elements_in(ours) != elements_in(theirs) and all(elements_in(answer) == elements_in(ours) for answer in answers):
        return False
    for key in ours.keys() | theirs.keys():
        found, expected = number_at(ours, key), number_at(theirs, key)
        if found is None or expected is None or difference(found, expected) <= RELATIVE:
            continue
        others = [other for answer in answers if (other := number_at(answer, key)) is not None]
        moved = max((_gap(other, found) for other in others), default=0.0)
        if _gap(found, expected) > 100 * max(moved, _least_moved(ours, key)):
            return False
    return True


def _least_moved(answer: Mapping[Key, float], key: Key) -> float:
    """A bucket may be what is left of much that was added and taken: a plan that finds exactly 0 cannot shake it."""
    labels, part = key
    count = answer.get((labels, COUNT), 0.0)
    return abs(count) * 2.0**-52 if part not in {"", COUNT, SUM} and math.isfinite(count) else 0.0

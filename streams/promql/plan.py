"""From nodes of expressions to what is computed at a step.

Every distinct part of the expressions in use is one `Step` object, computed once a step however many indicators use
it. What a part knows of its elements (groups, matches) lives in it from step to step.
"""

from collections.abc import Callable, Iterable

import numpy as np

from streams.promql.arithmetic import between_scalars, with_scalar
from streams.promql.elementwise import ELEMENTWISE, scalar_of, vector_of
from streams.promql.expression import (
    Aggregation,
    Binary,
    Call,
    Expression,
    Negation,
    Number,
    Selector,
    children_of,
    selectors_in,
    walk,
)
from streams.promql.functions import AGGREGATORS, ARITHMETIC, RANGE_FUNCTIONS, SET_OPERATORS
from streams.promql.histogram import Buckets
from streams.promql.lanes import Lanes, latest
from streams.promql.matching import SetOperator, VectorOperator
from streams.promql.vector import Grouping, NameDropper, OneElement, Value, Vector
from streams.series.labels import METRIC_NAME, Labels, drop_labels, keep_labels
from streams.series.matchers import metric_name_of

# What a part's value is at a step (Unix ms).
Evaluate = Callable[[int], Value]


class Part:
    """A part of an expression with its value at the latest step."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        self._step_ms: int | None = None
        self._value: Value = 0.0

    def at(self, step_ms: int) -> Value:
        """Its value at a step, computed once.

        Raises:
            EvaluationError: it has none.
        """
        if step_ms != self._step_ms:
            self._value = self._evaluate(step_ms)
            self._step_ms = step_ms
        return self._value

    def vector_at(self, step_ms: int) -> Vector:
        """The value of a part that is known to be a vector."""
        value = self.at(step_ms)
        assert isinstance(value, Vector)
        return value

    def scalar_at(self, step_ms: int) -> float:
        """The value of a part that is known to be a scalar."""
        value = self.at(step_ms)
        assert not isinstance(value, Vector)
        return value


class Plan:
    """The parts of all expressions in use."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._parts: dict[Expression, Part] = {}

    def part(self, expression: Expression) -> Part:
        """The part that computes an expression."""
        part = self._parts.get(expression)
        if part is None:
            part = self._parts[expression] = Part(self._compile(expression))
        return part

    def retain(self, expressions: Iterable[Expression]) -> None:
        """Forget what none of these expressions needs."""
        roots = list(expressions)
        used = {node for root in roots for node in walk(root)}
        self._parts = {expression: part for expression, part in self._parts.items() if expression in used}
        self._lanes.retain(selector for root in roots for selector in selectors_in(root))

    def _compile(self, node: Expression) -> Evaluate:
        match node:
            case Number():
                value = node.value
                return lambda _: value
            case Selector():
                feed = self._lanes.feed(node)
                return lambda step_ms: feed.read(latest, step_ms)
            case Negation():
                return self._negation(node)
            case Aggregation():
                return self._aggregation(node)
            case Binary():
                return self._binary(node)
            case Call():
                return self._call(node)

    def _call(self, node: Call) -> Evaluate:
        if node.function in RANGE_FUNCTIONS:
            return self._range_function(node)
        parts = [self.part(argument) for argument in node.arguments]
        if node.function in ELEMENTWISE:
            return self._elementwise(node, parts)
        if node.function == "histogram_quantile":
            return self._quantile(node, parts)
        if node.function == "scalar":
            return lambda step_ms: scalar_of(parts[0].vector_at(step_ms))
        assert node.function == "vector"
        domain = OneElement()
        return lambda step_ms: vector_of(parts[0].scalar_at(step_ms), domain)

    def _range_function(self, node: Call) -> Evaluate:
        function = RANGE_FUNCTIONS[node.function]
        (selector,) = node.arguments
        assert isinstance(selector, Selector)
        assert selector.range_ms is not None
        feed = self._lanes.feed(selector)
        seconds = selector.range_ms / 1000
        dropper = None if function.keeps_name else NameDropper(may_repeat=may_repeat(selector))

        def evaluate(step_ms: int) -> Vector:
            vector = feed.read(function.compute, step_ms)
            if function.per_second:
                vector = Vector(vector.domain, vector.values / seconds, vector.present)
            return dropper.apply(vector) if dropper else vector

        return evaluate

    def _elementwise(self, node: Call, parts: list[Part]) -> Evaluate:
        function = ELEMENTWISE[node.function]
        operand, *scalars = parts
        dropper = NameDropper(may_repeat=may_repeat(node.arguments[0]))

        def evaluate(step_ms: int) -> Vector:
            vector = operand.vector_at(step_ms)
            values = function.compute(vector.values, *[scalar.scalar_at(step_ms) for scalar in scalars])
            return dropper.apply(Vector(vector.domain, values, vector.present))

        return evaluate

    def _quantile(self, node: Call, parts: list[Part]) -> Evaluate:
        quantile, operand = parts
        buckets = Buckets()
        dropper = NameDropper(may_repeat=may_repeat(node.arguments[1]))

        def evaluate(step_ms: int) -> Vector:
            return dropper.apply(buckets.quantile(quantile.scalar_at(step_ms), operand.vector_at(step_ms)))

        return evaluate

    def _aggregation(self, node: Aggregation) -> Evaluate:
        operand = self.part(node.operand)
        names = frozenset(node.labels)
        compute = AGGREGATORS[node.operator]

        def label(labels: Labels) -> Labels:
            return drop_labels(labels, names | {METRIC_NAME}) if node.without else keep_labels(labels, names)

        grouping = Grouping(label)

        def evaluate(step_ms: int) -> Vector:
            vector = operand.vector_at(step_ms)
            groups, values, size = grouping.of(vector.domain), vector.values, grouping.size
            if not vector.present.all():
                groups, values = groups[vector.present], values[vector.present]
            present = np.zeros(size, np.bool_)
            present[groups] = True
            return Vector(grouping, compute(values, groups, size), present)

        return evaluate

    def _negation(self, node: Negation) -> Evaluate:
        operand = self.part(node.operand)
        dropper = NameDropper(may_repeat=may_repeat(node.operand))

        def evaluate(step_ms: int) -> Value:
            value = operand.at(step_ms)
            if isinstance(value, Vector):
                return dropper.apply(Vector(value.domain, -value.values, value.present))
            return -value

        return evaluate

    def _binary(self, node: Binary) -> Evaluate:
        left, right = self.part(node.left), self.part(node.right)
        operator = node.operator
        if operator in SET_OPERATORS:
            sets = SetOperator(operator, node.matching)
            return lambda step_ms: sets.apply(left.vector_at(step_ms), right.vector_at(step_ms))
        vectors = VectorOperator(operator, node.matching, as_bool=node.as_bool)
        drops_name = operator in ARITHMETIC or node.as_bool
        dropper = NameDropper(may_repeat=may_repeat(node))

        def evaluate(step_ms: int) -> Value:
            first, second = left.at(step_ms), right.at(step_ms)
            if isinstance(first, Vector):
                if isinstance(second, Vector):
                    return vectors.apply(first, second)
                vector = with_scalar(operator, first, second, scalar_first=False, as_bool=node.as_bool)
            elif isinstance(second, Vector):
                vector = with_scalar(operator, second, first, scalar_first=True, as_bool=node.as_bool)
            else:
                return between_scalars(operator, first, second)
            return dropper.apply(vector) if drops_name else vector

        return evaluate


def may_repeat(node: Expression) -> bool:
    """Whether elements of the vector may differ in nothing but the metric name."""
    match node:
        case Selector():
            return metric_name_of(node.matchers) is None
        case Aggregation():
            return METRIC_NAME in node.labels and not node.without
        case Binary() if node.operator == "or":
            return True
        case _:
            return any(may_repeat(child) for child in children_of(node))

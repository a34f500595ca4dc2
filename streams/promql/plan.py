"""From nodes of expressions to what is computed at a step.

Every distinct part of the expressions in use is one `Part` object, computed once a step however many indicators use
it. What a part knows of its elements (groups, matches) lives in it from step to step.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from streams.native.algebra import negated
from streams.promql.arithmetic import between_scalars, with_scalar
from streams.promql.choose import Chooser, ValueCounter
from streams.promql.column import RangeFunction
from streams.promql.elementwise import ELEMENTWISE, apply_to_elements, scalar_of, vector_of
from streams.promql.expression import (
    Aggregation,
    Binary,
    Call,
    Expression,
    Negation,
    Number,
    Selector,
    Subquery,
    Text,
    children_of,
    selectors_in,
    walk,
)
from streams.promql.functions import AGGREGATORS, ARITHMETIC, CHOOSERS, RANGE_FUNCTIONS, SET_OPERATORS
from streams.promql.histogram_kinds import HISTOGRAM_FUNCTIONS, EitherKind
from streams.promql.lanes import Feed, Lanes, latest, latest_time
from streams.promql.matching import SetOperator, VectorOperator
from streams.promql.native import COUNTING, MEASURES, TOTALS, Natives
from streams.promql.over_time import present_samples
from streams.promql.relabel import RELABELLERS, labels_of_absent
from streams.promql.spread import quantile_of_groups
from streams.promql.subquery import Replay
from streams.promql.vector import EvaluationError, Grouping, NameDropper, OneElement, Relabeller, Value, Vector
from streams.series.arrays import Floats, Indices
from streams.series.columns import Columns
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

    def forget(self) -> None:
        """Be ready for steps that lie before the latest one."""
        self._step_ms = None

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
        self.natives = Natives(lanes.histograms)
        self._lanes = lanes
        self._parts: dict[Expression, Part] = {}
        self._replays: dict[Subquery, Replay] = {}
        # What belongs to no family.
        self._others: dict[str, Callable[[Call], Evaluate]] = {
            "absent": self._absent,
            "absent_over_time": self._absent,
            **dict.fromkeys(HISTOGRAM_FUNCTIONS, self._histogram),
            **dict.fromkeys(MEASURES, self._measure),
            **dict.fromkeys(RELABELLERS, self._relabelling),
            "pi": lambda _: lambda _: math.pi,
            "scalar": self._scalar,
            "sort": self._sort,
            "sort_desc": self._sort,
            "time": lambda _: lambda step_ms: step_ms / 1000,
            "timestamp": self._timestamp,
            "vector": self._vector,
        }

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
        self._replays = {subquery: replay for subquery, replay in self._replays.items() if subquery in used}
        self._lanes.retain(selector for root in roots for selector in selectors_in(root))

    def forget(self) -> None:
        """Be ready for steps that lie before the latest one, as those of a subquery do every time."""
        for part in self._parts.values():
            part.forget()
        for replay in self._replays.values():
            replay.forget()
        self._lanes.forget()

    def _compile(self, node: Expression) -> Evaluate:
        match node:
            case Number():
                value = node.value
                return lambda _: value
            case Selector():
                feed = self._lanes.feed(node)
                return lambda step_ms: feed.read(latest, step_ms)
            case Text() | Subquery():
                raise AssertionError("an argument, not a value of its own")
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
            return self._range_function(node, RANGE_FUNCTIONS[node.function])
        if node.function in ELEMENTWISE:
            return self._elementwise(node)
        return self._others[node.function](node)

    def _scalar(self, node: Call) -> Evaluate:
        operand = self.part(node.arguments[0])
        return lambda step_ms: scalar_of(self.natives.floats_of(operand.vector_at(step_ms)))

    def _vector(self, node: Call) -> Evaluate:
        operand, domain = self.part(node.arguments[0]), OneElement()
        return lambda step_ms: vector_of(operand.scalar_at(step_ms), domain)

    def _sort(self, node: Call) -> Evaluate:
        operand = self.part(node.arguments[0])
        return lambda step_ms: self.natives.floats_of(operand.vector_at(step_ms))  # a set of points has no order

    def _source(self, node: Expression) -> Feed | Replay:
        """What a function over ranges reads from."""
        if isinstance(node, Selector):
            return self._lanes.feed(node)
        assert isinstance(node, Subquery)
        replay = self._replays.get(node)
        if replay is None:
            # Its moments lie before the step, so it has windows and values of its own.
            inner = type(self)(self._lanes.another())
            columns = partial(Columns, self.natives.histograms)
            replay = self._replays[node] = Replay(node, inner.part(node.operand).vector_at, inner.forget, columns)
        return replay

    def _range_function(self, node: Call, function: RangeFunction) -> Evaluate:
        place = function.takes.index("range")
        ranged = node.arguments[place]
        assert isinstance(ranged, Selector | Subquery)
        scalars = [self.part(argument) for argument in node.arguments if argument is not ranged]
        source = self._source(ranged)
        behind = (float(ranged.offset_ms),) if function.from_step else ()
        dropper = None if function.keeps_name else NameDropper(may_repeat=may_repeat(ranged))

        def evaluate(step_ms: int) -> Vector:
            arguments = [scalar.scalar_at(step_ms) for scalar in scalars]
            vector = source.read(function.compute, step_ms, *behind, *arguments)
            refusal = function.refuses(*arguments) if function.refuses else None
            if refusal and vector.present.any():
                raise EvaluationError(refusal)
            return dropper.apply(vector) if dropper else vector

        return evaluate

    def _absent(self, node: Call) -> Evaluate:
        (operand,) = node.arguments
        domain = OneElement(labels_of_absent(operand.matchers) if isinstance(operand, Selector) else ())
        one = np.ones(1)
        if node.function == "absent":
            read: Callable[[int], Vector] = self.part(operand).vector_at
        else:
            source = self._source(operand)

            def read(step_ms: int) -> Vector:
                return source.read(present_samples, step_ms)

        return lambda step_ms: Vector(domain, one, ~domain.kept if read(step_ms).present.any() else domain.kept)

    def _timestamp(self, node: Call) -> Evaluate:
        (operand,) = node.arguments
        dropper = NameDropper(may_repeat=may_repeat(operand))
        if isinstance(operand, Selector):
            feed = self._lanes.feed(operand)
            return lambda step_ms: dropper.apply(feed.read(latest_time, step_ms))
        part = self.part(operand)

        def evaluate(step_ms: int) -> Vector:
            vector = part.vector_at(step_ms)
            return dropper.apply(Vector(vector.domain, np.full(len(vector.values), step_ms / 1000), vector.present))

        return evaluate

    def _relabelling(self, node: Call) -> Evaluate:
        operand = self.part(node.arguments[0])
        texts = [argument.value for argument in node.arguments if isinstance(argument, Text)]
        relabeller = Relabeller(RELABELLERS[node.function](*texts), "several elements have the same labels")
        return lambda step_ms: relabeller.apply(operand.vector_at(step_ms))

    def _elementwise(self, node: Call) -> Evaluate:
        function = ELEMENTWISE[node.function]
        operand, *scalars = map(self.part, node.arguments)
        dropper = NameDropper(may_repeat=may_repeat(node.arguments[0]))

        def evaluate(step_ms: int) -> Vector:
            vector = self.natives.floats_of(operand.vector_at(step_ms))
            return dropper.apply(apply_to_elements(function, vector, [scalar.scalar_at(step_ms) for scalar in scalars]))

        return evaluate

    def _histogram(self, node: Call) -> Evaluate:
        *scalars, operand = map(self.part, node.arguments)
        either = EitherKind(HISTOGRAM_FUNCTIONS[node.function], self.natives)
        dropper = NameDropper(may_repeat=may_repeat(node.arguments[-1]))

        def evaluate(step_ms: int) -> Vector:
            arguments = [scalar.scalar_at(step_ms) for scalar in scalars]
            return dropper.apply(either.apply(operand.vector_at(step_ms), arguments))

        return evaluate

    def _measure(self, node: Call) -> Evaluate:
        operand, function = self.part(node.arguments[0]), MEASURES[node.function]
        dropper = NameDropper(may_repeat=may_repeat(node.arguments[0]))
        return lambda step_ms: dropper.apply(self.natives.measure(function, operand.vector_at(step_ms)))

    def _aggregation(self, node: Aggregation) -> Evaluate:
        operand = self.part(node.operand)
        names = frozenset(node.labels)

        def label(labels: Labels) -> Labels:
            return drop_labels(labels, names | {METRIC_NAME}) if node.without else keep_labels(labels, names)

        grouping = Grouping(label)
        if isinstance(node.parameter, Text):
            shows = not node.without or node.parameter.value not in names | {METRIC_NAME}
            counter = ValueCounter(node.parameter.value, grouping, self.natives.texts, shows=shows)
            return lambda step_ms: counter.apply(operand.vector_at(step_ms))
        if node.parameter is None:
            return self._fold(node.operator, operand, grouping, AGGREGATORS[node.operator])
        parameter = self.part(node.parameter)
        if node.operator in CHOOSERS:
            chooser = Chooser(node.operator, grouping)
            of = _identity if node.operator in COUNTING else self.natives.floats_of
            return lambda step_ms: chooser.apply(parameter.scalar_at(step_ms), of(operand.vector_at(step_ms)))
        assert node.operator == "quantile"

        def evaluate(step_ms: int) -> Vector:
            compute = partial(quantile_of_groups, parameter.scalar_at(step_ms))
            return self._fold(node.operator, operand, grouping, compute)(step_ms)

        return evaluate

    def _fold(
        self, operator: str, operand: Part, grouping: Grouping, compute: Callable[[Floats, Indices, int], Floats]
    ) -> Callable[[int], Vector]:
        of = _identity if operator in COUNTING else self.natives.floats_of

        def evaluate(step_ms: int) -> Vector:
            whole = operand.vector_at(step_ms)
            vector = of(whole)
            groups, values, size = grouping.of(vector.domain), vector.values, grouping.size
            if not vector.present.all():
                groups, values = groups[vector.present], values[vector.present]
            present = np.zeros(size, np.bool_)
            present[groups] = True
            result = Vector(grouping, compute(values, groups, size), present)
            return self.natives.total(operator, whole, grouping, result) if operator in TOTALS else result

        return evaluate

    def _negation(self, node: Negation) -> Evaluate:
        operand = self.part(node.operand)
        dropper = NameDropper(may_repeat=may_repeat(node.operand))

        def evaluate(step_ms: int) -> Value:
            value = operand.at(step_ms)
            if isinstance(value, Vector):
                minus = Vector(value.domain, -value.values, value.present)
                return dropper.apply(self.natives.replace(value, minus, negated))
            return -value

        return evaluate

    def _binary(self, node: Binary) -> Evaluate:
        left, right = self.part(node.left), self.part(node.right)
        operator = node.operator
        if operator in SET_OPERATORS:
            sets = SetOperator(operator, node.matching)
            return lambda step_ms: sets.apply(left.vector_at(step_ms), right.vector_at(step_ms))
        vectors = VectorOperator(operator, node.matching, self.natives, as_bool=node.as_bool)
        drops_name = operator in ARITHMETIC or node.as_bool
        dropper = NameDropper(may_repeat=may_repeat(node))

        def evaluate(step_ms: int) -> Value:
            first, second = left.at(step_ms), right.at(step_ms)
            if isinstance(first, Vector):
                if isinstance(second, Vector):
                    return vectors.apply(first, second)
                vector = with_scalar(operator, first, second, scalar_first=False, as_bool=node.as_bool)
                vector = self.natives.with_scalar(operator, first, second, vector, scalar_first=False)
            elif isinstance(second, Vector):
                vector = with_scalar(operator, second, first, scalar_first=True, as_bool=node.as_bool)
                vector = self.natives.with_scalar(operator, second, first, vector, scalar_first=True)
            else:
                return between_scalars(operator, first, second)
            return dropper.apply(vector) if drops_name else vector

        return evaluate


def _identity(vector: Vector) -> Vector:
    return vector


def may_repeat(node: Expression) -> bool:
    """Whether elements of the vector may differ in nothing but the metric name."""
    match node:
        case Selector():
            return metric_name_of(node.matchers) is None
        case Aggregation() if node.operator in CHOOSERS:
            return may_repeat(node.operand)
        case Aggregation():
            return not node.without and (METRIC_NAME in node.labels or node.parameter == Text(METRIC_NAME))
        case Call() if node.function in RELABELLERS and node.arguments[1] == Text(METRIC_NAME):
            return True
        case Binary() if node.operator == "or":
            return True
        case _:
            return any(may_repeat(child) for child in children_of(node))

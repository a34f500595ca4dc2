"""From PromQL text to nodes, within the supported subset: what cannot be computed exactly is refused here.

The grammar and the types are the parser package's business; here its nodes are translated and checked.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, Literal

import promql_parser as grammar

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
    ValueType,
    evaluations_in,
    selectors_in,
)
from streams.promql.functions import (
    AGGREGATIONS,
    ARITHMETIC,
    COMPARISONS,
    REFUSED_AGGREGATIONS,
    REFUSED_FUNCTIONS,
    SET_OPERATORS,
    SIGNATURES,
)
from streams.promql.relabel import RELABELLERS
from streams.promql.subquery import MOST_EVALUATIONS
from streams.series.matchers import Matcher, MatchOp
from streams.series.regexes import RegexError

# More than any person writes, few enough for recursion.
_MOST_NESTED = 50
_MOST_OPERATORS = 200
# Prometheus' default evaluation interval, which a subquery without a step takes.
DEFAULT_SUBQUERY_STEP_MS = 60_000
_MATCH_OPS: Final[tuple[tuple[grammar.MatchOp, MatchOp], ...]] = (
    (grammar.MatchOp.Equal, "="),
    (grammar.MatchOp.NotEqual, "!="),
    (grammar.MatchOp.Re, "=~"),
    (grammar.MatchOp.NotRe, "!~"),
)
_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`|#[^\n]*')
_BRACES = re.compile(r"\{[^}]*\}")
_OPERATORS = re.compile(r"[-+*/%^]|[=<>]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)


class PromqlError(ValueError):
    """An expression that cannot be taken.

    position: where in the expression, in characters from 0; None = not known.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message if position is None else f"{message} (at character {position + 1})")
        self.position = position


class PromqlSyntaxError(PromqlError):
    """Not PromQL at all, or with types that do not fit: Prometheus refuses it as well."""


def parse_expression(text: str) -> Expression:
    """The expression, checked against the supported subset.

    >>> parse_expression("1 + 2").operator
    '+'

    Raises:
        PromqlError: not PromQL, or not of the subset; the text says what and why.
    """
    _check_size(text)
    try:
        parsed = grammar.parse(text)
    except ValueError as error:
        raise PromqlSyntaxError(_explain(str(error), text)) from None
    expression = _Translation(text).translate(parsed)
    found = type_of(expression)
    if found in {"range", "text"}:
        what = "a range of samples" if found == "range" else "a text"
        raise PromqlError(f"{what} is no indicator; expected a vector or a scalar")
    _check_cost(expression, text)
    return expression


def selectors_of(expr: str) -> tuple[Selector, ...]:
    """The selectors of an expression, each once: which series it needs, and how far back.

    Raises:
        PromqlError: as `parse_expression`.
    """
    return selectors_in(parse_expression(expr))


def type_of(expression: Expression) -> ValueType:
    """What an expression evaluates to."""
    found: ValueType = "vector"
    match expression:
        case Number():
            found = "scalar"
        case Text():
            found = "text"
        case Subquery():
            found = "range"
        case Selector() if expression.range_ms is not None:
            found = "range"
        case Call():
            found = SIGNATURES[expression.function].gives
        case Negation():
            found = type_of(expression.operand)
        case Binary():
            both = {type_of(expression.left), type_of(expression.right)}
            found = "scalar" if both == {"scalar"} else "vector"
    return found


def _check_size(text: str) -> None:
    """Refuse what would exhaust the stack, here or in the parser package: it has no limit of its own."""
    depth = deepest = 0
    for bracket in re.findall(r"[()\[\]{}]", _TEXTS.sub("", text)):
        depth += 1 if bracket in "([{" else -1
        deepest = max(deepest, depth)
    if deepest > _MOST_NESTED:
        raise PromqlError(f"nested deeper than {_MOST_NESTED} levels")
    operators = len(_OPERATORS.findall(_BRACES.sub("", _TEXTS.sub("", text))))
    if operators > _MOST_OPERATORS:
        raise PromqlError(f"{operators} operators, at most {_MOST_OPERATORS} are taken")


def _check_cost(expression: Expression, text: str) -> None:
    evaluations = evaluations_in(expression)
    if evaluations > MOST_EVALUATIONS:
        raise PromqlError(
            f"its subqueries take {evaluations} evaluations at every step, at most {MOST_EVALUATIONS} are made: "
            "a longer step or a shorter range takes fewer",
            _first(text, r"\[[^\]]*:"),
        )


def _first(text: str, pattern: str) -> int | None:
    """The first place of something outside of quotes."""
    plain = _TEXTS.sub(lambda quoted: " " * len(quoted[0]), text)
    found = re.search(pattern, plain)
    return found.start() if found else None


def _explain(message: str, text: str) -> str:
    if not text.strip():
        return "the expression is empty"
    return "not a PromQL expression" if message == "invalid promql query" else message


# Native histograms are read without buckets below these functions, unless one of those below is around, too: so does
# Prometheus, and histograms whose buckets do not go together have a sum of counts then.
_WITHOUT_BUCKETS: Final = frozenset({"histogram_avg", "histogram_count", "histogram_sum"})
_SUBQUERY: Final = "[:]"
_WHOLE: Final = frozenset({"histogram_fraction", "histogram_quantile", _SUBQUERY})


class _Translation:
    """Translates one expression; keeps its text to find places in."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._around: list[str] = []  # functions and subqueries that the node at hand stands in

    def translate(self, node: object) -> Expression:
        if isinstance(node, grammar.NumberLiteral):
            return Number.of(node.val)
        if isinstance(node, grammar.StringLiteral):
            return Text(node.val)
        expression: Expression
        match node:
            case grammar.ParenExpr():
                expression = self.translate(node.expr)
            case grammar.UnaryExpr():
                expression = Negation(self.translate(node.expr))
            case grammar.VectorSelector() | grammar.MatrixSelector():
                expression = self._selector(node)
            case grammar.SubqueryExpr():
                expression = self._subquery(node)
            case grammar.Call():
                expression = self._call(node)
            case grammar.AggregateExpr():
                expression = self._aggregation(node)
            case grammar.BinaryExpr():
                expression = self._binary(node)
            case _:
                raise PromqlError(f"{type(node).__name__} is not supported")
        return expression

    def _find(self, pattern: str) -> int | None:
        """The first place of something that is refused wherever it stands."""
        return _first(self._text, pattern)

    def _selector(self, node: grammar.VectorSelector | grammar.MatrixSelector) -> Selector:
        range_ms = None
        if isinstance(node, grammar.MatrixSelector):
            range_ms = _milliseconds(node.range)
            node = node.vector_selector
        if node.matchers.or_matchers:
            raise PromqlError("`or` between matchers is not supported", self._find(r"(?<=\s)or\b(?=[^{}]*\})"))
        offset_ms = self._offset(node)
        try:
            matchers = [Matcher(m.name, _match_op(m.op), m.value) for m in node.matchers.matchers]
        except RegexError as error:
            raise PromqlError(str(error)) from None
        if node.name:
            matchers.insert(0, Matcher("__name__", "=", node.name))
        without_buckets = not _WITHOUT_BUCKETS.isdisjoint(self._around) and _WHOLE.isdisjoint(self._around)
        return Selector(tuple(matchers), range_ms, offset_ms, without_buckets)

    def _inside(self, name: str, *nodes: object) -> tuple[Expression, ...]:
        """What stands in a function or subquery."""
        self._around.append(name)
        expressions = tuple(map(self.translate, nodes))
        self._around.pop()
        return expressions

    def _offset(self, node: grammar.VectorSelector | grammar.SubqueryExpr) -> int:
        if node.at is not None:
            raise PromqlError("@ is not supported: an indicator follows the log's time", self._find("@"))
        offset_ms = _milliseconds(node.offset) if node.offset is not None else 0
        if offset_ms < 0:
            raise PromqlError("a negative offset looks into the future", self._find(r"\boffset\s*-"))
        return offset_ms

    def _subquery(self, node: grammar.SubqueryExpr) -> Subquery:
        offset_ms = self._offset(node)
        range_ms = _milliseconds(node.range)
        step_ms = _milliseconds(node.step) if node.step is not None else DEFAULT_SUBQUERY_STEP_MS
        (operand,) = self._inside(_SUBQUERY, node.expr)
        return Subquery(operand, range_ms, step_ms, offset_ms)

    def _call(self, node: grammar.Call) -> Call:
        name = node.func.name
        place = self._find(rf"\b{name}\s*\(")
        if name not in SIGNATURES:
            raise PromqlError(_refusal("function", name, REFUSED_FUNCTIONS), place)
        arguments = self._inside(name, *node.args)
        signature = SIGNATURES[name]
        missing = len(signature.takes) - len(arguments)
        if 0 < missing <= len(signature.defaults):
            arguments += signature.defaults[-missing:]
        expected = signature.takes
        if signature.more:
            expected = expected[:-1] + expected[-1:] * (1 - missing)
        found = tuple(type_of(argument) for argument in arguments)
        if found != expected:
            raise PromqlError(f"function {name} expects ({', '.join(expected)}), got ({', '.join(found)})", place)
        if name in RELABELLERS:
            try:
                RELABELLERS[name](*texts_of(arguments[1:]))
            except RegexError as error:
                raise PromqlError(str(error), place) from None
        return Call(name, arguments)

    def _aggregation(self, node: grammar.AggregateExpr) -> Aggregation:
        operator = str(node.op)
        place = self._find(rf"\b{operator}\b")
        if operator not in AGGREGATIONS:
            raise PromqlError(_refusal("aggregation", operator, REFUSED_AGGREGATIONS), place)
        labels = node.modifier.labels if node.modifier else []
        without = node.modifier is not None and node.modifier.type == grammar.AggModifierType.Without
        parameter = None if node.param is None else self.translate(node.param)
        found = None if parameter is None else type_of(parameter)
        if found != AGGREGATIONS[operator]:
            raise PromqlError(f"aggregation {operator} expects {AGGREGATIONS[operator]}, got {found}", place)
        return Aggregation(operator, self.translate(node.expr), tuple(sorted(set(labels))), without, parameter)

    def _binary(self, node: grammar.BinaryExpr) -> Binary:
        operator = str(node.op)
        if operator not in ARITHMETIC | COMPARISONS | SET_OPERATORS:
            raise PromqlError(f"operator {operator} is not supported", self._find(rf"\b{re.escape(operator)}\b"))
        left, right = self.translate(node.lhs), self.translate(node.rhs)
        as_bool = node.modifier is not None and node.modifier.return_bool
        return Binary(operator, left, right, self._matching(node.modifier), as_bool)

    def _matching(self, modifier: grammar.BinModifier | None) -> Matching:
        if modifier is None:
            return Matching()
        if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
            raise PromqlError("fill is not supported", self._find(r"\bfill(_left|_right)?\b"))
        sides: tuple[tuple[grammar.VectorMatchCardinality, Literal["left", "right"]], ...] = (
            (grammar.VectorMatchCardinality.ManyToOne, "left"),
            (grammar.VectorMatchCardinality.OneToMany, "right"),
        )
        many = next((side for card, side in sides if modifier.card == card), None)
        labels = modifier.matching.labels if modifier.matching else []
        on = modifier.matching is not None and modifier.matching.type == grammar.LabelModifierType.Include
        include = tuple(modifier.group_labels or ()) if many else ()
        return Matching(tuple(sorted(set(labels))), on, many, include)


def texts_of(arguments: Iterable[Expression]) -> list[str]:
    """The texts of arguments that are known to be such."""
    return [argument.value for argument in arguments if isinstance(argument, Text)]


def _refusal(kind: str, name: str, reasons: Mapping[str, str]) -> str:
    return f"{kind} {name} is not supported" + (f": {reasons[name]}" if name in reasons else "")


def _match_op(op: grammar.MatchOp) -> MatchOp:
    return next(ours for theirs, ours in _MATCH_OPS if theirs == op)


def _milliseconds(duration: timedelta | None) -> int:
    assert duration is not None
    return round(duration / timedelta(milliseconds=1))

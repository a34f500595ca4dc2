"""From PromQL text to nodes, within the supported subset: what cannot be computed exactly is refused here.

The grammar and the types are the parser package's business; here its nodes are translated and checked.
"""

import re
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
    ValueType,
    selectors_in,
)
from streams.promql.functions import AGGREGATORS, ARITHMETIC, COMPARISONS, SET_OPERATORS, SIGNATURES
from streams.series.matchers import Matcher, MatchOp
from streams.series.regexes import RegexError

# More than any person writes, few enough for recursion.
_MOST_NESTED = 50
_MOST_OPERATORS = 200
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
    if type_of(expression) == "range":
        raise PromqlError("a range of samples is no indicator; expected a vector or a scalar")
    return expression


def selectors_of(expr: str) -> tuple[Selector, ...]:
    """The selectors of an expression, each once: which series it needs, and how far back.

    Raises:
        PromqlError: as `parse_expression`.
    """
    return selectors_in(parse_expression(expr))


def type_of(expression: Expression) -> ValueType:
    """What an expression evaluates to."""
    match expression:
        case Number():
            return "scalar"
        case Selector():
            return "vector" if expression.range_ms is None else "range"
        case Call():
            return SIGNATURES[expression.function][1]
        case Aggregation():
            return "vector"
        case Negation():
            return type_of(expression.operand)
        case Binary():
            both = {type_of(expression.left), type_of(expression.right)}
            return "scalar" if both == {"scalar"} else "vector"


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


def _explain(message: str, text: str) -> str:
    if not text.strip():
        return "the expression is empty"
    return "not a PromQL expression" if message == "invalid promql query" else message


class _Translation:
    """Translates one expression; keeps its text to find places in."""

    def __init__(self, text: str) -> None:
        self._text = text

    def translate(self, node: object) -> Expression:
        match node:
            case grammar.NumberLiteral():
                expression: Expression = Number.of(node.val)
            case grammar.ParenExpr():
                expression = self.translate(node.expr)
            case grammar.UnaryExpr():
                expression = Negation(self.translate(node.expr))
            case grammar.VectorSelector():
                expression = self._selector(node, None)
            case grammar.MatrixSelector():
                expression = self._selector(node.vector_selector, _milliseconds(node.range))
            case grammar.Call():
                expression = self._call(node)
            case grammar.AggregateExpr():
                expression = self._aggregation(node)
            case grammar.BinaryExpr():
                expression = self._binary(node)
            case _:
                raise self._refusal(node)
        return expression

    def _refusal(self, node: object) -> PromqlError:
        if isinstance(node, grammar.SubqueryExpr):
            return PromqlError("subqueries are not supported", self._find(r"\[[^\]]*:"))
        if isinstance(node, grammar.StringLiteral):
            return PromqlError("a text is no indicator; expected a vector or a scalar")
        return PromqlError(f"{type(node).__name__} is not supported")

    def _find(self, pattern: str) -> int | None:
        """The place of something that stands in the text once, outside of quotes."""
        plain = _TEXTS.sub(lambda quoted: " " * len(quoted[0]), self._text)
        places = [found.start() for found in re.finditer(pattern, plain)]
        return places[0] if len(places) == 1 else None

    def _selector(self, node: grammar.VectorSelector, range_ms: int | None) -> Selector:
        if node.at is not None:
            raise PromqlError("@ is not supported: an indicator follows the log's time", self._find("@"))
        if node.matchers.or_matchers:
            raise PromqlError("`or` between matchers is not supported", self._find(r"\bor\b"))
        offset_ms = _milliseconds(node.offset) if node.offset is not None else 0
        if offset_ms < 0:
            raise PromqlError("a negative offset looks into the future", self._find(r"\boffset\b"))
        try:
            matchers = [Matcher(m.name, _match_op(m.op), m.value) for m in node.matchers.matchers]
        except RegexError as error:
            raise PromqlError(str(error)) from None
        if node.name:
            matchers.insert(0, Matcher("__name__", "=", node.name))
        return Selector(tuple(matchers), range_ms, offset_ms)

    def _call(self, node: grammar.Call) -> Call:
        name = node.func.name
        if name not in SIGNATURES:
            raise PromqlError(f"function {name} is not supported", self._find(rf"\b{name}\s*\("))
        arguments = tuple(self.translate(argument) for argument in node.args)
        expected = SIGNATURES[name][0]
        found = tuple(type_of(argument) for argument in arguments)
        if found != expected:
            raise PromqlError(
                f"function {name} expects ({', '.join(expected)}), got ({', '.join(found)})",
                self._find(rf"\b{name}\s*\("),
            )
        return Call(name, arguments)

    def _aggregation(self, node: grammar.AggregateExpr) -> Aggregation:
        operator = str(node.op)
        if operator not in AGGREGATORS:
            raise PromqlError(f"aggregation {operator} is not supported", self._find(rf"\b{operator}\b"))
        labels = node.modifier.labels if node.modifier else []
        without = node.modifier is not None and node.modifier.type == grammar.AggModifierType.Without
        return Aggregation(operator, self.translate(node.expr), tuple(sorted(set(labels))), without)

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


def _match_op(op: grammar.MatchOp) -> MatchOp:
    return next(ours for theirs, ours in _MATCH_OPS if theirs == op)


def _milliseconds(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))

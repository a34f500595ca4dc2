"""An alert's expression taken apart: the value that is watched, and the number that it must not pass.

The value is cut out of the text as it was written, and both parts must parse to what they are in the whole.
"""

import math
import re
from dataclasses import dataclass

from budgets.rule_file.model import NotTakenError
from budgets.spec.model import Direction
from streams.promql.evaluate import evaluate
from streams.promql.expression import Binary, Call, Expression, Negation, Number, walk
from streams.promql.parse import PromqlError, parse_expression

_HIDDEN = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`|#[^\n]*')
_COMPARISON = re.compile(r"[<>=!]=|=~|!~|[<>]")
_FLIPPED = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
_JOINS = frozenset({"and", "or", "unless"})


@dataclass(frozen=True, slots=True)
class Condition:
    """A value beyond a bound.

    expr, expression: the value, as text and as what it means. bound: values strictly beyond it break the limit.
    written: the comparison as it stands in the rule, `>= 5`.
    """

    expr: str
    expression: Expression
    direction: Direction
    bound: float
    written: str


def hide(text: str) -> str:
    """An expression with its quoted texts and comments blanked out, so that places stay the same."""
    return _HIDDEN.sub(lambda hidden: " " * len(hidden[0]), text)


def split_condition(text: str) -> Condition:
    """The condition of an alert.

    >>> split_condition("100 * (1 - a) >= 90").direction
    'above'

    Raises:
        NotTakenError: it is no comparison of one value with one number, or not computable on the stream.
    """
    text = _unwrap(text.strip())
    try:
        whole = parse_expression(text)
    except PromqlError as error:
        raise NotTakenError(str(error)) from None
    if not isinstance(whole, Binary) or whole.operator in _JOINS:
        raise NotTakenError(_why_not(whole))
    if whole.operator not in _FLIPPED or whole.as_bool:
        bool_text = " bool" if whole.as_bool else ""
        raise NotTakenError(f"compares with {whole.operator}{bool_text}, and a limit is an upper or a lower one")
    left, right = _cut(text, whole)
    bound, operator, value, expr = _constant(whole.right), whole.operator, whole.left, left
    if bound is None:
        bound, operator, value, expr = _constant(whole.left), _FLIPPED[whole.operator], whole.right, right
    if bound is None or not math.isfinite(bound):
        raise NotTakenError("compares two values that change, and a limit is a number")
    direction: Direction = "above" if operator.startswith(">") else "below"
    return Condition(_tidy(expr), value, direction, _strict(operator, bound), f"{operator} {bound:g}")


def _why_not(whole: Expression) -> str:
    if isinstance(whole, Binary):
        return f"joins conditions by `{whole.operator}`, and a budget has one limit for one value"
    if isinstance(whole, Call) and whole.function.startswith("absent"):
        return "asks whether data is missing, which is noticed without a rule"
    return "no comparison with a number, so there is no limit"


def _unwrap(text: str) -> str:
    """The text without brackets around all of it."""
    while text.startswith("(") and text.endswith(")"):
        depth = 0
        for at, sign in enumerate(hide(text)):
            depth += (sign == "(") - (sign == ")")
            if depth == 0 and at < len(text) - 1:
                return text
        text = text[1:-1].strip()
    return text


def _tidy(text: str) -> str:
    """The text without spaces at the ends of lines, and without brackets around all of it."""
    text = _unwrap(text)
    # A text in backticks may go on over lines, and its spaces mean something.
    return text if "`" in text else "\n".join(line.rstrip() for line in text.splitlines())


def _cut(text: str, whole: Binary) -> tuple[str, str]:
    """The texts of both sides."""
    for sign in _COMPARISON.finditer(hide(text)):
        if sign[0] != whole.operator:
            continue
        left, right = text[: sign.start()].strip(), text[sign.end() :].strip()
        try:
            if parse_expression(left) == whole.left and parse_expression(right) == whole.right:
                return left, right
        except PromqlError:
            continue  # a comparison further inside
    raise NotTakenError("its two sides cannot be told apart")


def _constant(expression: Expression) -> float | None:
    """The number that an expression always is; None = it is none."""
    if not all(isinstance(node, Number | Negation | Binary) for node in walk(expression)):
        return None
    (element,) = evaluate(expression, (), 0)
    return element.value if isinstance(element.value, float) else None


def _strict(operator: str, bound: float) -> float:
    """The bound of a strict comparison that holds for the same numbers."""
    if not operator.endswith("="):
        return bound
    return math.nextafter(bound, -math.inf if operator.startswith(">") else math.inf)

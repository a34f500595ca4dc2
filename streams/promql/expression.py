"""What an expression is made of once it is parsed: frozen nodes that compare and hash by content.

Equal parts of different expressions are equal nodes, so a plan computes them once. Nothing here knows the parser's
package (`parse.py` does) or how a node is computed (`plan.py` does).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from streams.series.matchers import Matcher

# Prometheus' default lookback: an instant selector takes the latest sample of the five minutes before.
LOOKBACK_MS = 300_000

ValueType = Literal["scalar", "vector", "range", "text"]


@dataclass(frozen=True, slots=True)
class Number:
    """A literal. `bits` tells NaN from NaN and 0 from -0, which Python's equality does not."""

    value: float
    bits: str

    @classmethod
    def of(cls, value: float) -> "Number":
        """The node of a value."""
        return cls(value, value.hex())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self.bits == other.bits

    def __hash__(self) -> int:
        return hash(self.bits)


@dataclass(frozen=True, slots=True)
class Text:
    """A text, as some functions take them."""

    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by their labels, at one moment or over a range.

    matchers: all of them hold; the metric name is the one of `__name__`.
    range_ms: None = an instant selector. offset_ms: how far back from the step, never negative.
    without_buckets: of native histograms only count and sum are wanted.
    """

    matchers: tuple[Matcher, ...]
    range_ms: int | None = None
    offset_ms: int = 0
    without_buckets: bool = False

    @property
    def reach_ms(self) -> int:
        """How far before a step its samples may lie."""
        return self.offset_ms + (LOOKBACK_MS if self.range_ms is None else self.range_ms)


@dataclass(frozen=True, slots=True)
class Subquery:
    """What a vector comes to at the multiples of a step within a range, as samples.

    offset_ms: how far back from the step the range ends, never negative.
    """

    operand: "Expression"
    range_ms: int
    step_ms: int
    offset_ms: int = 0

    def times_before(self, step_ms: int) -> range:
        """The moments in (step - offset - range, step - offset], oldest first."""
        end = step_ms - self.offset_ms
        return range(((end - self.range_ms) // self.step_ms + 1) * self.step_ms, end + 1, self.step_ms)


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An operator over the elements of a vector that agree in some labels.

    labels: sorted, without repeats. without: they are the ones that do not matter, instead of the ones that do.
    parameter: the number of `topk`, the label of `count_values`; None = the operator takes none.
    """

    operator: str
    operand: "Expression"
    labels: tuple[str, ...]
    without: bool
    parameter: "Expression | None" = None


@dataclass(frozen=True, slots=True)
class Matching:
    """How the elements of two vectors find each other.

    labels, on: the labels that must agree (`on`), or those that need not (`ignoring`).
    many: the side that may have several elements for one of the other; None = one to one.
    include: labels that are copied from the other side.
    """

    labels: tuple[str, ...] = ()
    on: bool = False
    many: Literal["left", "right"] | None = None
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two expressions. `as_bool`: a comparison answers 0 or 1 instead of filtering."""

    operator: str
    left: "Expression"
    right: "Expression"
    matching: Matching
    as_bool: bool = False


@dataclass(frozen=True, slots=True)
class Negation:
    """Unary minus."""

    operand: "Expression"


Expression = Number | Text | Selector | Subquery | Call | Aggregation | Binary | Negation


def children_of(expression: Expression) -> tuple[Expression, ...]:
    """The expressions that a node is made of, in order."""
    match expression:
        case Call():
            return expression.arguments
        case Aggregation():
            return (expression.operand,) if expression.parameter is None else (expression.parameter, expression.operand)
        case Negation() | Subquery():
            return (expression.operand,)
        case Binary():
            return (expression.left, expression.right)
        case Number() | Text() | Selector():
            return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """The node and everything in it, itself first."""
    yield expression
    for child in children_of(expression):
        yield from walk(child)


def selectors_in(expression: Expression) -> tuple[Selector, ...]:
    """Its selectors, each once, in order."""
    return tuple(dict.fromkeys(node for node in walk(expression) if isinstance(node, Selector)))


def reach_of(expression: Expression) -> int:
    """How far before a step, in ms, the samples lie that its value depends on."""
    if isinstance(expression, Selector):
        return expression.reach_ms
    further = max(map(reach_of, children_of(expression)), default=0)
    if further and isinstance(expression, Subquery):
        # Without a selector inside there are no samples to look back at.
        further += expression.range_ms + expression.offset_ms
    return further


def evaluations_in(expression: Expression) -> int:
    """How many times a step evaluates what stands in its subqueries."""
    inside = sum(map(evaluations_in, children_of(expression)))
    if not isinstance(expression, Subquery):
        return inside
    return -(-expression.range_ms // expression.step_ms) * (1 + inside)

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

ValueType = Literal["scalar", "vector", "range"]


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
class Selector:
    """Series by their labels, at one moment or over a range.

    matchers: all of them hold; the metric name is the one of `__name__`.
    range_ms: None = an instant selector. offset_ms: how far back from the step, never negative.
    """

    matchers: tuple[Matcher, ...]
    range_ms: int | None = None
    offset_ms: int = 0

    @property
    def reach_ms(self) -> int:
        """How far before a step its samples may lie."""
        return self.offset_ms + (LOOKBACK_MS if self.range_ms is None else self.range_ms)


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An operator over the elements of a vector that agree in some labels.

    labels: sorted, without repeats. without: they are the ones that do not matter, instead of the ones that do.
    """

    operator: str
    operand: "Expression"
    labels: tuple[str, ...]
    without: bool


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


Expression = Number | Selector | Call | Aggregation | Binary | Negation


def children_of(expression: Expression) -> tuple[Expression, ...]:
    """The expressions that a node is made of, in order."""
    match expression:
        case Call():
            return expression.arguments
        case Aggregation() | Negation():
            return (expression.operand,)
        case Binary():
            return (expression.left, expression.right)
        case Number() | Selector():
            return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """The node and everything in it, itself first."""
    yield expression
    for child in children_of(expression):
        yield from walk(child)


def selectors_in(expression: Expression) -> tuple[Selector, ...]:
    """Its selectors, each once, in order."""
    return tuple(dict.fromkeys(node for node in walk(expression) if isinstance(node, Selector)))

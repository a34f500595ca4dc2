"""Which functions and operators are supported: the tables that parsing and planning read.

Adding a function is a line in its family's table, and here if its family is new.
"""

from typing import Final

from streams.promql import aggregate, arithmetic, over_time, rate
from streams.promql.column import RangeFunction
from streams.promql.elementwise import ELEMENTWISE
from streams.promql.expression import ValueType

RANGE_FUNCTIONS: Final[dict[str, RangeFunction]] = {**rate.FUNCTIONS, **over_time.FUNCTIONS}
AGGREGATORS: Final = aggregate.AGGREGATORS
ARITHMETIC: Final = frozenset(arithmetic.ARITHMETIC)
COMPARISONS: Final = frozenset(arithmetic.COMPARISONS)
SET_OPERATORS: Final = frozenset({"and", "or", "unless"})

# Name -> the types of its arguments and of its result.
SIGNATURES: Final[dict[str, tuple[tuple[ValueType, ...], ValueType]]] = {
    **dict.fromkeys(RANGE_FUNCTIONS, (("range",), "vector")),
    **{name: (function.takes, "vector") for name, function in ELEMENTWISE.items()},
    "histogram_quantile": (("scalar", "vector"), "vector"),
    "scalar": (("vector",), "scalar"),
    "vector": (("scalar",), "vector"),
}

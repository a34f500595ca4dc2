"""Which functions and operators are supported: the tables that parsing and planning read.

Adding a function is a line here and its code in the file of its family.
"""

from typing import Final

from streams.promql.expression import ValueType

_OF_A_RANGE: Final = (
    *("rate", "increase", "delta", "irate", "idelta"),
    *(f"{name}_over_time" for name in ("avg", "min", "max", "sum", "count", "last", "present", "stddev")),
)

# Name -> the types of its arguments and of its result.
SIGNATURES: Final[dict[str, tuple[tuple[ValueType, ...], ValueType]]] = {
    **dict.fromkeys(_OF_A_RANGE, (("range",), "vector")),
    "histogram_quantile": (("scalar", "vector"), "vector"),
    "abs": (("vector",), "vector"),
    "clamp_min": (("vector", "scalar"), "vector"),
    "clamp_max": (("vector", "scalar"), "vector"),
    "scalar": (("vector",), "scalar"),
    "vector": (("scalar",), "vector"),
}

AGGREGATORS: Final = frozenset({"sum", "avg", "min", "max", "count"})

ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%", "^"})
COMPARISONS: Final = frozenset({"==", "!=", ">", "<", ">=", "<="})
SET_OPERATORS: Final = frozenset({"and", "or", "unless"})

"""Which functions and operators are supported, and which are refused why: the tables that parsing and planning read.

Adding a function is a line in its family's table, and here if its family is new.
"""

from dataclasses import dataclass
from typing import Final

from streams.promql import aggregate, arithmetic, choose, over_time, rate, spread, trend
from streams.promql.column import RangeFunction
from streams.promql.elementwise import ELEMENTWISE
from streams.promql.expression import Expression, ValueType
from streams.promql.native import MEASURES

RANGE_FUNCTIONS: Final[dict[str, RangeFunction]] = {
    **rate.FUNCTIONS,
    **over_time.FUNCTIONS,
    **spread.FUNCTIONS,
    **trend.FUNCTIONS,
}
AGGREGATORS: Final = aggregate.AGGREGATORS
CHOOSERS: Final = choose.CHOOSERS
ARITHMETIC: Final = frozenset(arithmetic.ARITHMETIC)
COMPARISONS: Final = frozenset(arithmetic.COMPARISONS)
SET_OPERATORS: Final = frozenset({"and", "or", "unless"})


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and gives.

    defaults: what the last arguments are when they are left out. more: the last one may be repeated, or left out.
    """

    takes: tuple[ValueType, ...]
    gives: ValueType = "vector"
    defaults: tuple[Expression, ...] = ()
    more: bool = False


SIGNATURES: Final[dict[str, Signature]] = {
    **{name: Signature(function.takes) for name, function in RANGE_FUNCTIONS.items()},
    **{name: Signature(function.takes, defaults=function.defaults) for name, function in ELEMENTWISE.items()},
    "absent": Signature(("vector",)),
    "absent_over_time": Signature(("range",)),
    **dict.fromkeys(MEASURES, Signature(("vector",))),
    "histogram_fraction": Signature(("scalar", "scalar", "vector")),
    "histogram_quantile": Signature(("scalar", "vector")),
    "label_join": Signature(("vector", "text", "text", "text"), more=True),
    "label_replace": Signature(("vector", "text", "text", "text", "text")),
    "pi": Signature((), "scalar"),
    "scalar": Signature(("vector",), "scalar"),
    "sort": Signature(("vector",)),
    "sort_desc": Signature(("vector",)),
    "time": Signature((), "scalar"),
    "timestamp": Signature(("vector",)),
    "vector": Signature(("scalar",)),
}
# The type of the parameter of each aggregation; None = it takes none.
AGGREGATIONS: Final[dict[str, ValueType | None]] = {
    **dict.fromkeys(AGGREGATORS, None),
    **dict.fromkeys(CHOOSERS, "scalar"),
    "count_values": "text",
    "quantile": "scalar",
}

_EXPERIMENTAL = "it is an experiment of Prometheus' that may still change"
_ORDER = "the elements of an indicator have no order"
# What Prometheus has and Driftline does not take, with the reason.
REFUSED_FUNCTIONS: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "first_over_time",
            "histogram_quantiles",
            "ts_of_first_over_time",
            "ts_of_last_over_time",
            "ts_of_max_over_time",
            "ts_of_min_over_time",
        ),
        _EXPERIMENTAL,
    ),
    **dict.fromkeys(("sort_by_label", "sort_by_label_desc"), _ORDER),
    **dict.fromkeys(("start", "end", "step", "range"), "an indicator has no range that is queried"),
    "info": "it joins series that the expression does not name",
}
REFUSED_AGGREGATIONS: Final[dict[str, str]] = {
    "limit_ratio": "it draws elements by a hash of Prometheus' own",
}

"""What a function over ranges is: from the window at a step to a value for each of its series."""

from collections.abc import Callable
from dataclasses import dataclass

from streams.series.arrays import Floats, Mask
from streams.series.window import Span


@dataclass(frozen=True, slots=True)
class Column:
    """A value for each series of a window; it means nothing where `present` is False."""

    values: Floats
    present: Mask


@dataclass(frozen=True, slots=True)
class RangeFunction:
    """A function of PromQL over a range vector.

    compute: shared by functions that differ in what follows only. per_second: divided by the range's length.
    keeps_name: the metric name stays on the result.
    """

    compute: Callable[[Span], Column]
    per_second: bool = False
    keeps_name: bool = False

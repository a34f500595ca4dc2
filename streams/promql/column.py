"""What a function over ranges is: from the window at a step to a value for each of its series."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from streams.native.histogram import NativeHistogram, Sample
from streams.promql.expression import ValueType
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

    compute: from the window and the scalar arguments.
    takes: the types of its arguments, one of them the range. refuses: why the scalar arguments are none; None = they
    are. from_step: `compute` takes, before the scalars, how long the range ends before the step, in ms.
    keeps_name: the metric name stays on the result. Native histograms are not seen by `compute`, unless it was made by
    `with_native`.
    """

    compute: Callable[..., Column]
    takes: tuple[ValueType, ...] = ("range",)
    refuses: Callable[..., str | None] | None = None
    from_step: bool = False
    keeps_name: bool = False


# From the samples of one series, floats and native histograms, and the range (begin, end], to its value; None = none.
OfSamples = Callable[[Sequence[Sample], int, int], float | NativeHistogram | None]


def with_native(compute: Callable[[Span], Column], of_samples: OfSamples) -> Callable[[Span], Column]:
    """A function of floats that goes through series with native histograms one by one."""

    def compute_both(span: Span) -> Column:
        column = compute(span)
        for place in span.native().tolist():
            result = of_samples(span.samples_of(place), span.begin, span.end)
            column.present[place] = result is not None
            if isinstance(result, NativeHistogram):
                column.values[place] = span.columns.histograms.box(result)
            elif result is not None:
                column.values[place] = result
        return column

    return compute_both


def compute_all(compute: Callable[..., Column], spans: Sequence[Span], arguments: tuple[float, ...]) -> Column:
    """A function's values for all series of a window that comes in parts."""
    if len(spans) == 1:
        return compute(spans[0], *arguments)
    columns = [compute(span, *arguments) for span in spans]
    return Column(
        np.concatenate([column.values for column in columns]),
        np.concatenate([column.present for column in columns]),
    )

"""One expression at one moment, over series that are given with their samples: no log, no steps, nothing kept.

For unit tests of budgets and for comparisons with Prometheus. It is the Meter's own way from bytes to a value (intake,
columns, plan), taken once; NaN and infinities, which a frame publishes as no data, are still themselves here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streams.native.histogram import NativeHistogram, Sample, to_message
from streams.promql.expression import LOOKBACK_MS, Expression, reach_of
from streams.promql.lanes import Lanes
from streams.promql.native import Natives
from streams.promql.parse import PromqlError
from streams.promql.plan import Plan
from streams.promql.vector import Value, Vector
from streams.series.intake import Came, Intake
from streams.series.labels import Labels
from streams.series.store import Ceilings, SeriesStore
from streams.wire.encode import Sample as WrittenSample
from streams.wire.encode import encode_write_request

# Times are 32 bits of milliseconds before the moment.
LONGEST_REACH_MS = 20 * 86_400_000

Series = tuple[Mapping[str, str], Sequence[Sample]]


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a result; a scalar is the element without labels.

    labels: with the metric name where PromQL keeps it.
    """

    labels: Labels
    value: float | NativeHistogram


def evaluate(expression: Expression, series: Iterable[Series], at_ms: int) -> tuple[Element, ...]:
    """The result of an expression at a moment, its elements in the order of their labels.

    Args:
        series: each with its samples, oldest first. Samples after the moment do not matter.

    Raises:
        EvaluationError: it has none: vectors do not match as it says.
        PromqlError: it looks back too far.
        WireError: the labels are none that a series can have.
    """
    reach_ms = reach_of(expression)
    if reach_ms > LONGEST_REACH_MS:
        raise PromqlError(f"looks back further than {LONGEST_REACH_MS // 86_400_000} days")
    store = SeriesStore(Ceilings(2**31 - 1, 2**31 - 1), lag_ms=1, keep_ms=max(reach_ms, LOOKBACK_MS))
    store.columns.epoch_ms = at_ms
    intake, came = Intake(store, out_of_order_ms=0), Came(at_ms, at_ms, at_ms, at_ms)
    for labels, samples in series:
        needed = [(time_ms, value) for time_ms, value in samples if at_ms - store.keep_ms < time_ms <= at_ms]
        if needed:
            intake.take("", write_request_of([(labels, needed)]), came)
    with np.errstate(all="ignore"):
        plan = Plan(Lanes(store.columns, store.selection))
        return elements_of(plan.part(expression).at(at_ms), plan.natives)


def write_request_of(series: Iterable[Series]) -> bytes:
    """Series as a sender writes them."""
    return encode_write_request((labels, [_written(*sample) for sample in samples]) for labels, samples in series)


def _written(timestamp_ms: int, value: float | NativeHistogram) -> WrittenSample:
    if not isinstance(value, NativeHistogram):
        return timestamp_ms, value
    message = to_message(value)
    message.timestamp = timestamp_ms
    return message


def elements_of(value: Value, natives: Natives) -> tuple[Element, ...]:
    """The elements of a part's value, in the order of their labels.

    Args:
        natives: of the plan that the part is of.
    """
    if not isinstance(value, Vector):
        return (Element((), value),)
    present = np.flatnonzero(value.present)
    elements = [
        Element(value.domain.labels(element), found)
        for element, found in zip(present.tolist(), natives.elements_of(value.values[present]), strict=True)
    ]
    return tuple(sorted(elements, key=lambda element: element.labels))

"""Minimum traffic: is there enough behind a value to say anything about it? One question, no memory."""

import re

from budgets.spec.model import IndicatorSpec

# A percentile rests on the few events beyond it; fewer than this, and one slow request is a "regression".
MIN_TAIL_EVENTS = 5.0
_PERCENTILE = re.compile(r"_p(\d{2,5})")


def has_traffic(spec: IndicatorSpec, weight: float | None) -> bool:
    """Whether a value may be judged. An unknown weight is taken as enough: nothing says that it is not.

    weight: events behind the value in its window.
    """
    return spec.min_traffic <= 0 or weight is None or weight >= spec.min_traffic


def tail_share(spec: IndicatorSpec) -> float:
    """The part of the events beyond a percentile, on its smaller side; 1.0 for what is no percentile.

    spec: its name says which percentile it is: `response_time_p95`, `response_time_p999`.
    """
    found = _PERCENTILE.search(spec.name) if spec.kind == "response_time" else None
    if found is None:
        return 1.0
    ratio = int(found[1]) / 10.0 ** len(found[1])
    return min(ratio, 1.0 - ratio)


def needs_full_window(spec: IndicatorSpec) -> bool:
    """Whether values mislead until data has come for a whole window.

    Prometheus divides what it has seen by the whole window: a rate begins far too low, and an idle rate makes a CPU
    look busy. Ratios and percentiles are right from the first value on.
    """
    return spec.kind in {"throughput", "resource"} or (spec.kind == "custom" and spec.direction == "below")

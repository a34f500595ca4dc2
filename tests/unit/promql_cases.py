"""Asks a Meter for one expression at one step, over samples written as a table."""

import math
from collections.abc import Mapping, Sequence

from streams.meter import Meter
from streams.promql.parse import selectors_of
from streams.query import Query
from streams.wire.encode import encode_write_request

# A step at every whole minute; the one that is asked for.
STEP_MS = 60_000
AT = 1_764_000_000_000
NAN, INF = math.nan, math.inf

Series = Mapping[str, Sequence[tuple[float, float]]]


def labels_of(series: str) -> dict[str, str]:
    """Labels as PromQL writes them, `up{job="a"}`."""
    (selector,) = selectors_of(series)
    assert all(matcher.op == "=" for matcher in selector.matchers)
    return {matcher.name: matcher.value for matcher in selector.matchers}


def ask(expr: str, series: Series) -> dict[str, float | None]:
    """The expression's elements at AT, by their labels as text, without braces and name.

    Args:
        series: name and labels -> (seconds before AT, negative; value).
    """
    meter = Meter(STEP_MS, 0)
    meter.define("svc", [Query("q", expr)], 0)
    meter.resume_after(AT - STEP_MS)
    frames = [
        (labels_of(name), [(AT + round(seconds * 1000), value) for seconds, value in samples])
        for name, samples in series.items()
    ]
    meter.observe("svc", encode_write_request(frames), AT - 1)
    (frame,) = meter.advance(AT)
    assert frame.at == AT
    return {
        point.removeprefix("q").strip("{}").replace('"', ""): value
        for point, value in zip(frame.points.id, frame.points.value, strict=True)
    }


def value(expr: str, series: Series) -> float | None:
    """The value of an expression with one element without labels, or none."""
    result = ask(expr, series)
    assert list(result) == [""]
    return result[""]

"""A sparkline: the last hours of one indicator beside its limit, as numbers for an inline SVG. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.storage.history import PointColumns
from agents.web.history.buckets import Bucket, buckets_of
from budgets.spec.model import IndicatorSpec

SPAN_MS = 3 * 3_600_000
WIDTH, HEIGHT = 160, 36
_BUCKETS = 60
# Room above and below, so that lines on the edge are seen; of the height.
_MARGIN = 0.08
# Less than this share of the level is noise and must not fill the picture.
_LEAST_SPAN = 0.05


@dataclass(frozen=True, slots=True)
class Sparkline:
    """path: an SVG path, broken where there is no data. limit_y: where the limit lies, None = there is none.

    low, high: the smallest and the largest value of all, in the indicator's unit.
    """

    path: str
    limit_y: int | None
    low: float
    high: float


def sparkline_of(spec: IndicatorSpec, points: PointColumns, now_ms: int, step_ms: int) -> Sparkline | None:
    """The last `SPAN_MS` before `now_ms`; None = there is nothing to draw.

    Of several values in one bucket the worst is drawn: a spike must not vanish.
    """
    bucket_ms = max(SPAN_MS // _BUCKETS, step_ms) // step_ms * step_ms
    buckets = [bucket for bucket in buckets_of(points, bucket_ms) if bucket.value is not None]
    if not buckets:
        return None
    worst = [(bucket.at, _worst(spec, bucket)) for bucket in buckets]
    values = [value for _, value in worst]
    low, high = np.nanmin(points.value), np.nanmax(points.value)
    bottom, top = _scale(values, spec.limit)
    path = _path(worst, bucket_ms, now_ms, bottom, top)
    limit_y = None if spec.limit is None else _y(spec.limit, bottom, top)
    return Sparkline(path, limit_y, float(low), float(high))


def _worst(spec: IndicatorSpec, bucket: Bucket) -> float:
    value = bucket.max if spec.direction == "above" else bucket.min
    assert value is not None  # a bucket with a value has both
    return value


def _scale(values: Sequence[float], limit: float | None) -> tuple[float, float]:
    shown = [*values, *([limit] if limit is not None else [])]
    low, high = min(shown), max(shown)
    least = _LEAST_SPAN * max(abs(low), abs(high)) or 1.0
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    margin = (high - low) * _MARGIN
    return low - margin, high + margin


def _y(value: float, bottom: float, top: float) -> int:
    return round(HEIGHT * (top - value) / (top - bottom))


def _path(worst: Sequence[tuple[int, float]], bucket_ms: int, now_ms: int, bottom: float, top: float) -> str:
    parts: list[str] = []
    last_at = None
    for at, value in worst:
        x = round(WIDTH * (1 - min(max(now_ms - at, 0), SPAN_MS) / SPAN_MS))
        joined = last_at is not None and at - last_at <= bucket_ms
        # "h0" is a dot: a value between two gaps is seen too.
        parts.append(f"L{x} {_y(value, bottom, top)}" if joined else f"M{x} {_y(value, bottom, top)}h0")
        last_at = at
    return "".join(parts)

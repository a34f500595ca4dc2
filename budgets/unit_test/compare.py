"""When two values agree, and what to say of two sets of values that do not."""

import math
from collections.abc import Mapping

from budgets.unit_test.model import Row
from streams.native.histogram import Buckets, NativeHistogram
from streams.series.labels import METRIC_NAME, Labels

TOLERANCE = 1e-9
"""Relative, as the contract about indicator values says."""


def agree(one: float | NativeHistogram, other: float | NativeHistogram) -> bool:
    """Whether two values are the same to 1e-9; NaN is NaN. Histograms are the same if all their numbers are.

    What a histogram says about resets is no part of its value, but whether it is a gauge is.

    >>> agree(0.1 + 0.2, 0.3), agree(math.nan, math.nan), agree(math.inf, 1e308), agree(0.0, 1e-12)
    (True, True, False, False)
    """
    if isinstance(one, NativeHistogram) or isinstance(other, NativeHistogram):
        return isinstance(one, NativeHistogram) and isinstance(other, NativeHistogram) and _same(one, other)
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other or math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=0.0)


def _same(one: NativeHistogram, other: NativeHistogram) -> bool:
    if one.schema != other.schema or (one.hint == "gauge") != (other.hint == "gauge"):
        return False
    if len(one.bounds) != len(other.bounds):
        return False
    pairs = [
        (one.zero_threshold, other.zero_threshold),
        (one.zero_count, other.zero_count),
        (one.count, other.count),
        (one.sum, other.sum),
        *zip(one.bounds, other.bounds, strict=True),
    ]
    for left, right in ((one.positive, other.positive), (one.negative, other.negative)):
        mine, yours = _filled(left), _filled(right)
        pairs += [(mine.get(index, 0.0), yours.get(index, 0.0)) for index in mine.keys() | yours.keys()]
    return all(agree(*pair) for pair in pairs)


def number_text(value: float) -> str:
    """A value as PromQL writes it.

    >>> number_text(3.0), number_text(math.nan), number_text(-math.inf), number_text(0.1)
    ('3', 'NaN', '-Inf', '0.1')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def histogram_text(histogram: NativeHistogram) -> str:
    """A histogram in this notation.

    >>> histogram_text(parse_histogram("{{count:3 sum:1.5 buckets:[0 1 0 2] offset:-3}}").measured())
    '{{count:3 sum:1.5 offset:-2 buckets:[1 0 2]}}'
    """
    parts = [f"schema:{histogram.schema}"] if histogram.schema else []
    for name, number in (
        ("count", histogram.count),
        ("sum", histogram.sum),
        ("z_bucket", histogram.zero_count),
        ("z_bucket_w", histogram.zero_threshold),
    ):
        if number:
            parts.append(f"{name}:{number_text(number)}")
    if histogram.bounds:
        parts.append(f"custom_values:[{' '.join(map(number_text, histogram.bounds))}]")
    if histogram.hint != "unknown":
        parts.append(f"counter_reset_hint:{histogram.hint}")
    for prefix, buckets in (("", histogram.positive), ("n_", histogram.negative)):
        filled = _filled(buckets)
        if filled:
            first = min(filled)
            row = [number_text(filled.get(index, 0.0)) for index in range(first, max(filled) + 1)]
            parts += [f"{prefix}offset:{first}"] if first else []
            parts.append(f"{prefix}buckets:[{' '.join(row)}]")
    return f"{{{{{' '.join(parts)}}}}}"


def _filled(buckets: Buckets) -> dict[int, float]:
    """The counts by index of the buckets that are not empty."""
    pairs = zip(buckets.indices.tolist(), buckets.counts.tolist(), strict=True)
    return {index: count for index, count in pairs if count}


def value_text(value: float | NativeHistogram) -> str:
    """A value as a test file writes it."""
    return histogram_text(value) if isinstance(value, NativeHistogram) else number_text(value)


def labels_text(labels: Labels) -> str:
    r"""Labels as PromQL writes them.

    >>> labels_text((("__name__", "up"), ("job", "a\"b")))
    'up{job="a\\"b"}'
    >>> labels_text(())
    '{}'
    """
    name = dict(labels).get(METRIC_NAME, "")
    pairs = [(key, value) for key, value in labels if key != METRIC_NAME]
    escaped = [(key, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for key, value in pairs]
    inside = ",".join(f'{key}="{value}"' for key, value in escaped)
    return f"{name}{{{inside}}}" if inside or not name else name


def rows_of(
    expected: Mapping[Labels, float | NativeHistogram], got: Mapping[Labels, float | NativeHistogram]
) -> tuple[Row, ...]:
    """What was expected and what came, side by side, by labels."""
    rows = []
    for labels in sorted(expected.keys() | got.keys()):
        one, other = expected.get(labels), got.get(labels)
        agrees = one is not None and other is not None and agree(one, other)
        left, right = (None if value is None else value_text(value) for value in (one, other))
        rows.append(Row(labels_text(labels), left, right, agrees=agrees))
    return tuple(rows)

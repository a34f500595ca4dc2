"""When two values agree, and what to say of two sets of values that do not."""

import math
from collections.abc import Mapping

from budgets.unit_test.model import Row
from streams.series.labels import METRIC_NAME, Labels

TOLERANCE = 1e-9
"""Relative, as the contract about indicator values says."""


def agree(one: float, other: float) -> bool:
    """Whether two values are the same to 1e-9; NaN is NaN.

    >>> agree(0.1 + 0.2, 0.3), agree(math.nan, math.nan), agree(math.inf, 1e308), agree(0.0, 1e-12)
    (True, True, False, False)
    """
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other or math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=0.0)


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


def rows_of(expected: Mapping[Labels, float], got: Mapping[Labels, float]) -> tuple[Row, ...]:
    """What was expected and what came, side by side, by labels."""
    rows = []
    for labels in sorted(expected.keys() | got.keys()):
        one, other = expected.get(labels), got.get(labels)
        agrees = one is not None and other is not None and agree(one, other)
        left, right = (None if value is None else number_text(value) for value in (one, other))
        rows.append(Row(labels_text(labels), left, right, agrees=agrees))
    return tuple(rows)

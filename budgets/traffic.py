"""Minimum traffic: are there enough events behind a value to say anything about it?"""

from budgets.spec.model import IndicatorSpec


def has_traffic(spec: IndicatorSpec, weight: float | None) -> bool:
    """Whether a value may be judged. An unknown weight is taken as enough: nothing says that it is not.

    weight: events behind the value in its window.
    """
    return spec.min_traffic <= 0 or weight is None or weight >= spec.min_traffic

"""Limits: is this one value within its budget? One question about one indicator, no memory."""

from budgets.spec.model import Direction, IndicatorSpec, Severity


def level_of(spec: IndicatorSpec, value: float) -> Severity | None:
    """How far a value is beyond its limits: "critical", "warning" or None = within.

    Upper limits are passed by larger values, lower limits by smaller ones; a value on the limit is within.
    """
    levels: tuple[tuple[Severity, float | None], ...] = (("critical", spec.critical), ("warning", spec.warning))
    for severity, bound in levels:
        if bound is not None and is_beyond(spec.direction, value, bound):
            return severity
    return None


def has_recovered(spec: IndicatorSpec, value: float) -> bool:
    """Whether a value is far enough on the good side for an alert to resolve (hysteresis)."""
    bound = spec.recovery if spec.recovery is not None else spec.warning
    return bound is None or not is_beyond(spec.direction, value, bound)


def is_beyond(direction: Direction, value: float, bound: float) -> bool:
    """Whether a value is on the bad side of a bound; on it, it is not."""
    return value > bound if direction == "above" else value < bound


def worse_by(direction: Direction, change: float) -> float:
    """A change as far as it is one for the worse: positive = worse.

    >>> worse_by("above", 0.2), worse_by("below", 0.2)
    (0.2, -0.2)
    """
    return change if direction == "above" else -change

"""Limits: is this one value within its budget? One question about one indicator, no memory."""

from budgets.spec.model import IndicatorSpec, Severity


def level_of(spec: IndicatorSpec, value: float) -> Severity | None:
    """How far a value is beyond its limits: "critical", "warning" or None = within.

    Upper limits are passed by larger values, lower limits by smaller ones; a value on the limit is within.
    """
    levels: tuple[tuple[Severity, float | None], ...] = (("critical", spec.critical), ("warning", spec.warning))
    for severity, bound in levels:
        if bound is not None and _is_beyond(spec, value, bound):
            return severity
    return None


def has_recovered(spec: IndicatorSpec, value: float) -> bool:
    """Whether a value is far enough on the good side for an alert to resolve (hysteresis)."""
    bound = spec.recovery if spec.recovery is not None else spec.warning
    return bound is None or not _is_beyond(spec, value, bound)


def _is_beyond(spec: IndicatorSpec, value: float, bound: float) -> bool:
    return value > bound if spec.direction == "above" else value < bound

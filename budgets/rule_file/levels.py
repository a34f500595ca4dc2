"""From the bounds of a warning and a critical alert to the limit and the two thresholds that a budget file takes."""

import math
from dataclasses import dataclass

from budgets.rule_file.model import NotTakenError
from budgets.spec.levels import times
from budgets.spec.model import Direction

# The largest factor that a budget file takes, and one that no value lies below in practice: it stands for 0.
_LARGEST, _SMALLEST = 2.0, 1e-300
# Half of a lower limit, twice an upper one: where the rules say nothing of critical.
_FAR = {"above": 2.0, "below": 0.5}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a budget file says of a limit. has_own_critical: the rules give one."""

    limit: float
    warning: float
    critical: float
    has_own_critical: bool = True


def thresholds_of(direction: Direction, warning: float | None, critical: float | None) -> Thresholds:
    """Limit and thresholds for the bounds that there are; at least one is given.

    >>> thresholds_of("above", 160.0, 200.0)
    Thresholds(limit=200.0, warning=0.8, critical=1.0, has_own_critical=True)

    Raises:
        NotTakenError: no budget can say it.
    """
    for bound in (warning, critical):
        if bound is not None and (bound < 0 or (bound == 0 and direction == "below")):
            expected = "0 or more" if direction == "above" else "above 0"
            raise NotTakenError(f"a limit of {bound:g}, and a budget's {_KIND[direction]} limit is {expected}")
    if warning is None:
        assert critical is not None
        return Thresholds(critical, 1.0, 1.0)
    if critical is None:
        if warning == 0:
            raise NotTakenError(
                "a warning above 0 alone: a budget is critical above twice its limit, which is 0 as well"
            )
        return Thresholds(warning, 1.0, _FAR[direction], has_own_critical=False)
    if is_beyond(direction, warning, critical):
        raise NotTakenError(f"a warning at {warning:g} that lies beyond critical at {critical:g}")
    if direction == "above":
        return Thresholds(critical, _factor(critical, warning), 1.0)
    return Thresholds(warning, 1.0, _factor(warning, critical))


_KIND = {"above": "upper", "below": "lower"}


def is_beyond(direction: Direction, bound: float, other: float) -> bool:
    """Whether a bound lies further in the bad direction than another."""
    return bound > other if direction == "above" else bound < other


def _factor(limit: float, bound: float) -> float:
    """The factor whose product with the limit, as a budget computes it, is the bound."""
    if limit == bound:
        return 1.0
    factor = min(max(bound / limit, _SMALLEST), _LARGEST)
    for candidate in (factor, math.nextafter(factor, 0), math.nextafter(factor, _LARGEST)):
        if times(limit, candidate) == bound:
            return candidate
    return factor

"""Chance in a share of events: 2 errors of 1,000 requests are not twice as bad as 1.

Counts of rare events are skewed and never below zero, so the Gaussian spread of past values understates what chance
can do. On the scale of square roots their deviation is about 1/2 whatever the mean.
"""

import math

_CONTINUITY = 3.0 / 8.0


def _root(events: float) -> float:
    return math.sqrt(max(0.0, events) + _CONTINUITY)


def share_z(value: float, expected: float, events: float) -> float:
    """How many standard deviations of pure chance lie between two shares; positive = value is larger.

    Args:
        value, expected: shares, 0-1. events: how many events `value` was taken of, >= 0.

    Source: Anscombe (1948), the transformation of Poisson counts; of the rarer outcome, where it matters.

    >>> round(share_z(0.02, 0.01, 1000), 1)
    2.6
    """
    if expected > 0.5:
        return 2.0 * (_root((1.0 - expected) * events) - _root((1.0 - value) * events))
    return 2.0 * (_root(value * events) - _root(expected * events))


def share_interval(value: float, events: float, z: float) -> tuple[float, float]:
    """The interval of a share that chance leaves open, `z` deviations to each side.

    >>> low, high = share_interval(0.01, 1000, 1.96)
    >>> round(low, 4), round(high, 4)
    (0.0046, 0.0173)
    """
    if events <= 0:
        return 0.0, 1.0
    rarer = 1.0 - value if value > 0.5 else value
    centre = _root(rarer * events)
    low = max(0.0, max(0.0, centre - z / 2.0) ** 2 - _CONTINUITY) / events
    high = min(1.0, ((centre + z / 2.0) ** 2 - _CONTINUITY) / events)
    return (1.0 - high, 1.0 - low) if value > 0.5 else (low, high)

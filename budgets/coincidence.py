"""How likely is it that things fall together by chance? Three answers for things that come independently (Poisson).

They are what stands behind "this deployment" and "one incident": small numbers, said to people, never an oracle.
"""

import math

_DAY_MS = 86_400_000.0


def chance_within(per_day: float, span_ms: float) -> float:
    """The chance that at least one of what comes `per_day` times a day falls into a span.

    >>> round(chance_within(0.8, 180_000), 5)
    0.00167
    """
    return -math.expm1(-per_day * span_ms / _DAY_MS)


def chance_of_several(expected: float, count: int) -> float:
    """The chance that `count` or more come where `expected` do on average.

    >>> round(chance_of_several(0.1, 1), 5), round(chance_of_several(0.1, 2), 5)
    (0.09516, 0.00468)
    """
    if count <= 1:
        return -math.expm1(-expected) if count == 1 else 1.0
    fewer = sum(math.exp(-expected) * expected**each / math.factorial(each) for each in range(count))
    return max(0.0, 1.0 - fewer)


def chance_of_both(one: float, other: float) -> float:
    """Two independent chances as one: how likely a product as small as theirs is.

    Source: Fisher, Statistical Methods for Research Workers (1932), section 21.1; for two it has this closed form.

    >>> round(chance_of_both(0.05, 0.05), 4), chance_of_both(1.0, 1.0)
    (0.0175, 1.0)
    """
    product = one * other
    return product * (1.0 - math.log(product)) if product > 0 else 0.0

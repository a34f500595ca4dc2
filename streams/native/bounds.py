"""Where the buckets of a native histogram end. To the last bit as Prometheus has it: bounds become text and limits.

The bucket with index i of schema s ends at 2 ** (i * 2 ** -s). Prometheus keeps the fractions between two powers of two
in a table; the table is made again here, by the recurrence that it was printed from.
"""

import math
import sys
from functools import cache, lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

# As many as programs have that mean well: what is kept of layouts is kept of these only, so it stays within some MiB.
FEW_BUCKETS: Final = 256


@cache
def _fractions(schema: int) -> npt.NDArray[np.float64]:
    """(2 ** schema,) The bounds from 1/2 on to below 1. schema: 0 to 8."""
    if schema == 0:
        return np.array([0.5])
    coarser = _fractions(schema - 1)
    # Go's square root of two by its Exp2 is one bit less than the nearest float, and so is what came of it.
    factor: float = math.nextafter(math.sqrt(2.0), 0.0) if schema == 1 else 2.0 ** (2.0**-schema)
    fractions = np.repeat(coarser, 2)
    fractions[1::2] = coarser * factor
    return fractions


def exponential_bounds(indices: npt.NDArray[np.integer], schema: int) -> npt.NDArray[np.float64]:
    """(n,) Upper bounds. The last bucket of finite numbers ends at the largest of them, the one after at infinity."""
    wide = indices.astype(np.int64)
    if schema < 0:
        fractions, exponents = np.full(len(wide), 0.5), (wide << -schema) + 1
    else:
        fractions, exponents = _fractions(schema)[wide & ((1 << schema) - 1)], (wide >> schema) + 1
    bounds: npt.NDArray[np.float64] = np.ldexp(fractions, np.clip(exponents, -2000, 1024).astype(np.int32))
    beyond = exponents > 1024
    if beyond.any():
        bounds[beyond] = np.inf
        bounds[(exponents == 1025) & (fractions == 0.5)] = sys.float_info.max
    return bounds


@lru_cache(maxsize=1024)
def _ends(indices: bytes, schema: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    upper = np.frombuffer(indices, np.int32)
    ends = exponential_bounds(upper - np.int32(1), schema), exponential_bounds(upper, schema)
    for bounds in ends:
        bounds.flags.writeable = False
    return ends


def exponential_ends(
    indices: npt.NDArray[np.int32], schema: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lower and upper bounds; not to be written to. Layouts repeat: of those with few buckets the bounds are kept."""
    if len(indices) <= FEW_BUCKETS:
        return _ends(indices.tobytes(), schema)
    return _ends.__wrapped__(indices.tobytes(), schema)


@lru_cache(maxsize=1024)
def first_beyond(threshold: float, schema: int) -> int:
    """The lowest index of an exponential bucket that ends beyond a positive threshold."""
    if math.isinf(threshold):
        return 2**31
    near = math.floor(math.ldexp(math.log2(threshold), schema))
    around = np.arange(near - 2, near + 3)
    return int(around[exponential_bounds(around, schema) > threshold][0])


def custom_bounds(indices: npt.NDArray[np.int32], bounds: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """(n,) Upper bounds; -1 is what lies before the first bucket: minus infinity."""
    ends = np.array([-np.inf, *bounds, np.inf])
    found: npt.NDArray[np.float64] = ends[indices + 1]
    return found


def shared_bounds(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float, ...]:
    """The custom bounds that both have, ascending."""
    return tuple(sorted(set(first) & set(second)))

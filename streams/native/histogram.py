"""One native histogram as PromQL sees it: all counts are floats, whatever was sent.

Buckets are sparse: only those that a sender filled are there, each with its index, in ascending order. The bucket with
index i of schema s ends at 2 ** (i * 2 ** -s); with custom bounds (schema -53) it ends at `bounds[i]`, and the one
after the last bound at infinity.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

CUSTOM_BOUNDS = -53

Hint: TypeAlias = Literal["unknown", "reset", "not_reset", "gauge"]


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Buckets of one sign.

    indices: (n,) ascending. counts: (n,) how many observations fell into each; not cumulative.
    """

    indices: npt.NDArray[np.int32]
    counts: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class NativeHistogram:
    """Observations by bucket; immutable, its arrays too.

    schema: -4 to 8, or CUSTOM_BOUNDS. zero_threshold: the zero bucket holds what lies within +-threshold.
    count: all observations, also those that are no number and so in no bucket. bounds: upper ones, custom only.
    hint: what the sender says about a counter reset before this sample; "gauge" = it is not a counter.
    """

    schema: int
    hint: Hint
    zero_threshold: float
    zero_count: float
    count: float
    sum: float
    positive: Buckets
    negative: Buckets
    bounds: tuple[float, ...] = ()


# A sample of a series: Unix ms (or ms since any epoch), and what was there.
Sample: TypeAlias = tuple[int, float | NativeHistogram]

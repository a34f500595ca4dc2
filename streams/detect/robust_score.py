"""How much one innovation says for a shift: the log likelihood ratio under Student's t with the row's own tails.

With a Gaussian score one wild value is worth ten honest ones, and heavy tails alarm all day. Under Student's t a value
far out says little about where the middle is. The tails are read off the ratio of the mean absolute to the root mean
square innovation: 0.798 for a Gaussian, less the heavier they are.
"""

import math
from typing import Final

import numpy as np

from streams.detect.bank import FloatArray
from streams.detect.shift_columns import ShiftColumns

MOST_FREEDOM: Final = 50.0
# Innovations teach no further than this many mean absolute ones.
_CLIP = 12.0


def _mean_absolute(freedom: float) -> float:
    """Of Student's t with unit scale."""
    return (
        2.0
        * math.sqrt(freedom / math.pi)
        * math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
        / (freedom - 1)
    )


# Tails as heavy as 3 degrees of freedom, to as light as makes no difference.
_FREEDOMS = np.array([2.6, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0, 50.0])
_MEANS = np.array([_mean_absolute(freedom) for freedom in _FREEDOMS.tolist()])
_RATIOS = _MEANS**2 / (_FREEDOMS / (_FREEDOMS - 2.0))


def learn_scale(columns: ShiftColumns, innovation: FloatArray, rate: FloatArray) -> None:
    """Move the innovations' mean size by a part `rate` towards this one's."""
    size = np.abs(innovation)
    far = np.where(columns.count > 30.0, _CLIP * columns.deviation, np.inf)
    size = np.minimum(size, far)
    columns.deviation += rate * (size - columns.deviation)
    columns.square += rate * (size * size - columns.square)


def fit_tails(columns: ShiftColumns) -> None:
    """Scale and degrees of freedom from the mean sizes."""
    square = np.where(columns.square > 0, columns.square, 1.0)
    ratio = np.where(columns.square > 0, columns.deviation**2 / square, _RATIOS[-1])
    # A ratio of few values is believed little.
    believed = columns.count / (columns.count + 200.0)
    ratio = _RATIOS[-1] + believed * (ratio - _RATIOS[-1])
    inverse = np.interp(ratio, _RATIOS, 1.0 / _FREEDOMS)
    columns.freedom[:] = 1.0 / inverse
    columns.scale[:] = columns.deviation / np.interp(ratio, _RATIOS, _MEANS)


def log_ratios(standard: FloatArray, sizes: FloatArray, freedom: FloatArray) -> FloatArray:
    """(2 * k, n): log likelihood of a shift against none, upwards by each size, then downwards.

    Args:
        standard: (n,) innovations in units of the scale. sizes: (k, n), likewise. freedom: (n,).
    """
    half = 0.5 * (freedom + 1.0)
    none = np.log1p(standard * standard / freedom)
    away = np.concatenate([standard - sizes, standard + sizes])
    away *= away
    away /= freedom
    np.log1p(away, out=away)
    away -= none
    away *= -half
    return away

"""Page's CUSUM on log likelihood ratios, for several sizes of shift in both directions at once.

A statistic is the evidence that a shift of one size began at the likeliest moment. It goes on from the last value's
evidence or begins anew with this value, whichever says more; a beginning has the whole jump of a shift in its
innovation, what follows only the gain (`prewhiten.py`). So it is the likelihood ratio of a step in autocorrelated
noise, not of a step in noise that was made white.

Sources: Page (1954); Lorden (1971), why several sizes cost little; Siegmund (1985), the run length of a CUSUM.
"""

from typing import Final

import numpy as np

from streams.detect.bank import BoolArray, FloatArray, IntArray
from streams.detect.robust_score import log_ratios
from streams.detect.self_calibration import doubt
from streams.detect.shift_columns import SIZES, ShiftColumns

# Fewer values than this are a spike.
_FEWEST = 3.0
# What a CUSUM of Gaussian values overshoots its bound, in standard deviations.
_OVERSHOOT = 1.166
# How much more evidence each size needs where the season was learned from one day.
_SEASON_DOUBT = np.array([0.6, 0.35, 0.1])[:, np.newaxis]
_SIZES = np.array(SIZES)[:, np.newaxis]
_LARGEST: Final = 4.0
# The sizes are correlated, so that they alarm together more rarely than each for itself.
_TOGETHER = 5.6


def bound_of(size: FloatArray, first: FloatArray, run_length: FloatArray) -> FloatArray:
    """The evidence that noise alone passes once in `run_length` values, and what it overshoots.

    Args:
        size, first: shift of an innovation and of the first one, standard deviations, > 0. run_length: >= 1.

    Source: Siegmund's approximation, (exp(x) - x - 1) = run_length * size^2 / 2, x = bound + overshoot.
    """
    target = run_length * size * first / 2.0
    length = np.log1p(target)
    for _ in range(12):
        length = np.log1p(length + target)
    return length


def sizes_of(columns: ShiftColumns) -> tuple[FloatArray, FloatArray]:
    """(k, n) each, in units of the innovations' scale: the sizes later innovations have, and the first one."""
    spread = np.sqrt(columns.freedom / (columns.freedom - 2.0))
    later = np.minimum(_SIZES * (columns.gain * spread), _LARGEST)
    first = np.minimum(_SIZES * (columns.jump * spread), _LARGEST)
    return later, first


def set_bounds(columns: ShiftColumns, step_ms: int) -> None:
    """Where each statistic alarms, from what the row allows noise alone to do."""
    information = (columns.freedom + 1.0) / (columns.freedom + 3.0)
    later, first = sizes_of(columns)
    size = later * np.sqrt(information)
    run_length = np.maximum(_TOGETHER * columns.interval / step_ms, 10.0)
    overshoot = _OVERSHOOT * (1.0 - 1.5 / columns.freedom) * size
    bound = bound_of(size, first * np.sqrt(information), run_length) - overshoot
    # A level that is known from few values is off by chance, and a CUSUM adds that up: exp(bound) is what it needs on
    # average over where the level may be.
    reach = bound / size
    bound += np.minimum(2.0 * reach * reach / np.maximum(columns.level_known, 1.0), bound)
    # A season has errors that last as long as its slots: they look like small shifts.
    bound *= 1.0 + _SEASON_DOUBT * (columns.seasonal * columns.doubt)
    columns.doubtful[:] = doubt(columns)
    bound *= columns.doubtful
    young = columns.young > 0.0
    bound[:-1, young] = np.inf  # of a young row only the largest size is believed
    columns.bounds[: len(SIZES)] = bound
    columns.bounds[len(SIZES) :] = bound


def accumulate(columns: ShiftColumns, at_ms: int, deviation: FloatArray, innovation: FloatArray) -> None:
    """One value more for every statistic."""
    standard = innovation / columns.scale
    later, first = sizes_of(columns)
    most = columns.bounds / 2.0
    going_on = columns.evidence + np.minimum(log_ratios(standard, later, columns.freedom), most)
    beginning = np.minimum(log_ratios(standard, first, columns.freedom), most)
    begins = (columns.evidence <= 0.0) | (beginning > going_on)
    np.maximum(np.where(begins, beginning, going_on), 0.0, out=columns.evidence)
    np.copyto(columns.onsets, float(at_ms), where=begins)
    columns.ages += 1.0
    np.copyto(columns.ages, 1.0, where=begins)
    columns.totals += deviation
    np.copyto(columns.totals, np.broadcast_to(deviation, columns.totals.shape), where=begins)


def strongest(columns: ShiftColumns) -> tuple[FloatArray, IntArray]:
    """(n,) each: how near the nearest statistic is to its bound, 1 = alarm, and which one it is."""
    ratio = columns.evidence / columns.bounds
    which = np.argmax(ratio, axis=0)
    return ratio[which, np.arange(which.size)], which


def nearness_of_sizes(columns: ShiftColumns) -> FloatArray:
    """(SIZES, n): how near each size is to its bound, in the direction that is nearer."""
    ratio = columns.evidence / columns.bounds
    nearer: FloatArray = np.maximum(ratio[: len(SIZES)], ratio[len(SIZES) :])
    return nearer


def alarms(columns: ShiftColumns, nearness: FloatArray, which: IntArray) -> BoolArray:
    """(n,) bool: beyond the bound, and no spike."""
    old_enough = columns.ages[which, np.arange(which.size)] >= _FEWEST
    found: BoolArray = (nearness >= 1.0) & old_enough
    return found

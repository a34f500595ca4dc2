"""What a change point detector remembers of one row, as views of a block of columns (`bank.py`).

One table of names, so that no part counts lines of a matrix. Each part that writes a column says how.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.detect.bank import FloatArray, layout

LAGS: Final = 3
# How many lengths of memory compete for the level, `usual_level.py`.
MEMORIES: Final = 4
# Shifts that are looked for, in usual standard deviations; each upwards and downwards.
SIZES: Final = (0.5, 1.0, 2.0)
TESTS: Final = 2 * len(SIZES)


@dataclass(slots=True)
class ShiftColumns:
    """Each (n,) unless said otherwise."""

    interval: FloatArray  # ms between false alarms
    waves: FloatArray  # how much more the means of blocks vary than the noise model has it, as variance; 0 = not known
    last_at: FloatArray  # ms, the newest value's step
    count: FloatArray  # values that taught
    level: FloatArray  # usual value, without the season
    level_count: FloatArray  # values that it is the mean of
    block_total: FloatArray  # sum of the newest block's values without season
    block_count: FloatArray  # how many
    blocks: FloatArray  # blocks that were compared
    level_memory: FloatArray  # values that the level remembers
    wanders: FloatArray  # times the evidence that a level with so short a memory needs
    level_known: FloatArray  # values' worth that it is the mean of
    young: FloatArray  # 1 = a season could not be told from a shift yet
    seasonal: FloatArray  # 1 = the season is used
    reference: FloatArray  # what the profile's slots count from where no season is used
    slot: FloatArray  # number of the slot that is being seen, since 1970
    slot_total: FloatArray  # sum of its values
    slot_count: FloatArray  # how many
    doubt: FloatArray  # of the season, 1 / days that are behind it
    slots_seen: FloatArray  # slots that taught
    compared: FloatArray  # slots that were foretold
    season_error: FloatArray  # mean absolute error of that
    level_error: FloatArray  # of the level alone
    deviation: FloatArray  # mean absolute innovation
    square: FloatArray  # mean squared innovation
    scale: FloatArray  # of the innovations, Student's t
    freedom: FloatArray  # its degrees of freedom: how heavy the tails are
    sigma: FloatArray  # standard deviation of the values about their level
    gain: FloatArray  # what of a shift stays in the innovations, in standard deviations of them
    jump: FloatArray  # what of a shift its first innovation has, as well
    peak_block: FloatArray  # number of the block since 1970
    peaks: FloatArray  # blocks
    shifted: FloatArray  # -1, 0, +1
    size: FloatArray  # of the shift, signed, in unit
    after: FloatArray  # mean deviation since its onset
    since: FloatArray  # values since its onset
    onset: FloatArray  # ms
    surprise: FloatArray  # p-value when it was decided
    recovery: FloatArray  # evidence that it is over
    lags: FloatArray  # (LAGS, n) newest values, cleaned of outliers, newest first
    covariance: FloatArray  # (LAGS + 1, n) autocovariances of the values
    weights: FloatArray  # (LAGS, n) how the next deviation follows from the newest ones
    levels: FloatArray  # (MEMORIES, n) levels with memories of different length
    block_levels: FloatArray  # (MEMORIES, n) as they were when the block began
    level_misses: FloatArray  # (MEMORIES, n) mean absolute error of each for the next block
    peak: FloatArray  # (SIZES, n) highest nearness of the block, `self_calibration.py`
    peak_mean: FloatArray  # (SIZES, n) mean of the blocks' highest
    peak_variance: FloatArray  # (SIZES, n)
    alarms: FloatArray  # (SIZES, n) in the time between two that are allowed, wearing off
    doubtful: FloatArray  # (SIZES, n) times the evidence that the noise model asks for
    bounds: FloatArray  # (TESTS, n) where each statistic alarms
    evidence: FloatArray  # (TESTS, n) the statistics: log likelihood ratios
    ages: FloatArray  # (TESTS, n) values since each one's onset
    totals: FloatArray  # (TESTS, n) sum of deviations since then
    onsets: FloatArray  # (TESTS, n) ms


_WIDTHS = {
    "lags": LAGS,
    "covariance": LAGS + 1,
    "weights": LAGS,
    "levels": MEMORIES,
    "block_levels": MEMORIES,
    "level_misses": MEMORIES,
    **dict.fromkeys(("peak", "peak_mean", "peak_variance", "alarms", "doubtful"), len(SIZES)),
    **dict.fromkeys(("bounds", "evidence", "ages", "totals", "onsets"), TESTS),
}
_PLACES, FIELDS = layout(ShiftColumns, _WIDTHS)


def columns_of(block: FloatArray) -> ShiftColumns:
    """Views of a block, (FIELDS, n)."""
    return ShiftColumns(*[block[place] for place in _PLACES])


def new_row(interval_ms: float) -> FloatArray:
    """(FIELDS,) how a row begins."""
    block = np.zeros((FIELDS, 1))
    columns = columns_of(block)
    columns.interval[:] = interval_ms
    columns.freedom[:] = 30.0
    columns.scale[:] = columns.gain[:] = columns.jump[:] = 1.0
    columns.doubtful[:] = columns.wanders[:] = columns.surprise[:] = columns.young[:] = 1.0
    columns.bounds[:] = np.inf
    return block[:, 0]

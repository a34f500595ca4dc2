"""How much more evidence a row needs than its noise model says: learned from what the row does when nothing happens.

A bound is right for the noise it was computed for. Real indicators have slow waves and bursts that no short filter
takes out, and on those the same bound alarms every day. So every row keeps, for each size, the highest nearness
(evidence / bound) of every three hours; maxima of blocks are Gumbel distributed, and mean and spread say what the row
reaches by itself in the time between two allowed false alarms. And a row that alarms more often than it may is believed
less each time.
"""

import math
from typing import Final

import numpy as np

from streams.detect.bank import BoolArray, FloatArray, IntArray
from streams.detect.shift_columns import ShiftColumns

_BLOCK_MS: Final = 10_800_000
_MEMORY_BLOCKS: Final = 112.0
_ENOUGH_BLOCKS: Final = 6.0
_EULER: Final = 0.5772
# Standard errors of the estimate that are taken off it: rows that keep to their model are not to be slowed by chance.
_MARGIN: Final = 2.0
_PER_ALARM: Final = 0.35
_MOST: Final = 6.0


def watch(columns: ShiftColumns, at_ms: int, nearness: FloatArray) -> None:
    """Take the nearness of this step, (SIZES, n), 0 where nothing is looked for; close a block when it is over."""
    block = float(at_ms // _BLOCK_MS)
    over = columns.peak_block != block
    if over.any():
        _close(columns, over & (columns.peak.max(axis=0) > 0.0) & (columns.young == 0.0))
        columns.peak[:, over] = 0.0
        columns.peak_block[:] = block
    np.maximum(columns.peak, nearness * columns.doubtful, out=columns.peak)


def _close(columns: ShiftColumns, ended: BoolArray) -> None:
    columns.peaks += ended
    rate = ended / np.clip(columns.peaks, 1.0, _MEMORY_BLOCKS)
    away = columns.peak - columns.peak_mean
    columns.peak_mean += rate * away
    columns.peak_variance += rate * ((1.0 - rate) * away * away - columns.peak_variance)


def count_alarms(columns: ShiftColumns, began: BoolArray, which: IntArray, elapsed_ms: FloatArray) -> None:
    """Alarms wear off in the time between two that are allowed; `which`, (n,), is the size that alarmed."""
    columns.alarms *= np.exp(-elapsed_ms / columns.interval)
    if began.any():
        place = np.flatnonzero(began)
        columns.alarms[which[place], place] += 1.0


def doubt(columns: ShiftColumns) -> FloatArray:
    """(SIZES, n) >= 1: times the evidence that the noise model asks for."""
    reach = np.log(np.maximum(columns.interval / _BLOCK_MS, math.e)) - _EULER
    per_spread = reach * math.sqrt(6.0) / math.pi
    spread = np.sqrt(columns.peak_variance)
    error = spread * np.sqrt((1.0 + 0.6 * per_spread * per_spread) / np.maximum(columns.peaks, 1.0))
    highest = columns.peak_mean + per_spread * spread - _MARGIN * error
    learned = np.where(columns.peaks >= _ENOUGH_BLOCKS, np.maximum(highest, 1.0), 1.0)
    repeated = np.exp(_PER_ALARM * np.maximum(columns.alarms - 1.0, 0.0))
    model = np.maximum(columns.waves, columns.wanders)
    asked: FloatArray = np.minimum(np.maximum(learned, model) * repeated, _MOST)
    return asked

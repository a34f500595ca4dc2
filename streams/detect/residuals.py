"""How far a value is from three expectations: the newest values, the last hour, and the same time of the last days.

One of them alone errs where the others do not: after a jump the newest values agree with it at once, a daily rhythm
leaves the last hour, and a level that moved leaves the days before. So all three are taken, and `spread.py` and
`transient.py` want them to agree. Learns from every value, but a value far off moves nothing by more than a cut.
"""

from typing import Final

import numpy as np

from streams.detect.bank import BoolArray, FloatArray, IntArray
from streams.detect.transient_columns import NEWEST, TransientColumns
from streams.detect.week import Week

# How long the level beyond the season and its deviation are remembered.
_LEVEL_MS: Final = 3_600_000
_STRAY_MS: Final = 4 * 3_600_000
# The level moves by no more than this many mean deviations, and these grow by no more than that.
_LEVEL_CUT: Final = 3.0
_STRAY_CUT: Final = 4.0
# Before so many values nothing is cut.
_YOUNG: Final = 10.0


class Expectations:
    """step_ms: the time between two values of a row."""

    __slots__ = ("_level_gain", "_stray_gain", "week")

    def __init__(self, step_ms: int) -> None:
        self._level_gain = min(1.0, step_ms / _LEVEL_MS)
        self._stray_gain = min(1.0, step_ms / _STRAY_MS)
        self.week = Week(step_ms)

    def advance(self, columns: TransientColumns, rows: IntArray, at_ms: int) -> None:
        """Close the slots that ended before `at_ms`, and look up what is usual from here on."""
        slot = at_ms // self.week.slot_ms
        ended = columns.slot != slot
        if ended.any():
            self._close(columns, rows, slot, ended)
        centre = (at_ms - self.week.slot_ms // 2) // self.week.slot_ms
        stale = columns.season_slot != centre
        if stale.any():
            self._look_up(columns, rows, centre, stale)

    def _close(self, columns: TransientColumns, rows: IntArray, slot: int, ended: BoolArray) -> None:
        written = ended & (columns.slot >= 0.0)
        if written.any():
            means = columns.slot_total[written] / columns.slot_count[written]
            old = columns.slot[written].astype(np.int64)
            self.week.write(rows[written], old, means, slot)
        columns.hour[ended] = self.week.last_hour(rows[ended], slot)
        columns.slot[ended] = slot
        columns.slot_total[ended] = columns.slot_count[ended] = 0.0

    def _look_up(self, columns: TransientColumns, rows: IntArray, centre: int, stale: BoolArray) -> None:
        before = np.where(columns.seasonal > 0.0, columns.season[1], 0.0)[stale]
        now = self.week.same_time(rows[stale], centre)
        then = self.week.same_time(rows[stale], centre + 1)
        known = ~np.isnan(now + then)
        switches = known != (columns.seasonal[stale] > 0.0)
        now, then = np.where(known, now, 0.0), np.where(known, then, 0.0)
        # The level is beyond the season: what it and the season are together stays, when there is one and when not.
        columns.level[stale] += np.where(switches, before - now, 0.0)
        columns.season[:, stale] = now, then
        columns.seasonal[stale] = known
        columns.season_slot[stale] = centre

    def expected(self, columns: TransientColumns, at_ms: int) -> FloatArray:
        """(VIEWS, n): the median of the newest values, of the last hour, and level with season."""
        since = (at_ms - self.week.slot_ms // 2) % self.week.slot_ms / self.week.slot_ms
        seasonal = columns.season[0] + (columns.season[1] - columns.season[0]) * since + columns.level
        newest = _median_of_five(columns.newest)
        hour = np.where(np.isnan(columns.hour), newest, columns.hour)
        return np.stack((newest, hour, seasonal))

    def learn(self, columns: TransientColumns, value: FloatArray, residual: FloatArray) -> None:
        """Take values; `residual` is what was left of them beside level and season."""
        size = np.abs(residual)
        young = columns.count < _YOUNG
        share = 1.0 / (columns.count + 1.0)
        cut = np.where(young, size, np.minimum(size, _STRAY_CUT * columns.stray + np.finfo(np.float32).tiny))
        columns.stray += np.maximum(self._stray_gain, share) * (cut - columns.stray)
        limit = np.where(young, size, _LEVEL_CUT * columns.stray)
        columns.level += np.maximum(self._level_gain, share) * np.clip(residual, -limit, limit)
        columns.slot_total += value
        columns.slot_count += 1.0
        columns.newest[1:] = columns.newest[:-1].copy()
        columns.newest[0] = value


def begin(columns: TransientColumns, value: FloatArray) -> None:
    """The first value of a row is all that is known of it."""
    first = columns.count == 0.0
    if first.any():
        columns.newest[:, first] = value[first]
        columns.level[first] = value[first]


def _median_of_five(values: FloatArray) -> FloatArray:
    """Of five lines, by seven comparisons: cheaper than to sort columns."""
    assert len(values) == NEWEST
    a, b, c, d, e = values
    low, high = np.maximum(np.minimum(a, b), np.minimum(c, d)), np.minimum(np.maximum(a, b), np.maximum(c, d))
    middle: FloatArray = np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e))
    return middle

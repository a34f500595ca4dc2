"""What the transient bank remembers of one row, as views of a block of columns (`bank.py`).

One table of names, so that no part counts lines of a matrix. The week itself is beside it, in `week.py`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.detect.bank import FloatArray, layout

# Values that the nearest expectation is the median of.
NEWEST: Final = 5
# Expectations that a value is compared with: the newest values, the last hour, the time of day.
VIEWS: Final = 3
# Parts of a day that have a spread of their own.
HOURS: Final = 24


@dataclass(slots=True)
class TransientColumns:
    """Each (n,) unless said otherwise."""

    interval: FloatArray  # ms between false alarms
    count: FloatArray  # values seen
    newest: FloatArray  # (NEWEST, n) values, newest first
    slot: FloatArray  # number of the week's slot that is being written; -1 = none
    slot_total: FloatArray  # sum of its values
    slot_count: FloatArray
    hour: FloatArray  # median of the last hour's slots; NaN = none yet
    season_slot: FloatArray  # the slot that `season` was looked up for
    season: FloatArray  # (2, n) usual values at that slot's centre and the next one's
    seasonal: FloatArray  # 1 = they are known
    level: FloatArray  # usual value, beyond the season
    stray: FloatArray  # mean absolute deviation from it
    scale: FloatArray  # (VIEWS, n) mean absolute residual, cut
    wide: FloatArray  # (VIEWS, n) the same, not cut
    hourly: FloatArray  # (HOURS * VIEWS, n) mean absolute residual of each hour of the day, cut
    hour_count: FloatArray  # (HOURS, n) values behind them
    far: FloatArray  # the deviation that one value in twenty passes
    excess: FloatArray  # by how much those pass it, on average
    passes: FloatArray  # how many did
    signed: FloatArray  # 1 = distances are plain, 0 = of square roots
    anomalous: FloatArray  # 1 = the last value was


_WIDTHS = {
    "newest": NEWEST,
    "season": 2,
    "scale": VIEWS,
    "wide": VIEWS,
    "hourly": HOURS * VIEWS,
    "hour_count": HOURS,
}
_PLACES, FIELDS = layout(TransientColumns, _WIDTHS)


def columns_of(block: FloatArray) -> TransientColumns:
    """Views of a block, (FIELDS, n)."""
    return TransientColumns(*[block[place] for place in _PLACES])


def new_row(interval_ms: float) -> FloatArray:
    """(FIELDS,) how a row begins."""
    block = np.zeros((FIELDS, 1))
    columns = columns_of(block)
    columns.interval[:] = interval_ms
    columns.slot[:] = columns.season_slot[:] = -1.0
    columns.hour[:] = np.nan
    columns.far[:] = 3.0
    columns.excess[:] = 1.0
    return block[:, 0]

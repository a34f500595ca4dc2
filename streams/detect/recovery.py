"""When a shift is over: its values are nearer to the old level than to the new one, for long enough.

While a shift lasts the old level is kept as it was, so there is something to come back to. Every value votes, by how
far it is on one side of the middle; the more the noise hides the shift, the more votes it takes.
"""

import numpy as np

from streams.detect.bank import BoolArray, FloatArray
from streams.detect.shift_columns import ShiftColumns

# Three values close to the old level are enough where noise is small,
_FEWEST_VOTES = 1.2
# so much evidence where it is not (a log likelihood ratio), but no more votes than this.
_EVIDENCE = 16.0
_MOST_VOTES = 120.0
# The new level is the mean of so many values; its size is what the first ones, or the strongest, showed.
_MEMORY = 240.0
_SIZED_BY = 60.0


def follow(columns: ShiftColumns, deviation: FloatArray, rows: BoolArray) -> BoolArray:
    """One value more of shifts that last; (n,) bool: those that are over, among `rows`, (n,) bool."""
    since = columns.since + rows
    after = columns.after + (deviation - columns.after) / np.minimum(np.maximum(since, 1.0), _MEMORY)
    sign = columns.shifted
    sized = np.where(since <= _SIZED_BY, after * sign, np.maximum(after * sign, columns.size * sign)) * sign
    # A first estimate may have the wrong sign where values hang together; the smallest shift is half a deviation.
    least = 0.5 * columns.sigma
    sized = sign * np.maximum(sized * sign, least)
    np.copyto(columns.since, since, where=rows)
    np.copyto(columns.after, after, where=rows)
    np.copyto(columns.size, sized, where=rows)
    safe = np.where(columns.size == 0.0, 1.0, columns.size)
    vote = np.clip(0.5 - deviation / safe, -1.0, 1.0)
    np.copyto(columns.recovery, np.maximum(columns.recovery + vote, 0.0), where=rows)
    hidden = columns.sigma * columns.jump / (columns.gain * safe)
    needed = np.clip(_EVIDENCE * hidden * hidden, _FEWEST_VOTES, _MOST_VOTES)
    over: BoolArray = rows & (columns.recovery >= needed)
    return over

"""The time of day in a bank of change points: what every quarter of an hour usually adds to the level.

Each slot of the day keeps the mean of its last days, and between the middles of slots the season goes straight. It is
used only where it foretells: each slot's mean is compared with what the days before said of it, and with what the level
alone says. Until a second day has been compared a row is young: nobody can tell a season from a shift yet, so the
level follows within half an hour and nothing is called a shift. Slots are UTC.
"""

from typing import Final

import numpy as np

from streams.detect.bank import Bank, BoolArray, FloatArray, IntArray
from streams.detect.shift_columns import ShiftColumns

_DAY_MS: Final = 86_400_000
_SLOT_MS: Final = 900_000
_MEMORY_DAYS: Final = 7.0
_COMPARED_DAYS: Final = 2.0
# A season is used once its error is so much smaller than the level's, and until it is hardly smaller.
_USEFUL: Final = 0.8
_USELESS: Final = 0.95
# So much of a second day decides.
_DECIDES_DAYS: Final = 0.25
# Errors count no further than this many usual ones.
_CLIP: Final = 4.0
# A slot counts when half of it was seen.
_LEAST_SHARE: Final = 0.5


def _middle(values: FloatArray) -> FloatArray:
    """(n,): mean of the slots that were seen, (slots, n); 0 = none was."""
    seen = np.isfinite(values)
    # Added one after the other: `sum` groups by how many rows there are, and a row must not know its neighbours.
    total: FloatArray = np.cumsum(np.where(seen, values, 0.0), axis=0)[-1]
    total /= np.maximum(np.count_nonzero(seen, axis=0), 1)
    return total


class DailyProfile:
    """step_ms: the time between two values of a row."""

    __slots__ = ("_least", "_slot_ms", "_slots", "_values")

    def __init__(self, step_ms: int) -> None:
        self._slot_ms = min(max(_SLOT_MS, step_ms), _DAY_MS)
        self._slots = _DAY_MS // self._slot_ms
        self._least = max(1.0, _LEAST_SHARE * self._slot_ms / step_ms)
        self._values = Bank(self._slots)

    @property
    def rows(self) -> Bank:
        """(slots, rows): what each slot adds; NaN = not seen yet."""
        return self._values

    def add(self) -> int:
        """A new row, of which nothing has been seen."""
        return self._values.add(np.full(self._slots, np.nan))

    def season(self, columns: ShiftColumns, rows: IntArray, at_ms: int) -> FloatArray:
        """What the time of day adds to the level, (n,)."""
        place = (at_ms % _DAY_MS) / self._slot_ms - 0.5
        before = int(np.floor(place))
        part = place - before
        first = self._values.line(before % self._slots, rows)
        second = self._values.line((before + 1) % self._slots, rows)
        return np.where(columns.seasonal > 0.0, np.nan_to_num((1.0 - part) * first + part * second), 0.0)

    def learn(self, columns: ShiftColumns, rows: IntArray, at_ms: int, value: FloatArray, teaches: BoolArray) -> None:
        """Take values that are usual; the level must be up to date where a season is used."""
        slot = float(at_ms // self._slot_ms)
        ended = (columns.slot != slot) & (columns.slot_count >= self._least)
        if ended.any():
            self._end(columns, rows, np.flatnonzero(ended))
        fresh = columns.slot != slot
        if fresh.any():
            columns.slot_total[fresh] = columns.slot_count[fresh] = 0.0
            columns.slot[:] = slot
        columns.slot_total += np.where(teaches, value, 0.0)
        columns.slot_count += teaches

    def _end(self, columns: ShiftColumns, rows: IntArray, place: IntArray) -> None:
        """Slots that are over: compare, then remember."""
        which = rows[place]
        slot = columns.slot[place].astype(np.int64) % self._slots
        known = self._values.take(which)
        middle = _middle(known)
        used = columns.seasonal[place] > 0.0
        reference = np.where(used, columns.level[place], columns.reference[place])
        mean = columns.slot_total[place] / columns.slot_count[place] - reference
        foretold = known[slot, np.arange(place.size)]
        compared = np.isfinite(foretold)
        columns.compared[place] += compared
        memory = np.clip(columns.compared[place], 1.0, _COMPARED_DAYS * self._slots)
        for error, miss in (
            (columns.season_error, np.abs(mean - foretold)),
            (columns.level_error, np.abs(mean - middle)),
        ):
            usual = error[place]
            kept = np.where(memory > self._slots / 2, np.minimum(miss, _CLIP * usual), miss)
            error[place] = np.where(compared, usual + (kept - usual) / memory, usual)
        columns.slots_seen[place] += 1.0
        days = np.minimum(np.ceil(columns.slots_seen[place] / self._slots), _MEMORY_DAYS)
        columns.doubt[place] = self._slots / np.clip(columns.slots_seen[place], 1.0, 2.0 * _MEMORY_DAYS * self._slots)
        learned = np.where(compared, foretold + (mean - foretold) / days, mean)
        self._values.set_places(slot, which, learned)

    def decide(self, columns: ShiftColumns, rows: IntArray) -> tuple[BoolArray, BoolArray]:
        """Rows, (n,) bool each, whose season comes, with a level of its own, and whose goes."""
        steady = columns.shifted == 0.0
        enough = columns.compared >= _DECIDES_DAYS * self._slots
        useful = enough & (columns.season_error < _USEFUL * columns.level_error)
        useless = columns.season_error > _USELESS * columns.level_error
        comes = steady & useful & (columns.seasonal == 0.0)
        goes = steady & useless & (columns.seasonal > 0.0)
        grown = steady & enough & (columns.young > 0.0) & ~comes
        columns.young[grown] = 0.0
        for place in np.flatnonzero(comes).tolist():
            self._settle(columns, rows, place)
        if goes.any():
            columns.reference[goes] = columns.level[goes]
            columns.seasonal[goes] = 0.0
        return comes, goes

    def _settle(self, columns: ShiftColumns, rows: IntArray, place: int) -> None:
        """The day's mean is the level from now on."""
        row = rows[place : place + 1]
        values = self._values.take(row)
        middle = _middle(values)[0]
        columns.level[place] = columns.reference[place] + middle
        columns.reference[place] = columns.level[place]
        values -= middle
        self._values.put(row, values)
        columns.seasonal[place] = 1.0
        columns.young[place] = 0.0

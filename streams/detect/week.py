"""The last seven days of every row in slots of five minutes: what the last hour and the same time of day had.

A slot is a duration, so steps of a second and of five minutes need the same room: 8 KB a row, in single precision.
Medians over slots and over days, so that one bad day, or one bad slot, changes nothing.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.detect.bank import FloatArray, IntArray

_SLOT_MS: Final = 300_000
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_DAYS: Final = 7
# The last hour is at least so many slots, where steps are long.
_LEAST_HOUR: Final = 4
# Two more than a week, so that no slot of a week ago is overwritten before it was compared with.
SLOTS: Final = _DAYS * _DAY_MS // _SLOT_MS + 2
# What single precision holds.
_LARGEST: Final = 3.0e38


class Week:
    """step_ms: the time between two values of a row; a slot is at least a step.

    `(rows, SLOTS)` float32, NaN = nothing seen.
    """

    __slots__ = ("_hour", "_slots", "slot_ms")

    def __init__(self, step_ms: int) -> None:
        self.slot_ms = max(_SLOT_MS, step_ms)
        self._hour = np.arange(1, max(_LEAST_HOUR, _HOUR_MS // self.slot_ms) + 1)
        self._slots = np.full((0, SLOTS), np.nan, dtype=np.float32)

    def clear(self, row: int) -> None:
        """The row has seen nothing."""
        if row >= len(self._slots):
            grown = np.full((max(16, 2 * row), SLOTS), np.nan, dtype=np.float32)
            grown[: len(self._slots)] = self._slots
            self._slots = grown
        self._slots[row] = np.nan

    def write(self, rows: IntArray, slots: IntArray, means: FloatArray, until: int) -> None:
        """Close the slots of rows, which go on at slot `until`; what lies between was not seen."""
        self._slots[rows, slots % SLOTS] = np.clip(means, -_LARGEST, _LARGEST)
        for at in np.flatnonzero(until - slots > 1).tolist():
            hole = np.arange(max(slots[at] + 1, until - SLOTS), until)
            self._slots[rows[at], hole % SLOTS] = np.nan

    def last_hour(self, rows: IntArray, slot: int) -> FloatArray:
        """Medians of the hour of slots before `slot`; NaN = nothing seen."""
        return _median(self._slots[rows[:, None], (slot - self._hour) % SLOTS])

    def same_time(self, rows: IntArray, slot: int) -> FloatArray:
        """Medians of the slots one day to seven days before `slot`; NaN = never seen."""
        days = (slot * self.slot_ms - _DAY_MS * np.arange(1, _DAYS + 1)) // self.slot_ms
        return _median(self._slots[rows[:, None], days % SLOTS])

    def state(self, row: int) -> bytes:
        """Everything of one row."""
        line: NDArray[np.float32] = self._slots[row].astype("<f4")
        return line.tobytes()

    def restore(self, row: int, state: bytes) -> None:
        """What `state` gave."""
        self._slots[row] = np.frombuffer(state, dtype="<f4")


def _median(values: NDArray[np.float32]) -> FloatArray:
    """Of each line what it has; NaN where it has nothing."""
    ordered = np.sort(values.astype(np.float64), axis=1)  # NaNs come last
    count = np.sum(~np.isnan(ordered), axis=1)
    lines = np.arange(len(ordered))
    middle: FloatArray = (ordered[lines, np.maximum(count - 1, 0) // 2] + ordered[lines, count // 2]) / 2.0
    return middle

"""From 64-bit hashes to row numbers, many at once: an open-addressing table in two arrays.

A dict of label sections costs about 350 bytes a series, this about 30. What it gives up is the key itself: two label
sections with the same hash would be one series. Python's hash of bytes is SipHash with a secret of the process: nobody
can aim at a collision, and among a million series one happens with probability 3e-8.
"""

from collections.abc import Iterable

import numpy as np

from streams.series.arrays import Hashes, Indices, Rows

_SMALLEST = 64


def hash_one(key: bytes) -> int:
    """The hash of a byte string, as in `hash_all`."""
    return hash(key) & 0xFFFF_FFFF_FFFF_FFFF


def hash_all(keys: Iterable[bytes], count: int) -> Hashes:
    """The hashes of `count` byte strings; they hold within this process only."""
    return np.fromiter(map(hash, keys), np.int64, count).view(np.uint64)


class RowTable:
    """Hash -> row. Keys are never taken out one by one: `rebuild` keeps those that are still needed."""

    def __init__(self) -> None:
        self._keys = np.zeros(_SMALLEST, np.uint64)
        self._rows = np.full(_SMALLEST, -1, np.int32)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    @property
    def byte_count(self) -> int:
        """What the table takes."""
        return self._keys.nbytes + self._rows.nbytes

    def find(self, keys: Hashes) -> Rows:
        """The rows of the keys, -1 where there is none."""
        mask = np.uint64(len(self._keys) - 1)
        slots = (keys & mask).astype(np.intp)
        rows = self._rows[slots]
        astray = np.flatnonzero((self._keys[slots] != keys) & (rows >= 0))
        slots = slots[astray]
        while astray.size:
            slots = (slots + 1) & int(mask)
            found = self._rows[slots]
            rows[astray] = found
            on = np.flatnonzero((self._keys[slots] != keys[astray]) & (found >= 0))
            slots, astray = slots[on], astray[on]
        return rows

    def get(self, key: int) -> int:
        """The row of one key, -1 if there is none."""
        mask = len(self._keys) - 1
        slot = key & mask
        while (row := int(self._rows[slot])) >= 0 and int(self._keys[slot]) != key:
            slot = (slot + 1) & mask
        return row

    def add(self, key: int, row: int) -> None:
        """Add one key that is not there."""
        self._make_room(self._used + 1)
        mask = len(self._keys) - 1
        slot = key & mask
        while self._rows[slot] >= 0:
            slot = (slot + 1) & mask
        self._keys[slot] = key
        self._rows[slot] = row
        self._used += 1

    def rebuild(self, renumbered: Rows) -> None:
        """Keep the keys whose row stays, under its new number; `renumbered[row]` is -1 where it goes."""
        taken = np.flatnonzero(self._rows >= 0)
        rows = renumbered[self._rows[taken]]
        stay = rows >= 0
        self._fill(self._keys[taken][stay], rows[stay])

    def _make_room(self, used: int) -> None:
        if used * 3 > len(self._keys) * 2:
            taken = np.flatnonzero(self._rows >= 0)
            self._fill(self._keys[taken], self._rows[taken], used)

    def _fill(self, keys: Hashes, rows: Rows, used: int = 0) -> None:
        size = _SMALLEST
        while size * 2 < max(used, len(keys)) * 3 + 3:
            size *= 2
        self._keys = np.zeros(size, np.uint64)
        self._rows = np.full(size, -1, np.int32)
        self._used = len(keys)
        slots: Indices = (keys & np.uint64(size - 1)).astype(np.intp)
        waiting = np.arange(len(keys))
        while waiting.size:
            free = np.flatnonzero(self._rows[slots] < 0)
            # Of several that want one slot the last one written has it; the others see a stranger there and go on.
            self._rows[slots[free]] = rows[waiting[free]]
            self._keys[slots[free]] = keys[waiting[free]]
            on = np.flatnonzero(self._keys[slots] != keys[waiting])
            slots, waiting = (slots[on] + 1) & (size - 1), waiting[on]

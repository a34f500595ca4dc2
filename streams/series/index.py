"""Which series there are: from a label section, whatever its bytes, to a row, and from a row to its labels.

Rows are dense: 0, 1, 2, … in the order in which the series came. When idle series are let go, the rest moves together
(`compact`), keeping its order.
"""

from array import array

import numpy as np

from streams.series.arrays import Hashes, Mask, Rows
from streams.series.hashes import RowTable, hash_one
from streams.series.labels import Labels
from streams.wire.labels import encode_labels

# A series may be written with its labels in another order. Each way of writing it takes an entry in the table; what
# goes beyond this many on average is looked up by its labels every time, which is slow and right.
_WRITINGS_A_SERIES = 3
# What a (name, value) pair takes beside its text, which is held twice: a tuple, a string, bytes, entries of two lists
# and a dict. Measured with tracemalloc: 284 bytes for a pair of 34 characters, 40 bytes in its section.
_PAIR_BYTES = 210


class SeriesIndex:
    """Labels are kept as numbers of (name, value) pairs, since few pairs make many series."""

    def __init__(self) -> None:
        self._table = RowTable()
        self._pair_numbers: dict[tuple[str, str], int] = {}
        self._pairs: list[tuple[str, str]] = []
        self._encoded: list[bytes] = []  # each pair as it stands in a label section
        self._names: dict[str, str] = {}
        self._labels = array("i")  # pair numbers of all rows, one row after the other
        self._ends = array("i")  # where each row's end
        self._pairs_bytes = 0

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def byte_count(self) -> int:
        """What labels and the table take, about."""
        return 4 * (len(self._labels) + len(self._ends)) + self._table.byte_count + self._pairs_bytes

    def find(self, hashes: Hashes) -> Rows:
        """The rows of label sections by `hash_all` of them, -1 where they are not known."""
        return self._table.find(hashes)

    def find_labels(self, blob: bytes, labels: Labels) -> int:
        """The row of labels whose section is not known yet, -1 if there is none; its section is known from here on."""
        numbers = [self._pair_numbers.get(pair, -1) for pair in labels]
        if -1 in numbers:
            return -1
        canonical = self._section_of(numbers)
        row = self._table.get(hash_one(canonical))
        if row >= 0 and blob != canonical and len(self._table) < _WRITINGS_A_SERIES * len(self) + 1000:
            self._table.add(hash_one(blob), row)
        return row

    def add(self, blob: bytes, labels: Labels) -> int:
        """The row of a series that is new: neither its section nor its labels are known."""
        row = len(self)
        numbers = [self._number_of(name, value) for name, value in labels]
        self._labels.extend(numbers)
        self._ends.append(len(self._labels))
        canonical = self._section_of(numbers)
        self._table.add(hash_one(canonical), row)
        if blob != canonical:
            self._table.add(hash_one(blob), row)
        return row

    def labels_of(self, row: int) -> Labels:
        """The labels of a row, sorted by name."""
        start = self._ends[row - 1] if row else 0
        pairs = self._pairs
        return tuple([pairs[number] for number in self._labels[start : self._ends[row]]])

    def rows_with(self, name: str, value: str) -> Rows:
        """The rows that have a label, ascending."""
        number = self._pair_numbers.get((name, value))
        if number is None:
            return np.zeros(0, np.int32)
        places = np.flatnonzero(np.frombuffer(self._labels, np.int32) == number)
        return np.searchsorted(np.frombuffer(self._ends, np.int32), places, side="right").astype(np.int32)

    def compact(self, keep: Mask, renumbered: Rows) -> None:
        """Let the rows go that are not kept; `renumbered[row]` is the new number, -1 for those."""
        ends = np.frombuffer(self._ends, np.int32)
        counts = np.diff(ends, prepend=0)
        labels = np.frombuffer(self._labels, np.int32)[np.repeat(keep, counts)]
        used = np.unique(labels)
        pairs = [self._pairs[number] for number in used.tolist()]
        self._labels = array("i", np.searchsorted(used, labels).astype(np.int32).tobytes())
        self._ends = array("i", np.cumsum(counts[keep]).astype(np.int32).tobytes())
        self._pairs = pairs
        self._encoded = [self._encoded[number] for number in used.tolist()]
        self._pair_numbers = {pair: number for number, pair in enumerate(pairs)}
        self._names = {name: name for name, _ in pairs}
        self._pairs_bytes = sum(map(_bytes_of, self._encoded))
        self._table.rebuild(renumbered)

    def _number_of(self, name: str, value: str) -> int:
        number = self._pair_numbers.get((name, value))
        if number is None:
            pair = (self._names.setdefault(name, name), value)
            number = self._pair_numbers[pair] = len(self._pairs)
            self._pairs.append(pair)
            self._encoded.append(encode_labels(dict([pair])))
            self._pairs_bytes += _bytes_of(self._encoded[-1])
        return number

    def _section_of(self, numbers: list[int]) -> bytes:
        """The section as Prometheus writes it: names in order, no empty values."""
        return b"".join([self._encoded[number] for number in numbers])


def _bytes_of(encoded: bytes) -> int:
    """What a pair takes; its text may be of one byte a character or of up to four."""
    return _PAIR_BYTES + 2 * len(encoded)

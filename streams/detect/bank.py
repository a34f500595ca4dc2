"""Rows that come and go, each a column of one matrix: how a bank of detectors keeps its numbers.

A detector that judges thousands of points a step in numpy needs every number of every point in columns, and a point
needs its own few hundred bytes to move house. Both are here: `take` the columns of some rows, change them, `put` them
back; `state` and `restore` one row. What the numbers mean is the detector's business: `layout` gives them names.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def layout(record: type, widths: Mapping[str, int]) -> tuple[tuple[int | slice, ...], int]:
    """Where each field of a dataclass stands in a block, and how many lines there are.

    widths: of the fields that are (width, n); the others are one line, (n,).
    """
    places: list[int | slice] = []
    start = 0
    for field in dataclasses.fields(record):
        width = widths.get(field.name, 0)
        places.append(slice(start, start + width) if width else start)
        start += width or 1
    return tuple(places), start


class Bank:
    """fields: how many numbers a row has."""

    __slots__ = ("_columns", "_count", "_fields", "_free")

    def __init__(self, fields: int) -> None:
        self._fields = fields
        self._columns = np.empty((fields, 0))
        self._count = 0
        self._free: list[int] = []

    def add(self, initial: FloatArray) -> int:
        """A row that begins with these numbers, (fields,); removed rows are given again, the last one first."""
        if self._free:
            row = self._free.pop()
        else:
            row = self._count
            self._count += 1
            if row >= self._columns.shape[1]:
                grown = np.empty((self._fields, max(16, 2 * row)))
                grown[:, :row] = self._columns
                self._columns = grown
        self._columns[:, row] = initial
        return row

    def remove(self, row: int) -> None:
        """The row means nothing until it is given again."""
        self._free.append(row)

    def take(self, rows: IntArray) -> FloatArray:
        """(fields, n): the rows' numbers, to be changed in place and `put` back."""
        count = rows.size
        if count == self._count and np.array_equal(rows, np.arange(count)):
            return self._columns[:, :count]  # a view: the usual case, every row at every step, copies nothing
        return np.take(self._columns, rows, axis=1)

    def put(self, rows: IntArray, block: FloatArray) -> None:
        """Keep what `take` gave."""
        if block.base is not self._columns:
            self._columns[:, rows] = block

    def line(self, field: int, rows: IntArray) -> FloatArray:
        """(n,): one number of each row, a copy."""
        return np.take(self._columns[field], rows)

    def set_places(self, fields: IntArray, rows: IntArray, values: FloatArray) -> None:
        """Another field of each row."""
        self._columns[fields, rows] = values

    def state(self, row: int) -> bytes:
        """Everything of one row."""
        return self._columns[:, row].astype("<f8").tobytes()

    def restore(self, row: int, state: bytes) -> None:
        """What `state` gave, in any row of any bank of the same kind."""
        self._columns[:, row] = np.frombuffer(state, dtype="<f8")

"""Native histograms beside the columns: a sample that is one stands in its column as a NaN that carries its number.

So whatever moves values about (rings, late samples, groups, matches, subqueries) moves histograms too and need not know
of them, and series of floats, which nearly all are, pay nothing. What computes with values must look: arithmetic would
carry such a NaN on as if it were a result.

Nobody counts who refers to a histogram. From time to time, between two steps, those that no column holds any more are
let go (`sweep`): that includes all that steps have computed on their way.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from streams.native.histogram import NativeHistogram, byte_count
from streams.series.arrays import Floats, Mask

# A quiet NaN that no arithmetic makes and `unboxed` keeps senders from writing; the lower half is the number.
_MARK = np.uint64(0x7FFC_D1F7)
_HALF = np.uint64(32)
_FEW = 1024


def is_boxed(values: Floats) -> Mask:
    """Which values stand for a histogram."""
    boxed: Mask = (values.view(np.uint64) >> _HALF) == _MARK
    return boxed


def without_boxes(values: Floats) -> Floats:
    """Values from outside, in which nothing may look like a histogram's number."""
    boxed = is_boxed(values)
    return np.where(boxed, np.nan, values) if boxed.any() else values


def _numbers(values: Floats) -> npt.NDArray[np.uint32]:
    return values.view(np.uint64).astype(np.uint32)


class Histograms:
    """Histograms by number.

    byte_count: what they take, about.
    """

    def __init__(self) -> None:
        self._kept: list[NativeHistogram | None] = []
        self._free: list[int] = []
        self._left = 0  # by the latest sweep
        self.byte_count = 0

    def __len__(self) -> int:
        return len(self._kept) - len(self._free)

    @property
    def crowded(self) -> bool:
        """Whether so many have come since the latest sweep that another one is worth it."""
        return len(self) > 2 * self._left + _FEW

    def box(self, histogram: NativeHistogram) -> float:
        """The value that stands for a histogram."""
        number = self._free.pop() if self._free else len(self._kept)
        if number == len(self._kept):
            self._kept.append(histogram)
        else:
            self._kept[number] = histogram
        self.byte_count += byte_count(histogram)
        return float(np.array([(_MARK << _HALF) | np.uint64(number)]).view(np.float64)[0])

    def unbox(self, values: Floats) -> list[NativeHistogram]:
        """The histograms that boxed values stand for."""
        return [histogram for number in _numbers(values).tolist() if (histogram := self._kept[number]) is not None]

    def sweep(self, held: Iterable[Floats]) -> None:
        """Let go what none of these values stands for."""
        used = np.zeros(len(self._kept), np.bool_)
        for values in held:
            used[_numbers(values[is_boxed(values)])] = True
        for number in np.flatnonzero(~used).tolist():
            histogram = self._kept[number]
            if histogram is not None:
                self.byte_count -= byte_count(histogram)
                self._kept[number] = None
                self._free.append(number)
        self._left = len(self)

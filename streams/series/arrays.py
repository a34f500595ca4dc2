"""Array types of the series' columns, and how a column grows."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int32]
Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]

_Scalar = TypeVar("_Scalar", bound=np.generic)


def grown(array: npt.NDArray[_Scalar], size: int) -> npt.NDArray[_Scalar]:
    """The array with room for `size` elements and more; what is new is zero.

    Pages of a large array that were never written take no memory, so the room costs address space only.
    """
    if size <= len(array):
        return array
    larger = np.zeros(max(size, len(array) + len(array) // 2, 64), array.dtype)
    larger[: len(array)] = array
    return larger

"""1.0 requests that repeat series of earlier ones: recognised by comparing bytes, thousands of series at once.

Of a new request the bytes are compared with a layout's (`layouts.py`), all but values and times: where they are the
same, each of its series is the one that stood there before, and needs neither splitting nor hashing. Nothing is taken
on trust: what differs is read alone, and a request in which much differs is given back.

Only requests of plain frames are kept, as `samples.py` describes them, their label sections known to be valid.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streams.wire.layouts import Bytes, Layouts, Numbers, Place, Positions
from streams.wire.samples import LONG, SHORT, TIME, TIME_MASK, decode_times

# So many series are compared first, then always more: a layout that fits badly costs little.
FIRST, GROWTH = 32, 16
# At the end of a long tail: value, tag and time. Of a short one: the time. The tag is looked at with the time.
_VALUE_TO_END, _TIME_TO_END = 15, 6
_LONG_HEAD, _SHORT_HEAD = b"\x12\x10\x09", b"\x12\x07"


@dataclass(frozen=True, slots=True)
class Repeated:
    """A request of known series, each with one plain sample.

    content: it as a WriteRequest of 1.0. starts: (n + 1,), where each frame begins, its tag included, and where the
    last one ends. numbers: (n,). newest_ms: the newest sample's time.
    """

    content: bytearray
    starts: Positions
    numbers: Numbers
    newest_ms: int


def recognise(data: bytearray, layouts: Layouts, find: Callable[[bytes], int]) -> Repeated | None:
    """A 1.0 request, if nearly all of its series stand in a row in earlier ones.

    Args:
        find: the number of a series by its label section, -1 = it must be read.
    """
    if not layouts or len(data) < LONG:
        return None
    runs = layouts.recognise(_Data(data), find)
    return None if runs is None else _check_times(data, runs.starts, runs.numbers)


class _Data:
    """A 1.0 request to be compared."""

    def __init__(self, data: bytearray) -> None:
        self._data = data
        self._content = np.frombuffer(data, np.uint8)

    def is_end(self, at: int, index: int) -> bool:  # noqa: ARG002  bytes say where they end
        return at >= len(self._data)

    def count_same(self, at: int, index: int, place: Place) -> int:  # noqa: ARG002  bytes are compared
        return _count_same(self._content, at, place)

    def read_alone(self, at: int, index: int) -> tuple[bytes, int]:  # noqa: ARG002  bytes are read
        return _read_alone(self._data, at)


def _count_same(content: Bytes, at: int, place: Place) -> int:
    """How many series of a layout, from a place in it on, stand at `at`, whatever their values and times."""
    layout, index = place
    starts = layout.starts
    # Frames behind the request's end do not count.
    most = int(np.searchsorted(starts, starts[index] + (len(content) - at), "right")) - 1
    offset = at - int(starts[index])
    first, step = index, FIRST
    while first < most:
        last = min(first + step, most)
        begin, end = int(starts[first]), int(starts[last])
        differs = content[offset + begin : offset + end] != layout.content[begin:end]
        _pass_over_samples(differs, starts[first + 1 : last + 1] - np.int32(begin), layout.is_long[first:last])
        wrong = int(differs.argmax())
        if differs[wrong]:
            return int(np.searchsorted(starts, begin + wrong, "right")) - 1 - index
        first, step = last, step * GROWTH
    return first - index


def _pass_over_samples(differs: npt.NDArray[np.bool_], ends: Positions, is_long: npt.NDArray[np.bool_]) -> None:
    """Values and times may differ."""
    all_long = bool(is_long.all())
    _clear(differs, ends if all_long else ends[is_long], _VALUE_TO_END)
    if not all_long:
        _clear(differs, ends[~is_long], _TIME_TO_END)


def _clear(differs: npt.NDArray[np.bool_], ends: Positions, size: int) -> None:
    if ends.size:
        windows = np.ndarray((len(differs) - size + 1,), f"V{size}", differs, strides=(1,))
        windows[ends - size] = np.void(size)


def _read_alone(data: bytearray, at: int) -> tuple[bytes, int]:
    """The label section of a frame that may end in a plain sample, and where the frame ends; b"" = it is none."""
    head = data[at : at + 3]
    if len(head) < 3 or head[0] != 0x0A:
        return b"", at
    size, start = head[1], at + 2
    if size >= 0x80:
        size, start = size & 0x7F | head[2] << 7, at + 3
    end = start + size
    if (head[1] >= 0x80 and head[2] >= 0x80) or end > len(data):
        return b"", at
    if size > LONG and data.startswith(_LONG_HEAD, end - LONG):
        return bytes(data[start : end - LONG]), end
    if size > SHORT and data.startswith(_SHORT_HEAD, end - SHORT):
        return bytes(data[start : end - SHORT]), end
    return b"", at


def _check_times(data: bytearray, starts: Positions, numbers: Numbers) -> Repeated | None:
    """The request, if each frame ends in a time as plain samples have it."""
    words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))[starts[1:] - 8]
    if not ((words & TIME_MASK) == TIME).all():
        return None
    return Repeated(data, starts, numbers, int(decode_times(words).max()))

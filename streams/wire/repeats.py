"""Requests that repeat series of earlier ones: recognised by comparing bytes, thousands of series at once.

A Prometheus sends the same series in nearly the same order after every scrape, only cut into requests at other places.
So a request that was read once is kept (a *layout*), and tells what follows a series. Of a new one the bytes are
compared with the layout's, all but values and times: where they are the same, each of its series is the one that stood
there before, and needs neither splitting nor hashing. Nothing is taken on trust: what differs is read alone, and a
request in which much differs is given back.

Only requests of plain frames are kept, as `samples.py` describes them, their label sections known to be valid.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from streams.wire.samples import LONG, SHORT, TIME, TIME_MASK, decode_times

Positions = npt.NDArray[np.int32]
# A series' meaning, given by the caller.
Numbers = npt.NDArray[np.uint16]
Bytes = npt.NDArray[np.uint8]

# One series of so many, chosen by its hash, can be found in a layout: from there on the next ones are compared.
_ANCHOR_MASK = 7
# What an anchor takes: an entry of a dictionary, two numbers, a place in a list.
_ANCHOR_BYTES = 180
# A request in more pieces than these would cost as much here as where each of its series is looked up.
_MOST_PIECES = 48
# So many series are compared first, then always more: a layout that fits badly costs little.
_FIRST, _GROWTH = 32, 16
# Frames of two length bytes at most, and requests that repay the effort.
_MOST_FRAME_BYTES = 1 << 14
_LEAST_SERIES = 64
# At the end of a long tail: value, tag and time. Of a short one: the time. The tag is looked at with the time.
_VALUE_TO_END, _TIME_TO_END = 15, 6
_LONG_HEAD, _SHORT_HEAD = b"\x12\x10\x09", b"\x12\x07"


@dataclass(slots=True, eq=False)
class _Layout:
    """A request that was read.

    number: no other one has it. content: its bytes. starts: (n + 1,), where each frame begins, its tag included.
    is_long: (n,), its tail. numbers: (n,). keys: hashes of the series that can be found. found: how many of them still
    lead here.
    """

    number: int
    content: Bytes
    starts: Positions
    is_long: npt.NDArray[np.bool_]
    numbers: Numbers
    keys: list[int]
    found: int = field(init=False)

    def __post_init__(self) -> None:
        self.found = len(set(self.keys))

    @property
    def size(self) -> int:
        """Bytes, about."""
        arrays = (self.content, self.starts, self.is_long, self.numbers)
        return sum(array.nbytes for array in arrays) + _ANCHOR_BYTES * len(self.keys)


_Place = tuple[_Layout, int]
# An anchor's value is one number, of which the garbage collector knows nothing: layout, then index.
_INDEX_BITS = 24


@dataclass(frozen=True, slots=True)
class Repeated:
    """A request of known series, each with one plain sample.

    starts: (n + 1,), where each frame begins, its tag included, and where the last one ends. numbers: (n,).
    newest_ms: the newest sample's time.
    """

    starts: Positions
    numbers: Numbers
    newest_ms: int


class RequestMemory:
    """What earlier requests looked like, within bounds.

    most_bytes: what that may take; what was of no use for longest makes room.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._anchors: dict[int, int] = {}
        # By number, in the order of their last use.
        self._layouts: dict[int, _Layout] = {}
        self._next = 0
        self.byte_count = 0

    def __len__(self) -> int:
        return len(self._layouts)

    def clear(self) -> None:
        """Forget everything."""
        self._anchors.clear()
        self._layouts.clear()
        self.byte_count = 0

    def recognise(self, data: bytearray, find: Callable[[bytes], int]) -> Repeated | None:
        """The series of a request, if nearly all of them stand in a row in earlier ones.

        Args:
            find: the number of a series by its label section, -1 = it must be read.
        """
        if not self._layouts or len(data) < LONG:
            return None
        content = np.frombuffer(data, np.uint8)
        starts: list[Positions] = []
        numbers: list[Numbers] = []
        guess: _Place | None = None
        at = 0
        while at < len(data):
            if len(starts) >= _MOST_PIECES:
                return None
            place, same = guess, _count_same(content, at, guess)
            if not same:
                section, end = _read_alone(data, at)
                place = self._find(section)
                same = _count_same(content, at, place)
            if same and place is not None:
                layout, index = place
                offset = at - int(layout.starts[index])
                starts.append(layout.starts[index : index + same] + np.int32(offset))
                numbers.append(layout.numbers[index : index + same])
                at = offset + int(layout.starts[index + same])
                guess = layout, index + same
                self._layouts[layout.number] = self._layouts.pop(layout.number)
                continue
            number = find(section)
            if number < 0:
                return None
            starts.append(np.array([at], np.int32))
            numbers.append(np.array([number], np.uint16))
            at = end
            # The layout's next one is probably the next one here too.
            guess = (guess[0], guess[1] + 1) if guess else None
        return _check_times(data, np.concatenate([*starts, np.array([at], np.int32)]), np.concatenate(numbers))

    def remember(self, data: bytearray, frames: Sequence[bytes], sections: Sequence[bytes], numbers: Numbers) -> None:
        """Keep a request.

        Args:
            data: nothing but `frames`, each of which is its label section and one plain sample.
            sections: the label section of each frame. numbers: (n,).
        """
        sizes = np.fromiter(map(len, frames), np.int32, len(frames))
        if len(frames) < _LEAST_SERIES or sizes.max() >= _MOST_FRAME_BYTES:
            return
        starts = np.zeros(len(frames) + 1, np.int32)
        np.cumsum(sizes + 2 + (sizes >= 0x80), out=starts[1:])
        is_long = sizes - np.fromiter(map(len, sections), np.int32, len(sections)) == LONG
        hashes = np.fromiter(map(hash, sections), np.int64, len(sections))
        chosen = np.flatnonzero(hashes & _ANCHOR_MASK == 0)
        keys = hashes[chosen].tolist()
        layout = _Layout(self._next, np.frombuffer(data, np.uint8), starts, is_long, numbers, keys)
        if not keys or layout.size > self._most_bytes:
            return
        for key in keys:
            self._let_go(key)
        self._anchors.update(zip(keys, (chosen + (layout.number << _INDEX_BITS)).tolist(), strict=True))
        self._layouts[layout.number] = layout
        self._next += 1
        self.byte_count += layout.size
        while self.byte_count > self._most_bytes:
            self._forget(next(iter(self._layouts.values())))

    def _find(self, section: bytes) -> _Place | None:
        place = self._anchors.get(hash(section))
        return None if place is None else (self._layouts[place >> _INDEX_BITS], place & (1 << _INDEX_BITS) - 1)

    def _let_go(self, key: int) -> None:
        """A series will be found in a newer layout; the old one is of no use when it was the last one there."""
        place = self._anchors.pop(key, None)
        if place is not None:
            layout = self._layouts[place >> _INDEX_BITS]
            layout.found -= 1
            if not layout.found:
                self._forget(layout)

    def _forget(self, layout: _Layout) -> None:
        del self._layouts[layout.number]
        self.byte_count -= layout.size
        for key in layout.keys:
            if self._anchors.get(key, -1) >> _INDEX_BITS == layout.number:
                del self._anchors[key]


def _count_same(content: Bytes, at: int, place: _Place | None) -> int:
    """How many series of a layout, from a place in it on, stand at `at`, whatever their values and times."""
    if place is None or place[1] >= len(place[0].numbers):
        return 0
    layout, index = place
    starts = layout.starts
    # Frames behind the request's end do not count.
    most = int(np.searchsorted(starts, starts[index] + (len(content) - at), "right")) - 1
    offset = at - int(starts[index])
    first, step = index, _FIRST
    while first < most:
        last = min(first + step, most)
        begin, end = int(starts[first]), int(starts[last])
        differs = content[offset + begin : offset + end] != layout.content[begin:end]
        _pass_over_samples(differs, starts[first + 1 : last + 1] - np.int32(begin), layout.is_long[first:last])
        wrong = int(differs.argmax())
        if differs[wrong]:
            return int(np.searchsorted(starts, begin + wrong, "right")) - 1 - index
        first, step = last, step * _GROWTH
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
    return Repeated(starts, numbers, int(decode_times(words).max()))

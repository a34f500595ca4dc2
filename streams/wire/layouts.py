"""What earlier requests looked like, so that a run of their series is recognised at once: what 1.0 and 2.0 share of it.

A Prometheus sends the same series in nearly the same order after every scrape, only cut into requests at other places.
So a request that was read once is kept (a *layout*), and tells what follows a series. How a new request is compared
with a layout is said in `repeats.py` for 1.0 and in `repeats_2.py` for 2.0; here is which layouts are tried, and that
all of them together stay within bounds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from streams.wire.samples import LONG
from streams.wire.symbols import References

Positions = npt.NDArray[np.int32]
# A series' meaning, given by the caller.
Numbers = npt.NDArray[np.uint16]
Bytes = npt.NDArray[np.uint8]

# One series of so many, chosen by its hash, can be found in a layout: from there on the next ones are compared. So can
# the first one, which follows the last one of another layout.
_ANCHOR_MASK = 7
# What an anchor takes: an entry of a dictionary, two numbers, a place in a list.
_ANCHOR_BYTES = 180
# A request in more pieces than these would cost as much here as where each of its series is looked up.
_MOST_PIECES = 48
# Frames of two length bytes at most, and requests that repay the effort.
_MOST_FRAME_BYTES = 1 << 14
_LEAST_SERIES = 64


@dataclass(slots=True, eq=False)
class Layout:
    """A request that was read.

    number: no other one has it. content: it as a WriteRequest of 1.0. starts: (n + 1,), where each frame begins there,
    its tag included. is_long: (n,), its tail. numbers: (n,). references: of a 2.0 request. keys: hashes of the series
    that can be found. found: how many of them still lead here.
    """

    number: int
    content: Bytes
    starts: Positions
    is_long: npt.NDArray[np.bool_]
    numbers: Numbers
    references: References | None
    keys: list[int]
    found: int = field(init=False)

    def __post_init__(self) -> None:
        self.found = len(set(self.keys))

    @property
    def size(self) -> int:
        """Bytes, about."""
        arrays = (self.content, self.starts, self.is_long, self.numbers)
        references = self.references.byte_count if self.references is not None else 0
        return sum(array.nbytes for array in arrays) + references + _ANCHOR_BYTES * len(self.keys)


Place = tuple[Layout, int]
# An anchor's value is one number, of which the garbage collector knows nothing: layout, then index.
_INDEX_BITS = 24


class Comparable(Protocol):
    """A request to be recognised. at: a byte of it as a 1.0 request, where the series with that index begins."""

    def is_end(self, at: int, index: int) -> bool:
        """Whether there are no more series."""

    def count_same(self, at: int, index: int, place: Place) -> int:
        """How many series of a layout, from a place within it on, stand here, whatever their values and times."""

    def read_alone(self, at: int, index: int) -> tuple[bytes, int]:
        """The label section of the series here, and where the next one begins; b"" = it must be read elsewhere."""


@dataclass(frozen=True, slots=True)
class Runs:
    """A request as pieces of layouts.

    starts: (n + 1,), where each frame begins in the request as 1.0, its tag included, and where the last one ends.
    numbers: (n,). pieces: bytes of a layout's content, or a label section that stands in none.
    """

    starts: Positions
    numbers: Numbers
    pieces: list[Bytes | bytes]


class Layouts:
    """Layouts within bounds.

    most_bytes: what they may take; what was of no use for longest makes room.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._anchors: dict[int, int] = {}
        # By number, in the order of their last use.
        self._layouts: dict[int, Layout] = {}
        self._next = 0
        self.byte_count = 0

    def __len__(self) -> int:
        return len(self._layouts)

    def clear(self) -> None:
        """Forget everything."""
        self._anchors.clear()
        self._layouts.clear()
        self.byte_count = 0

    def recognise(self, request: Comparable, find: Callable[[bytes], int]) -> Runs | None:
        """The series of a request, if nearly all of them stand in a row in earlier ones.

        Args:
            find: the number of a series by its label section, -1 = it must be read.
        """
        starts: list[Positions] = []
        numbers: list[Numbers] = []
        pieces: list[Bytes | bytes] = []
        guess: Place | None = None
        at = count = 0
        while not request.is_end(at, count):
            if len(pieces) >= _MOST_PIECES:
                return None
            place, same = guess, _count_same(request, at, count, guess)
            if not same:
                section, end = request.read_alone(at, count)
                place = self._find(section)
                same = _count_same(request, at, count, place)
            if same and place is not None:
                layout, index = place
                begin, end = int(layout.starts[index]), int(layout.starts[index + same])
                starts.append(layout.starts[index : index + same] + np.int32(at - begin))
                numbers.append(layout.numbers[index : index + same])
                pieces.append(layout.content[begin:end])
                at += end - begin
                count += same
                guess = layout, index + same
                self._layouts[layout.number] = self._layouts.pop(layout.number)
                continue
            number = find(section)
            if number < 0:
                return None
            starts.append(np.array([at], np.int32))
            numbers.append(np.array([number], np.uint16))
            pieces.append(section)
            at, count = end, count + 1
            # The layout's next one is probably the next one here too.
            guess = (guess[0], guess[1] + 1) if guess else None
        return Runs(np.concatenate([*starts, np.array([at], np.int32)]), np.concatenate(numbers), pieces)

    def remember(
        self,
        data: bytearray,
        frames: Sequence[bytes],
        sections: Sequence[bytes],
        numbers: Numbers,
        references: References | None = None,
    ) -> None:
        """Keep a request.

        Args:
            data: nothing but `frames`, each of which is its label section and one plain sample.
            sections: the label section of each frame. numbers: (n,).
            references: by which series of 2.0 requests are recognised.
        """
        sizes = np.fromiter(map(len, frames), np.int32, len(frames))
        if len(frames) < _LEAST_SERIES or sizes.max() >= _MOST_FRAME_BYTES:
            return
        starts = np.zeros(len(frames) + 1, np.int32)
        np.cumsum(sizes + 2 + (sizes >= 0x80), out=starts[1:])
        is_long = sizes - np.fromiter(map(len, sections), np.int32, len(sections)) == LONG
        hashes = np.fromiter(map(hash, sections), np.int64, len(sections))
        is_anchor = hashes & _ANCHOR_MASK == 0
        is_anchor[0] = True
        chosen = np.flatnonzero(is_anchor)
        keys = hashes[chosen].tolist()
        layout = Layout(self._next, np.frombuffer(data, np.uint8), starts, is_long, numbers, references, keys)
        if layout.size > self._most_bytes:
            return
        for key in keys:
            self._let_go(key)
        self._anchors.update(zip(keys, (chosen + (layout.number << _INDEX_BITS)).tolist(), strict=True))
        self._layouts[layout.number] = layout
        self._next += 1
        self.byte_count += layout.size
        while self.byte_count > self._most_bytes:
            self._forget(next(iter(self._layouts.values())))

    def _find(self, section: bytes) -> Place | None:
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

    def _forget(self, layout: Layout) -> None:
        del self._layouts[layout.number]
        self.byte_count -= layout.size
        for key in layout.keys:
            if self._anchors.get(key, -1) >> _INDEX_BITS == layout.number:
                del self._anchors[key]


def _count_same(request: Comparable, at: int, index: int, place: Place | None) -> int:
    if place is None or place[1] >= len(place[0].numbers):
        return 0
    return request.count_same(at, index, place)

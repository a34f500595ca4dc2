"""2.0 requests that repeat series of earlier ones: recognised by the numbers of their symbols, thousands at once.

Each request has a symbol table of its own, in the order of first use, so that the same series is other bytes in every
request. Symbols have numbers that hold across requests, though (`symbols.py`): all label references of a request,
written as such numbers, are compared with those of a layout (`layouts.py`). Where they are the same, so are the labels,
and the layout's content is the request's in 1.0, but for values and times, which are put in their places.
"""

from collections.abc import Callable, Sequence

import numpy as np

from streams.wire.layouts import Layouts, Numbers, Place, Runs
from streams.wire.plain_2 import Plain, Samples
from streams.wire.repeats import FIRST, GROWTH, Repeated
from streams.wire.request import join_series
from streams.wire.samples import LONG
from streams.wire.symbols import References, SeriesMemory

# In a layout samples are of no use but for their length.
_NO_SAMPLE = b"\x12\x10\x09" + bytes(8) + b"\x10" + b"\x80" * 5 + bytes(1)


def recognise_2(
    plain: Plain,
    references: References,
    layouts: Layouts,
    memory: SeriesMemory,
    find: Callable[[bytes], int],
    most_bytes: int,
) -> Repeated | None:
    """A 2.0 request as 1.0, if nearly all of its series stand in a row in earlier ones.

    Args:
        plain: all series of the request. references: theirs, by the memory's numbers.
        find: the number of a series by its label section, -1 = it must be read.
        most_bytes: a request that is longer in 1.0 must be read.
    """
    if not layouts:
        return None
    runs = layouts.recognise(_References(references, memory), find)
    if runs is None or runs.starts[-1] > most_bytes:
        return None
    return Repeated(_write(runs, plain.samples), runs.starts, runs.numbers, int(plain.timestamps_ms.max()))


def remember_2(sections: Sequence[bytes], references: References, numbers: Numbers, layouts: Layouts) -> None:
    """Keep a 2.0 request of plain series: their label sections, references by number, and what they mean."""
    frames = [section + _NO_SAMPLE for section in sections]
    layouts.remember(bytearray(join_series(frames)), frames, sections, numbers, references)


def _write(runs: Runs, samples: Samples) -> bytearray:
    pieces = (_frame_of(piece) if isinstance(piece, bytes) else piece.data for piece in runs.pieces)
    content = bytearray().join(pieces)
    tails = np.ndarray((len(content) - LONG + 1,), f"V{LONG}", content, strides=(1,))
    tails[runs.starts[1:] - LONG] = samples
    return content


def _frame_of(section: bytes) -> bytes:
    return join_series([section + _NO_SAMPLE])


class _References:
    """A 2.0 request to be compared."""

    def __init__(self, references: References, memory: SeriesMemory) -> None:
        self._references = references
        self._memory = memory

    def is_end(self, at: int, index: int) -> bool:  # noqa: ARG002  series are counted
        return index >= len(self._references)

    def count_same(self, at: int, index: int, place: Place) -> int:  # noqa: ARG002  series are compared
        layout, first = place
        if layout.references is None:
            return 0
        most = min(len(self._references) - index, len(layout.references) - first)
        done, step = 0, FIRST
        while done < most:
            tried = min(step, most - done)
            same = _count_same(self._references, index + done, layout.references, first + done, tried)
            done, step = done + same, step * GROWTH
            if same < tried:
                break
        return done

    def read_alone(self, at: int, index: int) -> tuple[bytes, int]:
        (section,) = self._memory.find([self._references.key(index)])
        return section, at + len(_frame_of(section))


def _count_same(some: References, index: int, others: References, place: int, count: int) -> int:
    """How many of so many series have the same references, from the first one on."""
    bounds, other_bounds = some.bounds[index : index + count + 1], others.bounds[place : place + count + 1]
    begin, other_begin = int(bounds[0]), int(other_bounds[0])
    differs = bounds - other_bounds != begin - other_begin
    wrong = int(differs.argmax())
    if differs[wrong]:
        count = wrong - 1
    size = int(bounds[count]) - begin
    differs = some.numbers[begin : begin + size] != others.numbers[other_begin : other_begin + size]
    wrong = int(differs.argmax()) if size else 0
    if size and differs[wrong]:
        return int(np.searchsorted(bounds, begin + wrong, "right")) - 1
    return count

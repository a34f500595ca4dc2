"""Frames as records: WriteRequests that brokers take."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from streams.wire.errors import TooLargeError
from streams.wire.layouts import Numbers, Positions
from streams.wire.request import join_series

# Brokers refuse batches above 1 MiB by default, compressed; what does not compress must fit too.
MAX_RECORD_BYTES = 900_000
# A frame's tag and length in a WriteRequest, at most.
FRAME_HEAD_BYTES = 6
# Sizes that fewer pieces have do not repay the effort for each.
_PIECES_PER_SIZE = 16


def join_to_records(
    frames: list[bytes], request: Sequence[bytes], request_bytes: int, whole: bytearray | None
) -> list[bytes]:
    """Frames as WriteRequests that fit into records.

    Args:
        request: all frames of the request, to say which one does not fit.
        request_bytes: how long they are as a WriteRequest, at most.
        whole: the frames as they came, as a WriteRequest; None = they are to be joined.

    Raises:
        TooLargeError: a frame does not fit.
    """
    if whole is not None and len(whole) <= MAX_RECORD_BYTES:
        return [bytes(whole)]
    if request_bytes <= MAX_RECORD_BYTES or sum(map(len, frames)) + FRAME_HEAD_BYTES * len(frames) <= MAX_RECORD_BYTES:
        return [join_series(frames)]
    pieces: list[list[bytes]] = []
    room = 0
    for frame in frames:
        size = len(frame) + FRAME_HEAD_BYTES
        if size > MAX_RECORD_BYTES:
            place = request.index(frame) + 1
            most = MAX_RECORD_BYTES - FRAME_HEAD_BYTES
            raise TooLargeError(f"series {place}: {len(frame)} bytes long, at most {most} are taken")
        if size > room:
            pieces.append([])
            room = MAX_RECORD_BYTES
        pieces[-1].append(frame)
        room -= size
    return [join_series(piece) for piece in pieces]


def cut_by_number(data: bytearray, starts: Positions, numbers: Numbers) -> Iterator[tuple[int, bytes, int]]:
    """A WriteRequest's frames by their numbers: each number, a WriteRequest of its frames in order, and how many.

    Args:
        starts: (n + 1,), where each frame begins, its tag included, and where the last one ends. numbers: (n,).
    """
    # Frames with one number often stand in a row, and stay together.
    firsts = np.flatnonzero(np.diff(numbers.astype(np.int32), prepend=-1))
    order = np.argsort(numbers[firsts], kind="stable")
    begins = starts[firsts]
    sizes = np.diff(begins, append=starts[-1])[order]
    content = data if len(firsts) == 1 else _move(data, begins[order], sizes)
    ends = np.cumsum(sizes)
    counts = np.bincount(numbers)
    found = np.flatnonzero(counts)
    lasts = np.searchsorted(numbers[firsts][order], found, side="right") - 1
    bounds = pairwise([0, *ends[lasts].tolist()])
    for number, count, (begin, end) in zip(found.tolist(), counts[found].tolist(), bounds, strict=True):
        yield number, bytes(content[begin:end]), count


def _move(data: bytearray, begins: Positions, sizes: Positions) -> bytes | bytearray:
    """Pieces of bytes in another order, one after the other."""
    by_size = np.argsort(sizes, kind="stable")
    bounds = [*np.flatnonzero(np.diff(sizes[by_size], prepend=-1)).tolist(), len(sizes)]
    if len(bounds) * _PIECES_PER_SIZE > len(sizes):
        return b"".join(map(data.__getitem__, map(slice, begins.tolist(), (begins + sizes).tolist())))
    # Pieces of one size are moved at once: twice as fast as one by one.
    moved = bytearray(len(data))
    places = np.cumsum(sizes) - sizes
    for first, last in pairwise(bounds):
        those = by_size[first:last]
        size = int(sizes[those[0]])
        shape = (len(data) - size + 1,)
        windows = np.ndarray(shape, f"V{size}", data, strides=(1,))
        np.ndarray(shape, f"V{size}", moved, strides=(1,))[places[those]] = windows[begins[those]]
    return moved

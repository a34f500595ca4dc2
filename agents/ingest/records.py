"""Frames as records: WriteRequests that brokers take."""

from collections.abc import Sequence

from streams.wire.errors import TooLargeError
from streams.wire.request import join_series

# Brokers refuse batches above 1 MiB by default, compressed; what does not compress must fit too.
MAX_RECORD_BYTES = 900_000
# A frame's tag and length in a WriteRequest, at most.
FRAME_HEAD_BYTES = 6


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

"""From a request's body to frames, and back: snappy and the outer message, with its bombs disarmed.

A frame is the bytes of one `prometheus.TimeSeries`. Its inside is read in `samples.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cramjam
import numpy as np
from google.protobuf.message import DecodeError

from streams.wire.errors import MalformedError, TooLargeError
from streams.wire.frames_message import Frames
from streams.wire.limits import DEFAULT_LIMITS, WireLimits
from streams.wire.protobuf import BYTES, Data, expect_type, walk_fields

# A snappy copy element writes at most 64 bytes from 3; what declares more is lying.
_SNAPPY_MOST = 22
# So many series may be split before they are counted exactly: 16 bytes each, and their content is there already.
_UNCOUNTED = 1_000_000
_COUNT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a WriteRequest.

    frames: its series, in order. metadata: how many metadata entries stood beside them.
    plain: nothing stands in the message but the frames, so that its bytes can be passed on as they are.
    """

    frames: list[bytes]
    metadata: int
    plain: bool


def decompress(body: bytes, limits: WireLimits = DEFAULT_LIMITS) -> bytearray:
    """The content of a snappy block, written once into memory of its declared size.

    Raises:
        MalformedError: not a snappy block.
        TooLargeError: the declared size is above the limit; nothing was decoded.
    """
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > limits.max_decoded_bytes:
            raise TooLargeError(f"body declares {size} decoded bytes, at most {limits.max_decoded_bytes} are taken")
        if size > _SNAPPY_MOST * len(body):
            raise MalformedError(f"body of {len(body)} bytes declares {size}, more than snappy can hold in it")
        content = bytearray(size)
        cramjam.snappy.decompress_raw_into(body, content)
    except cramjam.DecompressionError:
        raise MalformedError("body is not a snappy block (the block format is expected, not the framed one)") from None
    return content


def compress(data: bytes) -> bytes:
    """A snappy block, as the body of a request is sent."""
    return bytes(cramjam.snappy.compress_raw(data))


def split_request(data: Data, limits: WireLimits = DEFAULT_LIMITS) -> Request:
    """The parts of a WriteRequest; the frames themselves are not yet read.

    Raises:
        MalformedError: not a WriteRequest.
        TooLargeError: more series than the limit.
    """
    if may_have_too_many(data, 0x0A):
        _walk(data, limits)
    message = Frames()
    try:
        message.ParseFromString(data)
    except DecodeError:
        _walk(data, limits)  # says where
        raise MalformedError("body is not a prometheus.WriteRequest") from None
    if len(message.timeseries) > limits.max_series:
        raise TooLargeError(_too_many(limits))
    frames = list(message.timeseries)
    if _joined_size(frames) == len(data):
        return Request(frames, 0, plain=True)
    return Request(frames, _walk(data, limits), plain=False)


def split_series(data: Data, limits: WireLimits = DEFAULT_LIMITS) -> list[bytes]:
    """The frames of a WriteRequest.

    Raises:
        MalformedError: not a WriteRequest.
        TooLargeError: more series than the limit.
    """
    return split_request(data, limits).frames


def join_series(frames: Sequence[bytes]) -> bytes:
    """Frames as a WriteRequest. Two WriteRequests, one after the other, are a WriteRequest too."""
    return Frames(timeseries=frames).SerializeToString()


def _joined_size(frames: Sequence[bytes]) -> int:
    # Each frame costs a tag and a length besides its content: a byte more for every seven bits of its size.
    sizes = np.fromiter(map(len, frames), np.int64, len(frames))
    longer = sum(int(np.count_nonzero(sizes >> bits)) for bits in (7, 14, 21, 28))
    return int(sizes.sum()) + 2 * len(frames) + longer


def may_have_too_many(data: Data, *tags: int) -> bool:
    """Whether there may be so many fields with these tags that they must be counted one by one before they are split.

    A tag stands as one byte, or with 0x80 more and a filler when written longer than needed; a length follows.
    """
    if len(data) <= 2 * _UNCOUNTED:
        return False
    content = np.frombuffer(data, np.uint8)
    pieces = (content[at : at + _COUNT_BYTES] for at in range(0, len(content), _COUNT_BYTES))
    counts = (np.count_nonzero(piece == byte) for piece in pieces for tag in tags for byte in (tag, tag | 0x80))
    return sum(map(int, counts)) > _UNCOUNTED


def _too_many(limits: WireLimits) -> str:
    return f"more than {limits.max_series} series in the request"


def _walk(data: Data, limits: WireLimits) -> int:
    series = others = metadata = 0
    for field in walk_fields(data, 0, len(data)):
        if field.number == 1:
            expect_type(field, BYTES, "a series")
            series += 1
        else:
            others += 1
            metadata += field.number == 3 and field.wire_type == BYTES
        if series > limits.max_series:
            raise TooLargeError(_too_many(limits))
        if others > limits.max_series:
            raise TooLargeError(f"more than {limits.max_series} fields beside series in the request")
    return metadata

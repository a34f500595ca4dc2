"""Samples of many frames at once: the hot path from frames to columns.

What nearly every sender writes is a frame that ends in one sample of 18 bytes, or of 9 when the value is zero (protobuf
leaves zeros out). All these tails are gathered and checked as arrays; what stands before is the label section (the
*blob*). A tail alone proves nothing, since a label value may look like one; blob and tail together do: a label section
known to be valid, followed by a valid sample, can be read in one way only. So a frame is taken here only when the
caller knows its blob already, and any other is read field by field in `frame.py`, once per new series.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streams.wire.errors import MalformedError, TooLargeError, WireError
from streams.wire.frame import Frame, read_frame
from streams.wire.labels import parse_labels
from streams.wire.limits import DEFAULT_LIMITS, WireLimits

# Prometheus writes this NaN where a series ends (model/value, StaleNaN).
STALE_NAN_BITS = 0x7FF0_0000_0000_0002
STALE_NAN = float(np.array([STALE_NAN_BITS], np.uint64).view(np.float64)[0])

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LONG, SHORT = 18, 9
# A tail: 12 10 | 09 value(8) | 10 time(6), or in its last nine bytes 12 07 | 10 time(6). A time of six bytes as a
# varint lies between 1971 and 2109. `word` is the last eight bytes: value's last, 10, time.
_TAIL = np.dtype(
    {
        "names": ["head", "value", "short", "word"],
        "formats": ["<u4", "<f8", "<u2", "<u8"],
        "offsets": [0, 3, 9, 10],
        "itemsize": LONG,
    }
)
_HEAD_MASK, _HEAD = np.uint32(0x00FF_FFFF), np.uint32(0x0009_1012)
_SHORT_HEAD = np.uint16(0x0712)
TIME_MASK, TIME = np.uint64(0x8080_8080_8080_FF00), np.uint64(0x0080_8080_8080_1000)


@dataclass(frozen=True, slots=True)
class Tails:
    """What stands at the end of each frame, as if it were one sample.

    blobs: what stands before the tail; b"" where the frame has no such tail.
    values, timestamps_ms: (n,), one a frame, meaningless where the blob is empty or not known to be valid.
    """

    blobs: list[bytes]
    values: Floats
    timestamps_ms: Integers


@dataclass(frozen=True, slots=True)
class SeriesBatch:
    """The samples of a request, in the order in which they came.

    blobs: the validated label section of each frame. series: (n,), the index in `blobs` of each sample.
    values, timestamps_ms: (n,). exemplars, histograms: how many were there and are not kept.
    """

    blobs: list[bytes]
    series: npt.NDArray[np.intp]
    values: Floats
    timestamps_ms: Integers
    exemplars: int
    histograms: int


def read_tails(frames: Sequence[bytes]) -> Tails:
    """The tails of all frames; see the module's text for what may be concluded from one."""
    count = len(frames)
    buffer = b"".join(frames)
    if count == 0 or len(buffer) < LONG:
        return Tails([b""] * count, np.zeros(count), np.zeros(count, np.int64))
    sizes = np.fromiter(map(len, frames), np.int64, count)
    # A frame shorter than a long tail is gathered with bytes of its neighbour: `SHORT < size` is checked below.
    ends = np.cumsum(sizes)
    starts = np.maximum(ends - LONG, 0)
    windows = np.ndarray((len(buffer) - LONG + 1,), f"V{LONG}", buffer, strides=(1,))
    tails = windows[starts].view(_TAIL)
    word = tails["word"]
    timed = (word & TIME_MASK) == TIME
    long = timed & ((tails["head"] & _HEAD_MASK) == _HEAD) & (sizes > LONG)
    values = tails["value"].copy()
    if long.all():
        return Tails([frame[:-LONG] for frame in frames], values, decode_times(word))
    # The first frame may be too short for a window of its own.
    short = timed & (tails["short"] == _SHORT_HEAD) & (sizes > SHORT) & (ends >= LONG) & ~long
    values[~long] = 0.0
    cuts = np.where(long, LONG, np.where(short, SHORT, sizes)).tolist()
    return Tails([frame[:-cut] for frame, cut in zip(frames, cuts, strict=True)], values, decode_times(word))


def decode_times(word: npt.NDArray[np.uint64]) -> Integers:
    """The times of words as they stand in `_TAIL`: a varint of six bytes behind two others."""
    # Six groups of seven bits, joined pairwise: 6 x 7 -> 3 x 14 -> 42 bits.
    groups = (word >> np.uint64(16)) & np.uint64(0x7F7F_7F7F_7F7F)
    pairs = (groups & np.uint64(0x007F_007F_007F)) | ((groups & np.uint64(0x7F00_7F00_7F00)) >> np.uint64(1))
    low = pairs & np.uint64(0x3FFF)
    middle = (pairs >> np.uint64(16)) & np.uint64(0x3FFF)
    high = pairs >> np.uint64(32)
    times: Integers = (low | (middle << np.uint64(14)) | (high << np.uint64(28))).view(np.int64)
    return times


class FrameReader:
    """Reads the odd frames of one request, one by one, within the request's limits."""

    def __init__(self, tails: Tails, limits: WireLimits) -> None:
        self._tails = tails
        self._limits = limits
        self._left = limits.max_samples

    def read(self, frames: Sequence[bytes], index: int) -> Frame:
        """One frame of the request, validated.

        Raises:
            MalformedError, TooLargeError: says which series of the request, counted from 1.
        """
        return self._read_new(index) or self._read_slowly(frames, index)

    def _read_new(self, index: int) -> Frame | None:
        """The ordinary case of a new series: valid labels, and one plain sample, which is its tail."""
        blob = self._tails.blobs[index]
        try:
            labels = parse_labels(blob, self._limits) if blob else None
        except WireError:
            return None
        if labels is None:
            return None
        times, values = [int(self._tails.timestamps_ms[index])], [float(self._tails.values[index])]
        return Frame(blob, labels, times, values, native=[], exemplars=0, fields=1)

    def _read_slowly(self, frames: Sequence[bytes], index: int) -> Frame:
        try:
            frame = read_frame(frames[index], self._limits, self._left + 1)
        except MalformedError as error:
            raise MalformedError(f"series {index + 1}: {error}") from None
        except TooLargeError as error:
            raise TooLargeError(f"series {index + 1}: {error}") from None
        # One sample a frame does not count.
        self._left -= max(frame.fields - 1, 0)
        return frame


def read_samples(
    frames: Sequence[bytes], known: Container[bytes] = frozenset(), limits: WireLimits = DEFAULT_LIMITS
) -> SeriesBatch:
    """The samples of a request's frames.

    Args:
        known: blobs that the caller has had from here before (the keys of its own index of series). They are not
            read again, which is what makes this fast: ~0.2 us a sample against ~10 us for a new one.

    Raises:
        MalformedError: a frame is not a TimeSeries with valid labels.
        TooLargeError: a frame is above the limits.
    """
    tails = read_tails(frames)
    blobs = tails.blobs
    odd = [index for index, blob in enumerate(blobs) if blob not in known]
    if not odd:
        return SeriesBatch(blobs, np.arange(len(blobs)), tails.values, tails.timestamps_ms, 0, 0)
    reader = FrameReader(tails, limits)
    read = {index: reader.read(frames, index) for index in odd}
    counts = np.ones(len(blobs), np.intp)
    counts[odd] = [len(frame.values) for frame in read.values()]
    series = np.repeat(np.arange(len(blobs)), counts)
    values, timestamps = tails.values[series], tails.timestamps_ms[series]
    ends = np.cumsum(counts)
    for index, frame in read.items():
        blobs[index] = frame.blob
        place = slice(int(ends[index] - counts[index]), int(ends[index]))
        values[place], timestamps[place] = frame.values, frame.timestamps_ms
    return SeriesBatch(
        blobs,
        series,
        values,
        timestamps,
        sum(frame.exemplars for frame in read.values()),
        sum(frame.histograms for frame in read.values()),
    )

"""Plain series of a 2.0 request, all at once: label references, one sample, and perhaps metadata and a start timestamp.

What nearly every sender writes is `0a refs | 12 sample | 2a metadata | 30 start`, the last two not always, and the
sample `09 value | 10 time | 18 start`, without value when it is zero. Each series is followed step by step, all series
in one step, as arrays of positions; a series that is anything else falls out and is read by `series_2.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streams.wire.errors import MalformedError
from streams.wire.samples import LONG, SHORT, TIME_MASK, Floats, Integers, decode_times
from streams.wire.series_2 import walk_metadata
from streams.wire.symbols import Numbers, References

Positions = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
# As 1.0 writes one that is not zero, 18 bytes each: 12 10 | 09 value | 10 time.
Samples = npt.NDArray[np.void]

# No position that is looked at lies further behind the end: a sample and metadata of one length byte each, and a time.
_PADDING = bytes(512)
_REFS, _SAMPLE, _VALUE, _METADATA = 0x0A, 0x12, 0x09, 0x2A
_VALUES = np.dtype({"names": ["value"], "formats": ["<f8"], "offsets": [3], "itemsize": LONG})
_SHORT_HEAD = b"\x12\x07"
_TIME, _START = np.uint64(0x0080_8080_8080_1000), np.uint64(0x0080_8080_8080_1800)
_CREATED_TIME = np.uint64(0x0080_8080_8080_3000)
# Metadata is looked at as the 16 bytes from its tag on, those behind its end as zeros.
_MOST_METADATA = 14
_METADATA_MASKS = np.array(
    [[255 if byte < size + 2 else 0 for byte in range(16)] for size in range(_MOST_METADATA + 1)], np.uint8
).view(np.uint64)
_MOST_REMEMBERED = 20_000
# References of 21 bits are enough for more symbols than a request may have.
_MOST_WIDTH = 3


@dataclass(frozen=True, slots=True)
class Plain:
    """The plain series of a request.

    is_plain: (all series,).
    samples, values, timestamps_ms, has_metadata: (all series,), meaningless for those that are not plain.
    """

    is_plain: Bools
    samples: Samples
    values: Floats
    timestamps_ms: Integers
    has_metadata: Bools
    _valued: Bools
    _references: Positions
    _bounds: Positions

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def indices(self) -> list[int]:
        """Which series these are."""
        found: list[int] = np.flatnonzero(self.is_plain).tolist()
        return found

    def by_number(self, numbers: Numbers) -> References:
        """The label symbols of each by their numbers, in the order of `indices()`."""
        return References(numbers.take(self._references), self._bounds.astype(np.int32))

    def references(self, place: int) -> list[int]:
        """One's label references; place: in `indices()`."""
        references: list[int] = self._references[self._bounds[place] : self._bounds[place + 1]].tolist()
        return references

    def tails(self) -> list[bytes]:
        """Each one's sample as 1.0 writes it, in the order of `indices()`."""
        tails: list[bytes] = self.samples.tolist()
        if not self._valued.all():
            for index in np.flatnonzero(~self._valued).tolist():
                tails[index] = _SHORT_HEAD + tails[index][LONG - SHORT + len(_SHORT_HEAD) :]
        return tails if len(tails) == len(self) else [tails[index] for index in self.indices()]


class MetadataCheck:
    """Tells metadata from what has not its form, each one looked at once: series of one metric have the same."""

    def __init__(self) -> None:
        self._good: set[bytes] = set()

    def find_bad(self, metadata: set[bytes]) -> set[bytes]:
        """Those that are none. Each is 16 bytes from its tag on, filled up with zeros."""
        new = metadata - self._good
        bad = {one for one in new if not _is_metadata(one)}
        if len(self._good) > _MOST_REMEMBERED:
            self._good.clear()
        self._good |= new - bad
        return bad


def _is_metadata(metadata: bytes) -> bool:
    try:
        walk_metadata(metadata, 2, 2 + metadata[1])
    except MalformedError:
        return False
    return True


def read_plain(series: Sequence[bytes], symbols: int, most_labels: int, check: MetadataCheck) -> Plain:
    """The plain ones among the series of a request; all others are for `series_2.py`.

    Args:
        symbols: how many there are to refer to. most_labels: series that may have more are not plain.
    """
    buffer = b"".join([*series, _PADDING])
    content = np.frombuffer(buffer, np.uint8)
    sizes = np.fromiter(map(len, series), np.int64, len(series))
    ends = np.cumsum(sizes)
    starts = ends - sizes
    refs, samples, good = _find_references(content, starts, ends)
    good &= (content[samples] == _SAMPLE) & (samples - refs <= 2 * most_labels * _MOST_WIDTH)
    valued = content[samples + 2] == _VALUE
    times_at = samples + 2 + 9 * valued
    words = _words(buffer)
    times = words[times_at - 1]
    good &= (times & TIME_MASK) == _TIME
    after = samples + 2 + content[samples + 1]
    started = after == times_at + 14
    good &= (after == times_at + 7) | (started & ((words[times_at + 6] & TIME_MASK) == _START))
    after, has_metadata, metadata_is_good = _skip_metadata(buffer, content, after, ends, check)
    created = (after + 7 == ends) & ((words[np.maximum(after - 1, 0)] & TIME_MASK) == _CREATED_TIME)
    good &= metadata_is_good & ((after == ends) | created)
    references, bounds, in_range = _decode_references(content, refs[good], samples[good], symbols)
    if not in_range.all():
        good[np.flatnonzero(good)[~in_range]] = False
        references, bounds, _ = _decode_references(content, refs[good], samples[good], symbols)
    taken = _read_samples(buffer, samples, valued)
    return Plain(
        good,
        taken,
        taken.view(_VALUES)["value"],
        decode_times(times),
        has_metadata & good,
        valued,
        references,
        bounds,
    )


def _words(buffer: bytes) -> npt.NDArray[np.uint64]:
    """The eight bytes at every position, as numbers."""
    return np.ndarray((len(buffer) - 7,), "<u8", buffer, strides=(1,))


def _find_references(
    content: npt.NDArray[np.uint8], starts: Positions, ends: Positions
) -> tuple[Positions, Positions, Bools]:
    """Where each series' references begin and end, the latter 0 where there are none as we want them."""
    low = content[starts + 1].astype(np.int64)
    high = content[starts + 2].astype(np.int64)
    long = low >= 0x80
    refs = starts + 2 + long
    samples = refs + np.where(long, (low & 0x7F) | (high << 7), low)
    good = (content[starts] == _REFS) & (~long | (high < 0x80)) & (samples > refs) & (samples + SHORT <= ends)
    samples[~good] = 0
    # The last reference must end where the section ends.
    good &= content[samples - 1] < 0x80
    return refs, samples, good


def _skip_metadata(
    buffer: bytes, content: npt.NDArray[np.uint8], after: Positions, ends: Positions, check: MetadataCheck
) -> tuple[Positions, Bools, Bools]:
    """Where each series goes on behind its metadata; whether it has some; whether that, or none, is as it should be."""
    sizes = content[after + 1].astype(np.int64)
    present = (after + 2 <= ends) & (content[after] == _METADATA)
    short = present & (sizes <= _MOST_METADATA)
    windows = np.ndarray((len(buffer) - 15,), "V16", buffer, strides=(1,))
    metadata = windows[after].view(np.uint64).reshape(-1, 2)
    metadata &= _METADATA_MASKS[np.where(short, sizes, 0)]
    # Series of one metric come one after the other, and have the same.
    first, second = metadata.T
    others = np.flatnonzero((first[1:] != first[:-1]) | (second[1:] != second[:-1])) + 1
    found = {*_rows(metadata[:1]), *_rows(metadata[others])}
    bad = check.find_bad({one for one in found if one[0] == _METADATA and one[1] <= _MOST_METADATA})
    good = ~present | short
    if bad:
        good &= ~present | np.array([one not in bad for one in _rows(metadata)], np.bool_)
    return after + np.where(short, 2 + sizes, 0), present & (sizes > 0), good


def _rows(metadata: npt.NDArray[np.uint64]) -> list[bytes]:
    rows: list[bytes] = metadata.view("V16").ravel().tolist()
    return rows


def _decode_references(
    content: npt.NDArray[np.uint8], starts: Positions, ends: Positions, symbols: int
) -> tuple[Positions, Positions, Bools]:
    """All references of some series in a row, where each one's begin, and whether they can be followed.

    A varint ends with a byte below 0x80; the bytes before it that belong to it are 0x80 and above.
    """
    sizes = ends - starts
    bounds_of_bytes = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    offsets = (starts - bounds_of_bytes[:-1]).astype(np.int32)
    section = content.take(np.arange(bounds_of_bytes[-1], dtype=np.int32) + np.repeat(offsets, sizes))
    lasts, others = np.flatnonzero(section < 0x80), np.flatnonzero(section >= 0x80)
    references = section.take(lasts).astype(np.int64)
    # A byte that is not the last one belongs to the next last one: as many of them stand before it as do of these.
    longer = others - np.arange(len(others))
    if (longer[1:] == longer[:-1]).any():
        longer = np.unique(longer)
    read = len(lasts) + len(longer)
    references[longer] = references[longer] << 7 | section[lasts[longer] - 1] & 0x7F
    if read < len(section):
        longer = longer[section[lasts[longer] - 2] >= 0x80]
        read += len(longer)
        references[longer] = references[longer] << 7 | section[lasts[longer] - 2] & 0x7F
    bounds = np.searchsorted(lasts, bounds_of_bytes)
    good = np.diff(bounds) & 1 == 0
    wrong = references >= symbols
    if read < len(section):
        wrong |= np.diff(lasts, prepend=-1) > _MOST_WIDTH
    if wrong.any():
        good[np.searchsorted(bounds, np.flatnonzero(wrong), side="right") - 1] = False
    return references, bounds, good


def _read_samples(buffer: bytes, samples: Positions, valued: Bools) -> Samples:
    """Each one's sample without its start timestamp, tag and length before it, its value written if it is zero too."""
    windows = np.ndarray((len(buffer) - LONG + 1,), f"V{LONG}", buffer, strides=(1,))
    taken = windows[samples]
    content = taken.view(np.uint8).reshape(-1, LONG)
    content[:, 1] = LONG - 2
    if not valued.all():
        zeros = np.flatnonzero(~valued)
        times = content[zeros, 2:SHORT]
        content[zeros, LONG - SHORT + 2 :] = times
        content[zeros, 2] = _VALUE
        content[zeros, 3 : LONG - SHORT + 2] = 0
    return taken

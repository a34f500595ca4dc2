"""One frame, whatever its shape: the exact, slow way for what the hot path in `samples.py` does not take.

A frame is the bytes of one `prometheus.TimeSeries`: labels = 1, samples = 2, exemplars = 3, histograms = 4.
"""

import struct
from typing import NamedTuple

from streams.wire.errors import MalformedError, TooLargeError
from streams.wire.histogram import read_histogram
from streams.wire.histogram_message import HistogramMessage
from streams.wire.labels import check_label_size, parse_labels
from streams.wire.limits import WireLimits
from streams.wire.protobuf import BYTES, FIXED64, VARINT, Field, encode_bytes, encode_varint, expect_type, walk_fields

_VALUE = struct.Struct("<d")
# A value and a time take at most 20; the rest leaves room for fields of later versions.
_MOST_SAMPLE_BYTES = 128


class Frame(NamedTuple):
    """What one frame holds.

    blob: the label section, validated. timestamps_ms, values: its samples, in the order in which they came.
    native: its native histograms, validated. exemplars: how many of them there were.
    fields: how many fields were read for it.
    """

    blob: bytes
    labels: tuple[tuple[str, str], ...]
    timestamps_ms: list[int]
    values: list[float]
    native: list[HistogramMessage]
    exemplars: int
    fields: int

    @property
    def histograms(self) -> int:
        """How many native histograms there were."""
        return len(self.native)


def read_frame(frame: bytes, limits: WireLimits, max_fields: int) -> Frame:
    """Everything in one frame, validated.

    Args:
        max_fields: how many fields beside labels may be read.

    Raises:
        MalformedError: not a TimeSeries, or not one with valid labels.
        TooLargeError: too many labels, label bytes or other fields.
    """
    blob: list[bytes] = []
    blob_size = fields = exemplars = 0
    native: list[HistogramMessage] = []
    timestamps: list[int] = []
    values: list[float] = []
    for field in walk_fields(frame, 0, len(frame)):
        if field.number == 1:
            blob_size += field.end - field.start
            check_label_size(blob_size, limits)
            blob.append(frame[field.start : field.end])
            continue
        fields += 1
        if fields > max_fields:
            raise TooLargeError(f"more than {limits.max_samples} samples in the request")
        if field.number == 2:
            timestamp_ms, value = read_sample(frame, field, len(values) + 1)
            timestamps.append(timestamp_ms)
            values.append(value)
        elif field.number == 3:
            expect_type(field, BYTES, "an exemplar")
            exemplars += 1
        elif field.number == 4:
            expect_type(field, BYTES, "a histogram")
            native.append(read_histogram(frame[field.value : field.end]))
    section = b"".join(blob)
    return Frame(section, parse_labels(section, limits), timestamps, values, native, exemplars, fields)


def read_sample(frame: bytes, sample: Field, count: int) -> tuple[int, float]:
    """The timestamp_ms and value of one sample; count: which one of the series, for people.

    Raises:
        MalformedError: not a sample.
    """
    expect_type(sample, BYTES, f"sample {count}")
    if sample.end - sample.value > _MOST_SAMPLE_BYTES:
        raise MalformedError(f"byte {sample.start}: sample {count} is {sample.end - sample.value} bytes long")
    timestamp_ms = 0
    value = 0.0
    for field in walk_fields(frame, sample.value, sample.end):
        if field.number == 1:
            expect_type(field, FIXED64, f"value of sample {count}")
            (value,) = _VALUE.unpack_from(frame, field.value)
        elif field.number == 2:
            expect_type(field, VARINT, f"timestamp of sample {count}")
            timestamp_ms = field.value - (1 << 64) if field.value >> 63 else field.value
    return timestamp_ms, value


def with_labels(frame: bytes, blob: bytes) -> bytes:
    """A valid frame with another label section; all else stays as it is."""
    return blob + b"".join(
        frame[part.start : part.end] for part in walk_fields(frame, 0, len(frame)) if part.number != 1
    )


def without_exemplars(frame: bytes) -> bytes:
    """A valid frame without its exemplars; all else stays as it is."""
    return b"".join(frame[part.start : part.end] for part in walk_fields(frame, 0, len(frame)) if part.number != 3)


def encode_sample(timestamp_ms: int, value: float) -> bytes:
    """A sample as protobuf writes it: value before time, zeros left out; -0.0 is kept, its bits are not zero."""
    bits = _VALUE.pack(value)
    number = b"\x09" + bits if any(bits) else b""
    time = b"\x10" + encode_varint(timestamp_ms & 0xFFFF_FFFF_FFFF_FFFF) if timestamp_ms else b""
    return encode_bytes(2, number + time)

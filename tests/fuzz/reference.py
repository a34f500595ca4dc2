"""What a message of remote write holds, read by protobuf's own parser and by the rules of labels written out once more.

Shares no code with the product. Limits are small, so that small inputs reach them.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from streams.wire.limits import WireLimits
from tests.unit.write_request_2 import Histogram, KeptRequest, Parts, TimeSeries

LIMITS = WireLimits(
    max_decoded_bytes=1 << 16, max_series=12, max_symbols=32, max_labels=6, max_label_bytes=200, max_samples=10
)
METRIC_NAME = "__name__"


@dataclass(frozen=True, slots=True)
class Series:
    """One series. samples: (time, bits of the value). histograms: as protobuf writes them again."""

    labels: tuple[tuple[str, str], ...]
    samples: tuple[tuple[int, bytes], ...]
    histograms: tuple[bytes, ...]
    exemplars: int


@dataclass(frozen=True, slots=True)
class Judged:
    """One series, or why there is none.

    fault: why it must not be taken, "" = it is good. is_plain: written as protobuf writes it, so that only a limit or
    a histogram's numbers can be a reason to refuse it. size: its largest measures by the names of limits.
    """

    series: Series | None
    fault: str
    is_plain: bool
    size: dict[str, int]

    def may_be_too_large(self) -> bool:
        """Whether some limit is passed."""
        return any(number > getattr(LIMITS, name) for name, number in self.size.items())


@dataclass(frozen=True, slots=True)
class JudgedRequest:
    """A request. size: as in `Judged`. metadata: (fewest, most) that may be counted."""

    series: list[Judged]
    metadata: tuple[int, int]
    is_plain: bool
    size: dict[str, int]

    def may_be_too_large(self) -> bool:
        """Whether some limit is passed by the request or, all in all, by its series."""
        total = sum(one.size["max_samples"] for one in self.series)
        sections = sum(one.size["max_label_bytes"] for one in self.series)
        return (
            any(number > getattr(LIMITS, name) for name, number in self.size.items())
            or total > LIMITS.max_samples
            or sections > LIMITS.max_decoded_bytes
            or any(one.may_be_too_large() for one in self.series)
        )


def judge_1(data: bytes) -> JudgedRequest | None:
    """A request of 1.0; None = protobuf does not read it."""
    message = KeptRequest()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return None
    is_plain = message.SerializeToString() == data and not _has_unknown(message)
    series = [
        _judge(one, [(label.name, label.value) for label in one.labels], is_plain=is_plain)
        for one in message.timeseries
    ]
    metadata = len(message.metadata)
    return JudgedRequest(series, (metadata, metadata), is_plain, {"max_series": max(len(series), metadata)})


def judge_2(data: bytes) -> JudgedRequest | None:
    """A request of 2.0; None = protobuf does not read it."""
    message = Parts()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return None
    is_plain = message.SerializeToString() == data and not _has_unknown(message)
    series = [_judge_part(part, message.symbols, is_plain=is_plain) for part in message.timeseries]
    size = {"max_series": len(series), "max_symbols": len(message.symbols)}
    return JudgedRequest(series, (0, len(series)), is_plain, size)


def has_metadata(part: bytes) -> bool:
    """Whether a series of 2.0 says something in its metadata."""
    return bool(TimeSeries.FromString(part).metadata.ByteSize())


def listed(kept: Any) -> Series:
    """A `KeptSeries1` as it is, whatever its labels are worth."""
    return Series(
        tuple(sorted((label.name, label.value) for label in kept.labels if label.value)),
        tuple((one.timestamp, struct.pack("<d", one.value)) for one in kept.samples),
        tuple(normal(one) for one in kept.histograms),
        len(kept.exemplars),
    )


def normal(histogram: Any) -> bytes:
    """What a histogram says, without a start timestamp: nobody keeps that."""
    copy = Histogram.FromString(histogram.SerializeToString())
    copy.ClearField("start_timestamp")
    copy.DiscardUnknownFields()
    return bytes(copy.SerializeToString(deterministic=True))


def _judge_part(part: bytes, symbols: Sequence[bytes], *, is_plain: bool) -> Judged:
    unknown = len(part) // 2  # where the form is another one there may be fields of two bytes
    series = TimeSeries()
    try:
        series.ParseFromString(part)
    except DecodeError:
        return Judged(None, "no TimeSeries", is_plain=False, size={"max_samples": unknown, "max_label_bytes": 0})
    is_plain = is_plain and series.SerializeToString() == part and not _has_unknown(series)
    fields = _fields(series) if is_plain else unknown
    references = list(series.labels_refs)
    outside = [*references, *(ref for one in series.exemplars for ref in one.labels_refs)]
    nothing = not (series.samples or series.histograms or series.exemplars)
    odd = len(references) % 2 or any(len(one.labels_refs) % 2 for one in series.exemplars)
    if nothing or odd or any(ref >= len(symbols) for ref in outside):
        size = {"max_labels": len(references) // 2, "max_samples": fields, "max_label_bytes": 0}
        return Judged(None, "references or content", is_plain, size)
    pairs = [(symbols[name], symbols[value]) for name, value in zip(references[::2], references[1::2], strict=True)]
    size = {"max_labels": len(pairs), "max_label_bytes": _section_bytes(pairs), "max_samples": fields}
    try:
        labels = [(name.decode(), value.decode()) for name, value in pairs if value]
    except UnicodeDecodeError:
        return Judged(None, "no UTF-8", is_plain, size)
    found = listed_2(series, labels)
    return Judged(found, _label_fault(labels), is_plain, size)


def listed_2(series: Any, labels: list[tuple[str, str]]) -> Series:
    """A 2.0 TimeSeries with its labels."""
    return Series(
        tuple(sorted(labels)),
        tuple((one.timestamp, struct.pack("<d", one.value)) for one in series.samples),
        tuple(normal(one) for one in series.histograms),
        len(series.exemplars),
    )


def _judge(kept: Any, labels: list[tuple[str, str]], *, is_plain: bool) -> Judged:
    pairs = [(name.encode(), value.encode()) for name, value in labels]
    size = {"max_labels": len(labels), "max_label_bytes": _section_bytes(pairs), "max_samples": _fields(kept)}
    return Judged(listed(kept), _label_fault(labels), is_plain, size)


def _fields(series: Any) -> int:
    """What is read one by one, but for one sample and metadata."""
    started = "created_timestamp" in series.DESCRIPTOR.fields_by_name and series.created_timestamp != 0
    return max(len(series.samples) + len(series.histograms) + len(series.exemplars) + started - 1, 0)


def _section_bytes(pairs: Sequence[tuple[bytes, bytes]]) -> int:
    """More than the labels take as 1.0 writes them, by less than their lengths' second bytes."""
    return sum(len(name) + len(value) + 9 for name, value in pairs)


def _label_fault(labels: Sequence[tuple[str, str]]) -> str:
    names = [name for name, _ in labels]
    if len(set(names)) != len(names):
        return "a name stands twice"
    if "" in names:
        return "a name is empty"
    return "" if dict(labels).get(METRIC_NAME) else "no metric name"


def _has_unknown(message: Message) -> bool:
    if len(UnknownFieldSet(message)):
        return True
    children = (value for field, value in message.ListFields() if field.type == field.TYPE_MESSAGE)
    return any(_has_unknown(child) for one in children for child in ([one] if isinstance(one, Message) else one))

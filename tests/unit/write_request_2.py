"""Remote write 2.0 as its specification describes it, for tests and benchmarks: shares no code with the product.

Built from descriptors, so that protobuf's own serialiser writes it; both places of the start timestamp are declared.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cramjam
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

CONTENT_TYPE = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
HEADERS = {
    "Content-Type": CONTENT_TYPE,
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}

_F = FieldDescriptorProto
_MESSAGES: dict[str, str] = {
    "BucketSpan": "sint32 offset=1; uint32 length=2",
    "Sample": "double value=1; int64 timestamp=2; int64 start_timestamp=3",
    "Exemplar": "*uint32 labels_refs=1; double value=2; int64 timestamp=3",
    "Metadata": "int32 type=1; uint32 help_ref=3; uint32 unit_ref=4",
    "Histogram": "uint64 count_int=1 count; double count_float=2 count; double sum=3; sint32 schema=4;"
    "double zero_threshold=5; uint64 zero_count_int=6 zero_count; double zero_count_float=7 zero_count;"
    "*BucketSpan negative_spans=8; *sint64 negative_deltas=9; *double negative_counts=10;"
    "*BucketSpan positive_spans=11; *sint64 positive_deltas=12; *double positive_counts=13;"
    "int32 reset_hint=14; int64 timestamp=15; *double custom_values=16; int64 start_timestamp=17",
    "TimeSeries": "*uint32 labels_refs=1; *Sample samples=2; *Histogram histograms=3; *Exemplar exemplars=4;"
    "Metadata metadata=5; int64 created_timestamp=6",
    "Request": "*string symbols=4; *TimeSeries timeseries=5",
    # What is no UTF-8 passes a parser of bytes: the rules of labels decide about it.
    "RawRequest": "*bytes symbols=4; *TimeSeries timeseries=5",
    # What is malformed inside a series is that series' fault.
    "Parts": "*bytes symbols=4; *bytes timeseries=5",
    # And 1.0's, with the same histogram.
    "Label": "string name=1; string value=2",
    "Exemplar1": "*Label labels=1; double value=2; int64 timestamp=3",
    "TimeSeries1": "*Label labels=1; *Sample samples=2; *Exemplar1 exemplars=3; *Histogram histograms=4",
    "WriteRequest": "*TimeSeries1 timeseries=1",
    # What is counted and not kept is not looked into.
    "KeptSeries1": "*Label labels=1; *Sample samples=2; *bytes exemplars=3; *Histogram histograms=4",
    "KeptRequest": "*KeptSeries1 timeseries=1; *bytes metadata=3",
}
_TYPES = {
    "double": _F.TYPE_DOUBLE,
    "int64": _F.TYPE_INT64,
    "int32": _F.TYPE_INT32,
    "uint64": _F.TYPE_UINT64,
    "uint32": _F.TYPE_UINT32,
    "sint64": _F.TYPE_SINT64,
    "sint32": _F.TYPE_SINT32,
    "string": _F.TYPE_STRING,
    "bytes": _F.TYPE_BYTES,
}


def _create_classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="reference2.proto", package="reference2", syntax="proto3")
    for name, text in _MESSAGES.items():
        message = file.message_type.add(name=name)
        groups: list[str] = []
        for one in text.split(";"):
            kind, field, *group = one.split()
            added = message.field.add(name=field.partition("=")[0], number=int(field.partition("=")[2]))
            added.label = _F.LABEL_REPEATED if kind.startswith("*") else _F.LABEL_OPTIONAL
            kind = kind.removeprefix("*")
            added.type = _TYPES.get(kind, _F.TYPE_MESSAGE)
            if kind not in _TYPES:
                added.type_name = f".reference2.{kind}"
            if group:
                if group[0] not in groups:
                    groups += group
                    message.oneof_decl.add(name=group[0])
                added.oneof_index = groups.index(group[0])
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"reference2.{name}")) for name in _MESSAGES}


_CLASSES = _create_classes()
Request, RawRequest, Parts, TimeSeries, Sample, Histogram, Exemplar, Metadata = (
    _CLASSES[name]
    for name in ("Request", "RawRequest", "Parts", "TimeSeries", "Sample", "Histogram", "Exemplar", "Metadata")
)
WriteRequest, TimeSeries1, Exemplar1, KeptRequest = (
    _CLASSES[name] for name in ("WriteRequest", "TimeSeries1", "Exemplar1", "KeptRequest")
)


class Symbols:
    """A symbol table that grows; the first symbol is empty, as the specification asks."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {"": 0}

    def refer(self, text: str) -> int:
        """The reference of a symbol."""
        return self.numbers.setdefault(text, len(self.numbers))

    def labels(self, labels: Mapping[str, str]) -> list[int]:
        """References of labels, by name."""
        return [self.refer(text) for pair in sorted(labels.items()) for text in pair]


def message_of(
    series: Iterable[tuple[Mapping[str, str], Iterable[tuple[int, float]]]], metadata: Sequence[str] = ()
) -> Any:
    """Series as a 2.0 request, written as Prometheus writes them. metadata: help and unit, given to every series."""
    symbols, request = Symbols(), Request()
    for labels, samples in series:
        one = request.timeseries.add(labels_refs=symbols.labels(labels))
        for timestamp_ms, value in samples:
            one.samples.add(timestamp=timestamp_ms, value=value)
        one.metadata.SetInParent()  # Prometheus writes it always
        if metadata:
            one.metadata.MergeFrom(
                Metadata(type=1, help_ref=symbols.refer(metadata[0]), unit_ref=symbols.refer(metadata[1]))
            )
    request.symbols.extend(symbols.numbers)
    return request


def compress(message: Any) -> bytes:
    """A message as a body is sent."""
    return bytes(cramjam.snappy.compress_raw(message.SerializeToString()))

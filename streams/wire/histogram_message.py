"""`prometheus.Histogram`, read by protobuf's own parser. The same message stands in 1.0 and 2.0.

2.0's start timestamp (17) is not declared: nobody here needs it.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, cast

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_Field = FieldDescriptorProto
_FIELDS = (
    ("count_int", 1, _Field.TYPE_UINT64),
    ("count_float", 2, _Field.TYPE_DOUBLE),
    ("sum", 3, _Field.TYPE_DOUBLE),
    ("schema", 4, _Field.TYPE_SINT32),
    ("zero_threshold", 5, _Field.TYPE_DOUBLE),
    ("zero_count_int", 6, _Field.TYPE_UINT64),
    ("zero_count_float", 7, _Field.TYPE_DOUBLE),
    ("reset_hint", 14, _Field.TYPE_INT32),
    ("timestamp", 15, _Field.TYPE_INT64),
)
_LISTS = (
    ("negative_spans", 8, _Field.TYPE_MESSAGE),
    ("negative_deltas", 9, _Field.TYPE_SINT64),
    ("negative_counts", 10, _Field.TYPE_DOUBLE),
    ("positive_spans", 11, _Field.TYPE_MESSAGE),
    ("positive_deltas", 12, _Field.TYPE_SINT64),
    ("positive_counts", 13, _Field.TYPE_DOUBLE),
    ("custom_values", 16, _Field.TYPE_DOUBLE),
)


class Span(Protocol):
    """Buckets in a row: how many are left out before them, and how many they are."""

    offset: int
    length: int


class HistogramMessage(Protocol):
    """The part of protobuf's interface that is used here, with this message's fields."""

    count_int: int
    count_float: float
    sum: float
    schema: int
    zero_threshold: float
    zero_count_int: int
    zero_count_float: float
    negative_spans: Sequence[Span]
    negative_deltas: Sequence[int]
    negative_counts: Sequence[float]
    positive_spans: Sequence[Span]
    positive_deltas: Sequence[int]
    positive_counts: Sequence[float]
    reset_hint: int
    timestamp: int
    custom_values: Sequence[float]

    def ParseFromString(self, serialized: bytes) -> int: ...  # noqa: D102, N802  protobuf's name

    def SerializeToString(self) -> bytes: ...  # noqa: D102, N802  protobuf's name

    def WhichOneof(self, group: Literal["count", "zero_count"]) -> str | None: ...  # noqa: D102, N802  protobuf's name


class HistogramMessageClass(Protocol):
    """How a message is made."""

    def __call__(self) -> HistogramMessage: ...  # noqa: D102  the class docstring says it


def _create_class() -> HistogramMessageClass:
    file = FileDescriptorProto(name="driftline/histogram.proto", package="driftline", syntax="proto3")
    span = file.message_type.add(name="Span")
    span.field.add(name="offset", number=1, type=_Field.TYPE_SINT32, label=_Field.LABEL_OPTIONAL)
    span.field.add(name="length", number=2, type=_Field.TYPE_UINT32, label=_Field.LABEL_OPTIONAL)
    message = file.message_type.add(name="Histogram")
    groups = ("count", "zero_count")
    for group in groups:
        message.oneof_decl.add(name=group)
    for name, number, kind in _FIELDS:
        field = message.field.add(name=name, number=number, type=kind, label=_Field.LABEL_OPTIONAL)
        group = name.rpartition("_")[0]
        if group in groups:
            field.oneof_index = groups.index(group)
    for name, number, kind in _LISTS:
        field = message.field.add(name=name, number=number, type=kind, label=_Field.LABEL_REPEATED)
        if kind == _Field.TYPE_MESSAGE:
            field.type_name = ".driftline.Span"
    pool = DescriptorPool()
    pool.Add(file)
    return cast("HistogramMessageClass", GetMessageClass(pool.FindMessageTypeByName("driftline.Histogram")))


# A class, made once: what a `class` statement in a generated module would be.
Histogram = _create_class()

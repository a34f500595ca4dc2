"""Ten thousand bodies that a sender should not have sent, from one seed, and an independent judge of each.

The judge is protobuf's own parser on the official message, and the rules of labels written out once more; it shares
no code with the product but the snappy codec.
"""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cramjam
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

Sample = tuple[tuple[tuple[str, str], ...], int, bytes]
Verdict = Literal["good", "strange", "bad"]

HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
NOW_MS = 1_764_000_000_000
MAX_SERIES, MAX_LABELS, MAX_LABEL_BYTES, MAX_DECODED = 100_000, 64, 16 * 1024, 32 << 20

_Field = FieldDescriptorProto


def _create_class() -> Any:
    file = FileDescriptorProto(name="reference.proto", package="reference", syntax="proto3")
    messages: dict[str, list[tuple[str, int, int, bool, str]]] = {
        "Label": [("name", 1, _Field.TYPE_STRING, False, ""), ("value", 2, _Field.TYPE_STRING, False, "")],
        "Sample": [("value", 1, _Field.TYPE_DOUBLE, False, ""), ("timestamp", 2, _Field.TYPE_INT64, False, "")],
        "TimeSeries": [
            ("labels", 1, _Field.TYPE_MESSAGE, True, "Label"),
            ("samples", 2, _Field.TYPE_MESSAGE, True, "Sample"),
        ],
        "WriteRequest": [("timeseries", 1, _Field.TYPE_MESSAGE, True, "TimeSeries")],
    }
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated, type_name in fields:
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, type=kind, label=label)
            if type_name:
                added.type_name = f".reference.{type_name}"
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("reference.WriteRequest"))


WriteRequest = _create_class()


def _has_unknown(message: Message) -> bool:
    if len(UnknownFieldSet(message)):
        return True
    children = (value for field, value in message.ListFields() if field.type == field.TYPE_MESSAGE)
    return any(_has_unknown(child) for one in children for child in ([one] if isinstance(one, Message) else one))


def _labels_are_good(labels: list[tuple[str, str]]) -> bool:
    names = [name for name, _ in labels]
    if sum(len(text.encode()) for pair in labels for text in pair) > MAX_LABEL_BYTES:
        return False
    return len(set(names)) == len(names) <= MAX_LABELS and "" not in names and bool(dict(labels).get("__name__"))


def judge(body: bytes) -> tuple[Verdict, list[Sample]]:
    """Whether a body is remote write, and its samples.

    strange: protobuf passes over fields that it does not know; they may be refused or not.
    """
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > MAX_DECODED:
            return "bad", []
        data = bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError:
        return "bad", []
    if len(data) > 1 << 20:
        return "bad", []  # by construction: no good body is so large
    message = WriteRequest()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return "bad", []
    samples: list[Sample] = []
    for series in message.timeseries:
        labels = [(label.name, label.value) for label in series.labels]
        if not _labels_are_good(labels):
            return "bad", []
        kept = tuple(sorted(pair for pair in labels if pair[1]))
        samples += [(kept, s.timestamp, struct.pack("<d", s.value)) for s in series.samples]
    return ("strange" if _has_unknown(message) else "good"), samples


@dataclass(frozen=True, slots=True)
class Body:
    """One request. kind: how it was made."""

    kind: str
    content: bytes
    headers: dict[str, str]


def compress(data: bytes) -> bytes:
    """As senders do."""
    return bytes(cramjam.snappy.compress_raw(data))


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes((value & 0x7F | 0x80,)), value >> 7
    return out + bytes((value,))


def _field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _label(name: bytes, value: bytes) -> bytes:
    return _field(1, _field(1, name) + _field(2, value))


class Generator:
    """Bodies from one seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._makers: dict[str, Callable[[], bytes]] = {
            "truncated body": lambda: self._cut(compress(self._request())),
            "truncated message": lambda: compress(self._cut(self._request())),
            "flipped body": lambda: self._flip(compress(self._request())),
            "flipped message": lambda: compress(self._flip(self._request())),
            "random bytes": lambda: self._rng.randbytes(self._rng.randrange(400)),
            "random message": lambda: compress(self._rng.randbytes(self._rng.randrange(400))),
            "bad labels": lambda: compress(self._request(self._bad_labels())),
            "repeated series": lambda: compress(self._request() * 2),
            "declared bomb": self._declared_bomb,
            "small bomb": lambda: compress(b"\x0a\x00" * self._rng.randrange(MAX_SERIES + 1, MAX_SERIES + 100)),
        }

    def _labels(self) -> bytes:
        number = self._rng.randrange(40)
        pairs = {b"__name__": b"http_requests_total", b"service": b"auth-service", b"instance": b"pod-%d" % number}
        return b"".join(_label(name, value) for name, value in sorted(pairs.items()))

    def _samples(self) -> bytes:
        value = struct.pack("<d", self._rng.random())
        time = NOW_MS + self._rng.randrange(3_600_000)
        return _field(2, b"\x09" + value + b"\x10" + _varint(time)) * self._rng.choice((1, 1, 1, 2))

    def _request(self, bad: bytes = b"") -> bytes:
        series = [_field(1, self._labels() + self._samples()) for _ in range(self._rng.randrange(1, 5))]
        if bad:
            series.insert(self._rng.randrange(len(series) + 1), _field(1, bad + self._samples()))
        return b"".join(series)

    def _bad_labels(self) -> bytes:
        name = _label(b"__name__", b"up")
        return self._rng.choice(
            (
                _label(b"job", b"a"),
                _label(b"__name__", b""),
                name + name,
                name + _label(b"", b"a"),
                name + _label(b"job", b"a") + _label(b"job", b"b"),
                name + _label(b"job", b"\xff\xfe"),
                name + _label(b"\xc3\x28", b"a"),
                name + _label(b"job", b"\xed\xa0\x80"),
                name + b"".join(_label(b"l%d" % n, b"v") for n in range(MAX_LABELS)),
                name + _label(b"job", b"x" * (MAX_LABEL_BYTES + 1)),
            )
        )

    def _cut(self, data: bytes) -> bytes:
        return data[: self._rng.randrange(len(data))]

    def _flip(self, data: bytes) -> bytes:
        damaged = bytearray(data)
        for _ in range(self._rng.choice((1, 1, 2, 5))):
            damaged[self._rng.randrange(len(damaged))] ^= 1 << self._rng.randrange(8)
        return bytes(damaged)

    def _declared_bomb(self) -> bytes:
        size = self._rng.choice((1 << 20, 30 << 20, 33 << 20, 2_700_000_000, (1 << 32) - 1))
        return _varint(size) + self._rng.randbytes(40)

    def bodies(self, count: int) -> Iterator[Body]:
        """So many bodies, all kinds in turn; a few of them as large as bodies may be."""
        large = {
            "empty series": compress(b"\x0a\x00" * (15 << 20)),
            "empty metadata": compress(b"\x1a\x00" * (15 << 20)),
            "zeros": compress(bytes(31 << 20)),
            "one large label": compress(_field(1, _label(b"__name__", b"x" * (31 << 20)))),
        }
        wrong = [("Content-Type", "application/json"), ("Content-Encoding", "zstd"), ("Content-Encoding", "gzip")]
        kinds = list(self._makers)
        for number in range(count):
            if number % 500 == 250:
                kind = list(large)[number // 500 % len(large)]
                yield Body(f"bomb of {kind}", large[kind], HEADERS)
            elif number % 50 == 25:
                name, value = wrong[number // 50 % len(wrong)]
                yield Body("wrong headers", compress(self._request()), HEADERS | {name: value})
            else:
                kind = kinds[number % len(kinds)]
                yield Body(kind, self._makers[kind](), HEADERS)

"""Where fuzzing begins: recorded bodies, bodies made to be refused, and what a plain sender never writes.

`python -m tests.fuzz.seeds DIRECTORY` writes them to DIRECTORY/v1, v2 and repeated.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cramjam

from streams.wire.encode import encode_frame, encode_write_request
from streams.wire.protobuf import encode_bytes
from tests.faults.bad_bodies import Generator as BadBodies
from tests.faults.bad_bodies_2 import Generator as BadBodies2
from tests.fuzz import repeated
from tests.unit.write_request_2 import Request, Symbols, WriteRequest

NOW_MS = 1_764_000_000_000
MAX_BYTES = 2048
_RECORDED = Path(__file__).resolve().parents[1] / "recorded"
_LABELS = {"__name__": "up", "job": "a"}
_HISTOGRAMS: list[dict[str, Any]] = [
    {"count_int": 1, "sum": 2.0, "zero_count_int": 1, "timestamp": NOW_MS},
    {
        "count_int": 5,
        "sum": 9.5,
        "schema": 3,
        "zero_threshold": 1e-9,
        "zero_count_int": 1,
        "timestamp": NOW_MS,
        "positive_spans": [{"offset": 1, "length": 2}],
        "positive_deltas": [1, 1],
        "negative_spans": [{"offset": 0, "length": 1}],
        "negative_deltas": [1],
    },
    {
        "count_float": 3.5,
        "sum": 9.5,
        "schema": 0,
        "zero_count_float": 0.5,
        "timestamp": NOW_MS,
        "positive_spans": [{"offset": -2, "length": 1}, {"offset": 3, "length": 1}],
        "positive_counts": [1.5, 1.5],
    },
    {
        "count_int": 2,
        "sum": 3.0,
        "schema": -53,
        "timestamp": NOW_MS,
        "custom_values": [1.0, 5.0],
        "positive_spans": [{"offset": 0, "length": 2}],
        "positive_deltas": [1, 0],
    },
]


_LABEL = b"\x0a\x08__name__\x12\x02up"


def _long(value: int, size: int) -> bytes:
    """A varint in more bytes than it needs."""
    return bytes(value >> 7 * place & 0x7F | 0x80 for place in range(size - 1)) + bytes((value >> 7 * (size - 1),))


def _long_varints_1(size: int) -> Iterator[bytes]:
    """Tags, lengths and values in so many bytes: the first two have 32 bits, which is five bytes."""
    tail, time = encode_frame({}, [(NOW_MS, 1.5)]), encode_bytes(2, b"\x10\x05")
    label = encode_bytes(1, _LABEL)
    yield encode_bytes(1, _long(0x0A, size) + label[1:] + tail)
    yield encode_bytes(1, b"\x0a" + _long(len(_LABEL), size) + _LABEL + tail)
    yield encode_bytes(1, encode_bytes(1, _long(0x0A, size) + _LABEL[1:]) + tail)
    yield encode_bytes(1, label + _long(0x12, size) + time[1:])
    yield encode_bytes(1, label + encode_bytes(2, b"\x10" + _long(5, size)))
    yield encode_bytes(1, label + encode_bytes(2, _long(0x10, size) + b"\x05"))
    yield encode_bytes(1, label + tail + _long(0x1A, size) + b"\x00")


def _long_varints_2(size: int) -> Iterator[bytes]:
    symbols = b"".join(encode_bytes(4, symbol) for symbol in (b"", b"__name__", b"up"))
    references, sample = b"\x0a\x02\x01\x02", encode_frame({}, [(NOW_MS, 1.5)])
    for series in (
        _long(0x0A, size) + references[1:] + sample,
        b"\x0a" + _long(2, size) + references[2:] + sample,
        encode_bytes(1, _long(1, size) + b"\x02") + sample,
        b"\x08" + _long(1, size) + b"\x08\x02" + sample,
        references + sample + _long(0x2A, size) + b"\x02\x08\x01",
        references + sample + encode_bytes(5, b"\x08" + _long(1, size)),
        references + sample + _long(0x30, size) + b"\x05",
        references + sample + encode_bytes(4, _long(0x0A, size) + references[1:]),
    ):
        yield symbols + encode_bytes(5, series)


def seeds_1() -> Iterator[bytes]:
    """Messages of 1.0, and bodies: the target reads each input as either."""
    recorded = (_RECORDED / "vmagent-snappy.bin").read_bytes()
    yield recorded
    yield bytes(cramjam.snappy.decompress_raw(recorded))
    frame = encode_frame(_LABELS, [(NOW_MS, 1.5)])
    yield encode_bytes(1, frame) + encode_bytes(1, encode_frame(_LABELS, [(NOW_MS, 0.0)]))
    yield encode_bytes(1, encode_frame(_LABELS, [(NOW_MS, -0.0), (-1, float("nan")), (0, float("inf"))]))
    yield encode_bytes(1, frame) + encode_bytes(3, b"\x08\x01\x12\x02up")
    yield encode_bytes(1, frame[-18:] + frame[:-18])  # labels behind the sample
    request = WriteRequest()
    pairs = [{"name": name, "value": value} for name, value in _LABELS.items()]
    for histogram in _HISTOGRAMS:
        request.timeseries.add(labels=pairs, histograms=[histogram])
    request.timeseries.add(labels=pairs, samples=[{"value": 1.0}], exemplars=[{"labels": pairs, "value": 1.0}])
    yield request.SerializeToString()
    for size in (5, 6, 10):
        yield from _long_varints_1(size)
    for body in BadBodies(7).bodies(60):
        yield from _contents(body.content)


def seeds_2() -> Iterator[bytes]:
    """Messages of 2.0."""
    sample = {"value": 1.5, "timestamp": NOW_MS}
    for fields in (
        {"samples": [sample]},
        {"samples": [sample | {"start_timestamp": NOW_MS - 5000}]},
        {"samples": [sample], "created_timestamp": NOW_MS - 5000},
        {"samples": [sample | {"value": 0.0}], "metadata": {"type": 1, "help_ref": 2}, "created_timestamp": 7},
        {"samples": [sample], "exemplars": [{"labels_refs": [3, 4], "value": 1.0, "timestamp": NOW_MS}]},
        {"histograms": [one | {"start_timestamp": NOW_MS} for one in _HISTOGRAMS]},
    ):
        symbols, request = Symbols(), Request()
        for _ in range(4):
            request.timeseries.add(labels_refs=symbols.labels(_LABELS), **fields)
        request.symbols.extend(symbols.numbers)
        yield request.SerializeToString()
    for size in (5, 6, 10):
        yield from _long_varints_2(size)
    for body in BadBodies2(7).bodies(60):
        yield from _contents(body.content)


def seeds_repeated() -> Iterator[bytes]:
    """Two requests: the same series, moved, new ones between them, and some that are left out."""
    for first, second in (
        ("abcdef", "abcdef"),
        ("abcdef", "cdefab"),
        ("abc", "abcabc"),
        ("abcdefgh", "abxdefgh"),
        ("abcdefgh", "efgh"),
        ("abc", ""),
    ):
        requests = [
            encode_write_request([(_LABELS | {"pod": pod}, [(at_ms, (ord(pod) - 97) * number)]) for pod in pods])
            for pods, at_ms, number in ((first, NOW_MS, 1.5), (second, NOW_MS + 15_000, 2.5))
        ]
        yield repeated.join(*requests)


def _contents(body: bytes) -> Iterator[bytes]:
    try:
        content = bytes(cramjam.snappy.decompress_raw(body)) if len(body) <= MAX_BYTES else b""
    except cramjam.DecompressionError:
        return
    if 0 < len(content) <= MAX_BYTES:
        yield content


def write(directory: Path) -> None:
    """Each seed as a file, under its version."""
    for version, seeds in (("v1", seeds_1()), ("v2", seeds_2()), ("repeated", seeds_repeated())):
        (directory / version).mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (directory / version / f"seed-{number:03}.bin").write_bytes(seed)


if __name__ == "__main__":
    write(Path(sys.argv[1]))

"""What the wire takes, refuses and says about it."""

import struct
import tracemalloc

import pytest

from streams.wire.encode import encode_frame, encode_write_request
from streams.wire.errors import MalformedError, TooLargeError, WireError
from streams.wire.labels import encode_labels, parse_labels
from streams.wire.limits import WireLimits
from streams.wire.protobuf import encode_bytes, encode_varint
from streams.wire.request import compress, decompress, join_series, split_request, split_series
from streams.wire.samples import STALE_NAN, STALE_NAN_BITS, read_samples, read_tails

LABELS = {"__name__": "up", "job": "a"}
NOW = 1_764_000_000_000


def label(name: bytes, value: bytes) -> bytes:
    return encode_bytes(1, encode_bytes(1, name) + encode_bytes(2, value))


NAME = label(b"__name__", b"up")


def test_a_request_is_read_back() -> None:
    data = encode_write_request([(LABELS, [(NOW, 1.5)]), ({"__name__": "down"}, [(NOW + 1, 0.0)])])
    request = split_request(decompress(compress(data)))
    batch = read_samples(request.frames)
    assert request.plain
    assert [dict(parse_labels(blob)) for blob in batch.blobs] == [LABELS, {"__name__": "down"}]
    assert batch.values.tolist() == [1.5, 0.0]
    assert batch.timestamps_ms.tolist() == [NOW, NOW + 1]
    assert join_series(request.frames) == data


def test_known_series_are_read_as_arrays_with_the_same_result() -> None:
    series = [
        (LABELS, [(NOW, 1.5)]),
        ({"__name__": "zero"}, [(NOW, 0.0)]),
        ({"__name__": "many"}, [(NOW, 1.0), (NOW + 1, 2.0), (-5, 3.0)]),
        ({"__name__": "none"}, []),
        ({"__name__": "old"}, [(0, -0.0)]),
    ]
    frames = split_series(encode_write_request(series))
    slow = read_samples(frames)
    fast = read_samples(frames, set(slow.blobs))
    assert fast.blobs == slow.blobs
    assert fast.series.tolist() == slow.series.tolist() == [0, 1, 2, 2, 2, 4]
    assert fast.values.tobytes() == slow.values.tobytes()
    assert fast.timestamps_ms.tolist() == slow.timestamps_ms.tolist() == [NOW, NOW, NOW, NOW + 1, -5, 0]


def test_the_bits_of_stale_markers_survive_on_both_paths() -> None:
    frames = split_series(encode_write_request([(LABELS, [(NOW, STALE_NAN)])]))
    for known in (set[bytes](), {encode_labels(LABELS)}):
        assert struct.pack("<d", read_samples(frames, known).values[0]) == struct.pack("<Q", STALE_NAN_BITS)


def test_a_label_value_that_looks_like_a_sample_is_a_label_value() -> None:
    # A time whose five long bytes are also two characters of UTF-8.
    looks = b"\x12\x10\x09" + b"aaaaaaaa" + b"\x10\xc2\x80\xe2\x82\x80\x33"
    sample = encode_frame({}, [(NOW, 7.0)])
    frame = NAME + label(b"x", looks)
    assert read_tails([frame]).blobs == [frame[:-18]]
    batch = read_samples([frame, frame + sample, NAME + sample + sample], {frame, NAME})
    assert batch.blobs == [frame, frame, NAME]
    assert batch.series.tolist() == [1, 2, 2]
    assert batch.values.tolist() == [7.0, 7.0, 7.0]


def test_histograms_exemplars_and_metadata_are_counted_and_not_kept() -> None:
    frame = encode_frame(LABELS, [(NOW, 1.0)]) + encode_bytes(3, b"\x09" + bytes(8)) + encode_bytes(4, b"") * 2
    request = split_request(join_series([frame]) + encode_bytes(3, b"\x08\x01") * 3)
    batch = read_samples(request.frames)
    assert (batch.exemplars, batch.histograms, request.metadata, request.plain) == (1, 2, 3, False)
    assert batch.values.tolist() == [1.0]


def test_what_only_has_the_number_of_metadata_is_none() -> None:
    assert [split_request(data).metadata for data in (b"\x1a\x00", b"\x18\x00", b"\x1d" + bytes(4))] == [1, 0, 0]


def test_no_series_is_a_request_too() -> None:
    assert split_series(b"") == []
    assert read_samples([]).values.tolist() == []
    assert read_samples([NAME]).values.tolist() == []


@pytest.mark.parametrize(
    ("section", "says"),
    [
        (b"", "__name__ is missing"),
        (label(b"__name__", b""), "__name__ is missing or empty"),
        (label(b"job", b"a"), "__name__ is missing"),
        (NAME + label(b"", b"a"), "label 2: the name is empty"),
        (NAME + NAME, "label 2: name '__name__' stands twice"),
        (NAME + label(b"\xff", b"a"), "label 2: the name is not UTF-8"),
        (NAME + label(b"job", b"\xed\xa0\x80"), "label 2: the value of 'job' is not UTF-8"),
        # The last of two counts, but other readers of the record look at both.
        (NAME + encode_bytes(1, b"\x0a\x01\xff\x0a\x01a\x12\x01b"), "label 2: the name is not UTF-8"),
        (NAME + encode_bytes(1, b"\x12\x01\xff\x0a\x01a\x12\x01b"), "label 2: the value of 'a' is not UTF-8"),
        (b"\x8a\x80\x80\x80\x80\x00" + NAME[1:], "byte 0: expected a varint of at most 5 bytes"),
        (NAME + label(b"j" * 99, b"\xff"), r"the value of 'j{61}\.\.\.' is not UTF-8"),
        (NAME + encode_bytes(2, b"a"), "field 2 between the labels"),
        (NAME + b"\x0a\x02\x08\x01", "name of label 2 has wire type 0"),
        (NAME + b"\x08\x01", "label 2 has wire type 0"),
        (NAME + b"\x0a\x05\x0a", "4 bytes longer than what is left"),
        (NAME + b"\x0b", "unsupported wire type 3"),
    ],
)
def test_bad_labels_are_refused_with_their_place(section: bytes, says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        parse_labels(section)


def test_labels_are_sorted_and_empty_values_are_absent() -> None:
    assert parse_labels(label(b"z", b"1") + NAME + label(b"a", b"")) == (("__name__", "up"), ("z", "1"))


def test_names_may_be_any_utf8() -> None:
    assert ("größe.m", "é") in parse_labels(NAME + label("größe.m".encode(), "é".encode()))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x0a", "byte 1: expected a varint"),
        (b"\x0a\x05a", "field 1 is 4 bytes longer"),
        (b"\x08\x01", "a series has wire type 0"),
        (b"\x02\x00", "expected a field number, got 0"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "byte 1: expected a varint of at most 5 bytes"),
        (b"\x13", "unsupported wire type 3"),
    ],
)
def test_a_bad_message_is_refused_with_its_place(data: bytes, says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        split_series(data)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x12\x03\x09\x00\x00", "series 2: byte 18: field 1 is 6 bytes longer"),
        (b"\x10\x01", "series 2: .*sample 1 has wire type 0"),
        (b"\x12\x02\x08\x01", "value of sample 1 has wire type 0"),
        (b"\x12\x02\x12\x00", "timestamp of sample 1 has wire type 2"),
        (encode_bytes(2, bytes(200)), "sample 1 is 200 bytes long"),
        (b"\x18\x01", "an exemplar has wire type 0"),
    ],
)
def test_a_bad_frame_is_refused_with_its_series(content: bytes, says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        read_samples([encode_frame(LABELS, [(NOW, 1.0)]), NAME + content])


def test_what_is_not_snappy_is_refused() -> None:
    for body in (b"", b"\xff" * 20, b"\x0a\x00", compress(b"a" * 100)[:-2], b"\xff\x06\x00\x00sNaPpY"):
        with pytest.raises(MalformedError):
            decompress(body)


def test_bombs_are_refused_before_they_are_decoded() -> None:
    limits = WireLimits(max_decoded_bytes=1000)
    with pytest.raises(TooLargeError, match="declares 2000 decoded bytes, at most 1000"):
        decompress(compress(bytes(2000)), limits)
    with pytest.raises(MalformedError, match="more than snappy can hold"):
        decompress(encode_varint(60 << 20) + bytes(40))


@pytest.mark.parametrize("tag", [b"\x0a", b"\x8a\x00", b"\x8a\x80\x00"])
def test_empty_series_are_counted_before_they_are_parsed(tag: bytes) -> None:
    with pytest.raises(TooLargeError, match="more than 10 series"):
        split_series((tag + b"\x00") * 11, WireLimits(max_series=10))


def test_millions_of_empty_series_are_refused_without_being_made() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError, match="more than 100000 series"):
            split_series(b"\x0a\x00" * 4_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20


def test_many_line_feeds_in_few_series_are_no_bomb() -> None:
    data = encode_write_request([({"__name__": "up", "text": "\n" * 500}, [(NOW, 1.0)])])
    assert len(split_series(data, WireLimits(max_series=10))) == 1


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (encode_labels({"__name__": "up", "a": "1", "b": "2", "c": "3"}), "series 1: more than 3 labels"),
        (encode_labels({"__name__": "u" * 100}), "series 1: labels are 11. bytes long, at most 100"),
        (encode_frame(LABELS, [(NOW, 1.0)] * 12), "series 1: more than 10 samples in the request"),
        (encode_labels(LABELS) + b"\x18\x01" * 0 + encode_bytes(3, b"") * 12, "more than 10 samples"),
    ],
)
def test_large_series_are_refused(frame: bytes, says: str) -> None:
    limits = WireLimits(max_labels=3, max_label_bytes=100, max_samples=10)
    with pytest.raises(TooLargeError, match=says):
        read_samples([frame], limits=limits)


def test_fields_beside_series_are_bounded() -> None:
    with pytest.raises(TooLargeError, match="beside series"):
        split_series(encode_bytes(3, b"") * 11, WireLimits(max_series=10))


def test_every_refusal_is_the_senders_fault() -> None:
    assert issubclass(MalformedError, WireError)
    assert issubclass(TooLargeError, WireError)

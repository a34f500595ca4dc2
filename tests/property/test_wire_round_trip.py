"""What is encoded is decoded bit by bit; whatever else comes, the decoder raises only its own error."""

import struct
from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from streams.wire.encode import encode_write_request
from streams.wire.errors import WireError
from streams.wire.labels import parse_labels
from streams.wire.limits import WireLimits
from streams.wire.request import compress, decompress, join_series, split_request, split_series
from streams.wire.samples import read_samples

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
LABELS = st.builds(lambda name, others: {**others, "__name__": name}, TEXT, st.dictionaries(TEXT, TEXT, max_size=4))
BITS = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
TIMES = st.one_of(st.integers(1_500_000_000_000, 1_900_000_000_000), st.integers(-(2**63), 2**63 - 1))
SAMPLES = st.lists(st.tuples(TIMES, st.one_of(st.just(0.0), st.floats(), BITS)), max_size=3)
SERIES = st.lists(st.tuples(LABELS, SAMPLES), max_size=8)


def bits(values: list[float]) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


@given(SERIES, st.data())
def test_requests_survive_the_wire(
    series: list[tuple[dict[str, str], list[tuple[int, float]]]], data: st.DataObject
) -> None:
    frames = split_series(decompress(compress(encode_write_request(series))))
    blobs = read_samples(frames).blobs
    known = set(data.draw(st.lists(st.sampled_from(blobs)))) if blobs else set()
    batch = read_samples(frames, known)
    assert [dict(parse_labels(blob)) for blob in batch.blobs] == [labels for labels, _ in series]
    assert batch.timestamps_ms.tolist() == [time for _, samples in series for time, _ in samples]
    assert batch.values.tobytes() == b"".join(bits([value for _, samples in series for _, value in samples]))
    assert batch.series.tolist() == [index for index, (_, samples) in enumerate(series) for _ in samples]


@given(SERIES, SERIES)
def test_two_requests_in_a_row_are_one(
    first: list[tuple[dict[str, str], list[tuple[int, float]]]],
    second: list[tuple[dict[str, str], list[tuple[int, float]]]],
) -> None:
    joined = encode_write_request(first) + encode_write_request(second)
    assert joined == encode_write_request([*first, *second])
    assert join_series(split_series(joined)) == joined


def says(take: Callable[[], object]) -> str:
    """What a refusal says, in our own words; any other exception comes through."""
    try:
        take()
    except WireError as error:
        return str(error)
    return "taken"


@given(st.binary(max_size=300))
@example(b"\x0a\x12\x12\x10\x09" + bytes(8) + b"\x10\x80\x80\x80\x80\x80\x01")
def test_any_bytes_are_taken_or_refused_in_our_own_words(data: bytes) -> None:
    def split() -> None:
        request = split_request(data, WireLimits(max_series=20))
        assert not request.plain or join_series(request.frames) == data

    for take in (lambda: decompress(data), lambda: parse_labels(data), lambda: read_samples([data]), split):
        assert says(take)


@given(SERIES, st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4))
def test_damaged_requests_are_taken_or_refused_in_our_own_words(
    series: list[tuple[dict[str, str], list[tuple[int, float]]]], damage: list[tuple[int, int]]
) -> None:
    data = bytearray(encode_write_request(series))
    for at, flip in damage:
        if data:
            data[at % len(data)] ^= flip

    def read_both_ways() -> None:
        frames = split_series(bytes(data))
        slow = read_samples(frames)
        fast = read_samples(frames, {blob for blob in slow.blobs if parse_labels(blob)})
        assert fast.values.tobytes() == slow.values.tobytes()
        assert fast.blobs == slow.blobs

    assert says(read_both_ways)

"""A 2.0 request holds the same samples as the 1.0 request of the same series, whichever way it is read."""

import struct
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from streams.wire.errors import WireError
from streams.wire.labels import parse_labels
from streams.wire.limits import WireLimits
from streams.wire.request_2 import Translation, Translator, split_request_2
from streams.wire.samples import read_samples
from streams.wire.series_2 import SeriesTranslator
from streams.wire.symbols import SeriesMemory
from tests.property.test_wire_round_trip import LABELS, SAMPLES, SERIES, TEXT, TIMES, says
from tests.unit.write_request_2 import Request, Symbols, message_of

LIMITS = WireLimits()
METADATA = st.one_of(st.none(), st.tuples(st.integers(0, 7), TEXT, TEXT))
# Labels, samples, start timestamp or 0, metadata, the early place of the start timestamp or 0.
FULL_SERIES = st.lists(
    st.tuples(LABELS, SAMPLES.filter(bool), st.one_of(st.just(0), TIMES), METADATA, st.one_of(st.just(0), TIMES)),
    max_size=6,
)
Listed = list[tuple[dict[str, str], list[tuple[int, float]]]]


def build(series: list[tuple[Any, ...]], noise: list[str]) -> Any:
    """A request; noise: symbols that nobody refers to, so that references differ."""
    symbols, request = Symbols(), Request()
    for text in noise:
        symbols.refer(text)
    for labels, samples, start_ms, metadata, created_ms in series:
        one = request.timeseries.add(labels_refs=symbols.labels(labels), created_timestamp=created_ms)
        for timestamp_ms, value in samples:
            one.samples.add(timestamp=timestamp_ms, value=value, start_timestamp=start_ms)
        if metadata is not None:
            one.metadata.type = metadata[0]
            one.metadata.help_ref, one.metadata.unit_ref = map(symbols.refer, metadata[1:])
            one.metadata.SetInParent()
    request.symbols.extend(symbols.numbers)
    return request


def listed(frames: list[bytes]) -> list[tuple[dict[str, str], list[tuple[int, bytes]]]]:
    """Every series of frames with its samples, to the bit."""
    batch = read_samples(frames)
    found: list[tuple[dict[str, str], list[tuple[int, bytes]]]] = [
        (dict(parse_labels(blob)), []) for blob in batch.blobs
    ]
    for index, at_ms, value in zip(batch.series, batch.timestamps_ms, batch.values, strict=True):
        found[index][1].append((int(at_ms), struct.pack("<d", value)))
    return found


def translate(data: bytes, translator: Translator | None = None) -> Translation:
    translator = translator or create_translator()
    return translator.translate(translator.read(data))


def create_translator() -> Translator:
    return Translator(SeriesMemory(1 << 20), LIMITS)


@given(FULL_SERIES, st.lists(TEXT, max_size=300), st.lists(TEXT, max_size=5))
def test_series_come_out_as_they_went_in_whatever_stands_around_them(
    series: list[tuple[Any, ...]], noise: list[str], other_noise: list[str]
) -> None:
    wanted = [(labels, [(at, struct.pack("<d", value)) for at, value in samples]) for labels, samples, *_ in series]
    one = create_translator()
    for symbols in (noise, noise, other_noise):  # new, known, and known by other references
        result = translate(build(series, symbols).SerializeToString(), one)
        assert result.faults == {}
        assert listed(result.frames) == wanted
        assert result.metadata == sum(metadata is not None for *_, metadata, _ in series)


@given(SERIES)
def test_the_version_makes_no_difference(series: Listed) -> None:
    full = [(labels, samples) for labels, samples in series if samples]
    result = translate(message_of(full, ("help", "unit")).SerializeToString())
    wanted = [(labels, [(at, struct.pack("<d", value)) for at, value in samples]) for labels, samples in full]
    assert listed(result.frames) == wanted


def compare_with_the_exact_way(data: bytes) -> None:
    """Every series is taken or refused, and read the same, whether at once with others or alone."""
    request = split_request_2(data, LIMITS)
    result = translate(data)
    for index, series in enumerate(request.series):
        try:
            frame = SeriesTranslator(request.symbols, LIMITS).translate(series).frame
        except WireError:
            assert index in result.faults
            continue
        assert index not in result.faults
        ours, exact = ([says(lambda f=one: read_samples([f]))] for one in (result.frames[index], frame))  # type: ignore[misc]  # a default that binds
        assert ours == exact
        if ours == ["taken"]:
            assert listed([result.frames[index]]) == listed([frame])


@given(FULL_SERIES, st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4))
def test_damaged_requests_are_read_the_same_on_both_ways(
    series: list[tuple[Any, ...]], damage: list[tuple[int, int]]
) -> None:
    data = bytearray(build(series, []).SerializeToString())
    for at, flip in damage:
        if data:
            data[at % len(data)] ^= flip
    assert says(lambda: compare_with_the_exact_way(bytes(data)))


@given(st.lists(st.binary(max_size=80), max_size=5), st.lists(st.binary(max_size=5), max_size=5))
@example([b"\x0a\x02\x00\x00\x12\x09\x10\x80\x80\x80\x80\x80\x01"], [b""])
@example([b"\x0a\x01\x80\x12\x08\x10\x80\x80\x80\x80\x80\x01"], [b"", b"a"])
def test_any_series_is_read_the_same_on_both_ways(series: list[bytes], symbols: list[bytes]) -> None:
    data = b"".join(
        [b"\x22%c%b" % (len(symbol), symbol) for symbol in symbols] + [b"\x2a%c%b" % (len(one), one) for one in series]
    )
    assert says(lambda: compare_with_the_exact_way(data))


@given(st.binary(max_size=300))
def test_any_bytes_are_taken_or_refused_in_our_own_words(data: bytes) -> None:
    assert says(lambda: translate(data))

"""Whatever requests come: a sorter that recognises them says what one says that reads each of them."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.ingest.known_series import KnownSeries
from agents.ingest.opening import Message
from agents.ingest.sorting import Sorted, Sorter
from streams.wire.encode import encode_frame
from streams.wire.errors import WireError
from streams.wire.labels import parse_labels
from streams.wire.limits import WireLimits
from streams.wire.request import compress, join_series
from streams.wire.samples import STALE_NAN, read_samples
from tests.unit.ingest_parts import NOW_MS, budget_of, create_sorter, requests_total, routes_of, samples_of
from tests.unit.write_request_2 import message_of

COUNT = 150
Frames = list[bytes]
Changes = list[Callable[[Frames], Frames]]
Encoder = Callable[[Frames], bytes]


def frame_of(number: int, at_ms: int, value: float) -> bytes:
    """Series of two services, of both, and of none."""
    metric = "shared" if number % 11 == 0 else "http_requests_total"
    labels = {"__name__": metric, "service": "abc"[number % 3], "n": str(number), "pod": "p" * (number % 5 * 40)}
    return encode_frame(labels, [(at_ms, value)])


def encode_1(frames: Frames) -> bytes:
    return join_series(frames)


def encode_2(frames: Frames, change: Callable[[Any], object] = lambda _: None, first_symbol: str = "up") -> bytes:
    """The same as a 2.0 request, whose references depend on its first series; change: done to its middle series."""
    batch = read_samples(frames)
    labels = [dict(parse_labels(blob)) for blob in batch.blobs]
    samples = zip(batch.timestamps_ms.tolist(), batch.values.tolist(), strict=True)
    series = [(one, [sample]) for one, sample in zip(labels, samples, strict=True)]
    message = message_of([({"__name__": first_symbol}, [(NOW_MS, 1.0)]), *series], ("help", "unit"))
    change(message.timeseries[len(message.timeseries) // 2])
    return bytes(message.SerializeToString())


def start(series: Any) -> None:
    series.samples[0].start_timestamp = NOW_MS - 1


def create_early(series: Any) -> None:
    series.created_timestamp = NOW_MS - 1


def bare(series: Any) -> None:
    series.ClearField("metadata")


def empty(series: Any) -> None:
    series.ClearField("samples")


def odd_labels(series: Any) -> None:
    series.labels_refs.append(1)


def repeat(series: Any) -> None:
    series.samples.add(value=7.0, timestamp=NOW_MS + 1)


def exemplify(series: Any) -> None:
    series.exemplars.add(labels_refs=[1, 2], value=3.0, timestamp=NOW_MS)


def histogram(series: Any) -> None:
    series.ClearField("samples")
    series.histograms.add(count_int=0, zero_count_int=0, timestamp=NOW_MS)


ENCODERS_2 = st.builds(
    lambda change, symbol: lambda frames: encode_2(frames, change, symbol),
    st.sampled_from([start, create_early, bare, empty, odd_labels, repeat, exemplify, histogram, lambda _: None]),
    st.sampled_from(["up", "a", "pod"]),
)


def create(most_bytes: int) -> Sorter:
    routes = routes_of(budget_of("a", requests_total("a"), "shared"), budget_of("b", requests_total("b"), "shared"))
    known = KnownSeries(1000, 1 << 24)
    return create_sorter(routes, WireLimits(max_series=COUNT + 5), known=known, most_bytes=most_bytes)


PLACES = st.integers(0, COUNT - 1)
SAMPLES = st.tuples(
    st.sampled_from([NOW_MS, NOW_MS + 15_000, 0, -1, 1 << 42]), st.sampled_from([0.0, -0.0, 1.0, STALE_NAN, 1e300])
)
CHANGES = st.one_of(
    st.builds(lambda n: lambda frames: frames[:n] + frames[n + 1 :], PLACES),
    st.builds(lambda n: lambda frames: frames[n:] + frames[:n], PLACES),
    st.builds(lambda n, m: lambda frames: [*frames[:n], frame_of(m, NOW_MS, 3.0), *frames[n:]], PLACES, PLACES),
    st.builds(lambda n, m: lambda frames: [*frames[:n], frame_of(m, NOW_MS, 3.0), *frames[n:]], PLACES, st.just(9999)),
    st.builds(
        lambda n, m, sample: lambda frames: [*frames[:n], frame_of(m, *sample), *frames[n + 1 :]],
        PLACES,
        PLACES,
        SAMPLES,
    ),
)
REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.lists(CHANGES, max_size=3),
        st.none() | st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)),
        st.just(encode_1) | ENCODERS_2,
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def _every_series_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one of eight, by hashes that are others in every run."""
    monkeypatch.setattr("streams.wire.layouts._ANCHOR_MASK", 0)


def outcome(sort: Callable[[bytes, Message], Sorted], body: bytes, message: Message) -> object:
    """Everything that is said of a request; the order of services may be another."""
    try:
        result = sort(body, message)
    except WireError as error:
        return str(error)
    parts = sorted((service, str(samples_of(record))) for service, record in result.parts)
    counts = (result.samples, result.unneeded, result.series, result.written, result.newest_ms)
    return parts, counts, result.refused_series, result.metadata, list(map(str, result.faults))


@pytest.mark.parametrize("first", [encode_1, encode_2])
@given(REQUESTS)
@settings(max_examples=60, deadline=None)
def test_a_sorter_that_remembers_requests_says_the_same(
    first: Callable[[Frames], bytes], requests: list[tuple[int, Changes, tuple[int, int] | None, Encoder]]
) -> None:
    remembers, reads = create(1 << 20), create(0)
    for round_number, changes, byte, encode in [(0, [], None, first), (1, [], None, first), *requests]:
        frames = [frame_of(number, NOW_MS + round_number, number + round_number + 0.5) for number in range(COUNT)]
        for change in changes:
            frames = change(frames)
        data = bytearray(encode(frames))
        message = Message.VERSION_1 if encode is encode_1 else Message.VERSION_2
        if byte is not None:
            data[byte[0] % len(data)] ^= byte[1]
        body = compress(bytes(data))
        assert outcome(remembers.sort, body, message) == outcome(reads.sort, body, message)


@pytest.mark.usefixtures("_every_series_can_be_found")
def test_a_request_that_comes_again_is_recognised_until_budgets_change_or_series_age() -> None:
    sorter = create(1 << 20)
    memory = sorter._known_requests
    data = bytearray(encode_1([frame_of(number, NOW_MS, 1.0) for number in range(COUNT)]))
    body = compress(bytes(data))
    for _ in range(2):
        sorter.sort(body)
    assert memory.recognise(data, WireLimits(max_series=COUNT)) is not None
    assert memory.recognise(data, WireLimits(max_series=COUNT - 1)) is None, "more than the limit"
    sorter._known.age()
    assert memory.recognise(data, WireLimits()) is None
    assert memory.byte_count == 0


@pytest.mark.usefixtures("_every_series_can_be_found")
def test_a_2_0_request_that_comes_again_with_other_references_is_recognised_until_series_age() -> None:
    sorter = create(1 << 20)
    memory = sorter._known_requests
    frames = [frame_of(number, NOW_MS, 1.0) for number in range(COUNT)]
    for number in range(2):
        sorter.sort(compress(encode_2(frames[number:])), Message.VERSION_2)
    read = sorter._translator.read(encode_2(frames[30:] + frames[:10], start, "pod"))
    recognised = memory.recognise_2(read, WireLimits())
    assert recognised is None, "a series that is new"
    sorter.sort(compress(encode_2(frames[:3], first_symbol="pod")), Message.VERSION_2)
    recognised = memory.recognise_2(read, WireLimits())
    assert recognised is not None
    assert len(recognised.numbers) == COUNT - 30 + 10 + 1
    size = len(recognised.content)
    assert memory.recognise_2(read, WireLimits(max_decoded_bytes=size)) is not None
    assert memory.recognise_2(read, WireLimits(max_decoded_bytes=size - 1)) is None, "perhaps more than the limit"
    sorter._known.age()
    assert memory.recognise_2(read, WireLimits()) is None
    assert memory.byte_count == 0


def test_nothing_is_recognised_by_numbers_that_began_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sorter = create(1 << 20)
    frames = [frame_of(number, NOW_MS, 1.0) for number in range(COUNT)]
    body = compress(encode_2(frames))
    for _ in range(2):
        sorter.sort(body, Message.VERSION_2)
    assert sorter._known_requests.byte_count > 0
    monkeypatch.setattr("streams.wire.symbols._MOST_NUMBERS", 1)
    read = sorter._translator.read(encode_2(frames))
    assert sorter._known_requests.recognise_2(read, WireLimits()) is None
    assert sorter._known_requests.byte_count == 0


@pytest.mark.parametrize("encode", [encode_1, encode_2])
def test_requests_with_replicas_of_pairs_are_always_read(encode: Encoder) -> None:
    sorter = create(1 << 20)
    pair = {"__name__": "shared", "cluster": "eu", "__replica__": "a"}
    frames = [encode_frame({**pair, "n": str(number)}, [(NOW_MS, 1.0)]) for number in range(COUNT)]
    message = Message.VERSION_1 if encode is encode_1 else Message.VERSION_2
    for _ in range(2):
        result = sorter.sort(compress(encode(frames)), message, settled=True)
        assert (result.standby, result.samples, sorter._known_requests.byte_count) == (COUNT, 0, 0)


@pytest.mark.parametrize("encode", [encode_1, encode_2])
def test_requests_that_are_more_than_a_record_are_always_read(encode: Encoder) -> None:
    sorter = create(1 << 22)
    frames = [encode_frame({"__name__": f"x{number}", "a": "y" * 8_000}, [(NOW_MS, 1.0)]) for number in range(COUNT)]
    message = Message.VERSION_1 if encode is encode_1 else Message.VERSION_2
    for _ in range(2):
        assert sorter.sort(compress(encode(frames)), message).series in (COUNT, COUNT + 1)
        assert sorter._known_requests.byte_count == 0

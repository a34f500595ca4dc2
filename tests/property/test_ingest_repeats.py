"""Whatever requests come: a sorter that recognises them says what one says that reads each of them."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.ingest.sorting import Sorted, Sorter
from streams.wire.encode import encode_frame
from streams.wire.errors import WireError
from streams.wire.limits import WireLimits
from streams.wire.request import compress, join_series
from streams.wire.samples import STALE_NAN
from tests.unit.ingest_parts import NOW_MS, budget_of, create_sorter, requests_total, routes_of, samples_of

COUNT = 150
Frames = list[bytes]


def frame_of(number: int, at_ms: int, value: float) -> bytes:
    """Series of two services, of both, and of none."""
    metric = "shared" if number % 11 == 0 else "http_requests_total"
    labels = {"__name__": metric, "service": "abc"[number % 3], "n": str(number), "pod": "p" * (number % 5 * 40)}
    return encode_frame(labels, [(at_ms, value)])


def create(most_bytes: int) -> Sorter:
    routes = routes_of(budget_of("a", requests_total("a"), "shared"), budget_of("b", requests_total("b"), "shared"))
    return create_sorter(routes, WireLimits(max_series=COUNT + 5), most_bytes=most_bytes)


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
    ),
    min_size=1,
    max_size=6,
)


def outcome(sort: Callable[[bytes], Sorted], body: bytes) -> object:
    """Everything that is said of a request; the order of services may be another."""
    try:
        result = sort(body)
    except WireError as error:
        return str(error)
    parts = sorted((service, str(samples_of(record))) for service, record in result.parts)
    counts = (result.samples, result.unneeded, result.series, result.written, result.newest_ms)
    return parts, counts, result.refused_series, result.metadata


@given(REQUESTS)
@settings(max_examples=60, deadline=None)
def test_a_sorter_that_remembers_requests_says_the_same(
    requests: list[tuple[int, list[Callable[[Frames], Frames]], tuple[int, int] | None]],
) -> None:
    remembers, reads = create(1 << 20), create(0)
    for round_number, changes, byte in [(0, [], None), (1, [], None), *requests]:
        frames = [frame_of(number, NOW_MS + round_number, number + round_number + 0.5) for number in range(COUNT)]
        for change in changes:
            frames = change(frames)
        data = bytearray(join_series(frames))
        if byte is not None:
            data[byte[0] % len(data)] ^= byte[1]
        body = compress(bytes(data))
        assert outcome(remembers.sort, body) == outcome(reads.sort, body)


def test_a_request_that_comes_again_is_recognised_until_budgets_change_or_series_age() -> None:
    sorter = create(1 << 20)
    memory = sorter._known_requests
    data = bytearray(join_series([frame_of(number, NOW_MS, 1.0) for number in range(COUNT)]))
    body = compress(bytes(data))
    for _ in range(2):
        sorter.sort(body)
    assert memory.recognise(data, COUNT) is not None
    assert memory.recognise(data, COUNT - 1) is None, "more than the limit"
    sorter._known.age()
    assert memory.recognise(data, COUNT) is None
    assert memory.byte_count == 0

"""From bodies to parts: who gets what, what is counted, what is refused."""

import pytest

from agents.ingest.records import MAX_RECORD_BYTES
from agents.ingest.routes import GRACE_MS, Routes
from agents.ingest.sorting import Sorted, Written
from streams.wire.encode import encode_frame, encode_write_request
from streams.wire.errors import MalformedError, TooLargeError
from streams.wire.limits import WireLimits
from streams.wire.protobuf import encode_bytes, encode_varint
from streams.wire.request import compress, join_series
from tests.unit.ingest_parts import (
    NOW_MS,
    Series,
    body_of,
    budget_of,
    create_sorter,
    requests_total,
    routes_of,
    samples_of,
    series,
)

HISTOGRAM = encode_bytes(4, b"\x08\x00\x78" + encode_varint(NOW_MS + 9))


@pytest.fixture
def routes() -> Routes:
    return routes_of(budget_of("a", requests_total("a"), "shared"), budget_of("b", requests_total("b"), "shared"))


def of_service(name: str, **labels: str) -> Series:
    return series("http_requests_total", service=name, **labels)


def names(result: Sorted, service: bytes) -> list[str]:
    """The `n` label of every sample that a service gets."""
    return [labels.get("n", "") for key, value in result.parts if key == service for labels, *_ in samples_of(value)]


def test_a_request_of_one_service_is_passed_on_as_it_came(routes: Routes) -> None:
    data = encode_write_request([of_service("a", n="1"), of_service("a", n="2")])
    sorter = create_sorter(routes)
    for _ in range(2):
        result = sorter.sort(compress(data))
        assert result.parts == [(b"a", data)]
        assert (result.samples, result.unneeded, result.newest_ms) == (2, 0, NOW_MS)


def test_each_service_gets_its_own_and_the_rest_is_counted(routes: Routes) -> None:
    body = body_of(of_service("a", n="1"), of_service("b", n="2"), series("up"), of_service("a", n="3"))
    sorter = create_sorter(routes)
    for _ in range(2):
        result = sorter.sort(body)
        assert names(result, b"a") == ["1", "3"]
        assert names(result, b"b") == ["2"]
        assert (result.samples, result.unneeded) == (3, 1)


def test_a_series_that_two_services_need_is_written_for_both(routes: Routes) -> None:
    body = body_of(series("shared", n="1"), of_service("b", n="2"))
    result = create_sorter(routes).sort(body)
    assert names(result, b"a") == ["1"]
    assert sorted(names(result, b"b")) == ["1", "2"]
    assert result.samples == 2


def test_samples_of_one_series_stay_in_their_order(routes: Routes) -> None:
    sorter = create_sorter(routes)
    request = [series("http_requests_total", (NOW_MS + n, float(n)), service="a") for n in (1, 2, 3)]
    for _ in range(2):
        ((_, value),) = sorter.sort(body_of(request[0], series("up"), *request[1:])).parts
        assert [number for *_, number in samples_of(value)] == [1.0, 2.0, 3.0]


def test_frames_of_any_shape_pass_without_exemplars_and_every_sample_counts(routes: Routes) -> None:
    labels = {"__name__": "http_requests_total", "service": "a"}
    frames = [
        encode_frame(labels, [(NOW_MS, 1.0), (NOW_MS + 1, 2.0)]),
        encode_frame(labels, []) + HISTOGRAM,
        encode_frame(labels, []),
        encode_frame({"__name__": "up"}, [(NOW_MS, 1.0)] * 3),
    ]
    exemplar = encode_bytes(3, b"\x09" + bytes(8))
    sent = [frames[0], exemplar + frames[1] + exemplar, *frames[2:]]
    sorter = create_sorter(routes)
    for _ in range(2):
        result = sorter.sort(compress(join_series(sent)))
        assert result.parts == [(b"a", join_series(frames[:3]))]
        assert (result.samples, result.unneeded, result.newest_ms) == (3, 3, NOW_MS + 9)
        assert result.written == Written(samples=5, histograms=1, exemplars=2)


def test_a_request_of_one_service_with_histograms_is_passed_on_as_it_came(routes: Routes) -> None:
    data = join_series([encode_frame({"__name__": "http_requests_total", "service": "a"}, []) + HISTOGRAM])
    assert create_sorter(routes).sort(compress(data)).parts == [(b"a", data)]


def test_a_histogram_that_contradicts_itself_is_refused(routes: Routes) -> None:
    frame = encode_frame({"__name__": "up"}, []) + encode_bytes(4, b"\x08\x01")
    with pytest.raises(MalformedError, match=r"^series 1: a histogram counts 1 observations, its buckets 0$"):
        create_sorter(routes).sort(compress(join_series([frame])))


def test_metadata_alone_is_a_request_with_nothing_to_write(routes: Routes) -> None:
    result = create_sorter(routes).sort(compress(encode_bytes(3, b"\x08\x01") * 5))
    assert (result.parts, result.samples, result.metadata, result.newest_ms) == ([], 0, 5, None)


def test_metadata_beside_series_is_not_passed_on(routes: Routes) -> None:
    data = encode_write_request([of_service("a")])
    result = create_sorter(routes).sort(compress(data + encode_bytes(3, b"\x08\x01")))
    assert (result.parts, result.metadata) == ([(b"a", data)], 1)


def test_a_bad_series_is_named_and_nothing_of_the_request_is_kept(routes: Routes) -> None:
    good = encode_frame({"__name__": "http_requests_total", "service": "a"}, [(NOW_MS, 1.0)])
    bad = encode_frame({"job": "secret-value"}, [(NOW_MS, 1.0)])
    sorter = create_sorter(routes)
    for _ in range(2):
        with pytest.raises(MalformedError, match=r"^series 2: label __name__ is missing or empty$"):
            sorter.sort(compress(join_series([good, bad])))


def test_records_stay_below_what_brokers_take(routes: Routes) -> None:
    count = 400
    body = body_of(*(of_service("a", n=str(n), text="x" * 10_000) for n in range(count)))
    result = create_sorter(routes).sort(body)
    assert all(len(value) <= MAX_RECORD_BYTES for _, value in result.parts)
    assert len(result.parts) == 5
    assert names(result, b"a") == [str(n) for n in range(count)]


def test_one_series_too_large_for_a_record_is_refused(routes: Routes) -> None:
    frame = encode_frame({"__name__": "http_requests_total", "service": "a"}, [(NOW_MS, 1.0)] * 60_000)
    with pytest.raises(TooLargeError, match=r"^series 2: \d+ bytes long, at most"):
        create_sorter(routes).sort(compress(join_series([encode_frame({"__name__": "up"}, []), frame])))


def test_new_series_beyond_the_limit_are_refused_and_known_ones_kept(routes: Routes) -> None:
    sorter = create_sorter(routes, max_series=2)
    assert sorter.sort(body_of(of_service("a", n="1"), of_service("b", n="2"))).refused_series == 0
    body = body_of(of_service("a", n="1"), of_service("a", n="3"), of_service("b", n="2"), series("up"))
    for _ in range(2):
        result = sorter.sort(body)
        assert (names(result, b"a"), names(result, b"b")) == (["1"], ["2"])
        assert (result.samples, result.refused_series, result.refused_samples, result.unneeded) == (2, 1, 1, 1)
    alone = sorter.sort(body_of(of_service("a", n="4"), of_service("a", n="4")))
    assert (alone.parts, alone.refused_series, alone.refused_samples) == ([], 1, 2)


def test_a_changed_budget_is_followed_by_series_that_are_known(routes: Routes) -> None:
    sorter = create_sorter(routes)
    body = body_of(series("up", n="1"), of_service("b", n="2"))
    assert names(sorter.sort(body), b"b") == ["2"]
    routes.define("b", budget_of("b", "up"), 1_000)
    assert sorted(names(sorter.sort(body), b"b")) == ["1", "2"]
    routes.expire(1_000 + GRACE_MS)
    assert names(sorter.sort(body), b"b") == ["1"]


def test_limits_of_the_request_hold(routes: Routes) -> None:
    sorter = create_sorter(routes, WireLimits(max_series=2, max_labels=3, max_label_bytes=100, max_decoded_bytes=1000))
    for body, says in (
        (body_of(*(series("up", n=str(n)) for n in range(3))), "more than 2 series"),
        (body_of(series("up", a="1", b="2", c="3")), "series 1: more than 3 labels"),
        (body_of(series("up", a="x" * 100)), "series 1: labels are 1.. bytes long"),
        (compress(bytes(2_000)), "declares 2000 decoded bytes"),
    ):
        with pytest.raises(TooLargeError, match=says):
            sorter.sort(body)

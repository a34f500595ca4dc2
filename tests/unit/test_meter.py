"""The Meter's face: when steps close, which queries hold, what is dropped and why, what is remembered."""

import pytest

from streams.frame import IndicatorFrame
from streams.meter import DEFAULT_CEILINGS, MAX_AHEAD_MS, Meter
from streams.promql.parse import PromqlError
from streams.query import Query
from streams.series.store import Ceilings
from streams.wire.encode import encode_frame, encode_write_request
from streams.wire.errors import WireError
from streams.wire.labels import encode_labels
from streams.wire.protobuf import encode_bytes
from streams.wire.request import join_series
from streams.wire.samples import STALE_NAN

NOW = 1_764_000_000_000
STEP, DELAY = 15_000, 10_000
UP = [Query("svc/up", "sum(up)")]


def request(time_ms: int, value: float = 1.0, **labels: str) -> bytes:
    return encode_write_request([({"__name__": "up", **labels}, [(time_ms, value)])])


def values(frames: list[IndicatorFrame]) -> dict[int, dict[str, float | None]]:
    return {(f.at - NOW) // 1000: dict(zip(f.points.id, f.points.value, strict=True)) for f in frames}


def create(queries: list[Query] | None = None, ceilings: Ceilings = DEFAULT_CEILINGS, late: int = 30_000) -> Meter:
    meter = Meter(STEP, DELAY, ceilings, late)
    meter.define("svc", UP if queries is None else queries, 0)
    return meter


def test_a_step_closes_when_the_log_has_passed_it_by_the_delay() -> None:
    meter = create()
    assert meter.advance(NOW + 1) == []
    meter.observe("svc", request(NOW + 1), NOW + 1)
    assert meter.advance(NOW + STEP + DELAY - 1) == []
    assert values(meter.advance(NOW + STEP + DELAY)) == {15: {"svc/up": 1.0}}
    assert meter.advance(NOW + STEP + DELAY) == []
    assert meter.advance(NOW) == []


def test_the_first_step_lies_after_the_first_record() -> None:
    meter = create()
    assert meter.advance(NOW) == []
    assert list(values(meter.advance(NOW + 2 * STEP + DELAY))) == [15, 30]


def test_every_step_of_a_gap_is_told() -> None:
    meter = create()
    meter.advance(NOW)
    meter.observe("svc", request(NOW + 1), NOW)
    told = values(meter.advance(NOW + 400_000))
    assert list(told) == list(range(15, 391, 15))
    assert [second for second, points in told.items() if points["svc/up"] is not None] == list(range(15, 301, 15))


def test_a_sample_after_a_step_does_not_count_in_it() -> None:
    meter = create()
    meter.observe("svc", request(NOW + STEP, 1.0), NOW + 1)
    meter.observe("svc", request(NOW + STEP + 1, 2.0), NOW + 1)
    assert values(meter.advance(NOW + 2 * STEP + DELAY)) == {15: {"svc/up": 1.0}, 30: {"svc/up": 2.0}}


def test_resuming_goes_on_after_the_published_step() -> None:
    meter = create()
    meter.resume_after(NOW + 2 * STEP)
    meter.observe("svc", request(NOW), NOW)
    assert list(values(meter.advance(NOW + 4 * STEP + DELAY))) == [45, 60]


def test_the_latest_version_in_force_holds() -> None:
    meter = create()
    meter.define("svc", [Query("svc/down", "1 - sum(up)")], NOW + 2 * STEP)
    meter.define("svc", [], NOW + 4 * STEP)
    meter.define("svc", [Query("svc/late", "sum(up) + 1")], NOW + 4 * STEP)
    meter.define("svc", [], NOW + 5 * STEP)
    meter.define("other", [Query("other/up", "count(up)")], NOW + 3 * STEP)
    meter.define("other", [], NOW + 5 * STEP)
    meter.define("svc", UP, NOW + 7 * STEP)
    meter.observe("svc", request(NOW + 1), NOW)
    told = values(meter.advance(NOW + 8 * STEP + DELAY))
    assert told == {
        15: {"svc/up": 1.0},
        30: {"svc/down": 0.0},
        45: {"other/up": 1.0, "svc/down": 0.0},
        60: {"other/up": 1.0, "svc/late": 2.0},
        105: {"svc/up": 1.0},
        120: {"svc/up": 1.0},
    }


def test_a_version_that_comes_late_holds_from_the_next_step() -> None:
    meter = create()
    meter.observe("svc", request(NOW + 1), NOW)
    meter.advance(NOW + STEP + DELAY)
    meter.define("svc", [Query("svc/down", "1 - sum(up)")], NOW)
    assert values(meter.advance(NOW + 2 * STEP + DELAY)) == {30: {"svc/down": 0.0}}


def test_without_queries_there_are_no_frames() -> None:
    meter = Meter(STEP, DELAY)
    meter.observe("svc", request(NOW), NOW)
    assert meter.advance(NOW + 365 * 86_400_000) == []


def test_a_bad_expression_changes_nothing() -> None:
    meter = create()
    with pytest.raises(PromqlError):
        meter.define("svc", [Query("svc/x", "sum(")], 0)
    meter.observe("svc", request(NOW + 1), NOW)
    assert values(meter.advance(NOW + STEP + DELAY)) == {15: {"svc/up": 1.0}}


def test_points_are_ordered_and_weighed() -> None:
    queries = [
        Query("svc/by", "sum by (pod) (up)", "count by (pod) (up)"),
        Query("svc/all", "sum(up)", "count(up)"),
        Query("svc/total", "sum by (pod) (up)", "count(up)"),
        Query("svc/none", "sum(missing)", "sum(missing)"),
        Query("svc/scalar", "scalar(sum(up)) / 0", "count(up)"),
        Query("svc/bad", "up * on (zone) up"),
    ]
    meter = create(queries)
    for pod in "ba":
        meter.observe("svc", request(NOW + 1, 3.0, pod=pod), NOW)
    (frame,) = meter.advance(NOW + STEP + DELAY)
    points = list(zip(frame.points.id, frame.points.value, frame.points.weight, strict=True))
    assert points == [
        ('svc/by{pod="a"}', 3.0, 1.0),
        ('svc/by{pod="b"}', 3.0, 1.0),
        ("svc/all", 6.0, 2.0),
        ('svc/total{pod="a"}', 3.0, 2.0),
        ('svc/total{pod="b"}', 3.0, 2.0),
        ("svc/none", None, None),
        ("svc/scalar", None, 2.0),
        ("svc/bad", None, None),
    ]
    assert list(meter.failures) == ["svc/bad"]


def test_what_is_dropped_is_counted_by_reason() -> None:
    meter = create(late=0)
    meter.advance(NOW)
    for time_ms, value in (
        (NOW, 1.0),
        (NOW, 2.0),
        (NOW - 1, 3.0),
        (NOW + MAX_AHEAD_MS, 5.0),
        (NOW + MAX_AHEAD_MS + 1, 6.0),
    ):
        meter.observe("svc", request(time_ms, value), NOW)
    again = [(NOW, 1.0), (NOW - 1, 1.0), (NOW - 400_000, 1.0), (NOW + MAX_AHEAD_MS + 1, 1.0)]
    observed = meter.observe("svc", encode_write_request([({"__name__": "up"}, again)]), NOW)
    assert observed.samples == 0
    assert observed.dropped == {"out_of_order": 2, "too_old": 1, "ahead": 1}
    newest = meter.observe("svc", request(NOW + MAX_AHEAD_MS, STALE_NAN), NOW)
    assert newest.dropped == {"duplicate": 1}


def test_a_series_whose_samples_are_all_refused_takes_no_place() -> None:
    meter = create()
    meter.observe("svc", request(NOW + MAX_AHEAD_MS + 1), NOW)
    meter.observe("svc", request(NOW - 600_000), NOW)
    assert meter.series_count == 0


def test_exemplars_are_told() -> None:
    frame = encode_frame({"__name__": "up"}, [(NOW, 1.0)]) + encode_bytes(3, b"\x09" + bytes(8))
    observed = create().observe("svc", join_series([frame]), NOW)
    assert (observed.samples, observed.dropped) == (1, {"exemplar": 1})


def test_known_series_go_on_at_the_series_limit() -> None:
    meter = create(ceilings=Ceilings(series=2))
    for pod in "abc":
        observed = meter.observe("svc", request(NOW, pod=pod), NOW)
    assert (observed.samples, observed.dropped) == (0, {"series_limit": 1})
    assert meter.observe("svc", request(NOW + 1, pod="a"), NOW).samples == 1
    assert values(meter.advance(NOW + STEP + DELAY)) == {15: {"svc/up": 2.0}}
    assert meter.series_count == 2


def test_idle_series_make_room_for_new_ones() -> None:
    meter = create(ceilings=Ceilings(series=2))
    for pod in "ab":
        meter.observe("svc", request(NOW, pod=pod), NOW)
    later = NOW + 400_000
    meter.observe("svc", request(later - 300_000, pod="b"), NOW + 90_000)
    meter.advance(later)
    meter.observe("svc", encode_write_request([({"__name__": "up", "pod": p}, [(later, 5.0)]) for p in "bcd"]), later)
    assert meter.series_count == 2
    assert values(meter.advance(later + STEP + DELAY))[405] == {"svc/up": 10.0}


def test_a_malformed_record_leaves_no_trace() -> None:
    meter = create()
    good = encode_frame({"__name__": "up"}, [(NOW, 1.0)])
    with pytest.raises(WireError, match="series 2"):
        meter.observe("svc", join_series([good, encode_labels({"job": "a"})]), NOW)
    assert meter.series_count == 0
    with pytest.raises(WireError):
        meter.observe("svc", b"\x0a\xff", NOW)


def test_a_series_is_its_labels_however_they_are_written() -> None:
    def label(name: bytes, value: bytes) -> bytes:
        return encode_bytes(1, encode_bytes(1, name) + encode_bytes(2, value))

    sample = encode_frame({}, [(NOW, 1.0)])
    name, job, none = label(b"__name__", b"up"), label(b"job", b"a"), label(b"zone", b"")
    meter = create()
    for blob in (name + job, job + name, job + none + name, name + job):
        observed = meter.observe("svc", join_series([blob + sample]), NOW)
    assert observed.dropped == {"duplicate": 1}
    assert meter.series_count == 1


def test_series_of_two_services_are_kept_once() -> None:
    meter = create()
    meter.define("other", [Query("other/up", "sum(up) * 2")], 0)
    assert meter.observe("svc", request(NOW + 1), NOW).samples == 1
    assert meter.observe("other", request(NOW + 1), NOW).dropped == {"duplicate": 1}
    assert values(meter.advance(NOW + STEP + DELAY)) == {15: {"other/up": 2.0, "svc/up": 1.0}}


def test_several_samples_of_a_series_in_one_record_are_taken_in_order() -> None:
    meter = create([Query("svc/n", "count_over_time(up[1m])")], late=0)
    samples = [(NOW + n * 1000, float(n)) for n in range(10)]
    many = encode_write_request([({"__name__": "up"}, samples[:4]), ({"__name__": "up"}, samples[4:5])])
    assert meter.observe("svc", many, NOW + 10_000).samples == 5
    each = encode_write_request([({"__name__": "up"}, [sample]) for sample in samples[3:]])
    observed = meter.observe("svc", each, NOW + 10_000)
    assert (observed.samples, observed.dropped) == (5, {"out_of_order": 1, "duplicate": 1})
    assert values(meter.advance(NOW + STEP + DELAY)) == {15: {"svc/n": 10.0}}


def test_the_longest_window_is_that_of_any_version_to_come() -> None:
    meter = create()
    assert meter.longest_window_ms == 300_000
    meter.define("svc", [Query("svc/x", "sum(rate(up[1h] offset 5m))", "sum(increase(up[2h]))")], NOW + 2 * STEP)
    assert meter.longest_window_ms == 7_200_000
    meter.define("svc", UP, NOW + 4 * STEP)
    meter.advance(NOW)
    meter.advance(NOW + 4 * STEP + DELAY)
    assert meter.longest_window_ms == 300_000


def test_log_time_may_jump_by_years() -> None:
    meter = create([])
    meter.define("svc", UP, NOW + 40_000_000 * STEP)
    meter.observe("svc", request(NOW), NOW)
    later = NOW + 40_000_000 * STEP
    assert meter.advance(later) == []
    meter.observe("svc", request(later - 1, 7.0), later)
    told = meter.advance(later + DELAY)
    assert [(frame.at, frame.points.value) for frame in told] == [(later, [7.0])]


def test_a_scrape_every_second_and_every_minute_fill_the_same_window() -> None:
    meter = create([Query("svc/n", "count_over_time(up[5m])")])
    told: list[IndicatorFrame] = []
    for second in range(600):
        at = NOW + second * 1000
        told = meter.advance(at) or told
        meter.observe("svc", request(at, pod="fast"), at)
        if second % 60 == 0:
            meter.observe("svc", request(at, pod="slow"), at)
    (frame,) = told
    assert dict(zip(frame.points.id, frame.points.value, strict=True)) == {
        'svc/n{pod="fast"}': 300.0,
        'svc/n{pod="slow"}': 5.0,
    }

"""Late samples: which windows they enter, which steps they cannot change, how they are counted."""

import pytest

from streams.frame import IndicatorFrame
from streams.meter import Meter
from streams.query import Query
from streams.series.lateness import BOUNDS_MS, Lateness
from streams.wire import samples as wire_samples
from streams.wire.encode import encode_write_request
from streams.wire.labels import parse_labels
from streams.wire.limits import WireLimits
from streams.wire.samples import STALE_NAN

NOW = 1_764_000_000_000
STEP, DELAY, LATE = 15_000, 10_000, 30_000


def request(*samples: tuple[int, float], **labels: str) -> bytes:
    return encode_write_request([({"__name__": "up", **labels}, [sample]) for sample in samples])


def create(expr: str, out_of_order_ms: int = LATE) -> Meter:
    meter = Meter(STEP, DELAY, out_of_order_ms=out_of_order_ms)
    meter.define("svc", [Query("svc/x", expr)], 0)
    return meter


def values(frames: list[IndicatorFrame]) -> dict[int, float | None]:
    return {(frame.at - NOW) // 1000: frame.points.value[0] for frame in frames}


def test_a_late_sample_counts_in_the_steps_that_are_not_closed_and_changes_none_that_is() -> None:
    meter = create("count_over_time(up[1m])")
    meter.observe("svc", request((NOW + 1_000, 1.0), (NOW + 9_000, 1.0)), NOW + 9_000)
    assert values(meter.advance(NOW + STEP + DELAY)) == {15: 2.0}
    observed = meter.observe("svc", request((NOW + 5_000, 1.0)), NOW + STEP + DELAY)
    assert (observed.samples, observed.dropped) == (1, {})
    assert observed.late == {"after_step": 1, "out_of_order": 1}
    assert meter.advance(NOW + STEP + DELAY) == []
    assert values(meter.advance(NOW + 2 * STEP + DELAY)) == {30: 3.0}


def test_an_instant_value_is_the_latest_by_its_own_time_not_by_when_it_came() -> None:
    meter = create("up")
    meter.advance(NOW)
    meter.observe("svc", request((NOW + 16_000, 16.0), (NOW + 9_000, 9.0), (NOW + 12_000, 12.0)), NOW + 17_000)
    assert values(meter.advance(NOW + 2 * STEP + DELAY)) == {15: 12.0, 30: 16.0}


@pytest.mark.parametrize("expr", ["increase(up[1m])", "rate(up[1m])", "sum_over_time(up[1m])", "delta(up[45s])", "up"])
@pytest.mark.parametrize("late", [(NOW + 4_000, 1.0), (NOW + 4_000, 99.0), (NOW + 4_000, STALE_NAN), (NOW + 500, 2.0)])
def test_the_order_in_which_samples_come_does_not_matter(expr: str, late: tuple[int, float]) -> None:
    samples = [(NOW + second * 1000, float(second % 7)) for second in (2, 3, 6, 8, 11, 13, 22)]
    in_order, out_of_order = create(expr), create(expr)
    in_order.observe("svc", request(*sorted([*samples, late])), NOW + 23_000)
    out_of_order.observe("svc", request(*samples), NOW + 23_000)
    assert out_of_order.observe("svc", request(late), NOW + 23_000).late == {"out_of_order": 1}
    steps = values(out_of_order.advance(NOW + 8 * STEP))
    assert steps == values(in_order.advance(NOW + 8 * STEP))
    assert any(value is not None for value in steps.values())


def test_of_two_samples_of_one_time_the_first_stays_wherever_it_lies() -> None:
    meter = create("sum_over_time(up[1m])")
    meter.observe("svc", request((NOW + 1_000, 1.0), (NOW + 2_000, 2.0), (NOW + 3_000, 4.0)), NOW + 3_000)
    for time_ms in (NOW + 1_000, NOW + 2_000, NOW + 3_000):
        assert meter.observe("svc", request((time_ms, 100.0)), NOW + 3_000).dropped == {"duplicate": 1}
    late = request((NOW + 1_500, 8.0), (NOW + 1_500, 100.0))
    observed = meter.observe("svc", late, NOW + 3_000)
    assert (observed.samples, observed.dropped) == (1, {"duplicate": 1})
    assert values(meter.advance(NOW + STEP + DELAY)) == {15: 15.0}


def test_the_window_for_late_samples_reaches_back_from_the_newest_of_their_own_series() -> None:
    meter = create("count_over_time(up[2m])")
    newest = NOW + 100_000
    meter.observe("svc", request((newest, 1.0)), newest)
    assert meter.observe("svc", request((newest - LATE - 1, 1.0)), newest).dropped == {"out_of_order": 1}
    assert meter.observe("svc", request((newest - LATE, 1.0)), newest).late["out_of_order"] == 1
    # The first of its series is in order, however old it is.
    other = meter.observe("svc", request((newest - 90_000, 1.0), pod="b"), newest)
    assert (other.samples, other.late.get("out_of_order")) == (1, None)


def test_without_a_window_whatever_is_out_of_order_is_dropped() -> None:
    meter = create("up", out_of_order_ms=0)
    meter.observe("svc", request((NOW + 2, 1.0)), NOW + 2)
    assert meter.observe("svc", request((NOW + 1, 1.0)), NOW + 2).dropped == {"out_of_order": 1}


def test_a_late_sample_beyond_every_window_is_too_old() -> None:
    meter = create("up", out_of_order_ms=3_600_000)
    meter.observe("svc", request((NOW, 1.0)), NOW)
    assert meter.observe("svc", request((NOW - 300_000, 1.0)), NOW).dropped == {"too_old": 1}


def test_lateness_is_counted_against_log_time_and_does_not_depend_on_the_rest_of_the_record() -> None:
    meter = create("up")
    late_ms = [-5, 0, 1, 500, 501, 9_999, 10_000, 10_001, 250_000]
    samples = [request((NOW - ms, 1.0), pod=str(place)) for place, ms in enumerate(late_ms)]
    together, each = meter.observe("svc", b"".join(samples), NOW).lateness, Lateness()
    other = create("up")
    for sample in samples:
        lateness = other.observe("svc", sample, NOW).lateness
        each.counts = [a + b for a, b in zip(each.counts, lateness.counts, strict=True)]
        each.total_ms += lateness.total_ms
    assert together == each
    expected = [
        sum(low < ms <= high for ms in late_ms) for low, high in zip((-10, *BOUNDS_MS), BOUNDS_MS, strict=False)
    ]
    assert together.counts == [*expected, 0]
    assert together.total_ms == sum(late_ms) + 5


def test_a_step_counts_as_missed_by_log_time_alone_so_a_replay_counts_the_same() -> None:
    live, replayed = create("up"), create("up")
    replayed.resume_after(NOW + 10 * STEP)
    for log_ms, time_ms in ((NOW + 24_999, NOW + 15_000), (NOW + 25_000, NOW + 15_000), (NOW + 25_000, NOW + 15_001)):
        live.advance(log_ms)
        late = [
            meter.observe("svc", request((time_ms, 1.0), pod=str(log_ms + time_ms)), log_ms).late
            for meter in (live, replayed)
        ]
        assert late[0] == late[1] == ({"after_step": 1} if (log_ms, time_ms) == (NOW + 25_000, NOW + 15_000) else {})


def test_labels_of_series_that_are_too_old_to_be_kept_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay begins before the windows do, and would read them in every record."""
    read: list[bytes] = []

    def counted(blob: bytes, limits: WireLimits) -> tuple[tuple[str, str], ...]:
        read.append(blob)
        return parse_labels(blob, limits)

    monkeypatch.setattr(wire_samples, "parse_labels", counted)
    meter = create("sum(up)")
    meter.advance(NOW)
    for age_ms in (900_000, 885_000, 870_000):
        assert meter.observe("svc", request((NOW - age_ms, 1.0)), NOW).dropped == {"too_old": 1}
    assert len(read) == 1
    assert meter.observe_joined(request((NOW - 855_000, 1.0)), NOW) is not None
    assert meter.observe("svc", request((NOW, 1.0)), NOW).samples == 1
    assert (len(read), meter.series_count) == (2, 1)

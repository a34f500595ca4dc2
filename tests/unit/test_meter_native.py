"""Native histograms in the Meter: taken, published as numbers only, let go, never mistaken for a float."""

import math
import struct

import pytest

from streams.meter import DEFAULT_CEILINGS, Meter
from streams.promql.evaluate import write_request_of
from streams.query import Query
from streams.series.store import Ceilings
from streams.wire.encode import encode_write_request
from tests.unit.native_samples import Samples, histogram

NOW = 1_764_000_000_000
STEP = 15_000


def create(expr: str, ceilings: Ceilings = DEFAULT_CEILINGS) -> Meter:
    meter = Meter(STEP, 0, ceilings)
    meter.define("svc", [Query("svc/x", expr)], 0)
    return meter


def latest(meter: Meter, log_time_ms: int) -> float | None:
    (value,) = meter.advance(log_time_ms)[-1].points.value
    return value


def write(meter: Meter, samples: Samples, log_time_ms: int, **labels: str) -> dict[str, int]:
    return meter.observe("svc", write_request_of([({"__name__": "h", **labels}, samples)]), log_time_ms).dropped


def test_an_indicator_is_measured_from_them() -> None:
    meter = create("histogram_quantile(1, sum(rate(h[1m])))")
    for number in range(5):
        assert write(meter, [(NOW + number * STEP, histogram(0, number))], NOW + number * STEP) == {}
        meter.advance(NOW + number * STEP)
    assert latest(meter, NOW + 5 * STEP) == 2.0


def test_an_indicator_that_is_a_histogram_has_no_value_and_says_so() -> None:
    meter = create("sum(rate(h[1m]))")
    write(meter, [(NOW, histogram(1)), (NOW + 1000, histogram(2))], NOW)
    assert latest(meter, NOW + STEP) is None
    assert "native histogram" in meter.failures["svc/x"]


def test_repeats_are_dropped_and_late_ones_take_their_place() -> None:
    meter = create("histogram_sum(sum_over_time(h[1m]))")
    meter.advance(NOW)
    assert write(meter, [(NOW + 1000, histogram(1)), (NOW + 3000, histogram(1))], NOW + 3000) == {}
    assert write(meter, [(NOW + 3000, histogram(9))], NOW + 3000) == {"duplicate": 1}
    assert write(meter, [(NOW + 2000, histogram(2))], NOW + 3000) == {}
    assert latest(meter, NOW + STEP) == 4.0


def test_a_stale_marker_ends_a_series_of_histograms() -> None:
    meter = create("histogram_count(h)")
    write(meter, [(NOW, histogram(1))], NOW)
    assert latest(meter, NOW + STEP) == 1.0
    stale = struct.unpack("<d", struct.pack("<Q", 0x7FF0_0000_0000_0002))[0]
    write(meter, [(NOW + STEP + 1, histogram(total=stale))], NOW + STEP + 1)
    assert latest(meter, NOW + 2 * STEP) is None
    assert meter.failures == {}


def test_histograms_that_left_all_windows_take_no_memory() -> None:
    meter = create("histogram_quantile(0.9, rate(h[1m]))")
    taken = []
    for number in range(1200):
        time_ms = NOW + number * STEP
        for pod in "abcd":
            write(meter, [(time_ms, histogram(*range(1, 9)))], time_ms, pod=pod)
        meter.advance(time_ms)
        taken.append(meter.byte_count)
    # What waits for the next sweep is bounded, and what a ring of five minutes holds is next to nothing beside it.
    assert max(taken[800:]) <= max(taken[:400]) < 4_000_000


@pytest.mark.parametrize("first", [True, False])
def test_no_float_is_mistaken_for_one(*, first: bool) -> None:
    """A sender may write any NaN, also the one that would stand for a histogram."""
    forged = struct.unpack("<d", struct.pack("<Q", 0x7FFC_D1F7_0000_0000))[0]
    meter = create("histogram_count(h)")
    write(meter, [(NOW, histogram(5))], NOW, pod="native")
    times = [NOW] if first else [NOW, NOW + 1]
    meter.observe("svc", encode_write_request([({"__name__": "h"}, [(time_ms, forged) for time_ms in times])]), NOW)
    meter.observe("svc", encode_write_request([({"__name__": "h"}, [(NOW + 2, forged)])]), NOW)
    (frame,) = meter.advance(NOW + STEP)
    assert list(frame.points.id) == ['svc/x{pod="native"}']
    assert math.isclose(frame.points.value[0] or 0.0, 5.0)


def test_a_ceiling_on_bytes_counts_them() -> None:
    meter = create("histogram_count(h)", Ceilings(window_bytes=40_000))
    for number in range(200):
        write(meter, [(NOW + number, histogram(*range(1, 50)))], NOW + number)
    assert write(meter, [(NOW + 200, histogram(1))], NOW + 200, pod="new") == {"bytes_limit": 1}
    assert write(meter, [(NOW + 200, histogram(1))], NOW + 200) == {}

"""Ceilings: what a new series meets when there is no room, and that known ones go on."""

import numpy as np
import pytest

from streams.meter import Meter
from streams.query import Query
from streams.series.shares import Shares
from streams.series.store import Ceilings
from streams.wire.encode import encode_write_request

NOW = 1_764_000_000_000
STEP, DELAY = 15_000, 10_000


def request(time_ms: int, *pods: str) -> bytes:
    return encode_write_request([({"__name__": "up", "pod": pod}, [(time_ms, 1.0)]) for pod in pods])


def create(ceilings: Ceilings) -> Meter:
    meter = Meter(STEP, DELAY, ceilings)
    for service in ("a", "b"):
        meter.define(service, [Query(f"{service}/up", "sum(up)")], 0)
    return meter


def test_one_service_cannot_take_the_room_of_another() -> None:
    meter = create(Ceilings(series=10, service_series=3))
    observed = meter.observe("a", request(NOW, *"1234567"), NOW)
    assert (observed.samples, observed.dropped) == (3, {"service_series_limit": 4})
    assert meter.observe("b", request(NOW, *"xyz"), NOW).samples == 3
    known = meter.observe("a", request(NOW + 1, *"1238"), NOW)
    assert (known.samples, known.dropped) == (3, {"service_series_limit": 1})


def test_a_series_is_charged_to_the_service_that_brought_it_first() -> None:
    meter = create(Ceilings(service_series=2))
    meter.observe("a", request(NOW, "1", "2"), NOW)
    assert meter.observe("b", request(NOW + 1, "1", "2", "3", "4"), NOW).samples == 4
    assert meter.observe("b", request(NOW + 2, "5"), NOW).dropped == {"service_series_limit": 1}


def test_the_idle_series_of_a_service_make_room_for_its_new_ones() -> None:
    meter = create(Ceilings(service_series=2))
    meter.observe("a", request(NOW, "1", "2"), NOW)
    later = NOW + 400_000
    meter.advance(later)
    assert meter.observe("a", request(later, "3", "4", "5"), later).dropped == {"service_series_limit": 1}
    assert meter.series_count == 2


def test_what_others_hold_takes_the_room_of_the_same_ceiling() -> None:
    elsewhere = [9]
    meter = create(Ceilings(series=10, series_elsewhere=lambda: elsewhere[0]))
    assert meter.observe("a", request(NOW, "1", "2"), NOW).dropped == {"series_limit": 1}
    elsewhere[0] = 20
    assert meter.observe("a", request(NOW + 1, "1", "2"), NOW).dropped == {"series_limit": 1}
    elsewhere[0] = 0
    assert meter.observe("a", request(NOW + 2, "1", "2"), NOW).samples == 2


def test_new_series_are_refused_when_the_windows_take_too_much_and_known_ones_go_on() -> None:
    meter = create(Ceilings(window_bytes=20_000))
    meter.observe("a", request(NOW, "1"), NOW)
    at_first = meter.byte_count
    for second in range(1, 3000):
        at = NOW + second * 100
        assert meter.observe("a", request(at, "1"), at).samples == 1
        meter.advance(at)
    assert at_first < 20_000 <= meter.byte_count
    assert meter.observe("a", request(at + 1, "1", "2"), at).dropped == {"bytes_limit": 1}


def test_room_comes_back_when_those_who_took_it_are_idle() -> None:
    meter = create(Ceilings(window_bytes=20_000))
    for number in range(100):
        meter.observe("a", request(NOW, f"pod-{number}"), NOW)
    full = meter.series_count
    assert meter.observe("a", request(NOW, "late"), NOW).dropped == {"bytes_limit": 1}
    later = NOW + 400_000
    meter.advance(later)
    for number in range(100):
        meter.observe("a", request(later, f"new-{number}"), later)
    assert 20 < full == meter.series_count


@pytest.mark.parametrize("others", [(), ("b", "c", "b")])
def test_shares_follow_when_rows_go(others: tuple[str, ...]) -> None:
    shares = Shares()
    for row, service in enumerate(("a", *others, "a")):
        shares.add(row, service)
    shares.compact(np.array([False, *(service == "b" for service in others), True]))
    assert [shares.count(service) for service in "abc"] == [1, others.count("b"), 0]
    shares.add(1 + others.count("b"), "c")
    assert [shares.count(service) for service in "abc"] == [1, others.count("b"), 1]

"""What the worker shows of late samples and of room: counted in bulk, read by Prometheus' own library."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agents.metrics import WorkerMetrics
from agents.settings import Settings, SettingsError, load_settings
from agents.worker.agent import create_meter
from streams.meter import DEFAULT_CEILINGS, OUT_OF_ORDER_MS, Meter
from streams.series.lateness import BOUNDS_MS, Lateness
from streams.wire.encode import encode_write_request

NOW = 1_764_000_000_000


def observe(meter: Meter, *times_ms: int) -> Lateness:
    series = [({"__name__": "up", "pod": str(place)}, [(time_ms, 1.0)]) for place, time_ms in enumerate(times_ms)]
    return meter.observe("svc", encode_write_request(series), NOW).lateness


def test_lateness_is_a_histogram_that_prometheus_can_read() -> None:
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    assert registry.get_sample_value("driftline_worker_sample_lateness_seconds_count") == 0
    metrics.lateness.add(observe(Meter(15_000, 10_000), NOW - 400, NOW - 9_000))
    metrics.lateness.add(observe(Meter(15_000, 10_000), NOW + 1_000, NOW - 200_000))
    families = {family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())}
    samples = families["driftline_worker_sample_lateness_seconds"].samples
    buckets = {s.labels["le"]: s.value for s in samples if s.name.endswith("_bucket")}
    assert len(buckets) == len(BOUNDS_MS) + 1
    assert [buckets[bound] for bound in ("0.0", "0.5", "7.5", "10.0", "120.0", "300.0", "+Inf")] == [
        1,
        2,
        2,
        3,
        3,
        4,
        4,
    ]
    assert registry.get_sample_value("driftline_worker_sample_lateness_seconds_sum") == 209.4


def test_a_worker_takes_late_samples_as_the_meter_does_by_default() -> None:
    assert Settings().worker.out_of_order_window == OUT_OF_ORDER_MS


@pytest.mark.parametrize("window", ["2h", "-1"])
def test_the_window_for_late_samples_has_bounds(window: str) -> None:
    with pytest.raises(SettingsError, match="out_of_order_window"):
        load_settings(environ={"DRIFTLINE_WORKER__OUT_OF_ORDER_WINDOW": window})


def test_settings_reach_the_meter() -> None:
    overrides = {"worker": {"max_series": 5, "max_series_per_service": 2, "out_of_order_window": 0}}
    meter = create_meter(load_settings(environ={}, overrides=overrides))
    assert DEFAULT_CEILINGS.service_series > 2
    series = [({"__name__": "up", "pod": pod}, [(NOW, 1.0)]) for pod in "abc"]
    assert meter.observe("a", encode_write_request(series), NOW).dropped == {"service_series_limit": 1}
    assert meter.observe("b", encode_write_request(series[2:]), NOW).samples == 1
    late = [({"__name__": "up", "pod": "a"}, [(NOW - 1, 1.0)])]
    assert meter.observe("a", encode_write_request(late), NOW).dropped == {"out_of_order": 1}

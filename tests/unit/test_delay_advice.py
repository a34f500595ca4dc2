"""Which evaluation_delay measured lateness asks for, and how a worker says so."""

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from agents.kafka.clients import create_producer
from agents.metrics import WorkerMetrics
from agents.settings import load_settings
from agents.worker.agent import SamplesAgent
from agents.worker.publish import Publisher
from streams.series.lateness import BOUNDS_MS, DelayAdvice, Lateness

HOUR_MS = 3_600_000
NOW_MS = 1_764_000_000_000 // HOUR_MS * HOUR_MS


def lateness(*late_ms: tuple[int, int]) -> Lateness:
    """(how late, how many samples) of a record."""
    counted = Lateness()
    for ms, samples in late_ms:
        counted.add(np.full(samples, NOW_MS - ms, np.int64), NOW_MS)
    return counted


@pytest.mark.parametrize(
    ("late_ms", "delay_ms"),
    [
        ([(3_000, 1_000)], 5_000),
        ([(-9, 1_000)], 0),
        ([(3_000, 9_990), (25_000, 10)], 5_000),
        ([(3_000, 9_989), (25_000, 11)], 30_000),
        ([(3_000, 900), (9_000_000, 100)], BOUNDS_MS[-1]),
        ([(3_000, 999)], None),
    ],
)
def test_one_sample_in_a_thousand_may_miss_its_step(late_ms: list[tuple[int, int]], delay_ms: int | None) -> None:
    assert lateness(*late_ms).delay_ms() == delay_ms


def test_there_is_no_advice_before_an_hour_is_over() -> None:
    advice = DelayAdvice()
    for minute in range(0, 60, 10):
        advice.observe(lateness((3_000, 500)), NOW_MS + minute * 60_000)
        assert advice.delay_ms is None
    advice.observe(lateness((60_000, 1)), NOW_MS + HOUR_MS)
    assert advice.delay_ms == 5_000


def test_a_sender_that_was_away_for_hours_does_not_change_the_advice_and_one_that_stays_late_does() -> None:
    advice = DelayAdvice()
    said = []
    for hour in range(60):
        late_ms = 3_600_000 if hour in {10, 11, 12} else 12_000 if hour >= 30 else 3_000
        advice.observe(lateness((late_ms, 2_000)), NOW_MS + hour * HOUR_MS)
        said.append(advice.delay_ms)
    assert said[0] is None
    assert set(said[1:30]) == {5_000}
    assert said[-1] == 15_000


def test_an_hour_with_hardly_any_samples_says_nothing() -> None:
    advice = DelayAdvice()
    for hour in range(5):
        advice.observe(lateness((3_000, 10)), NOW_MS + hour * HOUR_MS)
    assert advice.delay_ms is None


def test_a_worker_says_the_advice_when_it_changes_and_does_not_take_it() -> None:
    registry = CollectorRegistry()
    settings = load_settings(environ={})
    publisher = Publisher(settings, lambda: create_producer(settings.kafka, "never connected"))
    agent = SamplesAgent(settings, publisher, WorkerMetrics(registry))

    def metric() -> float | None:
        return registry.get_sample_value("driftline_worker_advised_evaluation_delay_seconds")

    with capture_logs() as logs:
        for hour in range(4):
            agent._advise(lateness((20_000, 2_000)), NOW_MS + hour * HOUR_MS)
            assert metric() == (20.0 if hour else 0.0)
    assert [(entry["advised_evaluation_delay_seconds"], entry["evaluation_delay_seconds"]) for entry in logs] == [
        (20.0, 10.0)
    ]
    assert settings.evaluation_delay == 10_000

"""An indicator that has data but cannot be computed is told once, with the reason, and counted."""

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from agents.kafka.clients import create_producer
from agents.metrics import WorkerMetrics
from agents.settings import load_settings
from agents.worker.agent import SamplesAgent
from agents.worker.partition import BudgetVersion, Partition
from agents.worker.publish import Publisher
from budgets.judge import Judge
from budgets.spec.load import load_budgets
from streams.meter import Meter
from streams.wire.encode import encode_write_request

STEP_MS, DELAY_MS = 15_000, 2_000
NOW_MS = 1_764_000_000_000
BUDGET = """
shop:
  indicators:
    twice: {expr: 'stock * on (job) stock', unit: items, max: 10, warning_threshold: 0.8, critical_threshold: 1.0}
"""


def test_many_to_many_is_told_once_and_counted() -> None:
    registry = CollectorRegistry()
    settings = load_settings(environ={})
    publisher = Publisher(settings, lambda: create_producer(settings.kafka, "never connected"))
    agent = SamplesAgent(settings, publisher, WorkerMetrics(registry))
    partition = Partition(0, 0, lambda: Meter(STEP_MS, DELAY_MS), lambda: Judge(STEP_MS))
    (budget,) = load_budgets(BUDGET, "shop.yaml", step_ms=STEP_MS)
    partition.define(BudgetVersion("shop", budget, 0))
    partition.close_steps(NOW_MS)

    def step(number: int, *shelves: str) -> float | None:
        at_ms = NOW_MS + number * STEP_MS
        labels = [{"__name__": "stock", "job": "shop", "shelf": shelf} for shelf in shelves]
        partition.observe("shop", encode_write_request([(pairs, [(at_ms, 1.0)]) for pairs in labels]))
        assert partition.close_steps(at_ms + STEP_MS)
        agent._tell_failures(partition)
        return registry.get_sample_value("driftline_worker_failing_indicators")

    with capture_logs() as logs:
        assert step(1, "a") == 0
        assert step(2, "a", "b") == 1
        assert step(3, "a", "b") == 1
    assert [entry["indicator"] for entry in logs] == ["shop/twice"]
    assert "many" in logs[0]["reason"]

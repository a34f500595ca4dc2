"""The same way with the real Meter: records of the simulated services in, alert events out, through a Partition."""

import numpy as np

from agents.demo.history import records_of
from agents.demo.traffic import Cluster, RequestService, create_services
from agents.worker.partition import BudgetVersion, Partition
from budgets.event import AlertEvent, parse_time
from budgets.judge import Judge
from budgets.spec.load import load_budgets
from budgets.spec.model import ServiceBudget
from streams.meter import Meter
from tests.acceptance.simulated import START_MS
from tests.acceptance.test_detection import SMALL_WINDOWS, Slower, example_budgets

DELAY_MS = 3_000
MINUTE_MS = 60_000


def judged(
    services: list[RequestService | Cluster], budgets: list[ServiceBudget], step_ms: int, duration_ms: int, seed: int
) -> list[AlertEvent]:
    partition = Partition(0, 0, lambda: Meter(step_ms, DELAY_MS), lambda: Judge(step_ms))
    for budget in budgets:
        partition.define(BudgetVersion(budget.service, budget, 0))
    rng = np.random.default_rng(seed)
    records = [
        record for service in services for record in records_of(service, START_MS, step_ms, duration_ms // step_ms, rng)
    ]
    events: list[AlertEvent] = []
    for record in sorted(records, key=lambda record: (record.time_ms, record.service)):
        events += [event for step in partition.close_steps(record.time_ms) for event in step.events]
        partition.observe(record.service, record.value)
    return events


def test_a_slowdown_of_four_fifths_is_measured_found_and_let_go_of() -> None:
    start_ms, end_ms = 60 * MINUTE_MS, 62 * MINUTE_MS
    slower = Slower(1.8, start_ms, end_ms)
    service = RequestService("auth-service", rate=3000.0, median_seconds=0.055, error_ratio=0.001, slowdown=slower)
    budgets = load_budgets(SMALL_WINDOWS, "small.json", step_ms=5_000)
    events = judged([service], budgets, 5_000, end_ms + 30 * MINUTE_MS, 1)
    told = {(event.kind, event.indicator, event.transition) for event in events}
    assert {key[:2] for key in told} == {("budget", "response_time_p95"), ("regression", "response_time_p95")}
    fired = [event for event in events if event.transition == "firing"]
    assert max(parse_time(event.at) for event in fired) <= START_MS + start_ms + 30_000
    resolved = [event for event in events if event.transition == "resolved"]
    assert len(resolved) == len(fired) == 2
    assert max(parse_time(event.at) for event in resolved) <= START_MS + end_ms + 45_000


def test_the_example_services_are_measured_and_silent_until_one_slows_down() -> None:
    start_ms = 90 * MINUTE_MS
    services = create_services(Slower(10.0, start_ms))
    events = judged(services, list(example_budgets()), 15_000, start_ms + 5 * MINUTE_MS, 2)
    assert {event.service for event in events} == {"auth-service"}
    first = min(parse_time(event.at) for event in events)
    assert first > START_MS + start_ms
    fired = min(parse_time(event.at) for event in events if event.transition == "firing")
    assert fired <= START_MS + start_ms + MINUTE_MS

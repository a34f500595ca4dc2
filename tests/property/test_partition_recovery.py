"""A partition that dies anywhere and comes back from snapshot, frames and a rewound log decides what it would have.

No Kafka: the three things that recovery reads are kept in lists.
"""

import json
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.worker.partition import BudgetVersion, ClosedStep, Partition
from agents.worker.recovery import rewind_to
from budgets.event import AlertEvent
from budgets.judge import Judge
from budgets.spec.load import load_budgets
from streams.frame import IndicatorFrame, encode_frame
from streams.meter import Meter
from streams.wire.encode import encode_write_request

STEP_MS = 5_000
DELAY_MS = 2_000
START_MS = 1_700_000_000_000
RECORDS = 500
BUDGET = {
    "api": {
        "window": "30s",
        "for": "10s",
        "keep_firing_for": "10s",
        "throughput": {"min_rps": 60, "warning_threshold": 0.9, "critical_threshold": 0.5},
    }
}


@dataclass(frozen=True)
class LogRecord:
    time_ms: int
    value: bytes


def _log() -> list[LogRecord]:
    """Requests that come and go, a gap, a counter reset and ticks without samples."""
    rng = np.random.default_rng(5)
    records, total = [], 1.0
    for number in range(RECORDS):
        time_ms = START_MS + number * 2_000
        total += float(rng.poisson(200 if number % 60 < 35 else 20))
        if number == 300:
            total = 1.0
        if 200 <= number < 230 or number % 7 == 0:
            records.append(LogRecord(time_ms, b""))
            continue
        labels = {"__name__": "http_requests_total", "service": "api", "instance": "a", "code": "200"}
        records.append(LogRecord(time_ms, encode_write_request([(labels, [(time_ms - 700, total)])])))
    return records


LOG = _log()
(BUDGET_OF_API,) = (entry for entry in load_budgets(json.dumps(BUDGET), "budget.json", step_ms=STEP_MS))


def fresh_partition() -> Partition:
    partition = Partition(0, 0, lambda: Meter(STEP_MS, DELAY_MS), lambda: Judge(STEP_MS))
    partition.define(BudgetVersion("api", BUDGET_OF_API, 0))
    return partition


def feed(partition: Partition, until: int) -> list[ClosedStep]:
    """The steps that the log's records from the cursor up to `until` close."""
    steps: list[ClosedStep] = []
    for record in LOG[partition.cursor : until]:
        steps += partition.close_steps(record.time_ms)
        if record.value:
            partition.observe("api", record.value)
        partition.cursor += 1
    return steps


def recovered(snapshot: tuple[int, bytes] | None, frames: list[IndicatorFrame]) -> Partition:
    """As `agents.worker.recovery` does it."""
    partition = fresh_partition()
    step_ms = None
    if snapshot is not None:
        step_ms = snapshot[0]
        partition.restore(snapshot[1])
    last_ms = partition.catch_up([f for f in frames if step_ms is None or f.at > step_ms], step_ms)
    if last_ms is not None:
        from_ms = rewind_to(last_ms, partition.longest_window_ms)
        partition.cursor = next((n for n, record in enumerate(LOG) if record.time_ms >= from_ms), 0)
    return partition


def events_of(steps: list[ClosedStep]) -> list[AlertEvent]:
    return [event for step in steps for event in step.events]


WHOLE = feed(fresh_partition(), RECORDS)


def test_the_log_causes_what_recovery_must_repeat() -> None:
    transitions = {event.transition for event in events_of(WHOLE)}
    assert {"pending", "firing", "stale", "resolved"} <= transitions


@given(dies_at=st.integers(1, RECORDS - 1), snapshot_at=st.integers(0, RECORDS), frames_lost=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_a_restart_at_any_record_changes_nothing(dies_at: int, snapshot_at: int, frames_lost: int) -> None:
    before = fresh_partition()
    snapshot: tuple[int, bytes] | None = None
    steps: list[ClosedStep] = []
    if snapshot_at < dies_at:
        steps = feed(before, snapshot_at)
        if steps:
            snapshot = (steps[-1].frame.at, before.snapshot())
    after_snapshot = feed(before, dies_at)
    # Events are on the topic before their frame: the newest frames may be missing, never their events alone.
    published = [*steps, *after_snapshot]
    kept = after_snapshot[: len(after_snapshot) - frames_lost] if frames_lost else after_snapshot
    frames = [step.frame for step in ([*steps, *kept] if steps else kept)]
    again = feed(recovered(snapshot, frames), RECORDS)
    first_at = again[0].frame.at if again else WHOLE[-1].frame.at + STEP_MS
    assert events_of(again) == [event for step in WHOLE if step.frame.at >= first_at for event in step.events]
    assert [encode_frame(step.frame) for step in again] == [
        encode_frame(step.frame) for step in WHOLE if step.frame.at >= first_at
    ]
    # Nothing is left out between what was published and what comes again.
    assert first_at <= (published[-1].frame.at if published else START_MS) + STEP_MS
    ids = {event.id for event in events_of(published)} | {event.id for event in events_of(again)}
    assert ids == {event.id for event in events_of(WHOLE)}

"""The facade: budgets that come and go, points that come and go, and what an event says."""

import msgspec
import pytest

from budgets.event import AlertEvent, encode_event, fingerprint_of, parse_time
from budgets.judge import Judge, SnapshotError
from budgets.spec.model import IndicatorSpec, ServiceBudget
from budgets.watch import FORGET_AFTER_MS, MAX_POINTS
from streams.detect.hours import PROFILE_BYTES
from tests.acceptance.timeline import START_MS, STEP_MS, Row, frame_of, spec

BREACH: Row = {"api/latency": (300.0, None)}
FINE: Row = {"api/latency": (100.0, None)}
QUIET: Row = {"api/latency": (None, None)}


def budget(*specs: IndicatorSpec) -> ServiceBudget:
    return ServiceBudget("api", specs or (spec(),))


class Run:
    """A Judge and how many steps it has seen."""

    def __init__(self, judge: Judge | None = None) -> None:
        self.judge = judge or Judge(STEP_MS)
        self.steps = 0

    @property
    def now(self) -> int:
        return START_MS + self.steps * STEP_MS

    def step(self, row: Row, count: int = 1) -> list[AlertEvent]:
        events: list[AlertEvent] = []
        for _ in range(count):
            events += self.judge.observe(frame_of(self.now, row))
            self.steps += 1
        return events


def watching(*specs: IndicatorSpec) -> Run:
    run = Run()
    run.judge.define(budget(*specs), "api", 0)
    return run


def told(events: list[AlertEvent]) -> list[tuple[str, str]]:
    return [(event.kind, event.transition) for event in events]


def test_nothing_is_judged_without_a_budget() -> None:
    run = Run()
    assert run.step(BREACH, 10) == []


def test_a_budget_holds_from_its_step_on() -> None:
    run = Run()
    run.judge.define(budget(), "api", START_MS + 4 * STEP_MS)
    assert run.step(BREACH, 4) == []
    assert told(run.step(BREACH)) == [("budget", "pending")]


def test_several_versions_wait_for_their_steps() -> None:
    run = Run()
    run.judge.define(budget(), "api", 0)
    run.judge.define(budget(spec(warning=350.0, critical=400.0)), "api", START_MS + 4 * STEP_MS)
    run.judge.define(budget(spec(warning=50.0, critical=400.0)), "api", START_MS + 20 * STEP_MS)
    assert told(run.step(BREACH, 4)) == [("budget", "pending"), ("budget", "firing")]
    assert told(run.step(BREACH, 16)) == [("budget", "resolved")]
    assert told(run.step(FINE, 3)) == [("budget", "pending"), ("budget", "firing")]


def test_a_later_order_replaces_what_would_have_begun_after_it() -> None:
    run = Run()
    run.judge.define(budget(), "api", START_MS + 10 * STEP_MS)
    run.judge.define(None, "api", START_MS + 5 * STEP_MS)
    assert run.step(BREACH, 20) == []


def test_alerts_of_a_service_that_is_no_longer_watched_end_with_a_reason() -> None:
    run = watching()
    run.step(BREACH, 4)
    run.judge.define(None, "api", run.now)
    (event,) = run.step(BREACH)
    assert event.transition == "resolved"
    assert event.ends_at == event.at
    assert event.annotations.summary == "api latency: the budget alert ended, the service is no longer watched"
    assert run.step(BREACH, 20) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"expr": "other"}, "its expression changed"),
        ({"labels": {"team": "a"}}, "its labels changed"),
        ({"id": "api/other", "name": "other"}, "the indicator is no longer watched"),
    ],
)
def test_a_new_version_ends_the_alerts_that_it_cannot_go_on_with(change: dict[str, object], reason: str) -> None:
    run = watching()
    run.step(BREACH, 4)
    run.judge.define(budget(spec(**change)), "api", run.now)
    event = run.step(BREACH)[0]
    assert event.transition == "resolved"
    assert reason in event.annotations.summary


def test_a_new_version_keeps_the_alerts_and_the_baseline_that_it_can_go_on_with() -> None:
    run = watching()
    run.step(FINE, 200)
    run.step(BREACH, 4)
    run.judge.define(budget(spec(runbook_url="https://example.com/r", regression_warning=0.5)), "api", run.now)
    assert run.step(BREACH) == []
    resolved = run.step(FINE, 10)
    assert told(resolved) == [("budget", "resolved"), ("regression", "resolved")]
    assert resolved[0].annotations.runbook_url == "https://example.com/r"
    assert resolved[1].evidence.baseline == 100.0


def test_a_frame_that_was_seen_or_is_older_is_ignored() -> None:
    run = watching()
    run.step(FINE, 10)
    state = run.judge.snapshot()
    assert run.judge.observe(frame_of(START_MS, BREACH)) == []
    assert run.judge.observe(frame_of(run.now - STEP_MS, BREACH)) == []
    assert run.judge.snapshot() == state


def test_steps_that_are_missing_from_the_log_do_not_count_as_waiting() -> None:
    run = watching()
    assert told(run.step(BREACH)) == [("budget", "pending")]
    run.steps += 100
    assert run.step(BREACH, 2) == []
    assert told(run.step(BREACH)) == [("budget", "firing")]


def test_a_plain_id_without_a_value_is_no_indicator_of_its_own() -> None:
    run = watching(spec(group_by=("route",)))
    run.step({'api/latency{route="a"}': (100.0, None), "api/latency": (None, None)}, 100)
    assert run.step({'api/latency{route="a"}': (100.0, None), "api/latency": (None, None)}, 100) == []


def test_points_of_indicators_that_are_not_watched_are_ignored() -> None:
    run = watching()
    assert run.step({"api/other": (1.0, None), "other/latency": (999.0, None), **FINE}, 50) == []
    assert b"api/other" not in run.judge.snapshot()


def test_a_point_that_is_named_twice_counts_once() -> None:
    run = watching()
    frame = frame_of(START_MS, FINE)
    twice = msgspec.structs.replace(
        frame,
        points=msgspec.structs.replace(frame.points, id=["api/latency"] * 2, value=[100.0, 300.0], weight=[None, None]),
    )
    assert run.judge.observe(twice) == []


def test_points_that_are_gone_for_a_week_are_forgotten_unless_they_have_an_open_alert() -> None:
    step_ms = 3_600_000
    judge = Judge(step_ms)
    judge.define(budget(spec(group_by=("route",), for_ms=0)), "api", 0)
    rows: Row = {'api/latency{route="gone"}': (100.0, None), 'api/latency{route="open"}': (300.0, None)}
    judge.observe(frame_of(START_MS, rows, step_ms))
    stays: Row = {'api/latency{route="stays"}': (100.0, None)}
    for number in range(1, FORGET_AFTER_MS // step_ms + 240):
        judge.observe(frame_of(START_MS + number * step_ms, stays, step_ms))
    snapshot = judge.snapshot()
    assert b'route="gone"' not in snapshot
    assert b'route="open"' in snapshot
    assert b'route="stays"' in snapshot


def test_an_indicator_with_too_many_groups_does_not_grow_without_end() -> None:
    run = watching(spec(group_by=("route",)))
    run.step({f'api/latency{{route="{number}"}}': (100.0, None) for number in range(MAX_POINTS + 5)})
    assert run.judge.refused_values == 5


def test_state_does_not_grow_with_time() -> None:
    run = watching()
    run.step(FINE, 500)
    size = len(run.judge.snapshot())
    run.step(FINE, 5000)
    assert len(run.judge.snapshot()) <= size + 16
    assert size - PROFILE_BYTES <= 4096


@pytest.mark.parametrize("data", [b"", b"junk", msgspec.msgpack.encode([9, 15_000, 0, 0, [], [], []])])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        Judge(STEP_MS).restore(data)


def test_a_snapshot_of_another_step_is_refused() -> None:
    with pytest.raises(SnapshotError, match="step 15000 ms"):
        Judge(5_000).restore(watching().judge.snapshot())


def test_an_order_that_came_after_the_snapshot_takes_effect_at_the_next_step() -> None:
    run = watching()
    run.step(BREACH, 4)
    later = Run(Judge(STEP_MS))
    later.steps = run.steps
    later.judge.define(budget(), "api", 0)
    later.judge.define(None, "api", run.now - STEP_MS)
    later.judge.restore(run.judge.snapshot())
    assert told(later.step(BREACH)) == [("budget", "resolved")]


def test_values_at_the_edge_of_floating_point_do_no_harm() -> None:
    run = watching()
    for value in (1e308, -1e308, 5e-324, 0.0, 1e-300, 1e308):
        for event in run.step({"api/latency": (value, 1e308)}, 80):
            encode_event(event)
    assert msgspec.msgpack.decode(run.judge.snapshot())


def test_an_event_says_everything_that_the_contract_promises() -> None:
    run = watching(spec(labels={"team": "identity"}, runbook_url="https://example.com/runbook", owner="identity"))
    run.step(FINE, 200)
    pending, *_, fired = [event for event in run.step(BREACH, 3) if event.kind == "budget"]
    assert fired.labels == {"service": "api", "team": "identity"}
    assert fired.fingerprint == fingerprint_of("budget", "api", "latency", fired.labels)
    assert (fired.kind, fired.status, fired.severity, fired.unit) == ("budget", "firing", "critical", "ms")
    assert (fired.value, fired.threshold, fired.direction) == (300.0, 200.0, "above")
    assert fired.starts_at == pending.at
    assert parse_time(fired.at) == run.now - STEP_MS
    assert fired.ends_at is None
    assert fired.annotations.summary == "api latency is 300 ms, limit 200 ms (critical above 200 ms)"
    assert fired.annotations.runbook_url == "https://example.com/runbook"
    assert "Owner: identity." in fired.annotations.description
    evidence = fired.evidence
    assert evidence.baseline == 100.0
    assert evidence.change_ratio == 2.0
    assert evidence.baseline_from is not None
    assert evidence.baseline_to is not None
    assert parse_time(evidence.baseline_from) == START_MS
    assert parse_time(evidence.baseline_to) < parse_time(fired.starts_at)
    assert evidence.ci95 is not None
    assert evidence.ci95[0] < 2.0 < evidence.ci95[1]
    assert evidence.z is not None
    assert evidence.z > 2
    assert evidence.p_value is not None
    assert evidence.p_value < 0.05
    assert evidence.onset == pending.at
    assert evidence.samples == 20


def test_an_indicator_without_a_limit_still_regresses() -> None:
    run = watching(spec(limit=None, warning=None, critical=None))
    run.step(FINE, 200)
    assert told(run.step(BREACH, 3)) == [("regression", "pending"), ("regression", "firing")]


def test_a_pending_alert_that_came_to_nothing_ends_as_information() -> None:
    run = watching()
    run.step(FINE, 5)
    assert [(event.transition, event.severity) for event in run.step(BREACH)] == [("pending", "critical")]
    (ended,) = run.step(FINE)
    assert (ended.transition, ended.status, ended.severity) == ("resolved", "resolved", "info")
    assert "critical above 200 ms" in ended.annotations.summary

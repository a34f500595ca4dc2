"""Alert events for tests: one alert's transitions as the Judge would name them."""

from budgets.event import (
    AlertEvent,
    AlertKind,
    Annotations,
    Evidence,
    RecentChange,
    Status,
    Transition,
    episode_of,
    event_id_of,
    fingerprint_of,
    format_time,
)
from budgets.spec.model import Severity
from tests.unit.fake_log import START_MS, STEP_MS

_STATUS: dict[Transition, Status] = {
    "pending": "pending",
    "firing": "firing",
    "escalated": "firing",
    "deescalated": "firing",
    "stale": "stale",
    "resolved": "resolved",
}


def alert_event(
    transition: Transition,
    step: int,
    *,
    kind: AlertKind = "budget",
    service: str = "auth-service",
    indicator: str = "response_time_p95",
    severity: Severity = "critical",
    labels: dict[str, str] | None = None,
    summary: str = "p95 is over its limit",
    started: int = 0,
    start_ms: int = START_MS,
) -> AlertEvent:
    fingerprint = fingerprint_of(kind, service, indicator, labels or {})
    starts_ms, at_ms = start_ms + started * STEP_MS, start_ms + step * STEP_MS
    episode = episode_of(fingerprint, starts_ms)
    return AlertEvent(
        id=event_id_of(fingerprint, episode, transition, at_ms),
        fingerprint=fingerprint,
        episode=episode,
        kind=kind,
        transition=transition,
        status=_STATUS[transition],
        severity=severity,
        service=service,
        indicator=indicator,
        incident=episode,
        labels={"service": service, **(labels or {})},
        unit="ms",
        value=231.4,
        threshold=200.0,
        direction="above",
        evidence=Evidence(
            baseline=171.2,
            baseline_from=format_time(starts_ms - 7 * 86_400_000),
            baseline_to=format_time(starts_ms),
            change_ratio=0.352,
            z=5.1,
            ci95=(0.29, 0.41),
            p_value=0.0004,
            samples=40,
            onset=format_time(starts_ms),
            trend_per_hour=3.1,
            methods=("zscore", "change_ratio"),
            rung="hours",
        ),
        starts_at=format_time(starts_ms),
        at=format_time(at_ms),
        ends_at=format_time(at_ms) if transition == "resolved" else None,
        annotations=Annotations(
            summary=summary, description="Requests are slow.", runbook_url="https://runbooks.example/p95"
        ),
        changes=(RecentChange(service, "2.4.1", format_time(starts_ms)),),
    )

"""Alert events: the data of CloudEvents on `driftline.alerts`, with ids that are computed, not drawn.

The same decision has the same id wherever and however often it is made, so at-least-once is enough.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

from budgets.spec.model import Direction, Severity

AlertKind = Literal["budget", "regression", "trend", "burn_rate", "no_data", "anomaly"]
Transition = Literal["pending", "firing", "escalated", "deescalated", "stale", "resolved"]
Status = Literal["pending", "firing", "stale", "resolved"]


class Evidence(msgspec.Struct, frozen=True):
    """The numbers behind a decision; None = this method had nothing to say.

    Ratios are 0-1 relative to the baseline, ci95 is the 95 % confidence interval of `change_ratio`.
    """

    baseline: float | None = None
    baseline_from: str | None = None
    baseline_to: str | None = None
    change_ratio: float | None = None
    z: float | None = None
    ci95: tuple[float, float] | None = None
    p_value: float | None = None
    samples: int = 0
    onset: str | None = None
    trend_per_hour: float | None = None
    methods: tuple[str, ...] = ()
    rung: str = "limits"


class Annotations(msgspec.Struct, frozen=True):
    """Text for people."""

    summary: str
    description: str = ""
    runbook_url: str = ""
    dashboard_url: str = ""


class RecentChange(msgspec.Struct, frozen=True):
    """A deployment or another change shortly before an onset.

    `chance`: how likely it is that one falls so shortly before an onset by chance, where changes come `per_day` times a
    day, 0-1; None = that was not computed.
    """

    service: str
    version: str
    at: str
    note: str = ""
    per_day: float | None = None
    chance: float | None = None


class Mention(msgspec.Struct, frozen=True):
    """One alert of an incident, as the others name it. `onset`: when it began, as far as can be told."""

    service: str
    indicator: str
    fingerprint: str
    onset: str
    change_ratio: float | None


class IncidentLead(msgspec.Struct, frozen=True):
    """What an incident is about: the alert that began first, and the one that deviated most so far; often the same.

    `services`: where something is wrong, the first 16 of them.
    """

    services: tuple[str, ...]
    earliest: Mention
    largest: Mention | None


class AlertEvent(msgspec.Struct, frozen=True):
    """One transition of one alert. Times are RFC 3339 UTC with milliseconds and `Z`."""

    id: str
    fingerprint: str
    episode: str
    kind: AlertKind
    transition: Transition
    status: Status
    severity: Severity
    service: str
    indicator: str
    incident: str
    labels: dict[str, str]
    unit: str
    value: float | None
    threshold: float | None
    direction: Direction
    evidence: Evidence
    starts_at: str
    at: str
    ends_at: str | None
    annotations: Annotations
    changes: tuple[RecentChange, ...] = ()
    lead: IncidentLead | None = None
    schema: int = 1


_decoder = msgspec.json.Decoder(AlertEvent)


def encode_event(event: AlertEvent) -> bytes:
    """The event as JSON: equal events have equal bytes."""
    return msgspec.json.encode(event)


def decode_event(data: bytes) -> AlertEvent:
    """The event of a record of the alerts topic.

    Raises:
        msgspec.ValidationError: not an alert event of schema 1.
    """
    return _decoder.decode(data)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def fingerprint_of(kind: AlertKind, service: str, indicator: str, labels: Mapping[str, str]) -> str:
    """16 hex digits, stable across restarts and workers."""
    return _digest(kind, service, indicator, *(f"{k}={v}" for k, v in sorted(labels.items())))[:16]


def episode_of(fingerprint: str, starts_at_ms: int) -> str:
    """The id of one run from first pending to resolved."""
    return _digest("episode", fingerprint, str(starts_at_ms))[:16]


def event_id_of(fingerprint: str, episode: str, transition: Transition, step_ms: int) -> str:
    """The id of one transition: 32 hex digits over (fingerprint, episode, transition, step)."""
    return _digest("event", fingerprint, episode, transition, str(step_ms))[:32]


def format_time(timestamp_ms: int) -> str:
    """Unix ms as RFC 3339 UTC.

    >>> format_time(0)
    '1970-01-01T00:00:00.000Z'
    """
    moment = datetime.fromtimestamp(timestamp_ms // 1000, tz=UTC).replace(microsecond=timestamp_ms % 1000 * 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{timestamp_ms % 1000:03d}Z"


def parse_time(text: str) -> int:
    """RFC 3339 as Unix ms.

    Raises:
        ValueError: not a time with a zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return round(moment.timestamp() * 1000)

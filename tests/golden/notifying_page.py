"""The generated parts of docs/notifying.md: what a webhook and Slack get, and what an answer means.

The page is written by hand but for what stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from agents.notifier.receivers.retry import outcome_of_status
from agents.notifier.receivers.slack_message import slack_message
from agents.notifier.receivers.webhook import parse_keys, sign
from budgets.change import Change
from budgets.event import (
    AlertEvent,
    Annotations,
    Evidence,
    Mention,
    Status,
    Transition,
    encode_event,
    episode_of,
    event_id_of,
    fingerprint_of,
    format_time,
)
from budgets.incident import Incidents
from budgets.lead import mention, tell

PAGE = Path(__file__).resolve().parents[2] / "docs" / "notifying.md"
EXAMPLE_SECRET = "whsec_ZHJpZnRsaW5lJ3MgZXhhbXBsZSBzZWNyZXQ="
_STARTS_MS = 1_800_000_000_000
_PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_STATUSES = (*range(200, 203), 204, *range(300, 309), *range(400, 418), 422, 423, 424, 425, 426, 429, 431, 451)
_SERVER_STATUSES = (*range(500, 506), 507, 508, 511)


def example_event(transition: Transition, status: Status, at_ms: int) -> AlertEvent:
    """One alert, as the contract shows it."""
    service, indicator = "auth-service", "response_time_p95"
    fingerprint = fingerprint_of("regression", service, indicator, {})
    episode = episode_of(fingerprint, _STARTS_MS)
    incidents = Incidents(15_000)
    incidents.watch(service)
    # Of the four weeks before: it is what says how often it changes.
    for version, days in (*((f"2.3.{number}", 28 - number) for number in range(22)), ("2.4.1", 0)):
        changed_at = _STARTS_MS - days * 86_400_000 - 240_000
        incidents.changes.note(Change(service, version, format_time(changed_at), "pipeline", changed_at))
    incidents.changes.advance(_STARTS_MS)
    onset = _STARTS_MS - 60_000
    incident = incidents.join(service, onset, _STARTS_MS)
    other = Mention(service, "error_rate", "0123456789abcdef", format_time(onset - 45_000), 3.4)
    incidents.mention(incident, other, onset - 45_000, 3.4)
    event = AlertEvent(
        id=event_id_of(fingerprint, episode, transition, at_ms),
        fingerprint=fingerprint,
        episode=episode,
        kind="regression",
        transition=transition,
        status=status,
        severity="critical",
        service=service,
        indicator=indicator,
        incident=incident,
        labels={"service": service},
        unit="ms",
        value=231.4 if status == "firing" else 173.0,
        threshold=200.0,
        direction="above",
        evidence=Evidence(
            baseline=171.2,
            baseline_from=format_time(_STARTS_MS - 604_800_000),
            baseline_to=format_time(_STARTS_MS),
            change_ratio=0.352,
            z=5.1,
            ci95=(0.29, 0.41),
            p_value=0.0004,
            samples=40,
            onset=format_time(onset),
            trend_per_hour=3.1,
            methods=("zscore", "change_ratio", "confidence"),
            rung="hours",
        ),
        starts_at=format_time(_STARTS_MS),
        at=format_time(at_ms),
        ends_at=format_time(at_ms) if status == "resolved" else None,
        annotations=Annotations(
            "response_time_p95 of auth-service is 231.4 ms, 35.2 % above its baseline of 171.2 ms",
            runbook_url="https://runbooks.example/latency",
            dashboard_url="https://driftline.example/services/auth-service",
        ),
    )
    mention(incidents, event, onset)
    (told,) = tell(incidents, [event])
    return told


FIRING = example_event("firing", "firing", _STARTS_MS + 30_000)
RESOLVED = example_event("resolved", "resolved", _STARTS_MS + 1_830_000)


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```\n"


def _webhook() -> str:
    body = encode_event(FIRING)
    headers = sign(parse_keys(EXAMPLE_SECRET), FIRING.id, _STARTS_MS // 1000 + 31, body)
    lines = ["POST /hook HTTP/1.1", "Content-Type: application/json", *(f"{k}: {v}" for k, v in headers.items())]
    return _block("http", "\n".join([*lines, "", body.decode()]))


def _event() -> str:
    return _block("json", json.dumps(msgspec.to_builtins(FIRING), indent=2, ensure_ascii=False))


def _slack(event: AlertEvent) -> str:
    return _block("json", json.dumps(slack_message(event), indent=2, ensure_ascii=False))


def _answers() -> str:
    verdicts: dict[str, list[int]] = {}
    for status in (*_STATUSES, *_SERVER_STATUSES):
        outcome = outcome_of_status(status, {}, 0)
        words = outcome.reason.partition(": ")[2] or "taken"
        verdicts.setdefault(f"{outcome.verdict} | {words}", []).append(status)
    rows = (f"| {', '.join(map(str, statuses))} | {verdict} |" for verdict, statuses in verdicts.items())
    return "\n".join(["| status | what we do | because |", "|---|---|---|", *rows]) + "\n"


PARTS: Mapping[str, Callable[[], str]] = {
    "webhook": _webhook,
    "event": _event,
    "slack-firing": lambda: _slack(FIRING),
    "slack-resolved": lambda: _slack(RESOLVED),
    "answers": _answers,
}


def notifying_page() -> str:
    """The page as it stands, with its generated parts as the code makes them now."""
    page = PAGE.read_text(encoding="utf-8")
    named = [name for _, name, _ in _PART.findall(page)]
    assert sorted(named) == sorted(PARTS), f"the page must have each generated part once, it has {named}"
    return _PART.sub(lambda part: part[1] + PARTS[part[2]]() + part[3], page)

"""Who gets which event."""

from typing import Any

import pytest

from agents.notifier.route import Decision, decide
from agents.settings import ReceiverSettings
from budgets.event import AlertKind, Transition
from budgets.spec.model import Severity
from tests.unit.alert_events import alert_event

TOLD = frozenset({"sent"})
NOBODY = frozenset[str]()


def receiver(**options: Any) -> ReceiverSettings:
    return ReceiverSettings(name="chat", type="webhook", url="http://chat.example/", **options)


def is_sent(options: ReceiverSettings, told: frozenset[str] = NOBODY, **event: Any) -> bool:
    transition: Transition = event.pop("transition", "firing")
    return decide(options, alert_event(transition, 1, **event), 0, told) == Decision("pending")


@pytest.mark.parametrize("transition", ["firing", "escalated", "deescalated", "stale", "resolved"])
def test_what_happens_to_an_alert_is_told(transition: Transition) -> None:
    assert is_sent(receiver(), transition=transition)


def test_a_pending_alert_is_told_to_nobody() -> None:
    assert not is_sent(receiver(severities=["info", "warning", "critical"], kinds=["budget"]), transition="pending")


@pytest.mark.parametrize(
    ("severity", "wanted", "sent"),
    [
        ("critical", ["critical"], True),
        ("warning", ["critical"], False),
        ("info", ["warning", "critical"], False),
        ("info", [], True),
    ],
)
def test_severities_choose(severity: Severity, wanted: list[Severity], sent: bool) -> None:
    assert is_sent(receiver(severities=wanted), severity=severity) is sent


@pytest.mark.parametrize(
    ("kind", "wanted", "sent"),
    [("regression", ["regression"], True), ("budget", ["regression"], False), ("budget", [], True)],
)
def test_kinds_choose(kind: AlertKind, wanted: list[str], sent: bool) -> None:
    assert is_sent(receiver(kinds=wanted), kind=kind) is sent


@pytest.mark.parametrize(("wanted", "sent"), [(["anomaly"], True), ([], False), (["budget"], False)])
def test_an_anomaly_goes_only_to_who_asks_for_anomalies_by_name(wanted: list[str], sent: bool) -> None:
    assert is_sent(receiver(severities=[], kinds=wanted), kind="anomaly", severity="info") is sent


def test_services_choose() -> None:
    assert is_sent(receiver(services=["auth-service"]))
    assert not is_sent(receiver(services=["policy-service"]))


def test_who_does_not_want_resolutions_gets_none_and_everything_else() -> None:
    options = receiver(send_resolved=False)
    assert not is_sent(options, TOLD, transition="resolved")
    assert is_sent(options, TOLD, transition="escalated")


@pytest.mark.parametrize("transition", ["deescalated", "stale", "resolved"])
def test_who_was_paged_for_a_critical_alert_hears_how_it_goes_on_as_a_warning(transition: Transition) -> None:
    pager = receiver(severities=["critical"])
    assert is_sent(pager, TOLD, transition=transition, severity="warning")
    assert not is_sent(pager, NOBODY, transition=transition, severity="warning")


def test_having_been_told_opens_no_other_filter() -> None:
    assert not is_sent(receiver(services=["other"]), TOLD)
    assert not is_sent(receiver(kinds=["regression"]), TOLD)


def test_what_is_older_than_max_age_expires_and_what_is_as_old_as_it_is_sent() -> None:
    options = receiver(max_age="1h")
    late = decide(options, alert_event("firing", 1), 3_600_001, NOBODY)
    assert late is not None
    assert late.state == "expired"
    assert "max_age" in late.reason
    assert decide(options, alert_event("firing", 1), 3_600_000, NOBODY) == Decision("pending")


def test_an_alert_whose_beginning_expired_is_not_resolved_but_may_still_escalate() -> None:
    expired = frozenset({"expired"})
    resolution = decide(receiver(), alert_event("resolved", 2), 0, expired)
    assert resolution is not None
    assert resolution.state == "expired"
    assert is_sent(receiver(), expired, transition="escalated")


def test_an_alert_of_which_nothing_is_on_record_is_resolved() -> None:
    # A new receiver, or an outbox that was lost: better once too often than an alert that never ends.
    assert is_sent(receiver(), NOBODY, transition="resolved")


def test_what_came_to_nothing_while_pending_is_not_announced_as_over() -> None:
    everything = receiver(severities=["info", "warning", "critical"])
    assert not is_sent(everything, NOBODY, transition="resolved", severity="info")
    assert is_sent(everything, TOLD, transition="resolved", severity="info")

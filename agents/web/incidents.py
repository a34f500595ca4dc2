"""Open alerts as incidents: what has one cause stands together, what it began with first. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from budgets.event import AlertEvent, IncidentLead, Mention, parse_time
from budgets.limits import worse_by


@dataclass(frozen=True, slots=True)
class IncidentView:
    """The open alerts of one incident: the one that began first, then the larger before the smaller."""

    id: str
    alerts: tuple[AlertEvent, ...]

    @property
    def services(self) -> int:
        """How many services have an open alert in it."""
        return len({alert.service for alert in self.alerts})

    @property
    def lead(self) -> IncidentLead | None:
        """What it is about, as its newest event says."""
        newest = max(self.alerts, key=lambda alert: (alert.at, alert.id))
        return newest.lead

    @property
    def named(self) -> tuple[Mention, ...]:
        """What to name: where it began and, if that is another, where it deviates most."""
        lead = self.lead
        if lead is None:
            return ()
        if lead.largest is None or lead.largest.fingerprint == lead.earliest.fingerprint:
            return (lead.earliest,)
        return lead.earliest, lead.largest


def group_by_incident(alerts: Sequence[AlertEvent], rank: Callable[[AlertEvent], Any]) -> tuple[IncidentView, ...]:
    """Incidents in the order of their worst alert, of equals the one that began first; `rank`: smaller is worse."""
    groups: dict[str, list[AlertEvent]] = {}
    for alert in alerts:
        groups.setdefault(alert.incident, []).append(alert)
    views = [IncidentView(name, tuple(_ordered(group))) for name, group in groups.items()]
    return tuple(sorted(views, key=lambda view: (min(map(rank, view.alerts)), _onset(view.alerts[0]), view.id)))


def _ordered(group: Sequence[AlertEvent]) -> list[AlertEvent]:
    first = min(group, key=lambda alert: (alert.status == "pending", _onset(alert), alert.fingerprint))
    return [first, *sorted((alert for alert in group if alert is not first), key=_lightness)]


def _onset(alert: AlertEvent) -> int:
    return parse_time(alert.evidence.onset or alert.starts_at)


def _lightness(alert: AlertEvent) -> tuple[bool, float, int, str]:
    change = alert.evidence.change_ratio or 0.0
    lightness = -worse_by(alert.direction, change)
    return alert.status == "pending", lightness, _onset(alert), alert.fingerprint

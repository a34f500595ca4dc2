"""Incidents: which alerts belong together. For now: one service, onsets close together, while the first is open.

Deterministic and O(1): the service remembers its newest incident and how many of its alerts are open.
"""

import hashlib

import msgspec

# Alerts that begin within this of the incident's latest onset belong to it.
TOGETHER_MS = 3_600_000


class Incident(msgspec.Struct, frozen=True, array_like=True):
    """A service's newest incident. latest_onset: of its alerts, Unix ms. open_alerts: how many have not ended."""

    id: str
    latest_onset: int
    open_alerts: int


def join_incident(incident: Incident | None, service: str, at: int) -> Incident:
    """The incident of an alert that begins now: the newest one if it is open and young enough, else a new one."""
    if incident is not None and incident.open_alerts > 0 and at - incident.latest_onset <= TOGETHER_MS:
        return Incident(incident.id, at, incident.open_alerts + 1)
    digest = hashlib.sha256("\x1f".join(("incident", service, str(at))).encode()).hexdigest()
    return Incident(digest[:16], at, 1)


def leave_incident(incident: Incident | None, incident_id: str) -> Incident | None:
    """The service's newest incident after an alert of `incident_id` has ended."""
    if incident is None or incident.id != incident_id:
        return incident
    return Incident(incident.id, incident.latest_onset, max(0, incident.open_alerts - 1))

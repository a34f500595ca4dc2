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


class Incidents:
    """The newest incident of every service."""

    __slots__ = ("newest",)

    def __init__(self) -> None:
        self.newest: dict[str, Incident] = {}

    def join(self, service: str, at: int) -> str:
        """The incident of an alert that begins now: the newest one if it is open and young enough, else a new one."""
        incident = self.newest.get(service)
        if incident is not None and incident.open_alerts > 0 and at - incident.latest_onset <= TOGETHER_MS:
            self.newest[service] = Incident(incident.id, at, incident.open_alerts + 1)
            return incident.id
        digest = hashlib.sha256("\x1f".join(("incident", service, str(at))).encode()).hexdigest()
        self.newest[service] = Incident(digest[:16], at, 1)
        return digest[:16]

    def leave(self, service: str, incident_id: str) -> None:
        """An alert of an incident has ended."""
        incident = self.newest.get(service)
        if incident is not None and incident.id == incident_id:
            self.newest[service] = Incident(incident.id, incident.latest_onset, max(0, incident.open_alerts - 1))

    def forget(self, service: str) -> None:
        """The service is no longer watched."""
        self.newest.pop(service, None)

"""Incidents: which alerts have one cause, and which of them to name first.

**One service.** An alert joins the open incident of its service when its onset lies within an hour of the incident's.

**Several services** of one Judge share an incident when their onsets are closer together than chance explains. Were
they independent, other services would begin `n x rate x 2d` times within `d` of an onset, where `n` is how many
services are watched and `rate` how often the busiest of those concerned began before (at least once in 30 days, which
is what the alarm budget allows a service). So many or more began: the chance of that, over a Poisson distribution, must
be at most 1 %. Two services that changed to one version shortly before need less: both chances count together. At most
one new incident in a hundred is thus merged with one that has nothing to do with it. A service that begins more often
than once a day proves nothing by beginning now. What may be chance by its definition (an anomaly, an info) joins the
incident of its service, and neither counts nor merges.

Time is the onset, not the alarm: methods differ in how long they take. Deterministic, and bounded by what is open. A
Judge sees one partition: incidents of others stay apart (docs/decisions/0014-incidents-within-a-partition.md).
"""

import hashlib
import math

import msgspec

from budgets.change_history import ChangeHistory, Known
from budgets.coincidence import chance_of_both, chance_of_several
from budgets.event import AlertKind, IncidentLead, Mention
from budgets.spec.model import Severity

# Alerts of one service that begin within this of the incident's onsets belong to it.
TOGETHER_MS = 3_600_000
# Services further apart than this are never told to be one incident, however quiet they are.
ACROSS_MS = 900_000
# Merging what is independent is to happen once in so many new incidents.
MERGE_CHANCE = 0.01
_DAY_MS = 86_400_000.0
_USUAL_PER_DAY = 1.0 / 30.0
_BUSY_PER_DAY = 1.0
_MEMORY_MS = 30 * _DAY_MS
# Of the newest onsets, in the whole Judge; and how many services an incident names.
_RECENT, MOST_SERVICES = 64, 16


class Incident(msgspec.Struct, frozen=True, array_like=True):
    """One open incident. Onsets are Unix ms, the first and the latest of its alerts; effect: of `largest`, ratio.

    weighty: by service, the onset of its first alert that is more than an anomaly or an info.
    open_alerts: how many have not ended. earliest, largest: of what fired in it.
    """

    id: str
    first_onset: int
    latest_onset: int
    open_alerts: int = 0
    weighty: dict[str, int] = {}
    earliest: Mention | None = None
    earliest_onset: int = 0
    largest: Mention | None = None
    effect: float = 0.0

    def is_near(self, onset: int) -> bool:
        """Whether an alert of the same service belongs here."""
        return self.first_onset - TOGETHER_MS <= onset <= self.latest_onset + TOGETHER_MS


class Onset(msgspec.Struct, frozen=True, array_like=True):
    """A service began to alarm. per_day: how often it had before."""

    service: str
    incident: str
    onset: int
    per_day: float


class Begun(msgspec.Struct, frozen=True, array_like=True):
    """How often a service has begun to alarm, fading over 30 days. at: of the latest one, Unix ms."""

    count: float
    at: int

    def faded(self, at: int) -> float:
        """The count as of a moment."""
        return self.count * math.exp(-max(0, at - self.at) / _MEMORY_MS)


class SavedIncidents(msgspec.Struct, frozen=True, array_like=True):
    """Everything that `Incidents` knows."""

    open: list[tuple[str, Incident]]
    newest: list[tuple[str, str]]
    recent: list[Onset]
    begun: list[tuple[str, Begun]]
    known: list[tuple[str, list[Known]]]


def is_weighty(kind: AlertKind, severity: Severity) -> bool:
    """Whether an alert says that something is wrong, not only that something is unusual."""
    return kind != "anomaly" and severity != "info"


class Incidents:
    """The open incidents of one Judge. onsets: of the events of the step that is being decided, by event id."""

    def __init__(self, step_ms: int) -> None:
        self._step_ms = step_ms
        self.changes = ChangeHistory(step_ms)
        self.open: dict[str, Incident] = {}
        self.onsets: dict[str, int] = {}
        self._newest: dict[str, str] = {}  # service -> its newest incident
        self._recent: list[Onset] = []
        self._begun: dict[str, Begun] = {}
        self._watched: set[str] = set()

    def watch(self, service: str) -> None:
        """The service is watched from now on."""
        self._watched.add(service)

    def forget(self, service: str) -> None:
        """The service is no longer watched."""
        self._watched.discard(service)
        self._newest.pop(service, None)
        self._begun.pop(service, None)

    def prune(self, at: int) -> None:
        """Drop what tells nothing any more; to be called now and then."""
        self.changes.forget(at)
        self._begun = {service: begun for service, begun in self._begun.items() if begun.faded(at) > 0.05}
        self._newest = {service: name for service, name in self._newest.items() if name in self.open}

    # --- alerts come and go --------------------------------------------------------------------------------------

    def join(self, service: str, onset: int, at: int, *, weighty: bool = True) -> str:
        """The incident of an alert that is decided now and began at `onset`, both Unix ms."""
        own = self.open.get(self._newest.get(service, ""))
        if own is not None and not own.is_near(onset):
            own = None
        if own is not None and (not weighty or service in own.weighty):
            return self._add(own, service, onset, weighty=weighty)
        per_day = self._per_day(service, onset)
        shared = self._find_shared(service, onset, per_day) if weighty else None
        incident = shared or own or Incident(_id_of(service, onset, at), onset, onset)
        if weighty:
            begun = self._begun.get(service, Begun(0.0, onset))
            self._begun[service] = Begun(begun.faded(onset) + 1.0, max(begun.at, onset))
            self._recent = [*self._recent[-_RECENT + 1 :], Onset(service, incident.id, onset, per_day)]
        self._newest[service] = incident.id
        return self._add(incident, service, onset, weighty=weighty)

    def leave(self, incident_id: str) -> None:
        """An alert of an incident has ended; with the last one it is over."""
        incident = self.open.get(incident_id)
        if incident is None:
            return
        if incident.open_alerts > 1:
            self.open[incident_id] = msgspec.structs.replace(incident, open_alerts=incident.open_alerts - 1)
        else:
            del self.open[incident_id]
            self._recent = [each for each in self._recent if each.incident != incident_id]

    def _add(self, incident: Incident, service: str, onset: int, *, weighty: bool) -> str:
        services = incident.weighty
        if weighty and service not in services and len(services) < MOST_SERVICES:
            services = {**services, service: onset}
        self.open[incident.id] = msgspec.structs.replace(
            incident,
            first_onset=min(incident.first_onset, onset),
            latest_onset=max(incident.latest_onset, onset),
            open_alerts=incident.open_alerts + 1,
            weighty=services,
        )
        return incident.id

    # --- what moved together -------------------------------------------------------------------------------------

    def _per_day(self, service: str, onset: int) -> float:
        begun = self._begun.get(service)
        return _USUAL_PER_DAY * (1.0 + (begun.faded(onset) if begun else 0.0))

    def _find_shared(self, service: str, onset: int, per_day: float) -> Incident | None:
        """The incident of other services that began at the same time, None = that may be chance."""
        if per_day > _BUSY_PER_DAY:
            return None
        near = sorted(
            (
                each
                for each in self._recent
                if each.service != service and abs(each.onset - onset) <= ACROSS_MS and each.per_day <= _BUSY_PER_DAY
            ),
            key=lambda each: (abs(each.onset - onset), each.onset, each.service),
        )
        for count in range(1, len(near) + 1):
            if self._chance(service, onset, per_day, near[:count]) <= MERGE_CHANCE:
                candidates = {each.incident: self.open[each.incident] for each in near[:count]}
                return min(candidates.values(), key=lambda incident: (incident.first_onset, incident.id))
        return None

    def _chance(self, service: str, onset: int, per_day: float, others: list[Onset]) -> float:
        """The chance that so many services begin as close to an onset as these did; the last one is furthest."""
        span_ms = 2 * (abs(others[-1].onset - onset) + self._step_ms)
        busiest = max(per_day, *(each.per_day for each in others))
        expected = len(self._watched) * busiest * span_ms / _DAY_MS
        chance = chance_of_several(expected, len({each.service for each in others}))
        shared = min(self.changes.shared_chance(service, onset, each.service, each.onset) for each in others)
        return chance_of_both(chance, shared) if shared < 1.0 else chance

    # --- what leads ----------------------------------------------------------------------------------------------

    def mention(self, incident_id: str, mention: Mention, onset: int, effect: float | None) -> None:
        """An alert of an incident fires: it may be the first or the largest of it.

        effect: how far it deviates in the bad direction, ratio; None = not known.
        """
        incident = self.open.get(incident_id)
        if incident is None:
            return
        first, largest = incident.earliest, incident.largest
        if first is None or onset < incident.earliest_onset or first.fingerprint == mention.fingerprint:
            incident = msgspec.structs.replace(incident, earliest=mention, earliest_onset=onset)
        if effect is not None and (largest is None or effect > incident.effect):
            incident = msgspec.structs.replace(incident, largest=mention, effect=effect)
        self.open[incident_id] = incident

    def lead_of(self, incident_id: str) -> IncidentLead | None:
        """What leads an incident, None = nothing has fired in it, or it is over."""
        incident = self.open.get(incident_id)
        if incident is None or incident.earliest is None:
            return None
        services = tuple(sorted(incident.weighty))
        return IncidentLead(services, incident.earliest, incident.largest)

    # --- state ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> SavedIncidents:
        """Everything that is known."""
        return SavedIncidents(
            sorted(self.open.items()),
            sorted(self._newest.items()),
            list(self._recent),
            sorted(self._begun.items()),
            sorted(self.changes.known.items()),
        )

    def restore(self, saved: SavedIncidents) -> None:
        """Go on where a snapshot was taken; nothing is watched yet, and changes that were noted here before wait."""
        self._watched = set()
        self.open, self._newest = dict(saved.open), dict(saved.newest)
        self._recent, self._begun = list(saved.recent), dict(saved.begun)
        self.changes.known = dict(saved.known)


def _id_of(service: str, onset: int, at: int) -> str:
    return hashlib.sha256("\x1f".join(("incident", service, str(onset), str(at))).encode()).hexdigest()[:16]

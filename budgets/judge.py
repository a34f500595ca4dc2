"""The second facade: frames and budgets in, alert events out. Knows no Kafka and no clock; time is `frame.at`.

The same frames and budgets give the same events and the same state, bit by bit, wherever it stops in between. What
belongs to one indicator is in `watch.py`; here are the steps, the versions of budgets and the snapshot.
"""

import hashlib
from itertools import islice

import msgspec

from budgets.alert import Alert
from budgets.baseline_books import Books, SavedBooks, protect
from budgets.change import Change
from budgets.event import AlertEvent, AlertKind
from budgets.evidence import baselines_at
from budgets.incident import Incidents, SavedIncidents
from budgets.lead import tell
from budgets.spec.model import IndicatorSpec, ServiceBudget
from budgets.watch import Place, Watched
from streams.frame import Baselines, IndicatorFrame, split_point_id

_NEVER = 2**63 - 1
_SCHEMA = 2  # of snapshots
# Points that are gone are looked for once in so many steps.
_FORGET_EVERY_STEPS = 240


class _Version(msgspec.Struct, frozen=True, array_like=True):
    """A service's budget from a step on; None = not watched from there."""

    effective_at: int
    budget: ServiceBudget | None


class _SavedPoint(msgspec.Struct, frozen=True, array_like=True):
    id: str
    last_at: int
    last_value: float
    last_value_at: int
    data_since: int
    alerts: dict[AlertKind, Alert]
    detector: bytes


class _SavedIndicator(msgspec.Struct, frozen=True, array_like=True):
    spec: IndicatorSpec
    since: int
    last_data_at: int
    no_data: Alert | None
    points: list[_SavedPoint]


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    schema: int
    step: int
    last_at: int
    steps: int
    versions: list[tuple[str, list[_Version]]]
    incidents: SavedIncidents
    books: SavedBooks
    indicators: list[_SavedIndicator]


class SnapshotError(ValueError):
    """A snapshot that this version cannot read."""


def _lean(spec: IndicatorSpec) -> IndicatorSpec:
    """The spec without the expressions' text: only whether they changed matters here."""

    def digest(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    return msgspec.structs.replace(
        spec, expr=digest(spec.expr), weight_expr=digest(spec.weight_expr) if spec.weight_expr is not None else None
    )


def _same_measure(one: IndicatorSpec, other: IndicatorSpec) -> bool:
    """Whether what was learned under one spec means anything under the other."""
    return (one.expr, one.weight_expr, one.unit, one.direction, one.window_ms, one.group_by) == (
        other.expr,
        other.weight_expr,
        other.unit,
        other.direction,
        other.window_ms,
        other.group_by,
    )


class Judge:
    """Judges every indicator of one partition. Frames come in order; `step_ms` apart, or with gaps.

    refused_values: values that were not judged because their indicator has too many points.
    books: the versions of baselines; takes orders about them.
    """

    def __init__(self, step_ms: int) -> None:
        self._step_ms = step_ms
        self._last_at = -1
        self._steps = 0
        self._versions: dict[str, list[_Version]] = {}
        self._next_change = 0
        self._watched: dict[str, Watched] = {}
        self._places: dict[str, Place] = {}
        self._incidents = Incidents(step_ms)
        self.books = Books()
        self.refused_values = 0

    def define(self, budget: ServiceBudget | None, service: str, effective_at_ms: int) -> None:
        """Take a budget that holds from a step on; None = the service is not watched from there.

        It replaces every version of the service that would begin at the same step or later.
        """
        if budget is not None:
            budget = msgspec.structs.replace(budget, indicators=tuple(_lean(spec) for spec in budget.indicators))
        self._enqueue(service, _Version(effective_at_ms, budget))

    def _enqueue(self, service: str, version: _Version) -> None:
        kept = [earlier for earlier in self._versions.get(service, []) if earlier.effective_at < version.effective_at]
        self._versions[service] = [*kept, version]
        self._next_change = min(self._next_change, version.effective_at)

    def note(self, change: Change) -> None:
        """Take a change of a service: alerts may name it from its step on. Taking one again changes nothing."""
        self._incidents.changes.note(change)

    def baselines_of(self, frame: IndicatorFrame) -> Baselines:
        """What is usual for the points of a frame that was just observed."""
        places = map(self._places.get, frame.points.id)
        return baselines_at(frame.at, (place.point.detector if place else None for place in places))

    def observe(self, frame: IndicatorFrame) -> list[AlertEvent]:
        """The transitions that a step decides, in a fixed order; nothing for a step that was seen before."""
        at = frame.at
        if at <= self._last_at:
            return []
        events: list[AlertEvent] = []
        if at >= self._next_change:
            events += self._switch_budgets(at)
        if self._last_at >= 0 and at - self._last_at > self._step_ms:
            for watched in self._watched.values():
                watched.stop_clocks()
        self._last_at = at
        protect(self._incidents.changes.advance(at), self._places)
        self.books.begin(at, self._places)
        self._steps += 1
        self._take_points(frame, events)
        self._take_missing(at, events)
        for _, watched in sorted(self._watched.items()):
            events += watched.check_data(at)
        self.books.review(at, self._places)
        if self._steps % _FORGET_EVERY_STEPS == 0:
            self._forget(at)
        return tell(self._incidents, events)

    def look(self, point_id: str) -> Place | None:
        """The newest of one point, to be read only; None = it has never had a value."""
        return self._places.get(point_id)

    def look_around(self, turn: int, turns: int) -> list[tuple[str, Place]]:
        """Some of the points, to be read only: with every turn others, in `turns` turns all of them."""
        return list(islice(self._places.items(), turn % turns, None, turns))

    # --- one step ------------------------------------------------------------------------------------------------

    def _take_points(self, frame: IndicatorFrame, events: list[AlertEvent]) -> None:
        at, points, places = frame.at, frame.points, self._places
        for point_id, value, weight in zip(points.id, points.value, points.weight, strict=True):
            place = places.get(point_id)
            if value is None:
                continue  # exactly like a point that is not in the frame
            if place is None:
                place = self._admit(point_id)
                if place is None:
                    continue
            elif place.point.last_at == at:
                continue  # named twice in one frame: the first one counts
            events += place.watched.observe(place.point, at, value, weight)

    def _admit(self, point_id: str) -> Place | None:
        query_id, group = split_point_id(point_id)
        watched = self._watched.get(query_id)
        if watched is None:
            return None  # measured for a budget that is not in force here
        point = watched.admit(point_id, group)
        if point is None:
            self.refused_values += 1
            return None
        place = self._places[point_id] = Place(watched, point)
        self.books.welcome(point_id, place, self._last_at)
        return place

    def _take_missing(self, at: int, events: list[AlertEvent]) -> None:
        missing = [point_id for point_id, place in self._places.items() if place.point.last_at != at]
        for point_id in sorted(missing):
            watched, point = self._places[point_id]
            events += watched.miss(point, at)

    def _forget(self, at: int) -> None:
        self._incidents.prune(at)
        for watched in self._watched.values():
            for point_id in watched.forget(at):
                del self._places[point_id]
                self.books.forget(point_id)

    # --- budgets -------------------------------------------------------------------------------------------------

    def _switch_budgets(self, at: int) -> list[AlertEvent]:
        """Bring what is watched to the versions in force at a step."""
        events: list[AlertEvent] = []
        for service, versions in sorted(self._versions.items()):
            begun = [version for version in versions if version.effective_at <= at]
            if begun:
                events += self._put_in_force(service, begun[-1].budget, at)
                self._set_pending(service, versions[len(begun) :])
        pending = (version.effective_at for versions in self._versions.values() for version in versions)
        self._next_change = min(pending, default=_NEVER)
        return events

    def _set_pending(self, service: str, versions: list[_Version]) -> None:
        if versions:
            self._versions[service] = versions
        else:
            del self._versions[service]

    def _put_in_force(self, service: str, budget: ServiceBudget | None, at: int) -> list[AlertEvent]:
        events: list[AlertEvent] = []
        specs = {spec.id: spec for spec in budget.indicators} if budget else {}
        for indicator_id, watched in sorted(self._watched.items()):
            if watched.spec.service != service:
                continue
            spec = specs.get(indicator_id)
            if spec is None:
                reason = "the indicator is no longer watched" if budget else "the service is no longer watched"
                events += self._drop(indicator_id, at, reason)
            elif _same_measure(spec, watched.spec):
                events += watched.redefine(spec, at)
            else:
                events += self._drop(indicator_id, at, "its expression changed")
        for indicator_id, spec in specs.items():
            if indicator_id not in self._watched:
                self._watched[indicator_id] = self._create(spec, at)
        if not specs:
            self._incidents.forget(service)
        return events

    def _create(self, spec: IndicatorSpec, since_ms: int) -> Watched:
        self._incidents.watch(spec.service)
        return Watched(spec, self._step_ms, since_ms, self._incidents)

    def _drop(self, indicator_id: str, at: int, reason: str) -> list[AlertEvent]:
        watched = self._watched.pop(indicator_id)
        for point_id in watched.points:
            del self._places[point_id]
        return watched.close(at, reason)

    # --- state ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Everything, budgets in force included: equal states have equal bytes."""
        return msgspec.msgpack.encode(
            _Saved(
                schema=_SCHEMA,
                step=self._step_ms,
                last_at=self._last_at,
                steps=self._steps,
                versions=sorted(self._versions.items()),
                incidents=self._incidents.snapshot(),
                books=self.books.snapshot(),
                indicators=[_save(watched) for _, watched in sorted(self._watched.items())],
            ),
            order="sorted",
        )

    def restore(self, data: bytes) -> None:
        """Go on where a snapshot was taken. Budgets that were defined here before hold as they were defined.

        Raises:
            SnapshotError: not a snapshot of this schema and step.
        """
        try:
            saved = msgspec.msgpack.decode(data, type=_Saved)
        except msgspec.DecodeError as error:
            raise SnapshotError(f"not a snapshot of a Judge: {error}") from error
        if saved.schema != _SCHEMA or saved.step != self._step_ms:
            raise SnapshotError(f"schema {saved.schema}, step {saved.step} ms; expected {_SCHEMA}, {self._step_ms} ms")
        defined, self._versions = self._versions, dict(saved.versions)
        self._last_at, self._steps = saved.last_at, saved.steps
        self._incidents.restore(saved.incidents)
        self.books.restore(saved.books)
        self._watched, self._places = {}, {}
        for indicator in saved.indicators:
            self._load(indicator)
        for service, versions in defined.items():
            for version in versions:
                self._enqueue(service, version)
            self._drop_what_holds(service)
        self._next_change = 0

    def _load(self, saved: _SavedIndicator) -> None:
        watched = self._watched[saved.spec.id] = self._create(saved.spec, saved.since)
        watched.last_data_at, watched.no_data = saved.last_data_at, saved.no_data
        for saved_point in saved.points:
            point = watched.admit(saved_point.id, split_point_id(saved_point.id)[1])
            assert point is not None
            point.last_at, point.last_value = saved_point.last_at, saved_point.last_value
            point.last_value_at, point.data_since = saved_point.last_value_at, saved_point.data_since
            point.alerts = saved_point.alerts
            point.detector.restore(saved_point.detector)
            self._places[saved_point.id] = Place(watched, point)

    def _drop_what_holds(self, service: str) -> None:
        """Forget the versions that brought about what is watched already."""
        versions = self._versions[service]
        begun = [version for version in versions if version.effective_at <= self._last_at]
        if begun:
            budget = begun[-1].budget
            wanted = {spec.id: spec for spec in budget.indicators} if budget else {}
            held = {key: watched.spec for key, watched in self._watched.items() if watched.spec.service == service}
            if wanted == held:
                self._set_pending(service, versions[len(begun) :])


def _save(watched: Watched) -> _SavedIndicator:
    points = [
        _SavedPoint(
            point_id,
            point.last_at,
            point.last_value,
            point.last_value_at,
            point.data_since,
            point.alerts,
            point.detector.snapshot(),
        )
        for point_id, point in sorted(watched.points.items())
    ]
    return _SavedIndicator(watched.spec, watched.since_ms, watched.last_data_at, watched.no_data, points)

"""One indicator under watch: its points, each with a detector and its alerts, and whether it has data at all.

A point is one element of the indicator's result (`service/name` or `service/name{label="value"}`) and exists from its
first value on. `judge.py` hands it one value a step; what comes out are alert events.
"""

import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec

from budgets.alert import Alert, Seen, Timing, next_state, stop_clocks
from budgets.annotations import Story, annotate
from budgets.event import (
    AlertEvent,
    AlertKind,
    Evidence,
    Transition,
    episode_of,
    event_id_of,
    fingerprint_of,
    format_time,
)
from budgets.evidence import evidence_of
from budgets.incident import Incidents, is_weighty
from budgets.lead import mention, onset_of
from budgets.limits import has_recovered, level_of, worse_by
from budgets.spec.model import IndicatorSpec
from budgets.time_zone import local_time_of
from budgets.traffic import MIN_TAIL_EVENTS, has_traffic, needs_full_window, tail_share
from streams.detect.detector import Detector, Finding, Watch

# Missing data alarms after a window, but never sooner than this; an indicator that never had any, later and quietly.
NO_DATA_AFTER_MS = 300_000
NEVER_DATA_AFTER_MS = 600_000
# A point without values and without an open alert is forgotten after this.
FORGET_AFTER_MS = 7 * 86_400_000
# A trend is never urgent: it must hold, and be over, for half an hour.
TREND_HOLD_MS = 1_800_000
# More groups than this of one indicator are not judged: state has a ceiling.
MAX_POINTS = 2_000
# A change within this part of the regression threshold is no regression (any more).
_RECOVERED_SHARE = 0.5


@lru_cache(maxsize=1024)
def _timings_of(for_ms: int, keep_ms: int, step_ms: int) -> dict[AlertKind, Timing]:
    return {
        "budget": Timing(for_ms, keep_ms),
        "regression": Timing(max(for_ms, step_ms), keep_ms),  # persistent even where a limit alarms at once
        "trend": Timing(max(TREND_HOLD_MS, for_ms), max(TREND_HOLD_MS, keep_ms)),
        "no_data": Timing(0, keep_ms),  # it has waited for data already
    }


def watch_of(spec: IndicatorSpec, step_ms: int, point_id: str) -> Watch:
    """How a point of an indicator is to be watched."""
    return Watch(
        step_ms=step_ms,
        window_ms=spec.window_ms,
        sign=worse_by(spec.direction, 1.0),
        threshold=spec.regression_warning,
        alarm_budget=spec.alarm_budget,
        is_share=spec.unit == "ratio" and spec.weight_expr is not None,
        phase_ms=zlib.crc32(point_id.encode()),
        local_time=local_time_of(spec.timezone, spec.holidays),
    )


class Point:
    """One element of an indicator's result.

    last_value, weight, last_value_at: the newest value, the events behind it, and its step. data_since: the first step
    since which none was missing.
    """

    __slots__ = ("alerts", "data_since", "detector", "group", "last_at", "last_value", "last_value_at", "weight")

    def __init__(self, group: Mapping[str, str], detector: Detector) -> None:
        self.group = dict(group)
        self.detector = detector
        self.alerts: dict[AlertKind, Alert] = {}
        self.data_since = 0
        self.last_at = 0
        self.last_value = 0.0
        self.last_value_at = 0
        self.weight: float | None = None


class _Moment(NamedTuple):
    """One step of one point: what every event of it has in common."""

    at: int
    value: float | None
    evidence: Callable[[], Evidence]
    averaged_ms: int = 0
    expected: float | None = None


class Watched:
    """One indicator from the step on from which it is watched."""

    def __init__(self, spec: IndicatorSpec, step_ms: int, since_ms: int, incidents: Incidents) -> None:
        self.spec = spec
        self.since_ms = since_ms
        self.last_data_at = 0
        self.no_data: Alert | None = None
        self.points: dict[str, Point] = {}
        self._step_ms = step_ms
        self._incidents = incidents
        self._prepare()

    def _prepare(self) -> None:
        spec = self.spec
        self._timings = _timings_of(spec.for_ms, spec.keep_firing_for_ms, self._step_ms)
        self._no_data_after_ms = max(NO_DATA_AFTER_MS, spec.window_ms)
        self._fills_ms = spec.window_ms if needs_full_window(spec) else 0
        self._min_events = MIN_TAIL_EVENTS / tail_share(spec) if tail_share(spec) < 1.0 else 0.0
        self._never_data_after_ms = max(NEVER_DATA_AFTER_MS, 2 * spec.window_ms)

    # --- budgets come and go -------------------------------------------------------------------------------------

    def redefine(self, spec: IndicatorSpec, at: int) -> list[AlertEvent]:
        """Go on under a new version of the budget; what was learned stays, alerts under other labels end."""
        if spec == self.spec:
            return []
        events = self.close(at, "its labels changed") if spec.labels != self.spec.labels else []
        self.spec = spec
        self._prepare()
        for point_id, point in self.points.items():
            detector = Detector(watch_of(self.spec, self._step_ms, point_id))
            detector.restore(point.detector.snapshot())
            point.detector = detector
        return events

    def close(self, at: int, reason: str) -> list[AlertEvent]:
        """End every open alert for a reason that is not in the values."""
        events = []
        for _, point in sorted(self.points.items()):
            moment = _Moment(at, None, Evidence)
            for kind, alert in sorted(point.alerts.items()):
                events.append(self._event(point, kind, alert, "resolved", moment, reason))
                self._incidents.leave(alert.incident)
            point.alerts.clear()
        if self.no_data is not None:
            events.append(self._event(None, "no_data", self.no_data, "resolved", _Moment(at, None, Evidence), reason))
            self._incidents.leave(self.no_data.incident)
            self.no_data = None
        return events

    # --- one step ------------------------------------------------------------------------------------------------

    def admit(self, point_id: str, group: Mapping[str, str]) -> Point | None:
        """A new point; None = there are too many."""
        if len(self.points) >= MAX_POINTS:
            return None
        point = Point(group, Detector(watch_of(self.spec, self._step_ms, point_id)))
        self.points[point_id] = point
        return point

    def observe(self, point: Point, at: int, value: float, weight: float | None) -> list[AlertEvent]:
        """One point's value at a step."""
        self.last_data_at = at
        point.last_at = point.last_value_at = at
        point.last_value, point.weight = value, weight
        point.data_since = point.data_since or at
        spec, detector = self.spec, point.detector
        if at - point.data_since < self._fills_ms or not has_traffic(spec, weight):
            detector.skip(at)
            return self._hold(point, at, value, "unjudged") if point.alerts else []
        finding = detector.observe(at, value, weight)
        level = level_of(spec, value)
        events: list[AlertEvent] = []
        if point.alerts or level is not None or (finding is not None and (finding.regressed or finding.trending)):
            seen: dict[AlertKind, Seen] = {
                "budget": level or ("recovered" if has_recovered(spec, value) else "between"),
                "regression": self._regression(finding),
                "trend": self._trend(finding, point),
            }
            if weight is not None and weight < self._min_events:
                seen["regression"] = seen["trend"] = "unjudged"
            events = self._advance(point, seen, self._moment(point, at, value, finding))
        detector.learn(claimed=bool(point.alerts) and self._claims(point, finding))
        return events

    def miss(self, point: Point, at: int) -> list[AlertEvent]:
        """One point has no value at a step."""
        point.last_at = at
        point.data_since = 0
        point.detector.skip(at)
        return self._hold(point, at, None, "no_data") if point.alerts else []

    def check_data(self, at: int) -> list[AlertEvent]:
        """After the points of a step: does the indicator have data at all? One alert for all its points."""
        if self.last_data_at == at:
            seen: Seen = "recovered"
        elif self.no_data is not None:
            seen = self.no_data.severity
        elif self.last_data_at:
            seen = "warning" if at - self.last_data_at >= self._no_data_after_ms else "between"
        else:
            seen = "info" if at - self.since_ms >= self._never_data_after_ms else "between"
        if self.no_data is None and seen in {"recovered", "between"}:
            return []
        onset = format_time(self.last_data_at) if self.last_data_at and self.last_data_at != at else None
        moment = _Moment(at, self._plain_value(at), lambda: Evidence(onset=onset))
        alert, transition = next_state(self.no_data, seen, at, self._timings["no_data"])
        before, self.no_data = self.no_data, alert
        if transition is None:
            return []
        if before is None and alert is not None:
            self.no_data = alert = self._begin("no_data", alert, moment)
        shown = alert or before
        assert shown is not None
        if alert is None:
            self._incidents.leave(shown.incident)
        return [self._event(None, "no_data", shown, transition, moment)]

    def _plain_value(self, at: int) -> float | None:
        point = self.points.get(self.spec.id)
        return point.last_value if point is not None and point.last_value_at == at else None

    def timing_of(self, kind: AlertKind) -> Timing:
        """How long a condition of this kind holds before it fires, and recovery before it resolves."""
        return self._timings[kind]

    def forget(self, at: int) -> list[str]:
        """Drop the points that are gone for good; their ids."""
        gone = [
            point_id
            for point_id, point in self.points.items()
            if not point.alerts and at - point.last_value_at >= FORGET_AFTER_MS
        ]
        for point_id in gone:
            del self.points[point_id]
        return gone

    def stop_clocks(self) -> None:
        """Steps are missing from the log: nothing was seen without a break."""
        for point in self.points.values():
            point.alerts = {kind: stop_clocks(alert) for kind, alert in point.alerts.items()}
            point.detector.confidence.forget_recent()
        if self.no_data is not None:
            self.no_data = stop_clocks(self.no_data)

    # --- what a value means to each kind of alert ----------------------------------------------------------------

    def _regression(self, finding: Finding | None) -> Seen:
        if finding is None:
            return "unjudged"
        spec = self.spec
        if finding.regressed:
            return "critical" if finding.worse_by > spec.regression_critical else "warning"
        return "recovered" if finding.worse_by < spec.regression_warning * _RECOVERED_SHARE else "between"

    @staticmethod
    def _trend(finding: Finding | None, point: Point) -> Seen:
        if finding is None:
            return "unjudged"
        if not finding.trending:
            return "recovered"
        # What is a regression already need not be announced as going to become one.
        return "between" if "regression" in point.alerts and "trend" not in point.alerts else "warning"

    def _claims(self, point: Point, finding: Finding | None) -> bool:
        """Whether an open alert keeps this value out of the baseline.

        A limit that is always exceeded must not keep usual values out: a budget alert claims only what deviates.
        """
        if "regression" in point.alerts or "trend" in point.alerts:
            return True
        return finding is not None and finding.worse_by > self.spec.regression_warning * _RECOVERED_SHARE

    # --- from observations to events -----------------------------------------------------------------------------

    def _moment(self, point: Point, at: int, value: float, finding: Finding | None) -> _Moment:
        detector = point.detector
        averaged = detector.confidence.averaged if finding is not None else 1
        return _Moment(
            at,
            value,
            lambda: evidence_of(detector, finding, at),
            (averaged * self._step_ms) if averaged > 1 else 0,
            finding.expected if finding else None,
        )

    def _hold(self, point: Point, at: int, value: float | None, seen: Seen) -> list[AlertEvent]:
        moment = _Moment(at, value, lambda: evidence_of(point.detector, None, at))
        return self._advance(point, dict.fromkeys(sorted(point.alerts), seen), moment)

    def _advance(self, point: Point, seen: Mapping[AlertKind, Seen], moment: _Moment) -> list[AlertEvent]:
        """Every alert of a point one step on, in a fixed order."""
        events = []
        for kind in sorted(seen):
            before = point.alerts.get(kind)
            alert, transition = next_state(before, seen[kind], moment.at, self._timings[kind])
            if before is None and alert is not None:
                alert = self._begin(kind, alert, moment)
            if alert is not None:
                point.alerts[kind] = alert
            elif before is not None:
                del point.alerts[kind]
                self._incidents.leave(before.incident)
            shown = alert or before
            if transition is not None and shown is not None:
                events.append(self._event(point, kind, shown, transition, moment))
        return events

    def _begin(self, kind: AlertKind, alert: Alert, moment: _Moment) -> Alert:
        """An alert that begins, with its onset and its incident."""
        onset = onset_of(kind, moment.evidence(), alert.starts_at)
        weighty = is_weighty(kind, alert.severity)
        incident = self._incidents.join(self.spec.service, onset, moment.at, weighty=weighty)
        return msgspec.structs.replace(alert, onset=onset, incident=incident)

    def _threshold(self, kind: AlertKind, alert: Alert, expected: float | None) -> float | None:
        spec = self.spec
        critical = alert.severity == "critical"
        if kind == "budget":
            return spec.critical if critical else spec.warning
        if kind == "regression" and expected is not None:
            ratio = spec.regression_critical if critical else spec.regression_warning
            return expected + abs(expected) * (ratio if spec.direction == "above" else -ratio)
        return None

    def _event(
        self,
        point: Point | None,
        kind: AlertKind,
        alert: Alert,
        transition: Transition,
        moment: _Moment,
        reason: str = "",
    ) -> AlertEvent:
        spec = self.spec
        group = point.group if point is not None else {}
        labels = {**spec.labels, **group, "service": spec.service}
        labels = dict(sorted(labels.items()))
        fingerprint = fingerprint_of(kind, spec.service, spec.name, labels)
        episode = episode_of(fingerprint, alert.starts_at)
        evidence = moment.evidence()
        last_value_at = point.last_value_at if point is not None else self.last_data_at
        story = Story(
            spec,
            group,
            kind,
            transition,
            alert.severity,
            moment.value,
            evidence,
            alert.starts_at,
            last_value_at,
            moment.averaged_ms,
            reason,
        )
        event = AlertEvent(
            id=event_id_of(fingerprint, episode, transition, moment.at),
            fingerprint=fingerprint,
            episode=episode,
            kind=kind,
            transition=transition,
            status="resolved" if transition == "resolved" else alert.status,
            # It came to nothing: nobody was told, and nobody need be told that it is over.
            severity="info" if transition == "resolved" and alert.status == "pending" else alert.severity,
            service=spec.service,
            indicator=spec.name,
            incident=alert.incident,
            labels=labels,
            unit=spec.unit,
            value=moment.value,
            threshold=self._threshold(kind, alert, moment.expected),
            direction=spec.direction,
            evidence=evidence,
            starts_at=format_time(alert.starts_at),
            at=format_time(moment.at),
            ends_at=format_time(moment.at) if transition == "resolved" else None,
            annotations=annotate(story),
        )
        mention(self._incidents, event, alert.onset or alert.starts_at)
        return event


class Place(NamedTuple):
    """Where a point id of a frame leads."""

    watched: Watched
    point: Point

"""What the Judge knows of one point at its newest step: the record behind every explanation.

Plain numbers, so that whoever shows them needs no Judge. Limits, thresholds and units stand in the budget.
"""

import msgspec

from budgets.event import AlertKind, Status
from budgets.judge import Judge
from budgets.spec.model import Severity
from budgets.watch import Place
from streams.detect.baseline import Rung


class OpenAlert(msgspec.Struct, frozen=True):
    """An alert that is not resolved.

    holds_since: the condition, without a break; it fires after `fires_after`. recovered_since: that it does not; it is
    over after `over_after`.
    """

    status: Status
    severity: Severity
    starts_at: int
    holds_since: int | None
    recovered_since: int | None
    fires_after: int
    over_after: int


class Comparison(msgspec.Struct, frozen=True):
    """The newest value beside what is usual; ratios are relative to `expected`, changes positive = larger.

    spread: usual standard deviation. change: what significance is about, averaged over `averaged` values; value_change:
    of the newest value alone. sigmas: standard errors in the bad direction that the change is off, required_sigmas: how
    many the alarm budget asks for. alarm_level: the change that the indicator itself passes as rarely as that.
    """

    expected: float
    spread: float
    change: float
    value_change: float
    averaged: int
    low: float
    high: float
    z: float
    sigmas: float
    required_sigmas: float
    p_value: float
    alarm_level: float
    regressed: bool
    trending: bool


class PointState(msgspec.Struct, frozen=True):
    """One point at step `at`. Times are Unix ms, 0 = never.

    value: None = no data at this step. weight: events behind it. data_since: since when no step was without a value.
    indicator_at: when the indicator last had a value of any of its groups.
    learned_from, learned_to: the values behind the baseline. compared: None = there was nothing to compare with.
    """

    id: str
    at: int
    value: float | None
    weight: float | None
    data_since: int
    last_value_at: int
    indicator_at: int
    rung: Rung
    expected: float | None
    spread: float
    learned_from: int
    learned_to: int
    compared: Comparison | None
    alerts: dict[AlertKind, OpenAlert]


class StateFrame(msgspec.Struct, frozen=True):
    """Some points of one partition at one step, as they travel on the topic `states`."""

    at: int
    step: int
    points: list[PointState]
    schema: int = 1


# A point is told about once in this time.
TOLD_EVERY_MS = 60_000


def turns_of(step_ms: int) -> int:
    """In how many steps every point is told about."""
    return max(1, TOLD_EVERY_MS // step_ms)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StateFrame)


def encode_states(frame: StateFrame) -> bytes:
    """The frame as JSON."""
    return _encoder.encode(frame)


def decode_states(data: bytes) -> StateFrame:
    """The frame of a record of the states topic.

    Raises:
        msgspec.ValidationError: not such a frame.
    """
    return _decoder.decode(data)


def states_of(judge: Judge, at: int, step_ms: int) -> StateFrame:
    """The points whose turn it is after step `at`."""
    places = judge.look_around(at // step_ms, turns_of(step_ms))
    return StateFrame(at, step_ms, [state_of(point_id, place) for point_id, place in places])


def state_of(point_id: str, place: Place) -> PointState:
    """The state of a point after its newest step."""
    point, detector = place.point, place.point.detector
    has_value = point.last_value_at == point.last_at
    learned_from, learned_to = detector.baseline.learned_ms
    return PointState(
        id=point_id,
        at=point.last_at,
        value=point.last_value if has_value else None,
        weight=point.weight if has_value else None,
        data_since=point.data_since,
        last_value_at=point.last_value_at,
        indicator_at=place.watched.last_data_at,
        rung=detector.baseline.rung,
        expected=detector.baseline.expect(point.last_at),
        spread=detector.baseline.spread,
        learned_from=learned_from,
        learned_to=learned_to,
        compared=_compare(place),
        alerts=_open_alerts(place),
    )


def _open_alerts(place: Place) -> dict[AlertKind, OpenAlert]:
    """Those of the point, and that the indicator has no data."""
    watched, alerts = place.watched, dict(place.point.alerts)
    if watched.no_data is not None:
        alerts["no_data"] = watched.no_data
    timings = {kind: watched.timing_of(kind) for kind in alerts}
    return {
        kind: OpenAlert(
            alert.status,
            alert.severity,
            alert.starts_at,
            alert.worse_since,
            alert.calm_since,
            timings[kind].for_ms,
            timings[kind].keep_ms,
        )
        for kind, alert in sorted(alerts.items())
    }


def _compare(place: Place) -> Comparison | None:
    detector = place.point.detector
    finding = detector.finding
    if finding is None:
        return None
    confidence = detector.confidence
    low, high = confidence.interval
    return Comparison(
        expected=finding.expected,
        spread=detector.baseline.spread,
        change=confidence.change,
        value_change=finding.change,
        averaged=confidence.averaged,
        low=low,
        high=high,
        z=finding.z,
        sigmas=confidence.deviation,
        required_sigmas=confidence.required,
        p_value=confidence.p_value,
        alarm_level=detector.baseline.alarm_level,
        regressed=finding.regressed,
        trending=finding.trending,
    )

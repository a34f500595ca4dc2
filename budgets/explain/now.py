"""Why each kind of alert of a point fires now, or what is missing: conditions with their numbers, and one sentence.

What is asked here is what `budgets/watch.py` asks; a test holds both against each other.
"""

from typing import Literal

import msgspec

from budgets.event import AlertKind, Status, format_time
from budgets.explain.condition import Condition, Need, missing
from budgets.explain.state import Comparison, OpenAlert, PointState
from budgets.limits import level_of, worse_by
from budgets.quantity import format_chance, format_change, format_duration, format_value
from budgets.spec.model import IndicatorSpec
from budgets.traffic import MIN_TAIL_EVENTS, has_traffic, needs_full_window, tail_share
from budgets.watch import NO_DATA_AFTER_MS
from streams.detect.zscore import SIGMAS

_WARM = frozenset({"zscore", "season"})
_NAMES: dict[AlertKind, str] = {"budget": "limit", "regression": "regression", "trend": "trend", "no_data": "no-data"}


class KindExplanation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of alert of a point. `status`: quiet, or the alert's. `conditions`: all of them must hold to fire.
    `text`: why it fires or what is missing, and what would have to be true.
    """

    kind: AlertKind
    status: Status | Literal["quiet"]
    conditions: list[Condition]
    text: str


class Explanation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A point at its newest step `at`. `rung`: how much of its past is known; `baseline`: what is usual now."""

    id: str
    at: str
    unit: str
    value: float | None
    baseline: float | None
    spread: float | None
    baseline_from: str | None
    baseline_to: str | None
    rung: str
    text: str
    kinds: list[KindExplanation]


def explain(spec: IndicatorSpec, state: PointState) -> Explanation:
    """Every kind of alert of a point at its newest step."""
    kinds = [
        _kind(state, "budget", _limit(spec, state)),
        _kind(state, "regression", _regression(spec, state)),
        _kind(state, "trend", _trend(spec, state)),
        _kind(state, "no_data", _no_data(spec, state)),
    ]
    knows = state.learned_to > 0
    return Explanation(
        id=state.id,
        at=format_time(state.at),
        unit=spec.unit,
        value=state.value,
        baseline=state.expected,
        spread=state.spread if state.rung in _WARM else None,
        baseline_from=format_time(state.learned_from) if knows else None,
        baseline_to=format_time(state.learned_to) if knows else None,
        rung=state.rung,
        text=_head(spec, state),
        kinds=kinds,
    )


def _head(spec: IndicatorSpec, state: PointState) -> str:
    if state.value is None:
        last = f", the last value was at {format_time(state.last_value_at)}" if state.last_value_at else ""
        return f"{state.id} has no data{last}"
    text = f"{state.id} is {format_value(state.value, spec.unit)}"
    if state.compared is not None:
        usual = format_value(state.compared.expected, spec.unit)
        text += f", {format_change(state.compared.value_change)} to what is usual ({usual})"
    return text


def _kind(state: PointState, kind: AlertKind, conditions: list[Condition]) -> KindExplanation:
    alert = state.alerts.get(kind)
    lacking = missing(conditions)
    name = _NAMES[kind]
    if alert is not None:
        conditions = [*conditions, _lasts(state, alert)]
        since = format_time(alert.starts_at)
        if alert.status == "stale":
            text = f"The {name} alert was firing (since {since}) and stays open while there is no data."
        elif not lacking:
            text = f"The {name} alert is {alert.status} since {since}, {alert.severity}: every condition holds."
        else:
            text = f"The {name} alert is {alert.status} since {since} and ends when it stays so: {_listed(lacking)}."
    elif lacking:
        text = f"No {name} alert: {_listed(lacking)}."
    else:
        text = f"The {name} alert begins with this step."
    return KindExplanation(kind, alert.status if alert else "quiet", conditions, text)


def _listed(conditions: list[Condition]) -> str:
    return "; ".join(condition.text for condition in conditions)


def _lacking(need: Need, name: str, text: str) -> Condition:
    """A condition that cannot hold, without numbers."""
    return Condition(need, name, holds=False, value=None, threshold=None, unit="", text=text)


# --- what every kind needs -------------------------------------------------------------------------------------------


def _data(state: PointState) -> Condition:
    has = state.value is not None
    return Condition("data", "value", has, state.value, None, "", "there is a value" if has else "there is no value")


def _traffic(spec: IndicatorSpec, state: PointState) -> list[Condition]:
    """Whether the value says anything at all."""
    conditions = [_data(state)]
    if spec.min_traffic > 0:
        enough = has_traffic(spec, state.weight) if state.value is not None else None
        seen = "not counted" if state.weight is None else format_value(state.weight, "")
        text = f"{seen} events in the window, {format_value(spec.min_traffic, '')} are needed"
        conditions.append(Condition("traffic", "events", enough, state.weight, spec.min_traffic, "events", text))
    if needs_full_window(spec):
        lasted = max(0, state.at - state.data_since) if state.data_since else 0
        text = f"data for {format_duration(lasted)} without a break, {format_duration(spec.window_ms)} are needed"
        conditions.append(
            Condition("data", "full window", lasted >= spec.window_ms, float(lasted), float(spec.window_ms), "ms", text)
        )
    return conditions


def _tail(spec: IndicatorSpec, state: PointState) -> list[Condition]:
    """A percentile rests on the few events beyond it."""
    if tail_share(spec) >= 1.0 or state.weight is None:
        return []
    needed = MIN_TAIL_EVENTS / tail_share(spec)
    text = f"{format_value(state.weight, '')} events in the window, a percentile needs {format_value(needed, '')}"
    return [
        Condition(
            "traffic", "events beyond the percentile", state.weight >= needed, state.weight, needed, "events", text
        )
    ]


def _lasts(state: PointState, alert: OpenAlert) -> Condition:
    """How long the condition holds, against how long it has to."""
    lasted = state.at - alert.holds_since if alert.holds_since is not None else 0
    holds = alert.status != "pending" or lasted >= alert.fires_after
    text = f"holds for {format_duration(lasted)}, it fires after {format_duration(alert.fires_after)}"
    if alert.recovered_since is not None:
        recovered = format_duration(state.at - alert.recovered_since)
        text = f"recovered for {recovered}, it is over after {format_duration(alert.over_after)}"
    return Condition("persistence", "for", holds, float(lasted), float(alert.fires_after), "ms", text)


# --- the kinds -------------------------------------------------------------------------------------------------------


def _limit(spec: IndicatorSpec, state: PointState) -> list[Condition]:
    conditions = _traffic(spec, state)
    bound = spec.warning if spec.warning is not None else spec.critical
    if bound is None:
        return [
            *conditions,
            _lacking("limit", "limit", "the budget has no limit"),
        ]
    level = level_of(spec, state.value) if state.value is not None else None
    if level == "critical" and spec.critical is not None:
        bound = spec.critical
    shown = "nothing" if state.value is None else format_value(state.value, spec.unit)
    text = f"{shown}, it fires {spec.direction} {format_value(bound, spec.unit)}"
    holds = level is not None if state.value is not None else None
    return [*conditions, Condition("limit", "limit", holds, state.value, bound, spec.unit, text)]


def _rung(state: PointState) -> Condition:
    learned = state.learned_to - state.learned_from if state.learned_to else 0
    texts = {
        "limits": "nothing is known of the past yet",
        "change": "too little is known of the past to tell a change from noise",
        "zscore": "level and spread are known",
        "season": "level, spread and time of day are known",
    }
    text = f"{texts[state.rung]} (rung {state.rung}, {format_duration(learned)} learned)"
    return Condition("rung", "rung", state.rung in _WARM, float(learned), None, "ms", text)


def _regression(spec: IndicatorSpec, state: PointState) -> list[Condition]:
    conditions = [*_traffic(spec, state), *_tail(spec, state), _rung(state)]
    compared = state.compared
    if compared is None:
        return [*conditions, _lacking("rung", "baseline", "there is no usual value to compare with")]
    return [*conditions, *_size(spec, compared), *_significance(spec, compared)]


def _size(spec: IndicatorSpec, compared: Comparison) -> list[Condition]:
    change = worse_by(spec.direction, compared.change)
    worse = "higher" if spec.direction == "above" else "lower"
    over = f" over {compared.averaged} values" if compared.averaged > 1 else ""
    asked = format_change(spec.regression_warning).lstrip("+")
    size = Condition(
        "size",
        "regression_threshold",
        change > spec.regression_warning,
        change,
        spec.regression_warning,
        "ratio",
        f"{format_change(compared.change)}{over}, it matters from {asked} {worse}",
    )
    if compared.alarm_level <= 0:
        return [size]
    level = format_change(compared.alarm_level).lstrip("+")
    text = f"{format_change(compared.change)}, by itself it strays {level} {worse}"
    own = Condition(
        "significance", "own peaks", change > compared.alarm_level, change, compared.alarm_level, "ratio", text
    )
    return [size, own]


def _significance(spec: IndicatorSpec, compared: Comparison) -> list[Condition]:
    z = worse_by(spec.direction, compared.z)
    chance = format_chance(compared.p_value)
    interval = f"95 % CI {format_change(compared.low)} … {format_change(compared.high)}"
    sure = Condition(
        "significance",
        "confidence interval",
        compared.sigmas > compared.required_sigmas,
        compared.sigmas,
        compared.required_sigmas,
        "sigmas",
        f"{compared.sigmas:.1f} standard errors worse ({chance}, {interval}), the alarm budget asks for "
        f"{compared.required_sigmas:.1f}",
    )
    if compared.averaged > 1:  # the mean of a window speaks for its values
        return [sure]
    text = f"the newest value is {z:.1f} usual deviations worse, {SIGMAS:g} are suspicious"
    return [Condition("significance", "z-score", z > SIGMAS, z, SIGMAS, "sigmas", text), sure]


def _trend(spec: IndicatorSpec, state: PointState) -> list[Condition]:
    conditions = [*_traffic(spec, state), *_tail(spec, state)]
    compared = state.compared
    holds = compared.trending if compared is not None else None
    said = {None: "no slope is known yet", True: "it worsened steadily", False: "it did not surely worsen steadily"}
    least = format_change(spec.regression_warning / 2).lstrip("+")
    text = f"{said[holds]} over the last four hours, by {least} at least"
    if "regression" in state.alerts and "trend" not in state.alerts:
        conditions.append(_lacking("alert", "no regression yet", "it is a regression already"))
    return [*conditions, Condition("significance", "slope of four hours", holds, None, None, "", text)]


def _no_data(spec: IndicatorSpec, state: PointState) -> list[Condition]:
    after = max(NO_DATA_AFTER_MS, spec.window_ms)
    lasted = state.at - state.indicator_at if state.indicator_at else 0
    text = f"{format_duration(lasted)} without a value, it fires after {format_duration(after)}"
    return [Condition("data", "without a value", lasted >= after, float(lasted), float(after), "ms", text)]

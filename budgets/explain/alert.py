"""Why one alert did what an event says: the numbers of its evidence as conditions, and one sentence."""

import msgspec

from budgets.event import AlertEvent
from budgets.explain.condition import Condition
from budgets.limits import is_beyond, worse_by
from budgets.quantity import format_chance, format_change, format_value
from streams.detect.zscore import SIGMAS


class EventExplanation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The decision of one event. `conditions`: what its evidence says, with the numbers of that step."""

    event_id: str
    at: str
    transition: str
    text: str
    conditions: list[Condition]


def explain_event(event: AlertEvent) -> EventExplanation:
    """What stood behind an event."""
    conditions = [
        condition
        for condition in (_threshold(event), _change(event), _z(event), _interval(event))
        if condition is not None
    ]
    text = " ".join(part for part in (event.annotations.summary + ".", event.annotations.description) if part)
    return EventExplanation(event.id, event.at, event.transition, text, conditions)


def _threshold(event: AlertEvent) -> Condition | None:
    if event.value is None or event.threshold is None:
        return None
    bound = format_value(event.threshold, event.unit)
    text = f"{format_value(event.value, event.unit)}, it fires {event.direction} {bound}"
    holds = is_beyond(event.direction, event.value, event.threshold)
    if event.kind == "budget":
        return Condition("limit", "limit", holds, event.value, event.threshold, event.unit, text)
    return Condition("size", "threshold", holds, event.value, event.threshold, event.unit, text)


def _change(event: AlertEvent) -> Condition | None:
    evidence = event.evidence
    if evidence.change_ratio is None or evidence.baseline is None:
        return None
    text = f"{format_change(evidence.change_ratio)} to its baseline of {format_value(evidence.baseline, event.unit)}"
    holds = is_beyond(event.direction, evidence.change_ratio, 0.0)
    return Condition("size", "relative change", holds, evidence.change_ratio, 0.0, "ratio", text)


def _z(event: AlertEvent) -> Condition | None:
    if event.evidence.z is None:
        return None
    worse = worse_by(event.direction, event.evidence.z)
    text = f"{worse:.1f} usual deviations worse, {SIGMAS:g} are suspicious"
    return Condition("significance", "z-score", worse > SIGMAS, worse, SIGMAS, "sigmas", text)


def _interval(event: AlertEvent) -> Condition | None:
    evidence = event.evidence
    if evidence.ci95 is None or evidence.p_value is None:
        return None
    low, high = evidence.ci95
    holds = low > 0 if event.direction == "above" else high < 0
    says = "excludes" if holds else "includes"
    text = f"95 % CI {format_change(low)} … {format_change(high)} {says} no change ({format_chance(evidence.p_value)})"
    return Condition("significance", "confidence interval", holds, evidence.p_value, None, "", text)

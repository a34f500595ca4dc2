"""What an alert event says beyond its own indicator: what its incident began with, and what changed before.

The summary of an alert that is not what its incident is about names what is: "…, with response_time_p95 +35 % since
10:02 UTC". The description names recent changes, each with the chance that it has nothing to do with it.
"""

import math
from collections.abc import Sequence

import msgspec

from budgets.event import (
    AlertEvent,
    AlertKind,
    Annotations,
    Evidence,
    IncidentLead,
    Mention,
    RecentChange,
    format_time,
    parse_time,
)
from budgets.incident import TOGETHER_MS, Incidents, is_weighty
from budgets.limits import worse_by
from budgets.quantity import format_change, format_duration


def onset_of(kind: AlertKind, evidence: Evidence, starts_at: int) -> int:
    """When an alert that starts now began, Unix ms.

    A limit may break long after its value began to deviate: that is then another event.
    """
    onset = parse_time(evidence.onset) if evidence.onset else starts_at
    is_change = kind in {"regression", "trend"}
    return onset if is_change or starts_at - onset <= TOGETHER_MS else starts_at


def mention(incidents: Incidents, event: AlertEvent, onset: int) -> None:
    """Let the incident of an event that is being decided know of it; `tell` comes when the step is."""
    incidents.onsets[event.id] = onset
    if event.status != "firing" or not is_weighty(event.kind, event.severity):
        return
    change = event.evidence.change_ratio
    if change is not None and not math.isfinite(change):
        change = None
    effect = None if change is None else worse_by(event.direction, change)
    named = Mention(event.service, event.indicator, event.fingerprint, format_time(onset), change)
    incidents.mention(event.incident, named, onset, effect)


def tell(incidents: Incidents, events: Sequence[AlertEvent]) -> list[AlertEvent]:
    """A step's events, each with its incident's lead and the changes before its onset, in structure and in words."""
    onsets, incidents.onsets = incidents.onsets, {}
    return [_tell(incidents, event, onsets[event.id]) for event in events]


def _tell(incidents: Incidents, event: AlertEvent, onset: int) -> AlertEvent:
    lead = incidents.lead_of(event.incident) if event.status != "resolved" else None
    others = [service for service in lead.services if service != event.service] if lead else []
    changes = incidents.changes.suspects([event.service, *others], onset)
    summary, description = event.annotations.summary, event.annotations.description
    if event.status == "firing" and lead is not None:
        summary += _with_others(event, lead)
    sentences = [_sentence(event, change, onset, 1 + len(others)) for change in changes]
    description = " ".join(part for part in (*sentences, description) if part)
    annotations: Annotations = msgspec.structs.replace(event.annotations, summary=summary, description=description)
    return msgspec.structs.replace(event, lead=lead, changes=changes, annotations=annotations)


def _with_others(event: AlertEvent, lead: IncidentLead) -> str:
    """What to name beside the event's own indicator; "" = it is what the incident is about."""
    own = (event.service, event.indicator)
    named: list[Mention] = []
    for mention in (lead.earliest, lead.largest):
        if mention is None:
            continue
        if (mention.service, mention.indicator) not in {own, *((each.service, each.indicator) for each in named)}:
            named.append(mention)
    return ", with " + " and ".join(_name(event, mention) for mention in named) if named else ""


def _name(event: AlertEvent, mention: Mention) -> str:
    name = mention.indicator if mention.service == event.service else f"{mention.service} {mention.indicator}"
    change = f" {format_change(mention.change_ratio)}" if mention.change_ratio is not None else ""
    return f"{name}{change} since {_clock(mention.onset, event.at)}"


def _clock(text: str, now: str) -> str:
    """A time of day, with its date unless it is the same.

    >>> _clock("2027-01-15T10:02:30.000Z", "2027-01-15T10:05:00.000Z")
    '10:02 UTC'
    >>> _clock("2027-01-14T23:58:00.000Z", "2027-01-15T00:05:00.000Z")
    '2027-01-14 23:58 UTC'
    """
    day, time = text[:10], text[11:16]
    return f"{time} UTC" if day == now[:10] else f"{day} {time} UTC"


def _sentence(event: AlertEvent, change: RecentChange, onset: int, services: int) -> str:
    """What a change is worth as an explanation, in numbers."""
    before_ms = onset - parse_time(change.at)
    when = f"{format_duration(before_ms)} before the onset" if before_ms >= 1000 else "at the onset"
    text = f"{change.service} changed to {change.version} {when}" + (f" ({change.note})" if change.note else "")
    if change.per_day is None or change.chance is None:
        return text + "."
    whose = "it changes" if change.service == event.service else f"the {services} services of this incident change"
    return (
        f"{text}; {whose} {change.per_day:.2g} times a day, so by chance {change.chance * 100:.2g} % of onsets follow "
        "a change this closely."
    )

"""Who gets which event. Pure: settings, event and what the receiver was told so far in, a decision out.

- `pending` is never sent: nothing has happened yet. Neither is an `anomaly`, unless `kinds` names it: it may go away.
- An alert that a receiver was told about is told to its end, whatever its severity becomes: who was paged for a
  critical alert must hear that it is a warning now, that its data went missing, that it is over.
- An alert is not resolved for those who never heard of it, because its beginning was too old for them.
- Nothing older than the receiver's `max_age` is sent: a replay of history wakes nobody.
"""

from dataclasses import dataclass
from typing import Literal

from agents.settings import ReceiverSettings
from budgets.event import AlertEvent


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an event for one receiver. reason: why it expired."""

    state: Literal["pending", "expired"]
    reason: str = ""


def decide(receiver: ReceiverSettings, event: AlertEvent, age_ms: int, told: frozenset[str]) -> Decision | None:
    """What to do with an event.

    Args:
        age_ms: how long ago it was decided.
        told: states of this receiver's earlier deliveries of the same episode.

    Returns:
        None if it is not for this receiver.
    """
    knows = bool(told - {"expired"})
    if not _is_for(receiver, event, knows=knows) or (not told and _came_to_nothing(event)):
        return None
    if age_ms > receiver.max_age:
        return Decision("expired", "older than max_age when it was taken in")
    if event.transition == "resolved" and told and not knows:
        return Decision("expired", "what it resolves was older than max_age and never sent")
    return Decision("pending")


def _came_to_nothing(event: AlertEvent) -> bool:
    """Whether nothing but `pending` may have gone before: the Judge ends such an episode with severity info."""
    return event.transition == "resolved" and event.severity == "info"


def _is_for(receiver: ReceiverSettings, event: AlertEvent, *, knows: bool) -> bool:
    if event.transition == "pending" or (event.transition == "resolved" and not receiver.send_resolved):
        return False
    wanted_kind = event.kind in receiver.kinds if receiver.kinds else event.kind != "anomaly"
    wanted_service = not receiver.services or event.service in receiver.services
    wanted_severity = not receiver.severities or event.severity in receiver.severities
    return wanted_kind and wanted_service and (wanted_severity or knows)

"""What the API answers: one structure a document, from which `openapi.py` makes the schemas.

Docstrings are the descriptions that readers of the API see.
"""

from typing import Generic, Literal, TypeVar

import msgspec

from agents.storage.outbox import State as DeliveryState
from agents.web.states import State
from budgets.event import AlertEvent, AlertKind, Status, Transition
from budgets.spec.model import Direction, IndicatorKind, Severity

ItemT = TypeVar("ItemT")


class Page(msgspec.Struct, Generic[ItemT], frozen=True, forbid_unknown_fields=True):
    """A part of a list. `next`: pass it as `cursor` to get the following part; null = this was the last one."""

    items: list[ItemT]
    next: str | None


class ServiceItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service that has a budget. `state`: the worst of its indicators and firing alerts, the worst first:
    critical, warning, stale, no_data, low_traffic, ok. `states`: how many indicators are in which state.
    `alerts`: how many alerts are open, by status. `at`: its newest point. `source`: the file of its budget.
    """

    service: str
    state: State
    states: dict[State, int]
    alerts: dict[Status, int]
    at: str | None
    source: str


class IndicatorItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An indicator's newest value against its limit, all in `unit` (ratios are 0-1).

    `state`: ok, warning and critical compare the value with the limits; no_data = measured, but there was nothing, or
    never measured; stale = not measured any more; low_traffic = too few events behind it to judge. `at`: the step it
    was measured for. `weight`: events behind the value. `baseline`: what an open alert was judged against.
    """

    id: str
    service: str
    indicator: str
    labels: dict[str, str]
    kind: IndicatorKind
    unit: str
    value: float | None
    weight: float | None
    at: str | None
    limit: float | None
    warning: float | None
    critical: float | None
    direction: Direction
    state: State
    baseline: float | None


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event for one receiver. `due_at`: when it is tried next, while it is pending. `error`: why the latest attempt
    failed or why it was given up.
    """

    event_id: str
    transition: str
    receiver: str
    state: DeliveryState
    attempts: int
    status: int | None
    error: str
    due_at: str | None
    sent_at: str | None


class AlertDetail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An alert's latest event, all its transitions, oldest first, and what was sent about it (empty when the notifier
    keeps its outbox in another database).
    """

    alert: AlertEvent
    transitions: list[AlertEvent]
    deliveries: list[Delivery]


class ChangeItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A deployment or another change of a service. `at`: when it began. `by`: who told us."""

    service: str
    version: str
    at: str
    by: str
    note: str


class NewChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change to tell of. `at`: when it began, RFC 3339 or Unix milliseconds; null or not given = now."""

    service: str
    version: str
    at: str | int | None = None
    note: str = ""


class HistoryPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The points of one step together: the newest `value`, the smallest and the largest; null = no data."""

    at: str
    value: float | None
    min: float | None
    max: float | None
    weight: float | None


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An alert's transition on the time line."""

    at: str
    fingerprint: str
    kind: AlertKind
    transition: Transition
    severity: Severity


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An indicator over time. `step`: ms between two items. Limits are today's; null when no budget has the indicator
    any more. Always all there is: `next` is null.
    """

    id: str
    unit: str | None
    direction: Direction | None
    limit: float | None
    warning: float | None
    critical: float | None
    step: int
    items: list[HistoryPoint]
    marks: list[Mark]
    next: None


class Problem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What went wrong (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str

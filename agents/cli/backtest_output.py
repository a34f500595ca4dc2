"""What a back-test prints: an event as a line of JSON, or a table with a row for each alert that fired."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from budgets.event import AlertEvent

_STYLE = {"critical": "bold red", "warning": "yellow"}

# Where an event comes from: (file, row) of a recording, nothing of a Prometheus.
Origin = tuple[()] | tuple[str, int]


def event_line(origin: Origin, event: AlertEvent) -> str:
    """The event as it goes to the alerts topic, with the file and the row that decided it."""
    place: dict[str, Any] = dict(zip(("file", "row"), origin, strict=False))
    return msgspec.json.encode({**place, **msgspec.to_builtins(event)}).decode()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def episode_table(events: Sequence[tuple[Origin, AlertEvent]]) -> Table:
    """One row for each alert that fired, in the order in which they did."""
    table = Table(box=None, header_style="bold")
    lead = ("file", "row") if events and events[0][0] else ("service",)
    for column in (*lead, "fired at", "indicator", "kind", "severity", "value", "usual", "resolved at"):
        table.add_column(column, overflow="fold")
    ended = {(origin[:1], event.episode): event.at for origin, event in events if event.transition == "resolved"}
    worst: dict[tuple[Any, str], str] = {}
    fired: dict[tuple[Any, str], tuple[Origin, AlertEvent]] = {}
    for origin, event in events:
        key = (origin[:1], event.episode)
        if event.transition == "firing":
            fired.setdefault(key, (origin, event))
        if event.transition in {"firing", "escalated"} and worst.get(key) != "critical":
            worst[key] = event.severity
    for key, (origin, event) in fired.items():
        severity = worst[key]
        table.add_row(
            *(str(part) for part in origin or (event.service,)),
            event.at,
            Text(_indicator(event)),
            event.kind,
            Text(severity, style=_STYLE.get(severity, "")),
            _number(event.value),
            _number(event.evidence.baseline),
            ended.get(key, "still open"),
        )
    return table


def _indicator(event: AlertEvent) -> str:
    """The name, with the labels of its group and the direction where they are not the service's or the budget's."""
    return f"{event.indicator} {event.direction}" if "direction" in event.labels else event.indicator

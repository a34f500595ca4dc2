"""What a back-test prints: an event as a line of JSON, or a table with a row for each alert that fired."""

from collections.abc import Sequence

import msgspec
from rich.table import Table
from rich.text import Text

from agents.cli.backtest_files import FileResult
from budgets.event import AlertEvent

_STYLE = {"critical": "bold red", "warning": "yellow"}


def event_line(name: str, row: int, event: AlertEvent) -> str:
    """The event as it goes to the alerts topic, with the file and the row that decided it."""
    return msgspec.json.encode({"file": name, "row": row, **msgspec.to_builtins(event)}).decode()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def episode_table(results: Sequence[FileResult]) -> Table:
    """One row for each alert that fired, in the order in which they did."""
    table = Table(box=None, header_style="bold")
    for column in ("file", "row", "fired at", "indicator", "kind", "severity", "value", "usual", "resolved at"):
        table.add_column(column, overflow="fold")
    for result in results:
        ended = {event.episode: event.at for _, event in result.events if event.transition == "resolved"}
        severity: dict[str, str] = {}
        fired: dict[str, tuple[int, AlertEvent]] = {}
        for row, event in result.events:
            if event.transition == "firing":
                fired.setdefault(event.episode, (row, event))
            if event.transition in {"firing", "escalated"}:
                severity[event.episode] = event.severity
        for episode, (row, event) in fired.items():
            worst = severity[episode]
            cells = (
                *(result.name, str(row), event.at, _indicator(event), event.kind, worst),
                *(_number(event.value), _number(event.evidence.baseline), ended.get(episode, "still open")),
            )
            table.add_row(*(Text(cell, style=_STYLE.get(worst, "") if cell == worst else "") for cell in cells))
    return table


def _indicator(event: AlertEvent) -> str:
    return f"{event.indicator} {event.direction}" if "direction" in event.labels else event.indicator

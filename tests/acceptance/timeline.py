"""Timelines: what an indicator does, minute by minute, and exactly which transitions follow. A virtual clock.

One line a change, times from the start:

    0s      120
    2m      170        -> pending budget warning
    2m30s              -> firing budget warning
    5m      -          -> stale budget warning
    6m      120 w 3

A value holds at every step until the next one; `-` is no data, an empty place keeps the value, `w` is the weight.
`a=120 b=-` are the points of a grouped indicator. What stands behind `->` (several separated by `;`) happens at
exactly that step; nothing else may happen at any step.
"""

import re

from budgets.event import AlertEvent, parse_time
from budgets.judge import Judge
from budgets.spec.model import IndicatorSpec, ServiceBudget
from streams.frame import IndicatorFrame, Points, point_id

STEP_MS = 15_000
START_MS = 1_790_000_010_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
Row = dict[str, tuple[float | None, float | None]]


def spec(**changes: object) -> IndicatorSpec:
    """A latency indicator with a limit of 200 ms, warning from 160 ms."""
    values: dict[str, object] = {
        "id": "api/latency",
        "service": "api",
        "name": "latency",
        "kind": "custom",
        "expr": "latency",
        "unit": "ms",
        "direction": "above",
        "weight_expr": "requests",
        "limit": 200.0,
        "warning": 160.0,
        "critical": 200.0,
        "for_ms": 30_000,
        "keep_firing_for_ms": 60_000,
    }
    return IndicatorSpec(**{**values, **changes})  # type: ignore[arg-type]  # named by the caller


def budget(*specs: IndicatorSpec) -> ServiceBudget:
    return ServiceBudget(specs[0].service, specs)


def seconds_of(text: str) -> int:
    """`2m30s` -> 150."""
    return sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([smhd])", text))


def _row(text: str) -> Row:
    text, _, weight = text.partition(" w ")
    events = float(weight) if weight else None
    row: Row = {}
    for part in text.split():
        group, _, value = part.rpartition("=")
        key = point_id("api/latency", {"route": group} if group else {})
        row[key] = (None if value == "-" else float(value), events)
    return row


def frame_of(at: int, row: Row, step_ms: int = STEP_MS) -> IndicatorFrame:
    points = Points(list(row), [value for value, _ in row.values()], [weight for _, weight in row.values()])
    return IndicatorFrame(at=at, step=step_ms, points=points)


def parse_timeline(text: str) -> tuple[list[IndicatorFrame], list[tuple[int, str]]]:
    """Frames of every step, and (second, "transition kind severity") of everything that is to happen."""
    rows: dict[int, Row] = {}
    expected: list[tuple[int, str]] = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        doing, _, then = line.partition("->")
        moment, _, change = doing.strip().partition(" ")
        second = seconds_of(moment)
        rows[second] = _row(change) if change.strip() else rows[max(rows)]
        expected += [(second, " ".join(event.split())) for event in then.split(";") if event.strip()]
    frames: list[IndicatorFrame] = []
    row: Row = {}
    for second in range(0, max(rows) + 1, STEP_MS // 1000):
        row = rows.get(second, row)
        frames.append(frame_of(START_MS + second * 1000, row))
    return frames, expected


def told(event: AlertEvent) -> tuple[int, str]:
    """What a timeline says about an event."""
    route = event.labels.get("route")
    words = [event.transition, event.kind, event.severity, *([route] if route else [])]
    return (parse_time(event.at) - START_MS) // 1000, " ".join(words)


def play(text: str, *specs: IndicatorSpec) -> list[AlertEvent]:
    """Run a timeline and hold what happened against what it says."""
    frames, expected = parse_timeline(text)
    judge = Judge(STEP_MS)
    judge.define(budget(*(specs or (spec(),))), "api", 0)
    events = [event for frame in frames for event in judge.observe(frame)]
    happened = [told(event) for event in events]
    assert happened == expected, f"happened: {happened}"
    return events

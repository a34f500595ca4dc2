"""What a budget says once every default is filled in: plain frozen values that travel as JSON in orders.

The keys of budget *files* live in `file_model.py`; `load.py` and `complete.py` turn one into the other.
Ratios are 0-1 here (a file's `max_percentage: 1.0` is a limit of 0.01), durations are milliseconds.
"""

from typing import Literal

import msgspec

Direction = Literal["above", "below"]
Severity = Literal["info", "warning", "critical"]
IndicatorKind = Literal["response_time", "throughput", "error_rate", "hit_rate", "resource", "availability", "custom"]


class IndicatorSpec(msgspec.Struct, frozen=True, omit_defaults=False):
    """One indicator of one service, with its limit and how to judge it.

    id: `service/name`; a grouped indicator's points append `{label="value",...}` (labels sorted by name).
    expr: PromQL, no placeholders left; evaluates in `unit`.
    weight_expr: PromQL that counts the events behind the value in the window, None = not known.
    unit: "ms", "1/s", "ratio", or what the file says.
    direction: the bad direction, "above" for upper limits.
    limit, warning, critical: absolute values in `unit`; None = this indicator has no limit.
    recovery: absolute value in `unit` that the value must be on the good side of before an alert resolves.
    regression_warning, regression_critical: relative change in the bad direction against the baseline, ratio.
    for_ms: how long a condition must hold before pending turns firing.
    keep_firing_for_ms: how long recovery must hold before firing turns resolved.
    min_traffic: events in the window below which nothing is judged; 0 = always judge.
    window_ms: the longest range the default expression looks back.
    timezone: name in the IANA database. holidays: dates in it, `2026-12-25`, sorted.
    """

    id: str
    service: str
    name: str
    kind: IndicatorKind
    expr: str
    unit: str
    direction: Direction
    weight_expr: str | None = None
    limit: float | None = None
    warning: float | None = None
    critical: float | None = None
    recovery: float | None = None
    regression_warning: float = 0.15
    regression_critical: float = 0.25
    for_ms: int = 30_000
    keep_firing_for_ms: int = 60_000
    min_traffic: float = 0.0
    window_ms: int = 300_000
    group_by: tuple[str, ...] = ()
    alarm_budget: float = 1.0
    timezone: str = "UTC"
    holidays: tuple[str, ...] = ()
    runbook_url: str = ""
    owner: str = ""
    labels: dict[str, str] = {}


class ServiceBudget(msgspec.Struct, frozen=True):
    """Everything promised for one service: the document of a `budget/<service>` order."""

    service: str
    indicators: tuple[IndicatorSpec, ...]
    source: str = ""
    schema: int = 1

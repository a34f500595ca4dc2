"""What the API answers and is asked about baselines and the audit trail. Docstrings are what readers of the API see."""

from typing import Any, Literal

import msgspec

from budgets.baseline_order import Action
from streams.detect.usual import Usual


class BaselineVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of a baseline. `action`: create, update (the level of then was accepted), pin, unpin, or automatic
    (seven days whose levels stray by less than 5 %: `variation`, ratio). `level`: of the last day, in the indicator's
    unit; `spread`: relative to it. `pinned_to`: the release that it is pinned to since `pinned_at`; null = it goes on
    learning.
    """

    indicator: str
    version: int
    action: Action
    by: str
    at: str
    level: float | None
    spread: float | None
    learned_from: str | None
    learned_to: str | None
    pinned_to: str | None
    pinned_at: str | None
    variation: float | None
    note: str


class BaselineItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is usual for an indicator: `expected` at `at`, in `unit`; `spread` relative to it; `rung`, how much stands
    behind it; `season`, whose rhythm. null = not known yet. `version`: what stands in the books. `expr`,
    `weight_expr`: what it and its events are computed by.
    """

    id: str
    service: str
    labels: dict[str, str]
    unit: str
    expr: str
    weight_expr: str | None
    expected: float | None
    spread: float | None
    rung: str | None
    season: str | None
    at: str | None
    version: BaselineVersion | None


class Recorded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values from `since` on (Unix ms), `step` ms apart; null = there was none. `weights`: events behind each, or
    empty.
    """

    since: int
    step: int
    values: list[float | None]
    weights: list[float | None] = []


class NewBaseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An order about a baseline. `create`: what is usual, from `usual`, from `recorded` values, or from what Driftline
    has measured between `since` and `until` (by default the last four weeks). `update`: the present level is accepted.
    `pin`: it stands still, named after `release`, until `unpin`.
    """

    action: Literal["create", "update", "pin", "unpin"]
    usual: Usual | None = None
    recorded: Recorded | None = None
    since: str | int | None = None
    until: str | int | None = None
    release: str | None = None
    note: str = ""


class AuditItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order. `before`, `after`: the document that it replaced and its own; null = none. `previous`: the hash of the
    record before; `hash`: SHA-256 over the record on the audit topic without it.
    """

    subject: str
    by: str
    at: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    previous: str
    hash: str

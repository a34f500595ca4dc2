"""What each column of a recording is watched for: as its budget says, or without limits in the directions asked for.

An indicator has one bad direction. A column that is watched in both is two indicators of one name; they share the
service's alarm budget as any two do, and their events say which direction it was (`direction`, and a label that keeps
their fingerprints apart).

Without a budget nothing says how large a change matters, so none is asked for (`regression_warning` 0): what is not
chance is told. Everything else has the defaults that a budget file's indicator has.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from budgets.spec.complete import DEFAULT_WINDOW_MS
from budgets.spec.model import Direction, IndicatorSpec, ServiceBudget
from streams.frame import point_id, split_point_id

Directions = Literal["above", "below", "both"]
_DIRECTIONS: dict[Directions, tuple[Direction, ...]] = {
    "above": ("above",),
    "below": ("below",),
    "both": ("above", "below"),
}


class Columns(NamedTuple):
    """ids: of each column, the points that its values are judged as. known: which columns the budget has."""

    budget: ServiceBudget
    ids: tuple[tuple[str, ...], ...]
    known: tuple[bool, ...]


def watch_columns(
    names: Sequence[str], service: str, directions: Directions, step_ms: int, budget: ServiceBudget | None = None
) -> Columns:
    """The budget that the columns are judged by.

    Args:
        service: what the columns belong to.
        budget: of this service; a column is known by the indicator's name, `name{label="value"}` for a group of it.
    """
    specs = {spec.id: spec for spec in budget.indicators} if budget else {}
    watched: dict[str, IndicatorSpec] = {}
    ids: list[tuple[str, ...]] = []
    known: list[bool] = []
    for number, name in enumerate(names):
        query_id, labels = split_point_id(f"{service}/{name}")
        spec = specs.get(query_id)
        known.append(spec is not None)
        if spec is not None:
            watched[query_id] = spec
            ids.append((point_id(query_id, labels),))
        else:
            own = _without_limits(number, name, service, directions, step_ms)
            watched |= {each.id: each for each in own}
            ids.append(tuple(each.id for each in own))
    source = budget.source if budget else ""
    return Columns(ServiceBudget(service, tuple(watched.values()), source), tuple(ids), tuple(known))


def _without_limits(
    number: int, name: str, service: str, directions: Directions, step_ms: int
) -> tuple[IndicatorSpec, ...]:
    """One indicator a direction. Their ids are ours: a column's name may hold anything."""
    wanted = _DIRECTIONS[directions]
    return tuple(
        IndicatorSpec(
            id=f"{service}/column {number} {direction}",
            service=service,
            name=name,
            kind="custom",
            expr="",
            unit="",
            direction=direction,
            regression_warning=0.0,
            regression_critical=math.inf,  # nor which change is a disaster
            window_ms=max(DEFAULT_WINDOW_MS, 4 * step_ms),
            labels={"direction": direction} if len(wanted) > 1 else {},
        )
        for direction in wanted
    )

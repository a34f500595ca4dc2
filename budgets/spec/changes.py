"""Which orders bring the log from the budgets that it holds to those that a source now says."""

from collections.abc import Iterable, Mapping

import msgspec

from budgets.order import Order
from budgets.spec.model import ServiceBudget
from budgets.spec.resolve import budget_of_order, document_of

_KIND = "budget/"


def changes_between(
    current: Mapping[str, Order], budgets: Iterable[ServiceBudget], *, by: str, at_ms: int, effective_at_ms: int
) -> list[Order]:
    """Orders for the budgets that differ, and for those of the same source that are gone; often none.

    Args:
        current: the latest order of every subject.
        budgets: everything that the source says.
        by: the source. What others gave orders for stays, unless the source has a budget for it, too.
    """
    wanted = {_KIND + budget.service: budget for budget in budgets}
    orders = [
        Order(subject, document_of(budget), by, at_ms, effective_at_ms)
        for subject, budget in wanted.items()
        if not _is_same(current.get(subject), budget)
    ]
    orders += [
        Order(subject, None, by, at_ms, effective_at_ms)
        for subject, order in current.items()
        if subject.startswith(_KIND) and order.by == by and order.document is not None and subject not in wanted
    ]
    return orders


def _is_same(order: Order | None, budget: ServiceBudget) -> bool:
    """Whether the log holds this budget already; where its file lies makes no difference."""
    held = budget_of_order(order) if order is not None else None
    return held is not None and _without_source(held) == _without_source(budget)


def _without_source(budget: ServiceBudget) -> ServiceBudget:
    return msgspec.structs.replace(budget, source="")

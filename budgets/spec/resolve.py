"""What roles need of a budget: its queries and selectors, and the document that travels in an order."""

from typing import Any

import msgspec

from budgets.order import Order
from budgets.spec.model import ServiceBudget
from streams.promql.expression import Selector
from streams.promql.parse import parse_expression, selectors_of
from streams.query import Query

SCHEMA = 1


def queries_of(budget: ServiceBudget) -> list[Query]:
    """One query for each indicator: what a Meter is to compute."""
    return [Query(spec.id, spec.expr, spec.weight_expr) for spec in budget.indicators]


def selectors_of_budget(budget: ServiceBudget) -> tuple[Selector, ...]:
    """Every selector of its expressions, each once: the series that the service needs."""
    exprs = [expr for spec in budget.indicators for expr in (spec.expr, spec.weight_expr) if expr]
    return tuple(dict.fromkeys(selector for expr in exprs for selector in selectors_of(expr)))


def document_of(budget: ServiceBudget) -> dict[str, Any]:
    """The budget as the document of an order."""
    document = msgspec.to_builtins(budget)
    assert isinstance(document, dict)
    return document


def budget_of_order(order: Order) -> ServiceBudget | None:
    """The budget that a `budget/<service>` order brings; None = the service is not watched any more.

    Raises:
        msgspec.ValidationError: the document has not the shape of a budget.
        ValueError: it has, but cannot be used: another service, another schema, an expression beyond the subset.
    """
    if order.document is None:
        return None
    budget = msgspec.convert(order.document, ServiceBudget)
    if order.schema != SCHEMA or budget.schema != SCHEMA:
        raise ValueError(f"expected schema {SCHEMA}, got {order.schema} with a budget of schema {budget.schema}")
    if order.subject != f"budget/{budget.service}":
        raise ValueError(f"{order.subject}: the document is the budget of {budget.service!r}")
    for spec in budget.indicators:
        if spec.service != budget.service or spec.id != f"{budget.service}/{spec.name}":
            raise ValueError(f"{order.subject}: {spec.id!r} is no indicator of it")
        parse_expression(spec.expr)
        if spec.weight_expr is not None:
            parse_expression(spec.weight_expr)
    return budget

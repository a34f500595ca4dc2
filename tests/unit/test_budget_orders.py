"""Budgets as orders: the document that travels, and which orders a changed file comes to."""

from pathlib import Path

import msgspec
import pytest

from budgets.order import Order, decode_order, encode_order
from budgets.spec.changes import changes_between
from budgets.spec.load import load_budgets
from budgets.spec.model import ServiceBudget
from budgets.spec.resolve import budget_of_order, document_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "budgets"
AT, STEP = 1_790_000_000_000, 1_790_000_010_000


def budget_of(service: str = "api", rps: float = 10, source: str = "b.json") -> ServiceBudget:
    text = f'{{"{service}": {{"labels": {{"team": "x"}}, "group_by": ["a"], "throughput": {{"min_rps": {rps}}}}}}}'
    return load_budgets(text, source, step_ms=1000)[0]


def order_of(budget: ServiceBudget, by: str = "files") -> Order:
    return Order(f"budget/{budget.service}", document_of(budget), by, AT, STEP)


@pytest.mark.parametrize("name", ["auth-service", "policy-service", "infrastructure"])
def test_a_budget_comes_back_from_an_order_as_it_was(name: str) -> None:
    (budget,) = load_budgets((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"), f"{name}.json", step_ms=15_000)
    assert budget_of_order(decode_order(encode_order(order_of(budget)))) == budget


def test_an_order_without_a_document_ends_a_budget() -> None:
    assert budget_of_order(Order("budget/api", None, "files", AT, STEP)) is None


def test_a_document_that_is_no_budget_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        budget_of_order(Order("budget/api", {"service": "api"}, "files", AT, STEP))


@pytest.mark.parametrize(
    "change",
    [
        {"service": "other"},
        {"schema": 2},
        {"indicators": [{**document_of(budget_of())["indicators"][0], "expr": "info(x)"}]},
        {"indicators": [{**document_of(budget_of())["indicators"][0], "weight_expr": "sum("}]},
        {"indicators": [{**document_of(budget_of())["indicators"][0], "id": "other/throughput"}]},
    ],
)
def test_a_budget_that_cannot_be_carried_out_is_refused(change: dict[str, object]) -> None:
    order = order_of(budget_of())
    assert order.document is not None
    with pytest.raises(ValueError, match=r".+"):
        budget_of_order(msgspec.structs.replace(order, document={**order.document, **change}))


def changes(current: list[Order], budgets: list[ServiceBudget]) -> list[Order]:
    return changes_between(
        {order.subject: order for order in current}, budgets, by="files", at_ms=AT, effective_at_ms=STEP
    )


def test_what_the_log_holds_already_is_not_ordered_again() -> None:
    assert changes([order_of(budget_of())], [budget_of()]) == []


def test_a_file_that_only_moved_changes_nothing() -> None:
    assert changes([order_of(budget_of(source="/old/b.json"))], [budget_of(source="/new/b.json")]) == []


def test_only_the_budget_that_differs_is_ordered_with_its_whole_document() -> None:
    current = [order_of(budget_of("api")), order_of(budget_of("shop"))]
    (order,) = changes(current, [budget_of("api", rps=11), budget_of("shop")])
    assert order == Order("budget/api", document_of(budget_of("api", rps=11)), "files", AT, STEP)


def test_a_budget_that_left_the_files_is_ended_once() -> None:
    (order,) = changes([order_of(budget_of())], [])
    assert order == Order("budget/api", None, "files", AT, STEP)
    assert changes([order], []) == []


def test_an_ended_budget_can_come_back() -> None:
    assert [
        order.document is None for order in changes([Order("budget/api", None, "files", AT, STEP)], [budget_of()])
    ] == [False]


def test_what_others_ordered_stays() -> None:
    current = [order_of(budget_of("shop"), by="alice"), Order("silence/1", {"a": 1}, "files", AT, STEP)]
    assert changes(current, []) == []

"""Which services need a series, and how changes of budgets change that."""

import time

import pytest

from agents.ingest.routes import GRACE_MS, Routes
from streams.promql.parse import PromqlError
from tests.unit.ingest_parts import budget_of, requests_total, routes_of


def services(routes: Routes, name: str, **labels: str) -> tuple[bytes, ...]:
    return routes.route_of([("__name__", name), *labels.items()]).services


def test_a_series_goes_to_every_service_whose_budget_selects_it() -> None:
    routes = routes_of(
        budget_of("a", requests_total("a"), 'up{job="a"} / on() up{job="b"}'),
        budget_of("b", requests_total("b"), 'sum(rate(http_requests_total{service=~"a|b", code!="200"}[5m]))'),
    )
    assert services(routes, "http_requests_total", service="a", code="200") == (b"a",)
    assert services(routes, "http_requests_total", service="a", code="500") == (b"a", b"b")
    assert services(routes, "http_requests_total", service="c", code="500") == ()
    assert services(routes, "up", job="b") == (b"a",)
    assert services(routes, "up") == ()
    assert services(routes, "down", job="a") == ()


def test_what_the_weights_need_is_needed_too() -> None:
    routes = routes_of(budget_of("a", "up", weight_expr='sum(increase(requests_total{service="a"}[5m]))'))
    assert services(routes, "requests_total", service="a") == (b"a",)


def test_a_selector_without_a_name_is_tried_for_every_metric() -> None:
    routes = routes_of(budget_of("a", 'sum({__name__=~"cpu_.*", pod="x"})'), budget_of("b", "sum(cpu_seconds)"))
    assert services(routes, "cpu_seconds", pod="x") == (b"a", b"b")
    assert services(routes, "cpu_seconds", pod="y") == (b"b",)
    assert services(routes, "mem", pod="x") == ()


def test_matchers_of_absent_labels_hold_as_in_prometheus() -> None:
    routes = routes_of(budget_of("a", 'sum(up{job=""})'), budget_of("b", 'sum(up{job!="x"})'))
    assert services(routes, "up") == (b"a", b"b")
    assert services(routes, "up", job="x") == ()


def test_series_that_go_the_same_way_share_one_route() -> None:
    routes = routes_of(budget_of("a", requests_total("a")))
    first = routes.route_of([("__name__", "http_requests_total"), ("service", "a"), ("code", "1")])
    assert routes.route_of([("__name__", "http_requests_total"), ("service", "a"), ("code", "2")]) is first
    assert routes.route_of([("__name__", "x")]) is routes.route_of([("__name__", "y")])


def test_old_and_new_selectors_are_served_around_a_change() -> None:
    routes = routes_of(budget_of("a", "old"))
    routes.define("a", budget_of("a", "new"), 1_000_000)
    routes.expire(1_000_000 + GRACE_MS - 1)
    assert services(routes, "old") == services(routes, "new") == (b"a",)
    routes.expire(1_000_000 + GRACE_MS)
    assert services(routes, "old") == ()
    assert services(routes, "new") == (b"a",)


def test_a_removed_budget_is_served_for_a_while_and_then_forgotten() -> None:
    routes = routes_of(budget_of("a", "old"))
    routes.define("a", None, 1_000)
    assert services(routes, "old") == (b"a",)
    routes.expire(1_000 + GRACE_MS)
    assert services(routes, "old") == ()


def test_a_tombstone_forgets_at_once() -> None:
    routes = Routes()
    routes.define("a", budget_of("a", "old"), 5_000)
    routes.define("a", None, 0)
    assert services(routes, "old") == ()


def test_only_metrics_whose_selectors_changed_are_told() -> None:
    routes = routes_of(budget_of("a", "kept", "gone"), budget_of("b", 'sum({__name__=~"x.*"})'))
    assert routes.take_changes() == {"kept", "gone", None}
    assert routes.take_changes() == set()
    routes.define("a", budget_of("a", "kept", "gone"), 1_000)
    assert routes.take_changes() == set()
    routes.define("a", budget_of("a", "kept", "come"), 2_000)
    assert routes.take_changes() == {"come"}
    routes.expire(2_000 + GRACE_MS)
    assert routes.take_changes() == {"gone"}


def test_an_expression_that_cannot_be_taken_changes_nothing() -> None:
    routes = routes_of(budget_of("a", "old"))
    with pytest.raises(PromqlError):
        routes.define("a", budget_of("a", "sum("), 1_000)
    assert services(routes, "old") == (b"a",)


def test_thousands_of_budgets_cost_a_new_series_little() -> None:
    budgets = [budget_of(f"s{n}", requests_total(f"s{n}"), "up") for n in range(3_000)]
    routes = routes_of(*budgets)
    assert services(routes, "http_requests_total", service="s7") == (b"s7",)
    started = time.process_time()
    for n in range(1_000):
        services(routes, "http_requests_total", service=f"s{n}", code="200")
    # Tried one by one it would be a millisecond each.
    assert time.process_time() - started < 0.2

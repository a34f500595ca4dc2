"""Expressions of budgets: selectors, grouping, placeholders, indicators of a file's own."""

from typing import Any

import pytest

from streams.promql.parse import parse_expression
from tests.unit.test_budget_keys import load


@pytest.mark.parametrize("text", ['job="api-prod"', '{job="api-prod"}', ' { job = "api-prod", } '])
def test_a_selector_replaces_the_service_label(text: str) -> None:
    spec = load({"selector": text, "throughput": {"min_rps": 1}})["throughput"]
    parse_expression(spec.expr)
    assert "api-prod" in spec.expr
    assert "service=" not in spec.expr


def test_a_selector_can_name_the_service() -> None:
    spec = load({"selector": 'job="$service",env="prod"', "throughput": {"min_rps": 1}})["throughput"]
    assert spec.expr == 'sum(rate(http_requests_total{job="api",env="prod"}[5m]))'


def test_an_empty_selector_takes_every_series() -> None:
    assert (
        load({"selector": "", "throughput": {"min_rps": 1}})["throughput"].expr == "sum(rate(http_requests_total[5m]))"
    )


def test_cluster_wide_indicators_have_no_service_but_take_a_selector() -> None:
    plain = load({"cluster_cpu": {"max_percentage": 80}})["cluster_cpu"]
    assert plain.expr == '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m]))'
    chosen = load({"selector": 'cluster="eu"', "node_availability": {"min_percentage": 99}})["node_availability"]
    assert chosen.expr == 'avg(up{job=~"node|node[-_]exporter",cluster="eu"})'


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("response_time", {"p95": {"budget_ms": 200}}),
        ("throughput", {"min_rps": 1}),
        ("throughput", {"min_decisions_per_sec": 1}),
        ("error_rate", {"max_percentage": 1}),
        ("cache_hit_rate", {"min_percentage": 80}),
        ("cluster_cpu", {"max_percentage": 80}),
        ("cluster_memory", {"max_percentage": 80}),
        ("node_availability", {"min_percentage": 99}),
    ],
)
def test_every_default_expression_can_be_grouped_with_its_weight(name: str, keys: dict[str, Any]) -> None:
    (spec,) = load({"group_by": ["route"], name: keys}).values()
    parse_expression(spec.expr)
    assert "by (" in spec.expr
    assert "sum(" not in spec.expr
    assert "avg(" not in spec.expr
    if spec.weight_expr is not None:
        parse_expression(spec.weight_expr)
        assert "sum(" not in spec.weight_expr


def test_a_grouped_percentile_keeps_le_and_the_label() -> None:
    (spec,) = load({"response_time": {"group_by": ["route"], "p95": {"budget_ms": 200}}}).values()
    assert spec.expr == (
        "histogram_quantile(0.95, sum by (le, route) "
        '(rate(http_request_duration_seconds_bucket{service="api"}[5m]))) * 1000'
    )


def test_the_throughput_of_a_decision_maker_counts_decisions() -> None:
    spec = load({"throughput": {"min_decisions_per_sec": 5000}})["throughput"]
    assert spec.expr == 'sum(rate(policy_decisions_total{service="api"}[5m]))'
    assert (spec.limit, spec.unit) == (5000.0, "1/s")


def test_a_file_overrides_an_expression_under_indicators_or_in_place() -> None:
    expr = "histogram_quantile($quantile, sum by (le) (rate(lat_bucket{$selector}[$window]))) * 1000"
    limits = {"p95": {"budget_ms": 200}, "p99": {"budget_ms": 300}}
    listed = load({"indicators": {"response_time": {"expr": expr, "unit": "ms"}}, "response_time": limits})
    in_place = load({"response_time": {"expr": expr, "unit": "ms", **limits}})
    assert listed == in_place
    assert listed["response_time_p99"].expr == (
        'histogram_quantile(0.99, sum by (le) (rate(lat_bucket{service="api"}[5m]))) * 1000'
    )
    assert listed["response_time_p99"].kind == "response_time"
    assert listed["response_time_p99"].limit == 300.0


def test_one_percentile_can_be_overridden_by_its_full_name() -> None:
    specs = load(
        {
            "response_time": {"p50": {"budget_ms": 100}, "p95": {"budget_ms": 200}},
            "indicators": {"response_time_p95": {"expr": "max(p95_ms{$selector})", "weight_expr": "sum(n{$selector})"}},
        }
    )
    assert specs["response_time_p95"].expr == 'max(p95_ms{service="api"})'
    assert specs["response_time_p95"].weight_expr == 'sum(n{service="api"})'
    assert "http_request_duration" in specs["response_time_p50"].expr


def test_an_overridden_expression_has_no_default_weight_and_so_no_minimum_of_traffic() -> None:
    spec = load({"error_rate": {"max_percentage": 1, "expr": "sum(bad{$selector}) / sum(all{$selector})"}})[
        "error_rate"
    ]
    assert (spec.weight_expr, spec.min_traffic, spec.window_ms) == (None, 0.0, 0)


def test_a_limit_in_milliseconds_fits_an_expression_in_seconds() -> None:
    spec = load({"response_time": {"unit": "s", "expr": "max(p95{$selector})", "p95": {"budget_ms": 200}}})
    assert (spec["response_time_p95"].limit, spec["response_time_p95"].unit) == (0.2, "s")


CUSTOM: list[tuple[dict[str, Any], float, str, str]] = [
    ({"unit": "jobs", "max": 100}, 100.0, "jobs", "above"),
    ({"unit": "pods", "min": 3}, 3.0, "pods", "below"),
    ({"unit": "connections", "max_connections": 80}, 80.0, "connections", "above"),
    ({"unit": "1/s", "min_logins_per_sec": 5}, 5.0, "1/s", "below"),
    ({"max_percentage": 12.5}, 0.125, "ratio", "above"),
    ({"unit": "ratio", "min_percentage": 99.9}, 0.999, "ratio", "below"),
    ({"budget_ms": 40}, 40.0, "ms", "above"),
    ({"unit": "s", "budget_ms": 40}, 0.04, "s", "above"),
]


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(("keys", "limit", "unit", "direction"), CUSTOM)
def test_an_indicator_of_the_files_own_is_an_expression_a_unit_and_a_limit(
    keys: dict[str, Any], limit: float, unit: str, direction: str, listed: bool
) -> None:
    own = {"depth": {"expr": "max(depth{$selector})", **keys}}
    spec = load({"indicators": own} if listed else own)["depth"]
    assert (spec.id, spec.kind, spec.expr) == ("api/depth", "custom", 'max(depth{service="api"})')
    assert (spec.limit, spec.unit, spec.direction) == (limit, unit, direction)


def test_the_window_of_an_own_expression_is_its_longest_range() -> None:
    spec = load({"a": {"expr": "sum(rate(x{$selector}[$window])) + sum(rate(y[1h]))", "unit": "1/s", "max": 1}})["a"]
    assert spec.window_ms == 3_600_000
    assert "[5m]" in spec.expr


def test_min_traffic_counts_by_the_files_own_weight() -> None:
    keys = {"expr": "sum(a)", "unit": "jobs", "max": 1, "weight_expr": "sum(n{$selector})", "min_traffic": 7}
    spec = load({"a": keys})["a"]
    assert (spec.weight_expr, spec.min_traffic) == ('sum(n{service="api"})', 7.0)


def test_the_dollar_of_a_regular_expression_is_no_placeholder() -> None:
    spec = load({"a": {"expr": 'sum(up{pod=~"api-.*$",job=~"${service}$"})', "unit": "pods", "min": 1}})["a"]
    assert spec.expr == 'sum(up{pod=~"api-.*$",job=~"api$"})'

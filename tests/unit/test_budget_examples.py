"""The three shipped documents: unchanged, and what exactly they come to."""

import json
from pathlib import Path

import pytest

from budgets.spec.load import load_budgets
from budgets.spec.model import IndicatorSpec
from budgets.spec.resolve import queries_of, selectors_of_budget
from streams.promql.parse import parse_expression

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "budgets"
# limit, warning, critical, regression warning and critical, unit, direction
EXPECTED = {
    "auth-service/response_time_p50": (100.0, 80.0, 100.0, 0.15, 0.25, "ms", "above"),
    "auth-service/response_time_p95": (200.0, 160.0, 200.0, 0.15, 0.25, "ms", "above"),
    "auth-service/response_time_p99": (500.0, 400.0, 500.0, 0.20, 0.25, "ms", "above"),
    "auth-service/throughput": (1000.0, 900.0, 800.0, 0.10, 0.20, "1/s", "below"),
    "auth-service/error_rate": (0.01, 0.005, 0.008, 0.05, 0.10, "ratio", "above"),
    "infrastructure/cluster_cpu": (0.80, 0.64, 0.72, 0.10, 0.20, "ratio", "above"),
    "infrastructure/cluster_memory": (0.85, 0.68, 0.765, 0.10, 0.20, "ratio", "above"),
    "infrastructure/node_availability": (0.99, 0.9801, 0.9405, 0.01, 0.05, "ratio", "below"),
    "policy-service/response_time_p95": (50.0, 40.0, 50.0, 0.15, 0.25, "ms", "above"),
    "policy-service/throughput": (5000.0, 4500.0, 4000.0, 0.10, 0.20, "1/s", "below"),
    "policy-service/cache_hit_rate": (0.80, 0.72, 0.64, 0.05, 0.10, "ratio", "below"),
}


def load_examples(step_ms: int = 15_000) -> dict[str, IndicatorSpec]:
    return {
        spec.id: spec
        for path in sorted(EXAMPLES.glob("*.json"))
        for budget in load_budgets(path.read_text(encoding="utf-8"), str(path), step_ms=step_ms)
        for spec in budget.indicators
    }


@pytest.mark.parametrize(("indicator", "expected"), EXPECTED.items())
def test_a_shipped_document_has_exactly_these_limits(indicator: str, expected: tuple[object, ...]) -> None:
    spec = load_examples()[indicator]
    assert (
        spec.limit,
        spec.warning,
        spec.critical,
        spec.regression_warning,
        spec.regression_critical,
        spec.unit,
        spec.direction,
    ) == expected


def test_the_shipped_documents_have_no_further_indicators() -> None:
    assert set(load_examples()) == set(EXPECTED)


def test_the_guides_documents_are_the_shipped_ones() -> None:
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(EXAMPLES.glob("*"))]
    assert [list(document) for document in documents] == [["auth-service"], ["infrastructure"], ["policy-service"]]


@pytest.mark.parametrize("indicator", EXPECTED)
def test_a_default_expression_is_of_the_supported_subset(indicator: str) -> None:
    spec = load_examples()[indicator]
    parse_expression(spec.expr)
    if spec.weight_expr is not None:
        parse_expression(spec.weight_expr)


@pytest.mark.parametrize(
    ("step_ms", "window"), [(1_000, "[5m]"), (15_000, "[5m]"), (75_000, "[5m]"), (300_000, "[20m]")]
)
def test_the_default_window_is_five_minutes_and_at_least_four_steps(step_ms: int, window: str) -> None:
    specs = load_examples(step_ms)
    assert window in specs["auth-service/throughput"].expr
    assert specs["auth-service/throughput"].window_ms == max(300_000, 4 * step_ms)


def test_a_budget_becomes_one_query_for_each_indicator_with_what_it_counts() -> None:
    (budget,) = load_budgets((EXAMPLES / "auth-service.json").read_text(encoding="utf-8"), "a.json", step_ms=15_000)
    queries = {query.id: query for query in queries_of(budget)}
    assert list(queries) == [spec.id for spec in budget.indicators]
    assert queries["auth-service/throughput"].expr == 'sum(rate(http_requests_total{service="auth-service"}[5m]))'
    assert queries["auth-service/response_time_p95"].weight_expr == (
        'sum(increase(http_request_duration_seconds_bucket{le="+Inf",service="auth-service"}[5m]))'
    )


def test_a_budgets_selectors_are_those_of_values_and_weights_each_once() -> None:
    (budget,) = load_budgets((EXAMPLES / "policy-service.json").read_text(encoding="utf-8"), "p.json", step_ms=15_000)
    selectors = selectors_of_budget(budget)
    names = sorted(matcher.value for found in selectors for matcher in found.matchers if matcher.name == "__name__")
    assert names == [
        "cache_hits_total",
        "cache_misses_total",
        "http_request_duration_seconds_bucket",
        "http_request_duration_seconds_bucket",  # with and without le="+Inf"
        "policy_decisions_total",
    ]

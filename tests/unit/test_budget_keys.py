"""Every key of a budget file, in both formats: what it does, where it may stand, who wins."""

import json
from typing import Any

import pytest
import yaml

from budgets.limits import has_recovered, level_of
from budgets.spec.load import load_budgets
from budgets.spec.model import IndicatorSpec, ServiceBudget


def load(service: dict[str, Any], step_ms: int = 15_000, ending: str = "json") -> dict[str, IndicatorSpec]:
    """The indicators of a service called api, by name."""
    document = {"api": service}
    text = json.dumps(document) if ending == "json" else yaml.safe_dump(document, sort_keys=False)
    (budget,) = load_budgets(text, f"api.{ending}", step_ms=step_ms)
    return {spec.name: spec for spec in budget.indicators}


OPTIONS: list[tuple[str, Any, str, Any]] = [
    ("for", "2m", "for_ms", 120_000),
    ("for", 0, "for_ms", 0),
    ("keep_firing_for", "1m30s", "keep_firing_for_ms", 90_000),
    ("recovery_threshold", 0.95, "recovery", 950.0),
    ("min_traffic", 50, "min_traffic", 50.0),
    ("window", "15s", "window_ms", 15_000),
    ("group_by", ["route", "method"], "group_by", ("method", "route")),
    ("group_by", "route", "group_by", ("route",)),
    ("alarm_budget", 3, "alarm_budget", 3.0),
    ("timezone", "Europe/Berlin", "timezone", "Europe/Berlin"),
    ("runbook_url", "https://docs.example.com/r#slow", "runbook_url", "https://docs.example.com/r#slow"),
    ("owner", "identity", "owner", "identity"),
    ("labels", {"team": "identity"}, "labels", {"team": "identity"}),
]


@pytest.mark.parametrize("ending", ["json", "yaml"])
@pytest.mark.parametrize("at_service", [True, False])
@pytest.mark.parametrize(("key", "value", "attribute", "expected"), OPTIONS)
def test_an_option_stands_at_the_service_or_at_the_indicator(
    key: str, value: Any, attribute: str, expected: Any, at_service: bool, ending: str
) -> None:
    throughput: dict[str, Any] = {"min_rps": 1000}
    service: dict[str, Any] = {"throughput": throughput}
    (service if at_service else throughput)[key] = value
    assert getattr(load(service, ending=ending)["throughput"], attribute) == expected


@pytest.mark.parametrize(("key", "value", "attribute", "expected"), OPTIONS)
def test_the_inner_option_wins_at_all_three_levels(key: str, value: Any, attribute: str, expected: Any) -> None:
    outer = {
        "for": "9m",
        "keep_firing_for": "9m",
        "recovery_threshold": 0.1,
        "min_traffic": 999,
        "window": "9m",
        "group_by": ["zone"],
        "alarm_budget": 9,
        "timezone": "Asia/Tokyo",
        "runbook_url": "https://other.example.com",
        "owner": "others",
        "labels": {"team": "others"},
    }[key]
    if key == "recovery_threshold":
        value, expected = 0.5, 100.0
    service = {
        key: outer,
        "response_time": {key: outer, "p95": {"budget_ms": 200, key: value}, "p99": {"budget_ms": 200}},
    }
    specs = load(service)
    assert getattr(specs["response_time_p95"], attribute) == expected
    assert getattr(specs["response_time_p99"], attribute) != expected


def test_labels_of_all_levels_are_put_together() -> None:
    service = {
        "labels": {"team": "identity", "tier": "1"},
        "response_time": {"labels": {"tier": "0"}, "p95": {"budget_ms": 200, "labels": {"path": "login"}}},
    }
    assert load(service)["response_time_p95"].labels == {"team": "identity", "tier": "0", "path": "login"}


def test_what_a_file_leaves_out_has_these_defaults() -> None:
    spec = load({"throughput": {"min_rps": 1000}})["throughput"]
    assert (spec.for_ms, spec.keep_firing_for_ms, spec.recovery, spec.min_traffic) == (30_000, 60_000, None, 0.0)
    assert (spec.alarm_budget, spec.timezone, spec.runbook_url, spec.owner, spec.labels) == (1.0, "UTC", "", "", {})
    assert (spec.warning, spec.critical) == (900.0, 800.0)
    assert (spec.regression_warning, spec.regression_critical) == (0.10, 0.20)


@pytest.mark.parametrize(
    ("name", "keys", "min_traffic"),
    [
        ("response_time", {"p95": {"budget_ms": 1}}, 20.0),
        ("error_rate", {"max_percentage": 1}, 20.0),
        ("cache_hit_rate", {"min_percentage": 80}, 20.0),
        ("throughput", {"min_rps": 1}, 0.0),
        ("cluster_cpu", {"max_percentage": 80}, 0.0),
    ],
)
def test_percentiles_and_ratios_need_twenty_events_unless_the_file_says_otherwise(
    name: str, keys: dict[str, Any], min_traffic: float
) -> None:
    (spec,) = load({name: keys}).values()
    assert spec.min_traffic == min_traffic


@pytest.mark.parametrize(
    ("name", "keys", "regression"),
    [
        ("response_time", {"p95": {"budget_ms": 1}}, (0.15, 0.25)),
        ("throughput", {"min_rps": 1}, (0.10, 0.20)),
        ("error_rate", {"max_percentage": 1}, (0.05, 0.10)),
        ("cache_hit_rate", {"min_percentage": 80}, (0.05, 0.10)),
        ("cluster_cpu", {"max_percentage": 80}, (0.10, 0.20)),
        ("cluster_memory", {"max_percentage": 80}, (0.10, 0.20)),
        ("node_availability", {"min_percentage": 99}, (0.01, 0.05)),
        ("queue", {"expr": "max(queue)", "unit": "jobs", "max": 10}, (0.15, 0.25)),
        ("throughput", {"min_rps": 1, "regression_threshold": 0.15}, (0.15, 0.20)),
        ("throughput", {"min_rps": 1, "regression_threshold": 0.5}, (0.5, 0.5)),
    ],
)
def test_regression_levels_are_the_guides_and_critical_is_never_below_warning(
    name: str, keys: dict[str, Any], regression: tuple[float, float]
) -> None:
    (spec,) = load({name: keys}).values()
    assert (spec.regression_warning, spec.regression_critical) == regression


def test_an_upper_limit_is_passed_above_and_a_lower_one_below() -> None:
    specs = load({"error_rate": {"max_percentage": 1.0}, "throughput": {"min_rps": 1000}})
    errors, throughput = specs["error_rate"], specs["throughput"]
    assert [level_of(errors, value) for value in (0.008, 0.0081, 0.0101)] == [None, "warning", "critical"]
    assert [level_of(throughput, value) for value in (900.0, 899.0, 799.0)] == [None, "warning", "critical"]


def test_recovery_is_a_factor_of_the_limit_on_the_good_side_of_the_warning() -> None:
    spec = load({"throughput": {"min_rps": 1000, "recovery_threshold": 1.1}})["throughput"]
    assert not has_recovered(spec, 1099.0)
    assert has_recovered(spec, 1100.0)


def test_products_are_those_of_the_files_decimals() -> None:
    spec = load({"error_rate": {"max_percentage": 0.3, "warning_threshold": 0.7, "critical_threshold": 0.9}})
    assert (spec["error_rate"].limit, spec["error_rate"].warning, spec["error_rate"].critical) == (
        0.003,
        0.0021,
        0.0027,
    )


@pytest.mark.parametrize(
    ("percentile", "quantile"), [("p50", "0.5"), ("p90", "0.9"), ("p95", "0.95"), ("p99", "0.99"), ("p999", "0.999")]
)
def test_a_percentile_is_an_indicator_of_its_own(percentile: str, quantile: str) -> None:
    specs = load({"response_time": {percentile: {"budget_ms": 200}}})
    assert list(specs) == [f"response_time_{percentile}"]
    assert specs[f"response_time_{percentile}"].expr.startswith(f"histogram_quantile({quantile}, ")


def test_thresholds_may_stand_once_for_all_percentiles() -> None:
    specs = load({"response_time": {"warning_threshold": 0.5, "p50": {"budget_ms": 100}, "p95": {"budget_ms": 200}}})
    assert [spec.warning for spec in specs.values()] == [50.0, 100.0]


def test_a_limit_can_be_left_out_where_changes_alone_are_watched() -> None:
    spec = load({"throughput": {"regression_threshold": 0.3}})["throughput"]
    assert (spec.limit, spec.warning, spec.critical) == (None, None, None)
    assert (spec.direction, spec.unit, spec.regression_warning) == ("below", "1/s", 0.3)


@pytest.mark.parametrize("ending", ["json", "yaml", "yml", "conf"])
def test_json_and_yaml_say_the_same(ending: str) -> None:
    document = {"api": {"for": "1m", "response_time": {"p95": {"budget_ms": 200.5}}, "throughput": {"min_rps": 3}}}
    text = yaml.safe_dump(document) if ending in {"yaml", "yml"} else json.dumps(document)
    (budget,) = load_budgets(text, f"f.{ending}", step_ms=1000)
    (expected,) = load_budgets(json.dumps(document), "f.json", step_ms=1000)
    assert budget == ServiceBudget("api", expected.indicators, source=f"f.{ending}")


def test_a_name_without_a_known_ending_is_yaml_unless_it_begins_like_json() -> None:
    (budget,) = load_budgets("api: {throughput: {min_rps: 1}}", "budgets", step_ms=1000)
    assert budget.service == "api"


def test_yaml_can_share_keys_by_anchors() -> None:
    text = """
api: &usual
  for: 1m
  throughput: {min_rps: 10, warning_threshold: 0.9}
shop:
  <<: *usual
  throughput: {min_rps: 1e3}
"""
    api, shop = load_budgets(text, "b.yaml", step_ms=1000)
    assert [spec.for_ms for spec in (*api.indicators, *shop.indicators)] == [60_000, 60_000]
    assert shop.indicators[0].limit == 1000.0

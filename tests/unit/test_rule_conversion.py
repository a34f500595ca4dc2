"""Prometheus rules as budgets: what each form of a rule becomes, and what is left out with which reason."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from agents.cli.budgets import app
from budgets.limits import level_of
from budgets.rule_file.convert import Conversion, convert_rules
from budgets.rule_file.load import load_rules
from budgets.spec.errors import BudgetError
from budgets.spec.load import load_budgets
from budgets.spec.model import IndicatorSpec

# The example of the performance guide, as it stands there.
GUIDE = """\
# Example Alert Rule
- alert: AuthServiceResponseTimeBudgetViolation
  expr: |
    histogram_quantile(0.95,\x20
      sum(rate(http_request_duration_seconds_bucket{service="auth-service"}[5m])) by (le)
    ) * 1000 > 200
  for: 2m
  labels:
    severity: warning
    service: auth-service
    budget_type: response_time
  annotations:
    summary: "Auth Service P95 response time budget violation"
    description: "Auth Service P95 response time is {{ $value }}ms, exceeding budget of 200ms"
    runbook_url: "https://docs.example.com/runbooks/performance-budget-violation"
"""
CONVERTED = """\
# Made from rules.yml by `driftline budgets convert`.
# Taken, but look at it:
#   rules.yml:2: AuthServiceResponseTimeBudgetViolation: no critical alert about the same value: \
critical at 400 unless you change critical_threshold
auth-service:
  indicators:
    auth_service_response_time_budget_violation:
      # AuthServiceResponseTimeBudgetViolation, line 2: warning > 200
      expr: |-
        histogram_quantile(0.95,
          sum(rate(http_request_duration_seconds_bucket{service="auth-service"}[5m])) by (le)
        ) * 1000
      unit: ms
      max: 200
      warning_threshold: 1
      critical_threshold: 2
      for: 2m
      keep_firing_for: 0s
      runbook_url: https://docs.example.com/runbooks/performance-budget-violation
      labels:
        budget_type: response_time
"""


def convert(*rules: dict[str, Any], service: str | None = "shop") -> Conversion:
    text = yaml.safe_dump({"groups": [{"name": "g", "rules": list(rules)}]}, sort_keys=False)
    conversion = convert_rules(load_rules(text, "rules.yml"), service)
    if conversion.taken:
        assert load_budgets(conversion.text, "made.yaml", step_ms=15_000)
    return conversion


def alert(expr: str, severity: str | None = "critical", name: str = "Queue", **keys: Any) -> dict[str, Any]:
    labels = {"severity": severity} if severity else {}
    return {"alert": name, "expr": expr, **keys, "labels": {**labels, **keys.get("labels", {})}}


def record(name: str, expr: str, **keys: Any) -> dict[str, Any]:
    return {"record": name, "expr": expr, **keys}


def only(conversion: Conversion) -> IndicatorSpec:
    assert [str(remark) for remark in conversion.remarks if not remark.was_taken] == []
    (budget,) = load_budgets(conversion.text, "made.yaml", step_ms=15_000)
    (spec,) = budget.indicators
    return spec


def said(conversion: Conversion) -> str:
    return "\n".join(str(remark) for remark in conversion.remarks)


def test_the_guides_rule_becomes_an_indicator_with_its_service() -> None:
    conversion = convert_rules(load_rules(GUIDE, "rules.yml"))
    assert conversion.text == CONVERTED
    spec = only(conversion)
    assert (spec.service, spec.limit, spec.unit, spec.for_ms) == ("auth-service", 200.0, "ms", 120_000)
    assert (spec.warning, spec.critical, spec.labels) == (200.0, 400.0, {"budget_type": "response_time"})


@pytest.mark.parametrize(
    ("expr", "within", "beyond"),
    [
        ("queue > 5", 5.0, 5.000001),
        ("queue >= 5", 4.999999, 5.0),
        ("queue < 5", 5.0, 4.999999),
        ("queue <= 5", 5.000001, 5.0),
        ("5 < queue", 5.0, 5.000001),
        ("5 >= queue", 5.000001, 5.0),
        ("queue > 0", 0.0, 1e-9),
        ("queue <= 0", 1e-300, 0.0),
        ("((queue)) > 2 * (1 + 1.5)", 5.0, 5.1),
        ("(queue > 1e3)", 1000.0, 1001.0),
        ("queue # a comment > 7\n > 5", 5.0, 6.0),
        ('sum(queue{name=">= 7"} > bool 2) > 5', 5.0, 6.0),
        ("1 - a / b < 0.99", 0.99, 0.98),
    ],
)
def test_a_comparison_becomes_a_limit_for_the_same_numbers(expr: str, within: float, beyond: float) -> None:
    spec = only(convert(alert(expr)))
    assert (level_of(spec, within), level_of(spec, beyond)) == (None, "critical")


@pytest.mark.parametrize(
    ("warning", "critical", "levels"),
    [
        ("queue > 80", "queue > 100", {80: None, 81: "warning", 100: "warning", 101: "critical"}),
        ("queue > 0", "queue > 3", {0: None, 1: "warning", 3: "warning", 4: "critical"}),
        ("queue < 100", "queue < 7", {100: None, 99: "warning", 7: "warning", 6: "critical"}),
        ("queue < 1", "queue <= 0", {1: None, 0.5: "warning", 0: "critical"}),
        ("queue > 1", "queue > 3", {1: None, 1.0000001: "warning", 3: "warning", 3.0001: "critical"}),
        ("queue > 5", "queue > 5", {5: None, 6: "critical"}),
    ],
)
def test_two_alerts_about_one_value_are_one_indicator_with_both_levels(
    warning: str, critical: str, levels: dict[float, str | None]
) -> None:
    for rules in (
        (alert(warning, "warning", "QueueLongWarning"), alert(critical, "page", "QueueLongCritical")),
        (alert(critical, "page", "QueueLongCritical"), alert(warning, "warning", "QueueLongWarning")),
    ):
        spec = only(convert(*rules))
        assert spec.name == "queue_long"
        assert {value: level_of(spec, value) for value in levels} == levels


def test_a_warning_alone_says_which_critical_level_was_made_up() -> None:
    for expr, critical in (("queue > 10", 20.0), ("queue < 10", 5.0)):
        conversion = convert(alert(expr, "warning"))
        spec = only(conversion)
        assert (spec.warning, spec.critical) == (10.0, critical)
        assert f"critical at {critical:g} unless you change critical_threshold" in said(conversion)


def test_values_that_differ_stay_apart_and_get_names_of_their_own() -> None:
    conversion = convert(
        alert("queue > 5", "warning"),
        alert("queue > 9", "warning"),
        alert("queue < 2"),
        alert('queue{route="/a"} > 9'),
        alert("queue > 7", labels={"service": "other"}),
    )
    budgets = load_budgets(conversion.text, "made.yaml", step_ms=15_000)
    assert [[spec.name for spec in budget.indicators] for budget in budgets] == [
        ["queue", "queue_2", "queue_3", "queue_4"],
        ["queue"],
    ]


@pytest.mark.parametrize(
    ("expr", "labels", "default", "service"),
    [
        ('a{service="pay"} > 1', {}, None, "pay"),
        ('a{service="pay"} / b{service="pay"} > 1', {}, "shop", "pay"),
        ('a{service="pay"} / b{service="auth"} > 1', {}, "shop", "shop"),
        ('a{service=~"pay"} > 1', {}, "shop", "shop"),
        ('a{service="pay"} > 1', {"service": "auth"}, "shop", "auth"),
        ("a > 1", {"service": "{{ $labels.service }}"}, "shop", "shop"),
    ],
)
def test_the_service_is_the_labels_else_the_selectors_else_the_default(
    expr: str, labels: dict[str, str], default: str | None, service: str
) -> None:
    assert only(convert(alert(expr, labels=labels), service=default)).service == service


def test_recorded_series_are_put_back_into_what_uses_them() -> None:
    conversion = convert(
        record("job:errors:rate5m", "sum by (job) (rate(errors_total[5m]))  # all of them"),
        record("job:errors:ratio", "job:errors:rate5m / sum by (job) (rate(requests_total[5m]))"),
        alert("job:errors:ratio{} > 0.1 + 0 * 2"),
    )  # fmt: skip
    assert only(conversion).expr == (
        "(sum by (job) (rate(errors_total[5m]))  # all of them\n) / sum by (job) (rate(requests_total[5m]))"
    )


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (alert("up == 0"), "compares with ==, and a limit is an upper or a lower one"),
        (alert("queue != 1"), "compares with !="),
        (alert("queue > bool 1"), "compares with > bool"),
        (alert("queue > limit"), "compares two values that change"),
        (alert("queue > scalar(limit)"), "compares two values that change"),
        (alert("queue > Inf"), "compares two values that change"),
        (alert("queue > 5 and on () up == 1"), "joins conditions by `and`"),
        (alert("queue"), "no comparison with a number"),
        (alert("queue @ 5 > 3"), "@ is not supported"),
        (alert("sum(queue"), "rules.yml:4: Queue: "),
        (alert("queue < 0"), "a limit of 0, and a budget's lower limit is above 0"),
        (alert("queue > -5"), "a limit of -5"),
        (alert("queue > 0", "warning"), "critical above twice its limit, which is 0 as well"),
        (alert("queue > 5", "info"), "severity info, and a budget has warning and critical"),
        (alert("rate(queue[9h]) > 5"), "looks back 9h"),
        (alert("vector(7) > 5"), "a constant"),
        (alert('queue{path=~"$window"} > 5'), "would be read with other words filled in"),
        (record("a:b", "sum(queue)"), "recorded only"),
    ],
)
def test_what_no_budget_can_say_is_left_out_with_the_reason(rule: dict[str, Any], reason: str) -> None:
    conversion = convert(rule)
    assert (conversion.text, conversion.taken) == ("", 0)
    assert reason in said(conversion)


def test_a_value_that_a_filter_may_remove_is_taken_with_a_word_of_warning() -> None:
    conversion = convert(alert("queue > 5 > 3"), alert("sum(queue and on () up) > 3"), alert("queue > bool 1 >= 1"))
    assert (conversion.taken, said(conversion).count("its value is filtered")) == (3, 2)


@pytest.mark.parametrize(
    ("recorded", "expr", "reason"),
    [
        ([record("r", "a", labels={"x": "y"})], "r > 5", "recorded with labels of the rule's own"),
        ([record("r", "a"), record("r", "b")], "r > 5", "recorded by several rules"),
        ([record("r", "a")], 'r{job="x"} > 5', "some of its elements cannot be picked"),
        ([record("r", "a")], "max_over_time(r[5m]) > 5", "its past is not kept"),
        ([record("r", "a")], "r offset 5m > 5", "its past is not kept"),
        ([record("r", "a")], "max_over_time(r[5m:1m]) > 5", "its past is not kept"),
        ([record("r", "a")], "time() - timestamp(r) > 5", "its past is not kept"),
        ([record("r", "r2"), record("r2", "r")], "r > 5", "in a circle"),
        ([record("r", "sum(a @ 5)")], "r > 5", "@ is not supported"),
        ([record("r", "a")], '{__name__="r"} > 5', "cannot be put into one expression"),
    ],
)
def test_recorded_series_that_cannot_be_put_back_are_a_reason(
    recorded: list[dict[str, Any]], expr: str, reason: str
) -> None:
    conversion = convert(*recorded, alert(expr))
    assert conversion.taken == 0
    assert reason in said(conversion)


def test_no_service_is_a_reason() -> None:
    conversion = convert(alert("queue > 5"), service=None)
    assert conversion.taken == 0
    assert "names no service: give it a label service, or all of them one by --service" in said(conversion)


def test_what_is_not_quite_the_same_is_said() -> None:
    text = """
groups:
  - name: g
    interval: 1m
    limit: 5
    labels: {team: shop}
    rules:
      - {alert: Slow, expr: queue > 5, for: 10m, labels: {severity: warning, zone: a, path: "{{ $labels.path }}"},
         annotations: {runbook_url: "https://example.com/a"}}
      - {alert: Slow, expr: queue > 9, for: 5m, keep_firing_for: 3m, labels: {severity: critical, zone: b},
         annotations: {runbook_url: "https://example.com/b"}}
      - {alert: Odd, expr: queue > 7, partial: x, annotations: {runbook_url: "{{ $labels.url }}"}}
"""
    conversion = convert_rules(load_rules(text, "rules.yml"), "shop")
    (budget,) = load_budgets(conversion.text, "made.yaml", step_ms=15_000)
    slow, odd = budget.indicators
    assert (slow.for_ms, slow.keep_firing_for_ms, slow.labels) == (300_000, 180_000, {"team": "shop"})
    assert (slow.runbook_url, odd.runbook_url) == ("https://example.com/b", "")
    for remark in (
        "rules.yml:8: Slow: without limit of the group",
        "one level waits 10m and the other 5m: both wait 5m now",
        "left out labels that are templates or differ between levels: path, zone",
        "several addresses of a runbook: https://example.com/b is taken",
        "Odd: its runbook_url is no plain address, and is left out",
        "Odd: no severity: taken for a warning",
        "Odd: without partial",
    ):
        assert remark in said(conversion)
        assert remark in conversion.text


def test_names_that_mean_something_to_a_budget_are_not_used() -> None:
    conversion = convert(alert("queue > 5", name="Throughput"), alert("queue > 6", name="ResponseTimeP95"))
    (budget,) = load_budgets(conversion.text, "made.yaml", step_ms=15_000)
    assert [spec.name for spec in budget.indicators] == ["throughput_alert", "response_time_p_95"]


def test_rules_of_kubernetes_are_rules() -> None:
    text = yaml.safe_dump({"kind": "PrometheusRule", "spec": {"groups": [{"rules": [alert("queue > 5")]}]}})
    assert convert_rules(load_rules(text, "crd.yaml"), "shop").taken == 1


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("groups: 5", "r.yml:1: groups: expected a list, got 5"),
        ("alerts: []", "r.yml:1: expected groups of rules, got a mapping"),
        ("groups: [{name: g}]", "r.yml:1: groups[0]: no rules"),
        ("- {expr: a}", "r.yml:1: [0]: expected a rule with alert or record"),
        ("- {alert: a, record: b, expr: a}", "expected a rule with alert or record"),
        ("- {alert: a}", "r.yml:1: [0]: no expr"),
        ("- {alert: a, expr: [a]}", "[0].expr: expected a text, got a list"),
        ("- {alert: a, expr: a, for: soon}", "[0].for: expected a duration"),
        ("- {alert: a, expr: a, labels: 5}", "[0].labels: expected a mapping"),
        ("groups: [", "not YAML"),
    ],
)
def test_what_is_no_rule_file_is_a_mistake_with_its_place(text: str, mistake: str) -> None:
    with pytest.raises(BudgetError) as caught:
        load_rules(text, "r.yml")
    assert mistake in str(caught.value)


def test_the_command_prints_a_budget_file_and_lists_the_rest_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(GUIDE + "- {alert: Down, expr: up == 0}\n", encoding="utf-8")
    (tmp_path / "b.yml").write_text("- {alert: Long, expr: queue > 5, labels: {severity: page}}\n", encoding="utf-8")
    files = [str(tmp_path / "a.yml"), str(tmp_path / "b.yml")]
    result = CliRunner().invoke(app, ["convert", *files])
    assert result.exit_code == 0
    made = tmp_path / "made.yaml"
    made.write_text(result.stdout, encoding="utf-8")
    assert CliRunner().invoke(app, ["check", str(made)]).exit_code == 0
    assert f"not taken: {files[0]}:16: Down: compares with ==" in result.stderr
    assert f"not taken: {files[1]}:1: Long: names no service" in result.stderr
    assert f"look at it: {files[0]}:2: AuthService" in result.stderr
    assert result.stderr.endswith("1 of 3 rules became 1 indicators\n")
    result = CliRunner().invoke(app, ["convert", *files, "--service", "shop"])
    assert result.stderr.endswith("2 of 3 rules became 2 indicators\n")
    assert "shop:" in result.stdout.splitlines()


def test_the_command_that_finds_nothing_to_take_exits_3(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("- {alert: Down, expr: up == 0}\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["convert", str(path)])
    assert (result.exit_code, result.stdout) == (3, "")
    path.write_text("- 5\n", encoding="utf-8")
    assert CliRunner().invoke(app, ["convert", str(path)]).exit_code == 2
    assert CliRunner().invoke(app, ["convert", "/nowhere.yml"]).exit_code == 2

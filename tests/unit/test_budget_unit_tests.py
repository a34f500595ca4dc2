"""Test files of budgets: what they say, what is wrong with them, and what a run makes of each case."""

import math

import pytest

from budgets.spec.errors import BudgetError
from budgets.spec.load import load_budgets
from budgets.unit_test.compare import agree
from budgets.unit_test.load import load_test_file
from budgets.unit_test.model import Result
from budgets.unit_test.run import run_tests

BUDGETS = """
shop:
  for: 2m
  keep_firing_for: 1m
  labels: {team: orders}
  throughput: {min_rps: 10}
  indicators:
    queue: {expr: 'max by (route) (queue{$selector})', unit: jobs, max: 100}
    ratio: {expr: 'a{$selector} / b{$selector}', unit: value, max: 5}
"""
SERIES = """
  - series: http_requests_total{service="shop"}
    values: 0+1200x20 24600+600x20
  - series: queue{service="shop",route="/a"}
    values: 50x9 90x20 50x10
  - series: queue{service="shop",route="/b"}
    values: 50x39
  - {series: 'a{service="shop"}', values: '1 1 0 -1 1'}
  - {series: 'b{service="shop"}', values: '4 0 0 0 _x20 stale'}
"""


def run(
    cases: str, *, head: str = "", series: str = SERIES, budgets: str = BUDGETS, recorded: tuple[str, ...] = ()
) -> list[Result]:
    indented = "".join(f"    {line}\n" for line in f"input_series:{series}{cases}".splitlines())
    tests = load_test_file(f"{head}\ntests:\n  - name: orders\n{indented}", "test.yaml")
    return run_tests(tests, load_budgets(budgets, "shop.yaml", step_ms=60_000), recorded)


def only(results: list[Result]) -> Result:
    (result,) = results
    return result


def mistakes(text: str) -> list[str]:
    with pytest.raises(BudgetError) as caught:
        run_tests(load_test_file(text, "t.yaml"), load_budgets(BUDGETS, "shop.yaml", step_ms=60_000), ())
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("indicator", "eval_time", "value", "outcome"),
    [
        ("throughput", "10m", "20", "passed"),
        ("throughput", "10m", "20.00000001", "passed"),
        ("throughput", "10m", "20.0000001", "failed"),
        ("throughput", "10m59s", "20", "passed"),  # the step before
        ("throughput", "30m", "10", "passed"),
        ("throughput", "10m", "absent", "failed"),
        ("throughput", "0", "absent", "passed"),
        ("ratio", "0", "0.25", "passed"),
        ("ratio", "1m", ".inf", "passed"),
        ("ratio", "2m", "NaN", "passed"),
        ("ratio", "2m", "absent", "failed"),
        ("ratio", "3m", "-Inf", "passed"),
        ("ratio", "3m", "Inf", "failed"),
        ("ratio", "30m", "absent", "passed"),
    ],
)
def test_an_indicators_value_is_held_against_what_is_expected(
    indicator: str, eval_time: str, value: str, outcome: str
) -> None:
    case = f"indicator_test: [{{service: shop, indicator: {indicator}, eval_time: {eval_time}, exp_value: {value}}}]"
    result = only(run(case))
    assert (result.outcome, result.kind, result.what) == (outcome, "indicator_test", f"shop/{indicator}")


def test_an_indicator_with_several_elements_is_asked_for_one_of_them() -> None:
    case = "indicator_test: [{{service: shop, indicator: queue, eval_time: 12m, exp_value: 90{labels}}}]"
    assert only(run(case.format(labels=", labels: {route: /a}"))).outcome == "passed"
    failed = only(run(case.format(labels=", labels: {route: /b}")))
    assert [(row.what, row.expected, row.got) for row in failed.rows] == [('{route="/b"}', "90", "50")]
    failed = only(run(case.format(labels="")))
    assert failed.outcome == "failed"
    assert [(row.what, row.got) for row in failed.rows] == [
        ("one element (labels say which)", "2 elements"),
        ('{route="/a"}', "90"),
        ('{route="/b"}', "50"),
    ]


QUEUE_ALERT = "exp_alerts: [{severity: warning, status: %s, labels: {route: /a, team: orders}}]"


@pytest.mark.parametrize(
    ("eval_time", "expected", "outcome"),
    [
        ("9m", "exp_alerts: []", "passed"),
        ("10m", QUEUE_ALERT % "pending", "passed"),
        ("11m59s", QUEUE_ALERT % "pending", "passed"),
        ("12m", QUEUE_ALERT % "firing", "passed"),
        ("12m", QUEUE_ALERT % "pending", "failed"),
        ("12m", "exp_alerts: [{severity: critical, labels: {route: /a, team: orders}}]", "failed"),
        ("12m", "exp_alerts: [{severity: warning, labels: {route: /a}}]", "failed"),
        ("12m", "exp_alerts: []", "failed"),
        ("38m", "exp_alerts: []", "passed"),
        ("38m", QUEUE_ALERT % "firing", "failed"),
    ],
)
def test_alerts_are_all_that_are_open_at_the_step(eval_time: str, expected: str, outcome: str) -> None:
    case = f"alert_test: [{{service: shop, indicator: queue, eval_time: {eval_time}, {expected}}}]"
    result = only(run(case))
    assert result.outcome == outcome, result


def test_without_an_indicator_every_open_alert_of_the_service_is_compared() -> None:
    series = '\n  - {series: \'queue{service="shop",route="/a"}\', values: "50x9 190x20"}\n'
    case = "alert_test: [{service: shop, eval_time: 20m, exp_alerts: []}]"
    rows = {row.what: row.got for row in only(run(case, series=series)).rows}
    # The others of the service have no data at all here, which is an alert of its own.
    assert rows == {
        'budget queue {route="/a",team="orders"}': "critical firing",
        'no_data ratio {team="orders"}': "info firing",
        'no_data throughput {team="orders"}': "info firing",
    }


def test_a_failed_expression_shows_both_sides_with_their_labels() -> None:
    case = """
promql_expr_test:
  - expr: queue > 60
    eval_time: 12m
    exp_samples:
      - {labels: 'queue{route="/b",service="shop"}', value: 50}
      - {labels: 'queue{route="/a",service="shop"}', value: 90}
"""
    result = only(run(case))
    assert result.outcome == "failed"
    assert [(row.what, row.expected, row.got, row.agrees) for row in result.rows] == [
        ('queue{route="/a",service="shop"}', "90", "90", True),
        ('queue{route="/b",service="shop"}', "50", None, False),
    ]


def test_an_expression_that_has_no_value_fails_with_the_reason() -> None:
    result = only(run("promql_expr_test: [{expr: queue + on (service) queue, eval_time: 5m}]"))
    assert (result.outcome, result.rows) == ("failed", ())
    assert result.reason


@pytest.mark.parametrize(
    ("cases", "reason"),
    [
        ("promql_expr_test: [{expr: queue @ 5}]", "@ is not supported"),
        ("promql_expr_test: [{expr: 'sum(rule:a)'}]", "rule:a comes from a rule"),
        ("promql_expr_test: [{expr: 'sum({job=\"x\"})'}]", "comes from a rule"),
        ("alert_rule_test: [{eval_time: 5m, alertname: A}]", "alerting rules are not evaluated"),
        ("external_labels: {cluster: a}", "alerting rules are not evaluated"),
        ("external_url: 'http://a'", "alerting rules are not evaluated"),
    ],
)
def test_what_is_not_evaluated_is_said(cases: str, reason: str) -> None:
    result = only(run(cases, recorded=("rule:a",)))
    assert result.outcome == "not_evaluated"
    assert reason in result.reason


NATIVE = """
  - series: took_seconds{service="shop"}
    values: '{{sum:6 count:3 buckets:[1 2]}}+{{sum:60 count:60 buckets:[30 30]}}x20'
"""


def test_native_histograms_are_measured_and_expected() -> None:
    cases = """
promql_expr_test:
  - {expr: histogram_count(took_seconds), eval_time: 2m, exp_samples: [{labels: '{service="shop"}', value: 123}]}
  - {expr: 'histogram_quantile(1, took_seconds)', eval_time: 2m, exp_samples: [{labels: '{service="shop"}', value: 2}]}
  - expr: rate(took_seconds[5m])
    eval_time: 10m
    exp_samples:
      - labels: '{service="shop"}'
        histogram: '{{sum:1 count:1 buckets:[0.5 0.5]}}'
"""
    assert [result.outcome for result in run(cases, series=NATIVE)] == ["passed"] * 3


@pytest.mark.parametrize(
    ("expr", "expected", "got"),
    [
        ("took_seconds * 2", "histogram: '{{sum:12 count:6 buckets:[2 5]}}'", "{{count:6 sum:12 buckets:[2 4]}}"),
        ("took_seconds * 2", "value: 12", "{{count:6 sum:12 buckets:[2 4]}}"),
        ("histogram_count(took_seconds)", "histogram: '{{count:3}}'", "3"),
    ],
)
def test_another_histogram_than_expected_fails_and_is_shown(expr: str, expected: str, got: str) -> None:
    case = f"promql_expr_test: [{{expr: {expr}, exp_samples: [{{labels: '{{service=\"shop\"}}', {expected}}}]}}]"
    result = only(run(case, series=NATIVE))
    assert result.outcome == "failed"
    assert [row.got for row in result.rows] == [got]


def test_a_histogram_that_contradicts_itself_fails_with_the_reason() -> None:
    series = "\n  - {series: a, values: '{{count:-1}}'}\n"
    result = only(run("promql_expr_test: [{expr: a}]", series=series))
    assert (result.outcome, result.reason) == ("failed", "series 1: a histogram has a negative count")


def test_budgets_over_native_histograms_are_evaluated() -> None:
    text = BUDGETS.replace("max by (route) (queue{$selector})", "histogram_count(took_seconds{$selector})")
    cases = "indicator_test: [{service: shop, indicator: queue, eval_time: 1m, exp_value: 63}]"
    assert only(run(cases, series=NATIVE, budgets=text)).outcome == "passed"


def test_the_evaluation_interval_is_the_step() -> None:
    case = "alert_test: [{service: shop, indicator: queue, eval_time: 14m, exp_alerts: []}]"
    assert only(run(case, head="evaluation_interval: 5m")).outcome == "passed"
    assert only(run(case, head="evaluation_interval: 1m")).outcome == "failed"


def test_promtools_other_keys_are_taken() -> None:
    head = "rule_files: [a.yml]\ngroup_eval_order: [x]\nfuzzy_compare: false\nevaluation_interval: 30s"
    assert only(run("promql_expr_test: [{expr: vector(1), exp_samples: [{value: 1}]}]", head=head)).outcome == "passed"


def test_every_mistake_of_a_file_is_said_with_its_place() -> None:
    text = """\
evaluation_interval: soon
fuzzy_compare: 1
rulefiles: []
tests:
  - intervall: 5m
    input_series:
      - {series: 'up{', values: '1'}
      - {series: up, values: '1y'}
      - {series: '{job="a"}', values: 1}
      - {series: a, values: 1}
      - {series: 'a{}', values: 1}
    promql_expr_test:
      - {expr: 'sum('}
      - {expr: a, exp_samples: [{labels: a, value: much}, {labels: 'a{', value: 1}]}
      - {expr: a, exp_samples: [{labels: a, value: 1}, {labels: a, value: 2}]}
      - 5
      - {}
    indicator_test:
      - {service: shop, indicator: queue}
      - {indicator: queue, exp_value: null, labels: {a: 1}}
    alert_test:
      - {service: shop}
      - {service: shop, exp_alerts: [{indicator: a, severity: bad, status: resolved, kind: odd}, {severity: info}]}
"""
    said = mistakes(text)
    expected = [
        "t.yaml:1: evaluation_interval: expected a duration",
        "t.yaml:2: fuzzy_compare: expected true or false, got 1",
        "t.yaml:3: rulefiles: unknown key, did you mean rule_files?",
        "t.yaml:5: tests[0].intervall: unknown key, did you mean interval?",
        "t.yaml:7: tests[0].input_series[0].series: expected a series such as",
        "t.yaml:8: tests[0].input_series[1].values: expected values such as",
        "t.yaml:9: tests[0].input_series[2].series: expected a metric name",
        "t.yaml:11: tests[0].input_series[4].series: the series a{} stands twice",
        "t.yaml:13: tests[0].promql_expr_test[0].expr: ",
        "t.yaml:14: tests[0].promql_expr_test[1].exp_samples[0].value: expected a number, NaN or Inf, got",
        "t.yaml:14: tests[0].promql_expr_test[1].exp_samples[1].labels: expected a series",
        "t.yaml:15: tests[0].promql_expr_test[2].exp_samples: two samples have the same labels",
        "t.yaml:16: tests[0].promql_expr_test[3]: expected a mapping, got 5",
        "t.yaml:17: tests[0].promql_expr_test[4].expr: missing",
        "t.yaml:19: tests[0].indicator_test[0].exp_value: missing",
        "t.yaml:20: tests[0].indicator_test[1].service: missing",
        "t.yaml:20: tests[0].indicator_test[1].labels.a: expected a text",
        "t.yaml:20: tests[0].indicator_test[1].exp_value: missing",
        "t.yaml:22: tests[0].alert_test[0].exp_alerts: missing",
        "t.yaml:23: tests[0].alert_test[1].exp_alerts[0].kind: expected one of budget",
        "t.yaml:23: tests[0].alert_test[1].exp_alerts[0].severity: expected one of info",
        "t.yaml:23: tests[0].alert_test[1].exp_alerts[0].status: expected one of pending",
        "t.yaml:23: tests[0].alert_test[1].exp_alerts[1].indicator: missing",
    ]
    assert [one for one in expected if not any(line.startswith(one) for line in said)] == [], "\n".join(said)
    assert len(said) == len(expected), "\n".join(said)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("tests: [{indicator_test: [{service: shpo, indicator: queue, exp_value: 1}]}]", "no budget of 'shpo'"),
        ("tests: [{indicator_test: [{service: shop, indicator: q, exp_value: 1}]}]", "shop has no indicator 'q'"),
        ("tests: [{alert_test: [{service: shop, indicator: q, exp_alerts: []}]}]", "shop has no indicator 'q'"),
        (
            "evaluation_interval: 1h\ntests: [{alert_test: [{service: shop, exp_alerts: []}]}]",
            "evaluation_interval: it is the step here, expected 1s to 5m",
        ),
        ("tests: [{alert_test: [{service: shop, eval_time: 900w, exp_alerts: []}]}]", "more than 500000 steps"),
        ("tests: [", "not YAML"),
        ("tests: []\ntests: []", "the key stands twice"),
    ],
)
def test_what_does_not_fit_the_budgets_is_a_mistake(text: str, mistake: str) -> None:
    assert any(mistake in said for said in mistakes(text)), mistakes(text)


def test_json_is_a_test_file_as_well() -> None:
    tests = load_test_file('{"tests": [{"promql_expr_test": [{"expr": "vector(1)"}]}]}', "t.json")
    assert [result.outcome for result in run_tests(tests, [], ())] == ["failed"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [(math.nan, math.nan, True), (math.nan, 0.0, False), (math.inf, math.inf, True), (math.inf, -math.inf, False),
     (0.0, -0.0, True), (0.0, 1e-300, False), (1.0, 1.0 + 9e-10, True), (1.0, 1.0 + 2e-9, False)],
)  # fmt: skip
def test_values_agree_to_nine_digits(one: float, other: float, same: bool) -> None:
    assert agree(one, other) is agree(other, one) is same

"""What is said of a wrong budget file: golden texts, line by line, as an operator reads them."""

import json

import pytest

from budgets.spec.errors import BudgetError
from budgets.spec.load import load_budgets


def mistakes_of(text: str, filename: str = "b.yaml") -> list[str]:
    with pytest.raises(BudgetError) as caught:
        load_budgets(text, filename, step_ms=15_000)
    return str(caught.value).splitlines()


ONE_MISTAKE: list[tuple[str, str]] = [
    # keys
    ("a:\n  windw: 5m\n  throughput: {min_rps: 1}", "2: a.windw: unknown key, did you mean window?"),
    (
        "a:\n  response_time:\n    p95:\n      bugdet_ms: 200",
        "4: a.response_time.p95.bugdet_ms: unknown key, did you mean budget_ms?",
    ),
    ("a:\n  errors_rate: {max_percentage: 1}", "2: a.errors_rate: unknown key, did you mean error_rate?"),
    (
        "a:\n  depth: {max: 3}",
        (
            "2: a.depth: unknown indicator, expected expr, unit and a limit in it, or one of response_time, throughput,"
            " error_rate, cache_hit_rate, cluster_cpu, cluster_memory, node_availability"
        ),
    ),
    (
        "a:\n  error_rate: {min_percentage: 99}",
        "2: a.error_rate.min_percentage: unknown key, did you mean max_percentage?",
    ),
    (
        "a:\n  throughput: {min_rps: 1, min_rps: 2}",
        "2: a.throughput.min_rps: the key stands twice, first in line 2",
    ),
    (
        "a:\n  throughput: {min_rps: 1}\n  throughput: {min_rps: 2}",
        "3: a.throughput: the key stands twice, first in line 2",
    ),
    ("a:\n  throughput:\n    min_rps:", "3: a.throughput.min_rps: no value; give one, or leave the key out"),
    (
        "a:\n  throughput: {min_rps: 1}\n  indicators:\n    throughput: {min_rps: 2}",
        "4: a.indicators.throughput.min_rps: given twice, also as a.throughput.min_rps in line 2",
    ),
    # values
    (
        'a:\n  throughput: {min_rps: "1000"}',
        "2: a.throughput.min_rps: expected a number above 0, got the text '1000'",
    ),
    ("a:\n  throughput: {min_rps: -1}", "2: a.throughput.min_rps: expected a number above 0, got -1"),
    (
        "a:\n  throughput: {min_rps: 1, warning_threshold: 90}",
        "2: a.throughput.warning_threshold: expected a factor of the limit such as 0.8, got 90, did you mean 0.9?",
    ),
    (
        "a:\n  throughput: {min_rps: 1, regression_threshold: 15}",
        "2: a.throughput.regression_threshold: expected a relative change such as 0.15, got 15, did you mean 0.15?",
    ),
    (
        "a:\n  error_rate: {max_percentage: 120}",
        "2: a.error_rate.max_percentage: expected a percentage from 0 to 100, got 120",
    ),
    (
        "a:\n  cache_hit_rate: {min_percentage: 0}",
        "2: a.cache_hit_rate.min_percentage: expected a percentage above 0, at most 100, got 0",
    ),
    (
        "a:\n  for: 30\n  throughput: {min_rps: 1}",
        "2: a.for: expected a duration such as 30s, 5m or 1h30m, got 30, did you mean 30s?",
    ),
    (
        "a:\n  for: 1 minute\n  throughput: {min_rps: 1}",
        "2: a.for: expected a duration such as 30s, 5m or 1h30m, got the text '1 minute'",
    ),
    ("a:\n  window: 0s\n  throughput: {min_rps: 1}", "2: a.window: expected a duration longer than 0, got 0"),
    (
        "a:\n  window: 1d\n  throughput: {min_rps: 1}",
        "2: a.window: looks back 1d, expected at most 4h: older samples are not kept",
    ),
    (
        "a:\n  timezone: Mars\n  throughput: {min_rps: 1}",
        "2: a.timezone: expected a time zone such as Europe/Berlin, got the text 'Mars'",
    ),
    (
        "a:\n  runbook_url: wiki/r\n  throughput: {min_rps: 1}",
        "2: a.runbook_url: expected an address such as https://docs.example.com/runbook, got the text 'wiki/r'",
    ),
    (
        "a:\n  labels: {team: true}\n  throughput: {min_rps: 1}",
        "2: a.labels: expected a text for team, got true (quotes make it a text)",
    ),
    (
        "a:\n  labels: {service: b}\n  throughput: {min_rps: 1}",
        "2: a.labels: the label service is set by Driftline, expected another name",
    ),
    (
        "a:\n  group_by: [le]\n  throughput: {min_rps: 1}",
        "2: a.group_by: expected labels that tell services' parts from each other, got le",
    ),
    (
        "a:\n  group_by: {route: x}\n  throughput: {min_rps: 1}",
        "2: a.group_by: expected a list of label names such as [route], got a mapping",
    ),
    ("a:\n  owner: 7\n  throughput: {min_rps: 1}", "2: a.owner: expected a text, got 7"),
    ("a:\n  selector: 7\n  throughput: {min_rps: 1}", "2: a.selector: expected a text, got 7"),
    (
        "a:\n  selector: api\n  throughput: {min_rps: 1}",
        (
            "2: a.selector: expected matchers such as job=\"auth-service\", got 'api':"
            " invalid label matcher, expected label matching operator after 'api'"
        ),
    ),
    # contradictions
    (
        "a:\n  error_rate:\n    max_percentage: 1\n    warning_threshold: 0.9\n    critical_threshold: 0.8",
        (
            "4: a.error_rate.warning_threshold: a warning must come before critical: expected at most 0.8,"
            " as critical_threshold is, got 0.9"
        ),
    ),
    (
        "a:\n  throughput:\n    min_rps: 1\n    warning_threshold: 0.7",
        (
            "4: a.throughput.warning_threshold: a warning must come before critical: expected at least 0.8,"
            " as critical_threshold is (its default), got 0.7"
        ),
    ),
    (
        "a:\n  throughput:\n    min_rps: 1\n    critical_threshold: 0.95",
        (
            "4: a.throughput.critical_threshold: a warning must come before critical: expected at most 0.9,"
            " as warning_threshold is (its default), got 0.95"
        ),
    ),
    (
        "a:\n  error_rate:\n    max_percentage: 1\n    recovery_threshold: 0.9",
        (
            "4: a.error_rate.recovery_threshold: on the wrong side for error_rate, whose limit is an upper one:"
            " expected at most 0.8, as warning_threshold is, got 0.9"
        ),
    ),
    (
        "a:\n  recovery_threshold: 0.5\n  throughput: {min_rps: 1}",
        (
            "2: a.recovery_threshold: on the wrong side for throughput, whose limit is a lower one:"
            " expected at least 0.9, as warning_threshold is, got 0.5"
        ),
    ),
    (
        "a:\n  node_availability: {min_percentage: 99, warning_threshold: 1.1}",
        "2: a.node_availability.warning_threshold: 1.1 of 0.99 is more than 1, so every value would be a warning",
    ),
    (
        "a:\n  throughput: {min_rps: 1, regression_threshold: 1.5}",
        "2: a.throughput.regression_threshold: expected less than 1: nothing falls by 150%",
    ),
    (
        "a:\n  throughput: {min_rps: 1, min_decisions_per_sec: 1}",
        "2: a.throughput.min_decisions_per_sec: a second limit beside min_rps, expected one for each indicator",
    ),
    (
        "a:\n  cluster_cpu: {}",
        "2: a.cluster_cpu: no limit, expected max_percentage (or regression_threshold alone, to watch changes only)",
    ),
    (
        "a:\n  cluster_cpu: {warning_threshold: 0.8}",
        "2: a.cluster_cpu.warning_threshold: a factor of no limit, expected max_percentage beside it",
    ),
    (
        "a:\n  cluster_cpu: {max_percentage: 80, min_traffic: 3}",
        "2: a.cluster_cpu.min_traffic: nothing counts the events of this indicator, expected weight_expr beside it",
    ),
    # structure
    (
        "a:\n  response_time: {budget_ms: 200, p50: {budget_ms: 9}}",
        "2: a.response_time.budget_ms: expected under a percentile such as p95",
    ),
    (
        "a:\n  response_time: {p100: {budget_ms: 9}}",
        "2: a.response_time.p100: expected a percentile such as p50, p95, p99 or p999",
    ),
    ("a:\n  response_time: {}", "2: a.response_time: no percentile, expected one such as p95: {budget_ms: 200}"),
    (
        "a:\n  response_time: {p95: 200}",
        "2: a.response_time.p95: expected a mapping such as {budget_ms: 200}, got 200",
    ),
    ("a:\n  throughput: 1000", "2: a.throughput: expected a mapping, got 1000"),
    ("a: {}", "1: a: no indicator, expected one such as response_time, throughput, error_rate"),
    ("a: 3", "1: a: expected a mapping of indicators, got 3"),
    (
        "a/b:\n  throughput: {min_rps: 1}",
        "1: a/b: expected a service name of letters, digits, '.', '_' and '-', 200 at most",
    ),
    ("{}", "1: no service, expected at least one"),
    (
        "[]",
        "1: expected a mapping of services such as {auth-service: {throughput: {min_rps: 1000}}}, got a list",
    ),
    ("", "1: expected a mapping of services such as {auth-service: {throughput: {min_rps: 1000}}}, got nothing"),
    ("a:\n  indicators: [1]", "2: a.indicators: expected a mapping of indicators, got a list"),
    (
        "a:\n  indicators: {depth: 3}",
        "2: a.indicators.depth: expected a mapping with expr, unit and a limit, got 3",
    ),
    (
        "a:\n  indicators:\n    queue-depth: {expr: sum(a), unit: jobs, max: 1}",
        "3: a.indicators.queue-depth: expected an indicator name of letters, digits and '_'",
    ),
    # expressions
    (
        "a:\n  indicators:\n    depth: {unit: jobs, max: 1}",
        "3: a.indicators.depth.expr: missing, expected a PromQL expression",
    ),
    (
        "a:\n  depth: {expr: sum(a), max: 1}",
        "2: a.depth.unit: missing, expected what expr is measured in, such as ms, 1/s or ratio",
    ),
    ("a:\n  depth: {expr: sum(a), unit: jobs}", "2: a.depth: no limit, expected one such as max, min, max_… or min_…"),
    (
        "a:\n  depth: {expr: sum(a), unit: percent, max_percentage: 80}",
        (
            "2: a.depth.unit: expected ratio beside max_percentage: expr gives 0 to 1, only the limit is in percent;"
            " got 'percent'"
        ),
    ),
    (
        "a:\n  depth: {expr: sum(a), unit: min, budget_ms: 8}",
        "2: a.depth.unit: expected ms or s beside budget_ms, got 'min'",
    ),
    (
        "a:\n  depth: {expr: sum(a), unit: u, min_u: 0}",
        "2: a.depth.min_u: expected a number above 0: no value is below 0",
    ),
    ('a:\n  depth: {expr: "sum(a", unit: u, max: 1}', "2: a.depth.expr: unclosed left parenthesis"),
    (
        'a:\n  depth: {expr: "sum(rate(x{$selector}[$window])) + sort_by_label(y)", unit: u, max: 1}',
        (
            "2: a.depth.expr: function sort_by_label is not supported: the elements of an indicator have no order"
            " at character 36, near 'sort_by_label(y)'"
        ),
    ),
    (
        'a:\n  depth: {expr: "rate(x[$__rate_interval])", unit: u, max: 1}',
        (
            "2: a.depth.expr: unknown placeholder $__rate_interval at character 8, near '$__rate_interval])',"
            " expected one of $service, $selector, $window"
        ),
    ),
    (
        'a:\n  depth: {expr: "x[5m]", unit: u, max: 1}',
        "2: a.depth.expr: a range of samples is no indicator; expected a vector or a scalar",
    ),
    (
        'a:\n  depth: {expr: "1 + 1", unit: u, max: 1}',
        "2: a.depth.expr: a constant, expected an expression that looks at series",
    ),
    (
        'a:\n  depth: {expr: "sum(rate(x[2d]))", unit: u, max: 1}',
        "2: a.depth.expr: looks back 2d, expected at most 4h: older samples are not kept",
    ),
    (
        'a:\n  depth: {expr: "sum(a)", weight_expr: "sum(", unit: u, max: 1}',
        "2: a.depth.weight_expr: unclosed left parenthesis",
    ),
    (
        'a:\n  response_time: {expr: "max(p95)", p50: {budget_ms: 3}, p95: {budget_ms: 3}}',
        (
            "2: a.response_time.expr: p50 and p95 would all have the same value,"
            " expected $quantile in it instead of a number"
        ),
    ),
    (
        "a:\n  depth: {expr: sum(a), unit: u, max: 1, group_by: [route]}",
        "2: a.depth.group_by: no effect on an expr of your own, expected by (…) inside of it",
    ),
    # not YAML
    (
        "a:\n\tb: 1",
        "2: not YAML: while scanning for the next token, found character '\\t' that cannot start any token at column 1",
    ),
    (
        "a: 1\n---\nb: 2",
        "2: not YAML: expected a single document in the stream, but found another document at column 1",
    ),
    ("a: !secret x", "1: not usable YAML: the tag !secret is not known here"),
    ("a: &a [*a]", "1: not usable YAML: an alias stands inside of what it names"),
]


@pytest.mark.parametrize(("text", "expected"), ONE_MISTAKE, ids=[expected for _, expected in ONE_MISTAKE])
def test_a_mistake_is_said_with_line_key_and_what_was_expected(text: str, expected: str) -> None:
    assert mistakes_of(text) == [f"b.yaml:{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"a": {"throughput": {"min_rps": 1}},}',
            "1: not JSON: expected a key in double quotes (one comma too many?) at column 38, got '}'",
        ),
        ('{\n  "a": {"throughput" {}}\n}', "2: not JSON: expected ':' at column 22, got '{'"),
        ('{"a": NaN}', "1: not JSON: expected a finite number at column 7, got 'N'"),
        ('{"a": 1e999}', "1: not JSON: expected a finite number at column 7, got '1'"),
        ('{"a": "x\n"}', "1: not JSON: expected a complete text in double quotes at column 9, got '\\n'"),
        ("{}\n{}", "2: not JSON: expected nothing more after the document at column 1, got '{'"),
        ("", "1: not JSON: expected a value at column 1, got the end of the file"),
        ("[" * 60, "1: not JSON: expected at most 50 levels at column 52, got '['"),
        (
            '{\n  "a": {\n    "throughput": {\n      "min_rps": 1000,\n      "min_rps": 2000\n    }\n  }\n}',
            "5: a.throughput.min_rps: the key stands twice, first in line 4",
        ),
        ('{"a": {"throughput": null}}', "1: a.throughput: no value; give one, or leave the key out"),
    ],
)
def test_json_is_refused_with_its_lines_too(text: str, expected: str) -> None:
    assert mistakes_of(text, "b.json") == [f"b.json:{expected}"]


def test_every_mistake_of_a_file_is_said_at_once_in_its_order() -> None:
    text = """{
  "auth-service": {
    "for": "soon",
    "response_time": {
      "p95": {"bugdet_ms": 200},
      "p99": {"budget_ms": "fast", "warning_threshold": 80}
    },
    "throughput": {"min_rps": 1000, "warning_threshold": 0.5},
    "error_rate": {"max_percentage": 1.0, "expr": "sum(("}
  },
  "policy-service": {
    "throughput": {"min_decisions_per_sec": 0}
  }
}"""
    assert mistakes_of(text, "budgets/all.json") == [
        "budgets/all.json:3: auth-service.for: expected a duration such as 30s, 5m or 1h30m, got the text 'soon'",
        "budgets/all.json:5: auth-service.response_time.p95.bugdet_ms: unknown key, did you mean budget_ms?",
        "budgets/all.json:6: auth-service.response_time.p99.budget_ms: expected a number above 0, got the text 'fast'",
        (
            "budgets/all.json:6: auth-service.response_time.p99.warning_threshold: expected a factor of the limit"
            " such as 0.8, got 80, did you mean 0.8?"
        ),
        (
            "budgets/all.json:8: auth-service.throughput.warning_threshold: a warning must come before critical:"
            " expected at least 0.8, as critical_threshold is (its default), got 0.5"
        ),
        "budgets/all.json:9: auth-service.error_rate.expr: unclosed left parenthesis",
        "budgets/all.json:12: policy-service.throughput.min_decisions_per_sec: expected a number above 0, got 0",
    ]


def test_a_wrong_key_of_the_service_is_said_once_however_many_indicators_read_it() -> None:
    text = "a:\n  for: never\n  throughput: {min_rps: 1}\n  error_rate: {max_percentage: 1}"
    assert mistakes_of(text) == [
        "b.yaml:2: a.for: expected a duration such as 30s, 5m or 1h30m, got the text 'never'",
    ]


def test_aliases_of_aliases_cannot_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (mistake,) = mistakes_of("\n".join(lines))
    assert "aliases make more than 100000 values" in mistake


def test_deep_nesting_is_refused_instead_of_ending_in_a_traceback() -> None:
    (mistake,) = mistakes_of("[" * 100_000)
    assert "not YAML" in mistake


@pytest.mark.parametrize("value", [1, "x", None, [], True, {"p95": []}, {"p95": {"budget_ms": [1]}}, [[{}]]])
def test_any_json_is_either_budgets_or_mistakes(value: object) -> None:
    for document in (value, {"a": value}, {"a": {"response_time": value}}, {"a": {"indicators": value}}):
        assert mistakes_of(json.dumps(document), "b.json")

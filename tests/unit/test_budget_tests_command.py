"""`driftline budgets test`: what a CI step sees of tests that pass, fail, cannot be run or are wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from agents.cli.budgets import app

BUDGET = "shop:\n  indicators:\n    queue: {expr: sum by (route) (queue), unit: jobs, max: 100}\n"
HEAD = """\
budget_files: [budgets/*.yaml]
tests:
  - name: orders
    input_series:
      - {series: 'queue{route="/a"}', values: '50x10'}
      - {series: 'queue{route="/b"}', values: '7x10'}
"""
PASSING = "    promql_expr_test:\n      - {expr: sum(queue), eval_time: 5m, exp_samples: [{value: 57}]}\n"
FAILING = """\
    indicator_test:
      - {service: shop, indicator: queue, labels: {route: /a}, eval_time: 5m, exp_value: 51}
    promql_expr_test:
      - expr: |
          queue
            > 5
        eval_time: 4m
        exp_samples:
          - {labels: 'queue{route="/a"}', value: 50}
          - {labels: 'queue{route="/c"}', value: 7}
"""
UNEVALUATED = "    promql_expr_test:\n      - {expr: queue @ 5, eval_time: 5m}\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "budgets").mkdir()
    (tmp_path / "budgets" / "shop.yaml").write_text(BUDGET, encoding="utf-8")

    def write(text: str, name: str = "test.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["test", *(str(argument) for argument in arguments)])


def test_a_pass_says_what_passed(write: Write) -> None:
    path = write(HEAD + PASSING)
    result = run(path)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"PASS {path}:8: orders: sum(queue) at 5m",
        "1 passed, 0 failed, 0 not evaluated",
    ]


def test_a_failure_shows_expected_and_got_side_by_side(write: Write) -> None:
    path = write(HEAD + FAILING)
    result = run(path)
    assert result.exit_code == 1
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        f"FAIL {path}:10: orders: queue > 5 at 4m",
        "                        expected  got",
        '     queue{route="/a"}  50        50',
        ' !=  queue{route="/b"}  -         7',
        ' !=  queue{route="/c"}  7         -',
        f'FAIL {path}:8: orders: shop/queue{{route="/a"}} at 5m',
        "                   expected  got",
        ' !=  {route="/a"}  51        50',
        "0 passed, 2 failed, 0 not evaluated",
    ]


def test_what_is_not_evaluated_is_no_pass(write: Write) -> None:
    path = write(HEAD + UNEVALUATED)
    result = run(path)
    assert result.exit_code == 3
    assert "NOT EVALUATED" in result.stdout
    assert "@ is not supported" in result.stdout
    assert run(path, write(HEAD + PASSING, "passing.yaml")).exit_code == 3
    assert run(path, write(HEAD + FAILING, "failing.yaml")).exit_code == 1


def test_a_file_without_tests_is_no_pass(write: Write) -> None:
    assert run(write("tests: []\n")).exit_code == 3


def test_wrong_files_are_all_named_and_nothing_runs(write: Write) -> None:
    wrong, missing = write(HEAD + "    alert_tests: []\n", "wrong.yaml"), Path("/nowhere/test.yaml")
    result = run(wrong, missing, write(HEAD + PASSING))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"{wrong}:7: tests[0].alert_tests: unknown key, did you mean alert_test?",
        "/nowhere/test.yaml: No such file or directory",
    ]


def test_budget_files_are_looked_for_beside_the_test_file(write: Write) -> None:
    for pattern, said in (("none/*.yaml", "no file none/*.yaml"), ("budgets/wrong.yml", "unknown key")):
        write("shop: {throughput: {min_rsp: 1}}", "budgets/wrong.yml")
        result = run(write(HEAD.replace("budgets/*.yaml", pattern) + PASSING))
        assert result.exit_code == 2
        assert said in result.stderr
    absolute = write(HEAD + PASSING).parent / "budgets" / "shop.yaml"
    assert run(write(HEAD.replace("budgets/*.yaml", str(absolute)) + PASSING)).exit_code == 0


def test_rule_files_are_read_for_the_names_that_they_record(write: Write) -> None:
    write("groups: [{name: g, rules: [{record: total, expr: sum(queue)}, {alert: A, expr: queue > 1}]}]", "r.yml")
    head = "rule_files: ['r.y*', 'other.yml']\n" + HEAD
    result = run(write(head + PASSING))
    assert result.exit_code == 0
    assert "no rule file other.yml" in result.stderr
    for expr in ("total", "ALERTS"):
        result = run(write(head + f"    promql_expr_test: [{{expr: {expr}}}]\n"))
        assert result.exit_code == 3
        assert f"{expr} comes from a rule" in result.stdout
    write("groups: {}", "r.yml")
    assert run(write(head + PASSING)).exit_code == 2


def test_programs_get_every_case_as_json(write: Write) -> None:
    result = run(write(HEAD + FAILING + UNEVALUATED.replace("promql_expr_test", "external_url")), "--output", "json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["verdict"]) == (1, "gate_failed")
    assert [item["outcome"] for item in document["items"]] == ["failed", "failed", "not_evaluated"]
    item = document["items"][1]
    assert (item["kind"], item["line"], item["eval_time"]) == ("indicator_test", 8, "5m")
    assert item["rows"] == [{"what": '{route="/a"}', "expected": "51", "got": "50", "agrees": False}]


def test_ci_systems_get_junit_xml(write: Write) -> None:
    text = HEAD.replace("orders", '"a \\x01 <&> \U0001f600"') + FAILING
    unevaluated = write(HEAD + UNEVALUATED, "unevaluated.yaml")
    result = run(write(text), unevaluated, write(HEAD + PASSING, "passing.yaml"), "--output", "junit")
    assert result.exit_code == 1
    root = ET.fromstring(result.stdout)
    assert root.tag == "testsuites"
    counts = [(suite.get("tests"), suite.get("failures"), suite.get("skipped"), suite.get("errors")) for suite in root]
    assert counts == [("2", "2", "0", "0"), ("1", "0", "1", "0"), ("1", "0", "0", "0")]
    case = root[0][0]
    assert (case.get("classname"), case.get("name")) == ("a \ufffd <&> \U0001f600.promql_expr_test", "queue > 5 at 4m")
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "expected and got differ"
    assert '! queue{route="/c"}: expected 7, got -' in (failure.text or "").splitlines()
    skipped = root[1][0].find("skipped")
    assert skipped is not None
    assert "@ is not supported" in str(skipped.get("message"))
    assert list(root[2][0]) == []

"""`driftline budgets`: what a CI step sees of right and wrong files."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agents.cli.budgets import app
from budgets.spec.schema import budget_file_schema

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "budgets"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "api.yaml"
    path.write_text("api:\n  for: 30\n  throughput: {min_rsp: 1}\n", encoding="utf-8")
    return path


def test_check_says_what_it_found_and_passes() -> None:
    result = run("check", EXAMPLES)
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert f"policy-service ({EXAMPLES}/policy-service.json)" in lines
    assert "  throughput: at least 5000 1/s" in lines
    assert "  error_rate: at most 1 %" in lines
    assert lines[-1] == "ok: 3 services, 11 indicators"


def test_check_of_a_wrong_file_says_every_mistake_on_stderr_and_exits_2(wrong: Path) -> None:
    result = run("check", wrong, EXAMPLES)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{wrong}:2: api.for: expected a duration such as 30s, 5m or 1h30m, got 30, did you mean 30s?",
        f"{wrong}:3: api.throughput.min_rsp: unknown key, did you mean min_rps?",
    ]


def test_check_without_files_is_a_wrong_use() -> None:
    assert run("check").exit_code == 2


def test_a_file_that_is_not_there_exits_2() -> None:
    result = run("show", "/nowhere/api.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "/nowhere/api.yaml: No such file or directory\n"


def test_show_prints_expressions_and_absolute_limits_as_a_table() -> None:
    result = run("show", EXAMPLES / "infrastructure.json")
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if "node_availability" in line)
    words = ["at least 99 %", "< 98.01 %", "< 94.05 %", "-1/5 %", 'avg(up{job=~"node|node[-_]exporter"})']
    assert [word for word in words if word not in row] == []


def test_show_prints_the_same_for_programs() -> None:
    items = json.loads(run("show", EXAMPLES / "auth-service.json", "--output", "json").stdout)["items"]
    throughput = next(item for item in items if item["id"] == "auth-service/throughput")
    assert throughput["expr"] == 'sum(rate(http_requests_total{service="auth-service"}[5m]))'
    assert (throughput["limit"], throughput["warning"], throughput["critical"]) == (1000.0, 900.0, 800.0)


def test_default_windows_follow_the_step() -> None:
    result = run("show", EXAMPLES / "auth-service.json", "--step", "5m", "--output", "json")
    assert {item["window_ms"] for item in json.loads(result.stdout)["items"]} == {1_200_000}


def test_a_step_that_is_no_duration_exits_2() -> None:
    result = run("show", EXAMPLES, "--step", "fast")
    assert result.exit_code == 2
    assert result.stderr == "--step: expected a duration such as 15s or 1m30s, got 'fast'\n"


def test_schema_prints_the_schema_of_budget_files() -> None:
    assert json.loads(run("schema").stdout) == budget_file_schema()

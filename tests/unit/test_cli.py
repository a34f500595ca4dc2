"""The command line as a shell sees it: exit codes, streams, and that a command loads no more than it needs."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from agents.cli import main as entry
from agents.cli.check import verdict_of
from agents.cli.output import ExitCode
from agents.settings import SettingsError
from agents.stack import free_port
from budgets.spec.errors import BudgetError, Mistake


def driftline(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "agents.cli.main", *arguments]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("DRIFTLINE_")}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={**clean, **(environ or {})}
    )


def test_the_version_is_that_of_the_project() -> None:
    answer = driftline("--version")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "driftline 0.1.0\n", "")


def test_help_lists_every_command_but_the_embedded_broker() -> None:
    answer = driftline("--help")
    assert answer.returncode == 0
    listed = {words[1] for line in answer.stdout.splitlines() if len(words := line.split()) > 1}
    assert listed >= set(entry.COMMANDS) - {"broker"}
    assert "broker" not in listed


@pytest.mark.parametrize("command", sorted(entry.COMMANDS))
def test_every_command_explains_itself(command: str) -> None:
    answer = CliRunner().invoke(entry.create_app([command]), [command, "--help"], prog_name="driftline")
    assert answer.exit_code == 0, answer.output
    assert f"Usage: driftline {command}" in answer.output


def test_shell_completion_offers_the_commands() -> None:
    environ = {"_DRIFTLINE_COMPLETE": "complete_bash", "COMP_WORDS": "driftline mo", "COMP_CWORD": "1"}
    answer = driftline(environ=environ)
    assert answer.stdout.split() == ["monitor"]


@pytest.mark.parametrize("arguments", [("chek",), ("check",), ("check", "a", "--output", "xml"), ("topics", "drop")])
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    answer = driftline(*arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("check", {"faust", "sqlalchemy", "river", "confluent_kafka", "aiokafka", "pydantic"}),
        ("ingest", {"faust", "sqlalchemy", "river", "jinja2"}),
        ("topics", {"faust", "sqlalchemy", "river"}),
    ],
)
def test_a_command_loads_only_what_it_needs(command: str, unwanted: set[str]) -> None:
    code = f"""
import sys
from agents.cli.main import create_app
create_app([{command!r}])
print(*sorted({unwanted!r} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []


def test_a_wrong_setting_is_exit_code_2_with_its_place_and_no_traceback() -> None:
    answer = driftline("ingest", environ={"DRIFTLINE_INGEST__LISTEN": "everywhere"})
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("environment: ingest.listen (DRIFTLINE_INGEST__LISTEN): expected HOST:PORT")
    assert "Traceback" not in answer.stderr


def test_a_variable_that_nothing_reads_is_exit_code_2() -> None:
    answer = driftline("worker", environ={"DRIFTLINE_KAFKA_BOOTSTRAP": "x:1"})
    assert answer.returncode == 2
    assert "DRIFTLINE_KAFKA_BOOTSTRAP" in answer.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("data: is in use"), 2),
        (BudgetError([Mistake("a.json", 3, "x.p95", "expected a number")]), 2),
        (TimeoutError("not ready after 60 s: worker: joining"), 4),
    ],
)
def test_errors_that_are_not_ours_become_exit_codes_with_their_text_alone(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(entry, "create_app", fail)
    monkeypatch.setattr(sys, "argv", ["driftline", "up"])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == code
    assert capsys.readouterr() == ("", f"{error}\n")


def test_an_error_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a broken invariant")

    monkeypatch.setattr(entry, "create_app", fail)
    with pytest.raises(RuntimeError, match="a broken invariant"):
        entry.main()


def test_kafka_that_does_not_answer_is_exit_code_4(monkeypatch: pytest.MonkeyPatch) -> None:
    from agents.kafka import admin  # noqa: PLC0415  only to wait less for a refused connection

    monkeypatch.setattr(admin, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(sys, "argv", ["driftline", "topics", "list", "--kafka", f"127.0.0.1:{free_port()}"])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == ExitCode.UNREACHABLE


def indicator(state: str, **more: Any) -> dict[str, Any]:
    item = {"id": "api/throughput", "service": "api", "unit": "1/s", "value": 950.0, "limit": 1000.0, "state": state}
    return {**item, **more}


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ([], ExitCode.INCONCLUSIVE),
        (["ok"], ExitCode.PASS),
        (["ok", "warning"], ExitCode.PASS),
        (["ok", "no_data"], ExitCode.INCONCLUSIVE),
        (["ok", "stale"], ExitCode.INCONCLUSIVE),
        (["no_data", "critical"], ExitCode.GATE_FAILED),
        (["ok", "critical"], ExitCode.GATE_FAILED),
    ],
)
def test_a_verdict_is_the_worst_state_and_never_a_pass_when_something_was_not_judged(
    states: list[str], verdict: ExitCode
) -> None:
    assert verdict_of([indicator(state) for state in states]) is verdict


class Api(BaseHTTPRequestHandler):
    """Answers the indicators of `items`, one a page."""

    items: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        at = int(self.path.partition("cursor=")[2] or 0)
        page = {"items": self.items[at : at + 1], "next": str(at + 1) if at + 1 < len(self.items) else None}
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  inherited
        """Say nothing."""


@pytest.fixture
def api_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_check_prints_every_page_as_json_and_fails_the_gate(api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [indicator("ok"), indicator("critical", id='api/error_rate{route="/"}', unit="ratio", value=0.031)]
    monkeypatch.setattr(Api, "items", items)
    answer = driftline("check", "api", "--output", "json", "--url", api_url)
    assert answer.returncode == 1
    assert answer.stderr == ""
    assert json.loads(answer.stdout) == {"verdict": "gate_failed", "items": items}


def test_check_prints_a_table_for_people(api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api, "items", [indicator("ok", value=None), indicator("ok", unit="ratio", value=0.031)])
    answer = driftline("check", "api", environ={"DRIFTLINE_URL": api_url})
    assert answer.returncode == 0
    assert [line.split() for line in answer.stdout.splitlines()] == [
        ["service", "indicator", "value", "limit", "state"],
        ["api", "throughput", "-", "1000", "1/s", "ok"],
        ["api", "throughput", "3.1", "%", "1e+05", "%", "ok"],
    ]


def test_checking_a_service_without_a_budget_is_exit_code_2(api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api, "items", [])
    answer = driftline("check", "nobody", "--url", api_url)
    assert answer.returncode == 2
    assert "nobody: no budget of this name" in answer.stderr


def test_monitor_looks_once_and_gives_the_verdict(api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api, "items", [indicator("no_data", value=None)])
    answer = driftline("monitor", "--output", "json", "--url", api_url)
    assert answer.returncode == 3
    assert json.loads(answer.stdout)["verdict"] == "inconclusive"


@pytest.mark.parametrize("command", [("check", "api"), ("monitor",)])
def test_an_unreachable_driftline_is_exit_code_4(command: tuple[str, ...]) -> None:
    answer = driftline(*command, "--url", f"http://127.0.0.1:{free_port()}")
    assert (answer.returncode, answer.stdout) == (4, "")
    assert "Traceback" not in answer.stderr

"""`driftline backtest --from`: a real Prometheus evaluates a budget's expressions, the Judge judges them."""

import json
import random
import urllib.request
from collections.abc import Callable
from pathlib import Path
from time import time

import msgspec
import pytest

from agents.cli import backtest_past
from agents.cli.backtest_past import Past, judge_past
from agents.prometheus import QueryError
from agents.stack import free_port
from budgets.event import format_time
from budgets.spec.load import load_budgets
from budgets.spec.model import ServiceBudget
from streams.wire.encode import encode_write_request
from streams.wire.request import compress
from tests.acceptance.test_backtest import backtest, lines_of
from tests.servers.prometheus import Prometheus

pytestmark = pytest.mark.integration

STEP_MS = 15_000
STEPS = 600
BUDGET = {"checkout": {"indicators": {"latency": {"expr": "latency_ms", "unit": "ms", "max": 150}}}}


def write_past(prometheus: Prometheus) -> tuple[int, list[float]]:
    """A gauge that shifts by half; (time of its first sample, its values)."""
    first_ms = (int(time() * 1000) // STEP_MS - STEPS - 4) * STEP_MS
    rng = random.Random(5)
    values = [round(100 + rng.gauss(0, 2) + (50 if row >= 480 else 0), 3) for row in range(STEPS)]
    samples = [(first_ms + row * STEP_MS, value) for row, value in enumerate(values)]
    body = compress(encode_write_request([({"__name__": "latency_ms"}, samples)]))
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    with urllib.request.urlopen(urllib.request.Request(prometheus.url + "/api/v1/write", body, headers), timeout=30):
        return first_ms, values


@pytest.fixture
def prometheus(start_prometheus: Callable[..., Prometheus]) -> Prometheus:
    return start_prometheus("", "--web.enable-remote-write-receiver")


def test_the_past_of_a_prometheus_and_the_same_values_in_a_file_give_the_same_events(
    prometheus: Prometheus, tmp_path: Path
) -> None:
    first_ms, values = write_past(prometheus)
    budgets, series = tmp_path / "budgets.json", tmp_path / "checkout.csv"
    budgets.write_text(json.dumps(BUDGET))
    rows = (f"{format_time(first_ms + row * STEP_MS)},{value}\n" for row, value in enumerate(values))
    series.write_text("timestamp,latency\n" + "".join(rows))
    answer = backtest(
        *("--from", prometheus.url, "--since", "6h", "--step", "15s", "--budgets", budgets, "--output", "jsonl")
    )
    past = lines_of(answer)
    recorded = lines_of(backtest("--series", series, "--budgets", budgets, "--step", "15s", "--output", "jsonl"))
    assert {(event["kind"], event["transition"]) for event in recorded} >= {
        ("budget", "firing"),
        ("regression", "firing"),
    }
    last = recorded[-1]["at"]
    assert [event for event in past if event["at"] <= last] == [
        {key: value for key, value in event.items() if key not in {"file", "row"}} for event in recorded
    ]
    assert f"steps since {format_time(first_ms)}" in answer.stderr


async def test_the_size_of_the_pieces_changes_nothing(prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    first_ms, _ = write_past(prometheus)
    budgets = load_budgets(json.dumps(BUDGET), "b.json", step_ms=STEP_MS)
    past = Past(first_ms, first_ms + (STEPS - 1) * STEP_MS, STEP_MS)
    shown: list[int] = []
    at_once = await judge_past(prometheus.url, budgets, past, shown.append)
    monkeypatch.setattr(backtest_past, "_PIECE_STEPS", 7)
    in_pieces = await judge_past(prometheus.url, budgets, past, shown.append)
    assert at_once == in_pieces
    assert (at_once.steps, at_once.values) == (STEPS, STEPS)
    assert shown == [1, *range(1, -(-STEPS // 7) + 1)]


async def test_an_expression_that_prometheus_refuses_is_named(prometheus: Prometheus) -> None:
    budgets = load_budgets(json.dumps(BUDGET), "b.json", step_ms=STEP_MS)
    (indicator,) = budgets[0].indicators
    wrong = [ServiceBudget("checkout", (msgspec.structs.replace(indicator, expr="rate(latency_ms)"),))]
    with pytest.raises(QueryError, match=r"bad_data: .*, in rate\(latency_ms\)"):
        await judge_past(prometheus.url, wrong, Past(STEP_MS, 2 * STEP_MS, STEP_MS), lambda _: None)


def test_a_prometheus_without_data_is_inconclusive_and_one_that_is_away_unreachable(
    prometheus: Prometheus, tmp_path: Path
) -> None:
    budgets = tmp_path / "budgets.json"
    budgets.write_text(json.dumps(BUDGET))
    assert backtest("--from", prometheus.url, "--since", "1h", "--budgets", budgets).returncode == 3
    away = f"http://127.0.0.1:{free_port()}"
    answer = backtest("--from", away, "--budgets", budgets)
    assert (answer.returncode, answer.stderr.startswith(away)) == (4, True)
    assert backtest("--from", prometheus.url).returncode == 2
    assert backtest("--from", "nowhere", "--budgets", budgets).returncode == 2

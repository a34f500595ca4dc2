"""`driftline backtest` as a shell sees it: real processes over files, exit codes, lines of JSON, scores."""

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from budgets.event import parse_time

START_S = 1_700_000_000
BUDGET = {
    "checkout": {
        "indicators": {"latency": {"expr": "x", "unit": "ms", "max": 130, "warning_threshold": 1.0}},
    }
}


def backtest(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "agents.cli.main", "backtest", *map(str, arguments)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("DRIFTLINE_")}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, env=clean)


def write_series(path: Path, rows: int, shift_at: int, size: float, columns: tuple[str, ...] = ("latency",)) -> Path:
    rng = random.Random(path.name)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("timestamp", *columns))
        for row in range(rows):
            level = 100.0 + (size if row >= shift_at else 0.0)
            writer.writerow((START_S + 60 * row, *(f"{level + rng.gauss(0.0, 2.0):.4f}" for _ in columns)))
    return path


def lines_of(answer: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_every_event_is_a_line_with_its_file_and_row(tmp_path: Path) -> None:
    path = write_series(tmp_path / "checkout.csv", 1200, 900, 40.0)
    events = lines_of(backtest("--series", path, "--direction", "above", "--step", "60s", "--output", "jsonl"))
    regressions = [event for event in events if event["kind"] == "regression"]
    assert [event["transition"] for event in regressions][:2] == ["pending", "firing"]
    for event in events:
        assert event["file"] == "checkout.csv"
        assert parse_time(event["at"]) == (START_S + 60 * event["row"]) * 1000
        assert (event["service"], event["indicator"], event["direction"]) == ("checkout", "latency", "above")
    assert 900 <= regressions[1]["row"] <= 905


def test_the_first_part_of_a_file_decides_the_same(tmp_path: Path) -> None:
    whole = write_series(tmp_path / "a.csv", 1500, 700, 15.0)
    (tmp_path / "part").mkdir()
    part = tmp_path / "part" / "a.csv"
    part.write_text("".join(whole.read_text().splitlines(keepends=True)[:901]))
    every = lines_of(backtest("--series", whole, "--output", "jsonl", "--scores", tmp_path / "whole-scores"))
    first = lines_of(backtest("--series", part, "--output", "jsonl", "--scores", tmp_path / "part-scores"))
    assert first
    assert first == [event for event in every if event["row"] < 900]
    scores = (tmp_path / "part-scores" / "a.csv.scores.csv").read_text()
    assert (tmp_path / "whole-scores" / "a.csv.scores.csv").read_text().startswith(scores)


def test_several_files_are_judged_each_alone_and_printed_in_their_order(tmp_path: Path) -> None:
    paths = [write_series(tmp_path / f"s{number}.csv", 1000, 800, 30.0 * number) for number in (2, 0, 1)]
    together = lines_of(backtest("--series", *paths, "--output", "jsonl"))
    alone = [event for path in paths for event in lines_of(backtest("--series", path, "--output", "jsonl"))]
    assert together == alone
    assert {event["file"] for event in together} == {"s2.csv", "s1.csv"}


def test_scores_have_a_line_for_every_row_and_a_column_for_every_indicator(tmp_path: Path) -> None:
    path = write_series(tmp_path / "a.csv", 800, 600, 40.0, columns=("latency", "size"))
    answer = backtest("--series", path, "--scores", tmp_path / "scores")
    assert answer.returncode == 0
    with (tmp_path / "scores" / "a.csv.scores.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["timestamp", "latency", "size"]
    assert [row[0] for row in rows] == [str(START_S + 60 * row) for row in range(800)]
    assert all(0.0 <= float(cell) <= 1.0 for row in rows for cell in row[1:])


def test_a_table_names_what_fired_and_people_are_told_the_rest(tmp_path: Path) -> None:
    answer = backtest("--series", write_series(tmp_path / "a.csv", 1000, 800, 40.0))
    assert answer.returncode == 0
    assert "latency above" in answer.stdout
    assert "regression" in answer.stdout
    assert "a.csv: step 60s, as its first rows have it" in answer.stderr
    assert "1 files, 1000 rows, 1000 values judged: 1 regression" in answer.stderr


def test_a_budget_brings_its_limits(tmp_path: Path) -> None:
    budgets = tmp_path / "budgets.json"
    budgets.write_text(json.dumps(BUDGET))
    path = write_series(tmp_path / "checkout.csv", 400, 300, 60.0, columns=("latency", "other"))
    answer = backtest("--series", path, "--budgets", budgets, "--output", "jsonl", "--step", "60s")
    firing = [event for event in lines_of(answer) if event["kind"] == "budget" and event["transition"] == "firing"]
    assert [(event["indicator"], event["unit"], event["threshold"]) for event in firing] == [("latency", "ms", 130.0)]
    assert "judged without limits, the budget does not have them: other" in answer.stderr


def test_exit_codes_say_what_was_evaluated(tmp_path: Path) -> None:
    quiet = write_series(tmp_path / "quiet.csv", 400, 400, 0.0)
    empty = tmp_path / "empty.csv"
    empty.write_text("timestamp,a\n60,\n120,\n")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("timestamp,a\n60,x\n")
    assert backtest("--series", quiet).returncode == 0
    assert backtest("--series", empty).returncode == 3
    answer = backtest("--series", quiet, wrong)
    assert (answer.returncode, "wrong.csv:2: a: expected a number, got 'x'" in answer.stderr) == (2, True)
    assert backtest().returncode == 2
    assert backtest("--series", tmp_path / "none.csv").returncode == 2
    assert backtest("--series", quiet, "--step", "soon").returncode == 2
    assert backtest("--series", quiet, quiet, "--scores", tmp_path / "scores").returncode == 2


def test_rows_that_go_back_in_time_are_named_and_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("timestamp,a\n" + "".join(f"{60 * row},1\n" for row in (1, 2, 3, 2, 3, 4)))
    answer = backtest("--series", path)
    assert answer.returncode == 0
    assert "a.csv: 2 rows not judged" in answer.stderr
    assert "the first of them at 120 (row 3)" in answer.stderr
    assert "4 values judged" in answer.stderr


def test_a_bar_shows_how_far_it_is_only_on_a_terminal(tmp_path: Path) -> None:
    path = write_series(tmp_path / "a.csv", 200, 200, 0.0)
    assert "%" not in backtest("--series", path).stderr

"""What the Judge finds in days of simulated traffic, and what it leaves alone; values as `simulated.py` makes them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agents.demo.traffic import Cluster, Floats, RequestService, create_services
from budgets.event import AlertEvent, parse_time
from budgets.judge import Judge
from budgets.spec.load import load_budgets
from budgets.spec.model import ServiceBudget
from tests.acceptance.simulated import START_MS, frames_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "budgets"
STEP_MS = 15_000
WINDOW_MS = 300_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

# tests/acceptance/test_end_to_end.py with a real Prometheus, here without one.
SMALL_WINDOWS = """{"auth-service": {"window": "15s", "for": "5s", "keep_firing_for": "10s",
  "response_time": {"p95": {"budget_ms": 200, "warning_threshold": 0.8, "critical_threshold": 1.0}},
  "error_rate": {"max_percentage": 1.0, "warning_threshold": 0.5, "critical_threshold": 0.8}}}"""


def example_budgets(step_ms: int = STEP_MS) -> Iterator[ServiceBudget]:
    for path in sorted(EXAMPLES.glob("*.json")):
        yield from load_budgets(path.read_text(encoding="utf-8"), path.name, step_ms=step_ms)


def judged(
    services: list[RequestService | Cluster],
    budgets: list[ServiceBudget],
    duration_ms: int,
    seed: int,
    step_ms: int = STEP_MS,
    window_ms: int = WINDOW_MS,
) -> list[AlertEvent]:
    judge = Judge(step_ms)
    for budget in budgets:
        judge.define(budget, budget.service, 0)
    rng = np.random.default_rng(seed)
    frames = frames_of(services, rng, step_ms=step_ms, window_ms=window_ms, duration_ms=duration_ms)
    return [event for frame in frames for event in judge.observe(frame)]


class Slower:
    """A slowdown between two moments, ms after the start."""

    def __init__(self, factor: float, start_ms: int, end_ms: int = 10**12) -> None:
        self.factor, self.start, self.end = factor, (START_MS + start_ms) / 1000, (START_MS + end_ms) / 1000

    def __call__(self, seconds: Floats) -> Floats:
        return np.where((seconds > self.start) & (seconds <= self.end), self.factor, 1.0)


def delays(events: list[AlertEvent], start_ms: int, transition: str) -> dict[tuple[str, str], float]:
    """Seconds from a moment to the first such transition of each (kind, indicator)."""
    found: dict[tuple[str, str], float] = {}
    for event in events:
        if event.transition == transition:
            found.setdefault((event.kind, event.indicator), (parse_time(event.at) - START_MS - start_ms) / 1000)
    return found


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_seven_steady_days_of_the_example_budgets_are_silent(seed: int) -> None:
    events = judged(create_services(), list(example_budgets()), 7 * DAY_MS, seed)
    assert [event.annotations.summary for event in events] == []


def test_seven_steady_days_of_small_services_send_nothing() -> None:
    services: list[RequestService | Cluster] = []
    limits = '"response_time": {"p50": LIMIT, "p95": LIMIT, "p99": LIMIT}, "error_rate": {"max_percentage": 99}'
    limits = limits.replace("LIMIT", '{"budget_ms": 100000}') + ', "throughput": {"min_rps": 0.0001}'
    texts = []
    for rate in (0.5, 5.0, 50.0):
        for errors in (0.0001, 0.01):
            name = f"svc-{rate:g}-{errors:g}".replace(".", "-")
            services.append(RequestService(name, rate=rate, error_ratio=errors))
            texts.append(f'"{name}": {{{limits}}}')
    budgets = load_budgets("{" + ", ".join(texts) + "}", "small.json", step_ms=STEP_MS)
    events = judged(services, budgets, 7 * DAY_MS, 5)
    assert [event.annotations.summary for event in events if event.transition == "firing"] == []


@pytest.mark.parametrize(("history_ms", "seed"), [(3 * HOUR_MS, 1), (3 * HOUR_MS, 2), (3 * DAY_MS, 3)])
def test_a_tenfold_slowdown_alarms_within_a_minute(history_ms: int, seed: int) -> None:
    services = create_services(Slower(10.0, history_ms))
    events = judged(services, list(example_budgets()), history_ms + 10 * 60_000, seed)
    assert {event.service for event in events} == {"auth-service"}
    fired = delays(events, history_ms, "firing")
    assert min(fired.values()) <= 60
    assert fired.keys() == {
        (kind, f"response_time_{name}") for kind in ("budget", "regression") for name in ("p50", "p95", "p99")
    }
    assert len({event.incident for event in events}) == 1


@pytest.mark.parametrize(("history_ms", "seed"), [(3 * HOUR_MS, 1), (3 * DAY_MS, 2)])
def test_a_slowdown_by_half_is_a_regression_within_minutes_and_nothing_of_it_is_left_afterwards(
    history_ms: int, seed: int
) -> None:
    end_ms = history_ms + HOUR_MS
    services = create_services(Slower(1.5, history_ms, end_ms))
    events = judged(services, list(example_budgets()), end_ms + DAY_MS, seed)
    assert {event.service for event in events} == {"auth-service"}
    # 125 ms become 188 ms: the warning level of 160 ms is passed; p50 and p99 stay within theirs.
    regressions = {("regression", f"response_time_{name}") for name in ("p50", "p95", "p99")}
    fired = delays(events, history_ms, "firing")
    assert fired.keys() - {("budget", "response_time_p50")} == {*regressions, ("budget", "response_time_p95")}
    assert max(fired[key] for key in regressions) <= 240
    resolved = delays(events, end_ms, "resolved")
    assert fired.keys() <= resolved.keys()
    assert max(resolved.values()) <= 420
    assert max(parse_time(event.at) for event in events) <= START_MS + end_ms + 420_000
    assert all(event.kind != "trend" for event in events)


def test_a_small_change_beyond_its_threshold_is_found_and_one_below_it_is_not() -> None:
    start_ms = 6 * HOUR_MS
    small = judged(create_services(Slower(1.10, start_ms)), list(example_budgets()), start_ms + 4 * HOUR_MS, 4)
    assert small == []
    large = judged(create_services(Slower(1.25, start_ms)), list(example_budgets()), start_ms + HOUR_MS, 4)
    found = delays([event for event in large if event.kind == "regression"], start_ms, "firing")
    assert found.keys() == {("regression", f"response_time_{name}") for name in ("p50", "p95", "p99")}
    assert max(found.values()) <= 420


def test_a_lasting_change_fires_until_its_level_is_accepted_after_seven_days() -> None:
    start_ms = 12 * HOUR_MS
    events = judged(create_services(Slower(1.3, start_ms)), list(example_budgets(60_000)), 8 * DAY_MS, 6, 60_000)
    p95 = [event for event in events if (event.kind, event.indicator) == ("regression", "response_time_p95")]
    assert [event.transition for event in p95 if event.transition in {"firing", "resolved"}] == ["firing", "resolved"]
    accepted_ms = parse_time(p95[-1].at) - START_MS - start_ms
    assert 7 * DAY_MS <= accepted_ms <= 7 * DAY_MS + HOUR_MS


def test_steady_worsening_over_hours_is_a_trend_before_it_is_anything_else() -> None:
    start_ms = 3 * DAY_MS

    def slope(seconds: Floats) -> Floats:
        hours = (seconds - (START_MS + start_ms) / 1000) / 3600
        return 1.0 + 0.03 * np.clip(hours, 0.0, 10.0)

    events = judged(create_services(slope), list(example_budgets()), start_ms + 10 * HOUR_MS, 8)
    trend = next(event for event in events if event.kind == "trend" and event.transition == "firing")
    assert trend.service == "auth-service"
    assert trend.evidence.trend_per_hour is not None
    assert trend.evidence.trend_per_hour > 0
    assert "has worsened steadily" in trend.annotations.summary
    first_budget = min(event.at for event in events if event.kind == "budget")
    assert trend.at < first_budget


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_windows_of_fifteen_seconds_find_a_slowdown_of_four_fifths_and_let_go_of_it(seed: int) -> None:
    start_ms, end_ms = 3 * HOUR_MS, 3 * HOUR_MS + 90_000
    service = RequestService(
        "auth-service", rate=3000.0, median_seconds=0.055, error_ratio=0.001, slowdown=Slower(1.8, start_ms, end_ms)
    )
    budgets = load_budgets(SMALL_WINDOWS, "small.json", step_ms=5_000)
    events = judged([service], budgets, end_ms + 3 * HOUR_MS, seed, 5_000, 15_000)
    expected = {("budget", "response_time_p95"), ("regression", "response_time_p95")}
    fired = delays(events, start_ms, "firing")
    assert fired.keys() == expected
    assert max(fired.values()) <= 30
    resolved = delays(events, end_ms, "resolved")
    assert resolved.keys() == expected
    assert max(resolved.values()) <= 30


def test_twice_the_errors_are_found_and_their_noise_is_not() -> None:
    start_ms = 6 * HOUR_MS
    service = RequestService("auth-service", rate=1500.0, error_ratio=0.001)
    budgets = [budget for budget in example_budgets() if budget.service == "auth-service"]
    judge = Judge(STEP_MS)
    judge.define(budgets[0], "auth-service", 0)
    rng = np.random.default_rng(3)
    windows = {"step_ms": STEP_MS, "window_ms": WINDOW_MS}
    for frame in frames_of([service], rng, duration_ms=start_ms, **windows):
        assert judge.observe(frame) == []
    service.error_ratio = 0.002
    later = frames_of([service], rng, duration_ms=HOUR_MS, start_ms=START_MS + start_ms, **windows)
    events = [event for frame in later for event in judge.observe(frame)]
    assert {(event.kind, event.indicator) for event in events} == {("regression", "error_rate")}
    assert "firing" in {event.transition for event in events}

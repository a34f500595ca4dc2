"""What judging costs: microseconds an indicator and step, bytes of state, and River's own statistics beside ours.

    python -m benchmarks.judge [INDICATORS] [STEPS]

Values stray by chance and nothing alarms: what nearly every step looks like. The bar is 60 µs and 4 KB at 10,000,
beside the profile of four weeks in hours.
"""

import sys
import time
import tracemalloc
from typing import NamedTuple

import numpy as np

from budgets.judge import Judge
from budgets.spec.model import IndicatorSpec, ServiceBudget
from streams.detect.hours import PROFILE_BYTES
from streams.detect.memory import FadingMean
from streams.frame import IndicatorFrame, Points

STEP_MS = 15_000
START_MS = 1_790_000_010_000
PER_SERVICE = 10


class Cost(NamedTuple):
    """us: CPU time of an indicator and step. longest_ms: of a step. The rest is of a snapshot of all indicators."""

    us: float
    longest_ms: float
    snapshot_bytes: float
    save_ms: float
    restore_ms: float


def _budgets(indicators: int) -> list[ServiceBudget]:
    budgets = []
    for number in range(indicators // PER_SERVICE):
        service = f"svc-{number}"
        specs = tuple(
            IndicatorSpec(
                id=f"{service}/latency_{index}",
                service=service,
                name=f"latency_{index}",
                kind="custom",
                expr="x",
                unit="ms",
                direction="above",
                limit=200.0,
                warning=160.0,
                critical=200.0,
            )
            for index in range(PER_SERVICE)
        )
        budgets.append(ServiceBudget(service, specs))
    return budgets


def _frames(ids: list[str], steps: int, first: int) -> list[IndicatorFrame]:
    rng = np.random.default_rng(1)
    white = rng.normal(0.0, 4.0, (steps + 19, len(ids)))
    sums = np.cumsum(np.vstack([np.zeros((1, len(ids))), white]), axis=0)
    values = (100.0 + (sums[20:] - sums[:-20]) / 20).tolist()
    weights: list[float | None] = [5000.0] * len(ids)
    return [
        IndicatorFrame(START_MS + (first + number) * STEP_MS, STEP_MS, Points(ids, row, weights))
        for number, row in enumerate(values)
    ]


def _memory_of(indicators: int) -> float:
    """Bytes an indicator in the process after an hour."""
    budgets = _budgets(indicators)
    ids = [spec.id for budget in budgets for spec in budget.indicators]
    frames = _frames(ids, 250, 0)
    tracemalloc.start()
    judge = Judge(STEP_MS)
    for budget in budgets:
        judge.define(budget, budget.service, 0)
    for frame in frames:
        judge.observe(frame)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used / len(ids)


def _fading_mean_us() -> tuple[float, float]:
    """(River's, ours in plain arithmetic) microseconds an update."""
    river, count = FadingMean(STEP_MS, 3_600_000), 200_000
    for _ in range(300):
        river.update(1.0)
    started = time.perf_counter()
    for _ in range(count):
        river.update(1.0)
    by_river = (time.perf_counter() - started) / count * 1e6
    mean, factor = 1.0, 0.004
    started = time.perf_counter()
    for _ in range(count):
        mean += factor * (1.0 - mean)
    return by_river, (time.perf_counter() - started) / count * 1e6


def measure(indicators: int, steps: int) -> Cost:
    """Judge so many steps of so many indicators, after a warm-up."""
    budgets = _budgets(indicators)
    ids = [spec.id for budget in budgets for spec in budget.indicators]
    judge = Judge(STEP_MS)
    for budget in budgets:
        judge.define(budget, budget.service, 0)
    warm = 150
    for frame in _frames(ids, warm, 0):
        judge.observe(frame)
    longest = total = 0.0
    for frame in _frames(ids, steps, warm):
        started = time.process_time()
        judge.observe(frame)
        took = time.process_time() - started
        total, longest = total + took, max(longest, took)
    started = time.process_time()
    snapshot = judge.snapshot()
    saving = time.process_time() - started
    started = time.process_time()
    Judge(STEP_MS).restore(snapshot)
    restoring = time.process_time() - started
    return Cost(total / steps / len(ids) * 1e6, longest * 1e3, len(snapshot) / len(ids), saving * 1e3, restoring * 1e3)


def main(indicators: int, steps: int) -> None:
    cost = measure(indicators, steps)
    river, ours = _fading_mean_us()
    print(f"{indicators} indicators, {steps} steps")
    print(f"judge      {cost.us:8.1f} µs an indicator and step  (bar: 60)")
    print(f"step       {cost.longest_ms:8.1f} ms the longest")
    print(f"profile    {PROFILE_BYTES:8.0f} bytes an indicator")
    print(f"snapshot   {cost.snapshot_bytes - PROFILE_BYTES:8.0f} bytes an indicator beside it  (bar: 4096)")
    beside = _memory_of(min(indicators, 2000)) - PROFILE_BYTES
    print(f"memory     {beside:8.0f} bytes an indicator in the process, beside it  (bar: 4096)")
    print(f"save       {cost.save_ms:8.1f} ms;  restore {cost.restore_ms:.1f} ms")
    print(f"mean       {river:8.2f} µs an update with River, {ours:.2f} µs in plain arithmetic")


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(*(arguments + [10_000, 60][len(arguments) :]))

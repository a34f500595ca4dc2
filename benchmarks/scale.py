"""The scale law: CPU-microseconds a sample at 10 k, 100 k and 1 M series, and at 1, 4 and 16 partitions.

    python -m benchmarks.scale [--series 10000 100000 1000000] [--partitions 1 4 16] [--json FILE]

In one process, without Kafka, HTTP and Judge (`benchmarks/in_process.py`): what is measured is ingest's decoding and
sorting with its lanes, the Meters' observe and the Meters' steps, after five-minute windows have filled. The load is
that of `benchmarks/scrapes.py`: targets of 1,000 series, requests of 2,000 samples, 15 s interval, five indicators for
each 10,000 series. With few services some of 16 partitions stay empty, as they would in production.

Each cell runs in a process of its own; a cell's cost is the median of its rounds. Memory is the growth of the
process, for ingest's cache and the Meters together; `windows` is what the Meters say of themselves.
"""

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks.in_process import Cost, Pipeline
from benchmarks.scrapes import INTERVAL_SECONDS, PER_REQUEST, budgets_of, bursts_of

SERIES = (10_000, 100_000, 1_000_000)
PARTITIONS = (1, 4, 16)
SHARDS = 4
FILLING, MEASURED = 24, 7
START_SECONDS = 1_764_000_000.0
WANTED_GROWTH = 1.3
COMPARED = (100_000, 1_000_000)


@dataclass(frozen=True, slots=True)
class Cell:
    """CPU-microseconds a sample by part; bytes a series."""

    series: int
    partitions: int
    sorting: float
    observing: float
    stepping: float
    indicators: int
    resident: float
    windows: float

    @property
    def total(self) -> float:
        """CPU-microseconds a sample."""
        return self.sorting + self.observing + self.stepping

    def __str__(self) -> str:
        return (
            f"{self.series:>9} {self.partitions:>10} {self.sorting:>9.3f} {self.observing:>9.3f} {self.stepping:>9.3f}"
            f" {self.total:>9.3f} {self.indicators:>10} {self.resident:>9.0f} {self.windows:>9.0f}"
        )


HEAD = (
    f"{'':>20} {'CPU-microseconds a sample':>39} {'':>10} {'bytes a series':>19}\n"
    f"{'series':>9} {'partitions':>10} {'sort':>9} {'observe':>9} {'steps':>9} {'total':>9} {'indicators':>10}"
    f" {'resident':>9} {'windows':>9}"
)


async def play(series: int, partitions: int) -> Cell:
    """One cell."""
    bursts = list(bursts_of(series, SHARDS))
    budgets = budgets_of(series)
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    pipeline = Pipeline(budgets, partitions)
    rounds: list[Cost] = []
    for number in range(FILLING + MEASURED):
        round_at, start, points = START_SECONDS + number * INTERVAL_SECONDS, copy(pipeline.cost), pipeline.points
        for burst in bursts:
            bodies = [request.body(round_at, START_SECONDS) for request in burst.requests]
            await pipeline.take(bodies, round((round_at + burst.due) * 1000))
        rounds.append(pipeline.cost.since(start))
    assert pipeline.series_count == series
    assert all(cost.samples == series for cost in rounds), "every series is needed"
    steady = rounds[FILLING:]
    gc.collect()
    return Cell(
        series,
        partitions,
        statistics.median(cost.sorting / cost.samples * 1e6 for cost in steady),
        statistics.median(cost.observing / cost.samples * 1e6 for cost in steady),
        statistics.median(cost.stepping / cost.samples * 1e6 for cost in steady),
        pipeline.points - points,
        (process.memory_info().rss - before) / series,
        pipeline.byte_count / series,
    )


def run_cell(series: int, partitions: int) -> Cell:
    """One cell in a process of its own, so that none has another's memory and caches."""
    command = [sys.executable, "-m", "benchmarks.scale", "--cell", str(series), str(partitions)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Cell(**json.loads(answer.stdout))


def judge(cells: list[Cell]) -> bool:
    """Print how much the cost grows at each number of partitions; whether it keeps the bar."""
    small, large = ({cell.partitions: cell.total for cell in cells if cell.series == n} for n in COMPARED)
    all_met = True
    for partitions in small.keys() & large.keys():
        growth = large[partitions] / small[partitions]
        met = growth < WANTED_GROWTH
        print(
            f"{COMPARED[0]} -> {COMPARED[1]} series at {partitions} partitions: x {growth:.2f};"
            f" bar < {WANTED_GROWTH}: {'met' if met else 'NOT MET'}"
        )
        all_met &= met
    return all_met


def main() -> int:
    """Measure and print; 1 when the bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, nargs="+", default=SERIES)
    parser.add_argument("--partitions", type=int, nargs="+", default=PARTITIONS)
    parser.add_argument("--cell", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(asdict(asyncio.run(play(*options.cell)))))
        return 0
    print(f"in process, without Kafka; requests of {PER_REQUEST} samples, {INTERVAL_SECONDS:.0f} s interval\n{HEAD}")
    cells = []
    for series in options.series:
        for partitions in options.partitions:
            cells.append(run_cell(series, partitions))
            print(cells[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(cell) for cell in cells], indent=1), encoding="utf-8")
    return 0 if judge(cells) else 1


if __name__ == "__main__":
    sys.exit(main())

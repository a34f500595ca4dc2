"""Prometheus' own rules on the same data: what a step and a series cost there.

    python -m benchmarks.rules [--series 100000]

The series and indicators of `benchmarks/measure.py` go by remote write into a real Prometheus that has the indicators
and their weights as recording rules, evaluated every 15 s. Its own metrics say how long an evaluation takes; its
resident set is divided by the series. Five minutes of samples are written first, then two rounds as they come.
"""

import argparse
import json
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable

import psutil

from benchmarks import measure
from benchmarks.peers.prometheus_rules import run_rules
from budgets.spec.model import ServiceBudget
from budgets.spec.resolve import queries_of
from streams.wire.request import compress
from tests.servers.prometheus import Prometheus

SERVICES = 10
STEP_SECONDS = measure.STEP_MS / 1000
LIVE_ROUNDS = 4
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def expressions_of(budgets: Iterable[ServiceBudget]) -> list[str]:
    """Every indicator's and every weight's expression, as a Meter has them."""
    found = []
    for budget in budgets:
        for query in queries_of(budget):
            found.append(query.expr)
            if query.weight_expr is not None:
                found.append(query.weight_expr)
    return found


def write(prometheus: Prometheus, blobs: list[bytes], number: int, at_ms: int) -> None:
    """One round of samples."""
    for request in measure.requests_of(blobs, number, at_ms):
        body = bytes(compress(request))
        post = urllib.request.Request(f"{prometheus.url}/api/v1/write", body, HEADERS, method="POST")
        with urllib.request.urlopen(post, timeout=30) as answer:
            assert answer.status == 204


def query(url: str, expression: str) -> list[float]:
    """The values of an instant query to the API of Prometheus that is there."""
    text = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{url}/api/v1/query?{text}", timeout=30) as answer:
        return [float(element["value"][1]) for element in json.load(answer)["data"]["result"]]


def measure_rules(series: int) -> None:
    """Print the rows."""
    blobs = [measure.blob_of(number, SERVICES, series) for number in range(series)]
    expressions = expressions_of(measure.budgets(SERVICES))
    with run_rules(expressions, STEP_SECONDS) as prometheus:
        assert prometheus.process is not None
        process = psutil.Process(prometheus.process.pid)
        now_ms = int(time.time() * 1000)
        for number in range(measure.ROUNDS):
            write(prometheus, blobs, number, now_ms - (measure.ROUNDS - number) * measure.STEP_MS)
        durations, started, busy = [], time.monotonic(), sum(process.cpu_times()[:2])
        for number in range(measure.ROUNDS, measure.ROUNDS + LIVE_ROUNDS):
            write(prometheus, blobs, number, int(time.time() * 1000))
            due = started + (number - measure.ROUNDS + 1) * STEP_SECONDS
            time.sleep(max(0.0, due - time.monotonic()))
            durations.append(sum(own_metric(prometheus, "prometheus_rule_group_last_duration_seconds")))
        cpu = (sum(process.cpu_times()[:2]) - busy) / LIVE_ROUNDS
        resident = process.memory_info().rss
        (recorded,) = query(prometheus.url, 'count({__name__=~"bench:.*"})')
    assert recorded >= len(expressions), f"{recorded:.0f} of {len(expressions)} rules have a value"
    print(
        f"prometheus  {sorted(durations)[len(durations) // 2] * 1000:.1f} ms an evaluation over {series} series,"
        f" {len(expressions)} recording rules; {cpu:.2f} CPU-seconds each 15 s with its receiver"
    )
    print(f"prometheus  {resident / series:.0f} bytes a series resident, five minutes and a half of samples held")


def own_metric(prometheus: Prometheus, name: str) -> list[float]:
    """The values of one of its own metrics."""
    with urllib.request.urlopen(f"{prometheus.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return [float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=100_000)
    measure_rules(parser.parse_args().series)
    return 0


if __name__ == "__main__":
    sys.exit(main())

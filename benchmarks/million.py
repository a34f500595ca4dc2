"""A million series on Apache Kafka: CPU and memory of ingest and worker, the latest frame, every sample counted.

    python -m benchmarks.million [--series 1000000] [--minutes 10] [--shards 4] [--profile DIRECTORY]

100 services x 10 instances x 1,000 series (`benchmarks/scrapes.py`), scraped every 15 s, all of them used by 100
budgets with five indicators each, windows of five minutes. Ingest and worker are processes of their own, as
`driftline ingest` and `driftline worker` run them. *Steady* is from when the windows are full; what was before, new
series and growing windows, is told apart. A frame is late by the time from when its step could close (step +
evaluation delay) until a subscriber holds it.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from agents.settings import Settings, load_settings
from benchmarks.frames import Frames
from benchmarks.processes import Role, cpu_seconds, own_pid, peak_bytes, resident_bytes, run_roles
from benchmarks.scrapes import INTERVAL_SECONDS, Load, budgets_of, bursts_of
from tests.servers.ingest import declare_now
from tests.servers.kafka import run_kafka
from tests.servers.waiting import until

WANTED_CORES = 0.25
WANTED_WORKER_MIB = 1024
WANTED_LATEST_SECONDS = 1.0
# Windows of five minutes, a step and the evaluation delay: from then on samples leave as others come.
FULL_SECONDS = 330.0
# Until then series are new, to ingest, to the worker and to the sender's connections.
NEW_SECONDS = 60.0
START_SECONDS = 60.0
MINUTE_SECONDS = 60.0
DRAIN_SECONDS = 60.0


@dataclass
class Usage:
    """CPU time of some processes, by name, at moments of a run: Unix seconds, CPU seconds of each."""

    pids: dict[str, int]
    readings: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def read(self) -> None:
        """Take a reading."""
        self.readings.append((time.time(), {name: cpu_seconds(pid) for name, pid in self.pids.items()}))

    async def watch(self) -> None:
        """Take one a round, and print those of each minute, until cancelled."""
        printed = 0
        while True:
            self.read()
            since, now = self.readings[printed][0], self.readings[-1][0]
            if now - since > MINUTE_SECONDS - 1:
                mib = resident_bytes(self.pids["worker"]) / 2**20
                passed = now - self.readings[0][0]
                print(f"  {passed:5.0f} s: {_told(self.cores(since, now))}; worker resident {mib:.0f} MiB", flush=True)
                printed = len(self.readings) - 1
            await asyncio.sleep(INTERVAL_SECONDS)

    def cores(self, start: float, end: float) -> dict[str, float]:
        """Cores of each process, from the first reading not before `start` to the last one not after `end`."""
        within = [reading for reading in self.readings if start <= reading[0] <= end]
        (began, before), (ended, after) = within[0], within[-1]
        return {name: (after[name] - before[name]) / max(ended - began, 1e-9) for name in after}


def _told(cores: dict[str, float]) -> str:
    return ", ".join(f"{name} {used:.3f}" for name, used in cores.items())


@dataclass
class Run:
    """Everything that takes part in one run. sent_at: when the last sample was acknowledged, Unix seconds."""

    settings: Settings
    ingest: Role
    worker: Role
    load: Load
    frames: Frames
    usage: Usage
    sent_at: float = 0.0

    async def play(self, seconds: float) -> None:
        """Send for so long, then wait until the worker has taken everything."""
        watching = [asyncio.create_task(self.frames.follow()), asyncio.create_task(self.usage.watch())]
        try:
            await self.load.run(max(1, round(seconds / INTERVAL_SECONDS)))
            self.usage.read()
            self.sent_at = time.time()
            with contextlib.suppress(AssertionError):  # the report says how many are missing
                await until(self._has_all, DRAIN_SECONDS, "every sample is in the windows")
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    def _has_all(self) -> bool:
        return self.worker.metric("driftline_worker_samples_total") >= self.load.acknowledged

    def report(self, seconds: float) -> bool:
        """Print the figures; whether all bars are met."""
        began = self.load.first_at
        full = full_after(seconds)
        new = min(NEW_SECONDS, full / 2)
        ended = self.sent_at
        phases = {
            f"new series, the first {new:.0f} s": (0.0, began + new),
            f"windows fill, up to {full:.0f} s": (began + new - INTERVAL_SECONDS, began + full),
            "steady": (began + full - INTERVAL_SECONDS / 2, ended),
            "whole run": (0.0, ended),
        }
        for name, (start, end) in phases.items():
            cores = self.usage.cores(start, end)
            driftline = cores["ingest"] + cores["worker"]
            print(f"{name}: driftline {driftline:.3f} cores ({_told(cores)})")
        steady = self.usage.cores(*phases["steady"])
        met = _bar("ingest + worker, cores", steady["ingest"] + steady["worker"], WANTED_CORES)
        mib = {role.name: peak_bytes(role.pid) / 2**20 for role in (self.ingest, self.worker)}
        print(f"peak resident memory, MiB: ingest {mib['ingest']:.0f}, worker {mib['worker']:.0f}")
        met &= _bar("worker, MiB", mib["worker"], WANTED_WORKER_MIB)
        return self._report_delays() & self._report_samples() & met

    def _report_delays(self) -> bool:
        delays = self.frames.delays()
        whole = sorted(late for _, late in delays)
        since = self.load.first_at
        known = sorted(late for at, late in delays if at > since + NEW_SECONDS) or whole
        full = sorted(late for at, late in delays if at > since + full_after(self.sent_at - since)) or whole
        print(
            f"step could close -> frame received: p50 {full[len(full) // 2]:.3f} s, latest {full[-1]:.3f} s over "
            f"{len(full)} frames with windows full; {known[-1]:.3f} s with all series known; {whole[-1]:.3f} s in all"
        )
        met = _bar("latest frame with windows full, s", full[-1], WANTED_LATEST_SECONDS)
        return _bar("latest frame of the whole run, s", whole[-1], WANTED_LATEST_SECONDS) & met

    def _report_samples(self) -> bool:
        load, taken = self.load, int(self.worker.metric("driftline_worker_samples_total"))
        roles = (self.ingest, self.worker)
        dropped = {role.name: role.metrics(f"driftline_{role.name}_samples_dropped_total") for role in roles}
        late = self.worker.metrics("driftline_worker_samples_late_total")
        print(
            f"samples: {load.sent} sent, {load.acknowledged} acknowledged, "
            f"{int(self.ingest.metric('driftline_ingest_samples_total'))} counted by ingest, {taken} in windows; "
            f"dropped {dropped}, late {late}; {int(self.worker.metric('driftline_worker_series'))} series; "
            f"{load.retries} answers asked to come again"
        )
        print(f"the sender was behind its schedule by {load.behind:.2f} s at most")
        return _bar("samples lost", load.sent - taken, 0)


def _bar(what: str, measured: float, wanted: float) -> bool:
    met = measured <= wanted
    print(f"bar: {what} {measured:.3f} <= {wanted:g}: {'met' if met else 'NOT MET'}")
    return met


def full_after(seconds: float) -> float:
    """From when a run of so many seconds is called steady; a short one is, before its windows are full."""
    return min(FULL_SECONDS, seconds / 2)


def wait_ready(*roles: Role) -> None:
    """Return when all of them can do their work.

    Raises:
        TimeoutError: they cannot.
    """
    deadline = time.monotonic() + START_SECONDS
    while not all(role.is_ready() for role in roles):
        if time.monotonic() > deadline:
            raise TimeoutError("roles are not ready")
        time.sleep(0.2)


def measure(series: int, seconds: float, shards: int, profile: Path | None) -> bool:
    """Run it once and print."""
    bursts, full = list(bursts_of(series, shards)), full_after(seconds)
    with run_kafka() as cluster, tempfile.TemporaryDirectory(prefix="driftline-million-") as directory:
        environ = {"DRIFTLINE_KAFKA__BOOTSTRAP": cluster.bootstrap, "DRIFTLINE_DATA_DIR": directory}
        settings = load_settings(environ=environ)
        declare_now(settings.kafka, budgets_of(series))
        ingest, worker = (
            Role(name, Path(directory), environ, (f"{profile / name}-{series}.txt", str(full)) if profile else ())
            for name in ("ingest", "worker")
        )
        with run_roles(ingest, worker):
            wait_ready(ingest, worker)
            pids = {
                "ingest": ingest.pid,
                "worker": worker.pid,
                "kafka": cluster.nodes[0].pid,
                "load": own_pid(),
            }
            load = Load(f"{ingest.url}/api/v1/write", bursts)
            run = Run(settings, ingest, worker, load, Frames(settings), Usage(pids))
            asyncio.run(run.play(seconds))
            return run.report(seconds)


def main() -> int:
    """Measure and print; 1 when a bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--shards", type=int, default=4, help="queues of the sender, one request at a time in each")
    parser.add_argument("--profile", type=Path, help="a directory for where the CPU time of both roles goes")
    options = parser.parse_args()
    print(f"{options.series} series, {options.minutes:g} minutes, {options.shards} shards", flush=True)
    return 0 if measure(options.series, options.minutes * 60, options.shards, options.profile) else 1


if __name__ == "__main__":
    sys.exit(main())

"""A worker with 200,000 series is killed: seconds until its windows are rebuilt, and whether their values are the same.

    python -m benchmarks.recovery [--series 200000] [--minutes 7] [--profile DIRECTORY]

The load of `benchmarks/million.py`, with windows of five minutes, goes on all the while. Once all windows are full the
worker gets a SIGKILL two seconds before a step closes, and is started again at once under the same
`worker.instance_id`, as Kubernetes would. Recovered is a partition when its first new frame is held by a subscriber. At
the end every frame that was ever published is compared, byte for byte, with what a worker makes of the same log that
never died.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from agents.settings import Settings, load_settings
from benchmarks.frames import Frames
from benchmarks.million import wait_ready
from benchmarks.processes import Role, cpu_seconds, run_roles
from benchmarks.scrapes import INTERVAL_SECONDS, STEP_MS, Load, budgets_of, bursts_of
from tests.faults.oracle import compare_frames
from tests.servers.ingest import declare_now
from tests.servers.kafka import run_kafka
from tests.servers.waiting import until

WANTED_SECONDS = 20.0
# What is replayed is a window and what may be stamped ahead; until then a recovery reads less.
LEAST_SECONDS = 400.0
BEFORE_CLOSE_SECONDS = 2.0
AFTERWARDS_SECONDS = 60.0
SHARDS = 4


@dataclass
class Recovery:
    """One kill. killed_at: Unix seconds."""

    settings: Settings
    worker: Role
    load: Load
    frames: Frames
    killed_at: float = 0.0

    async def play(self, seconds: float) -> None:
        """Fill the windows, kill, and go on for a while."""
        following = asyncio.create_task(self.frames.follow())
        rounds = round((seconds + WANTED_SECONDS + AFTERWARDS_SECONDS) / INTERVAL_SECONDS)
        sending = asyncio.create_task(self.load.run(rounds))
        try:
            await asyncio.sleep(self._seconds_until_kill(seconds))
            self.killed_at = time.time()
            self.worker.kill()
            self.worker.start()
            await until(lambda: not self._silent(), 120, "every partition has a new frame")
            await sending
            until_ms = int(time.time() * 1000) // STEP_MS * STEP_MS
            await until(lambda: self._latest() >= until_ms, 60, "the last step is published")
        finally:
            for task in (following, sending):
                task.cancel()
            await asyncio.gather(following, sending, return_exceptions=True)

    def _seconds_until_kill(self, seconds: float) -> float:
        """Until a moment shortly before a step closes."""
        step, delay = self.settings.step / 1000, self.settings.evaluation_delay / 1000
        earliest = time.time() + seconds
        closes = ((earliest - delay) // step + 1) * step + delay
        return closes - BEFORE_CLOSE_SECONDS - time.time()

    def first_after(self) -> dict[int, float]:
        """Partition -> seconds from the kill to its first frame of a step that was not published before."""
        before = {a.partition: a.frame.at for a in self.frames.arrivals if a.at <= self.killed_at}
        first: dict[int, float] = {}
        for arrival in self.frames.arrivals:
            if arrival.at > self.killed_at and arrival.frame.at > before.get(arrival.partition, 0):
                first.setdefault(arrival.partition, arrival.at - self.killed_at)
        return first

    def _silent(self) -> set[int]:
        return {a.partition for a in self.frames.arrivals} - set(self.first_after())

    def _latest(self) -> int:
        latest = {a.partition: a.frame.at for a in self.frames.arrivals}
        return min(latest.values())

    async def report(self) -> bool:
        """Print the figures; whether the bar is met and all values are the same."""
        first = sorted(self.first_after().values())
        rebuilt, used = self.worker.metric("driftline_worker_recovery_seconds"), cpu_seconds(self.worker.pid)
        print(
            f"killed with {int(self.worker.metric('driftline_worker_series'))} series; first new frame after "
            f"{first[0]:.1f} s, of the last of {len(first)} partitions after {first[-1]:.1f} s "
            f"(finding where to go on {rebuilt:.1f} s; the new process has used {used:.1f} CPU-s)"
        )
        met = first[-1] <= WANTED_SECONDS
        print(f"bar: {first[-1]:.1f} <= {WANTED_SECONDS:.0f} s: {'met' if met else 'NOT MET'}")
        found = await compare_frames(self.settings, self.settings.kafka.partitions, self._latest())
        after = sum(arrival.at > self.killed_at for arrival in self.frames.arrivals)
        print(
            f"frames: {found.published} published, {after} of them after the kill; {len(found.different)} differ from "
            f"those of a worker that never died, {len(found.missing)} are missing"
        )
        same = not found.different and not found.missing and after > 0
        print(f"bar: all frames the same: {'met' if same else 'NOT MET'}")
        return met and same


def measure(series: int, seconds: float, profile: Path | None) -> bool:
    """Run it once and print."""
    bursts = list(bursts_of(series, SHARDS))
    with run_kafka() as cluster, tempfile.TemporaryDirectory(prefix="driftline-recovery-") as directory:
        environ = {
            "DRIFTLINE_KAFKA__BOOTSTRAP": cluster.bootstrap,
            "DRIFTLINE_DATA_DIR": directory,
            # As the chart names it: a container that comes back is the one that was there.
            "DRIFTLINE_WORKER__INSTANCE_ID": "worker-0",
        }
        settings = load_settings(environ=environ)
        declare_now(settings.kafka, budgets_of(series))
        ingest = Role("ingest", Path(directory), environ)
        # The one that is killed leaves no profile behind, so it is that of the one after it.
        profiled = (str(profile / f"recovery-{series}.txt"), "0") if profile else ()
        worker = Role("worker", Path(directory), environ, profiled)
        with run_roles(ingest, worker):
            wait_ready(ingest, worker)
            recovery = Recovery(settings, worker, Load(f"{ingest.url}/api/v1/write", bursts), Frames(settings))
            asyncio.run(recovery.play(max(seconds, LEAST_SECONDS)))
            return asyncio.run(recovery.report())


def main() -> int:
    """Measure and print; 1 when a bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=200_000)
    parser.add_argument("--minutes", type=float, default=7.0, help="of load before the kill")
    parser.add_argument("--profile", type=Path, help="a directory for where the CPU time of the new worker goes")
    options = parser.parse_args()
    print(f"{options.series} series, killed after {options.minutes:g} minutes", flush=True)
    return 0 if measure(options.series, options.minutes * 60, options.profile) else 1


if __name__ == "__main__":
    sys.exit(main())

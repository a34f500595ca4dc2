"""VictoriaMetrics, single node, with vmalert's recording rules: the peer that is known to be frugal.

Both run with their default settings. `benchmarks/peers/install.sh` builds them.
"""

import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agents.stack import free_port
from benchmarks.peers.prometheus_rules import write_rules
from tests.servers.tools import end, find_program, spawn, tail

START_SECONDS = 60.0
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class VictoriaMetrics:
    """Both processes; `url` is the root of the one that takes samples and answers queries."""

    url: str
    pids: dict[str, int]


@contextmanager
def run_victoriametrics(expressions: Sequence[str], interval_seconds: float) -> Iterator[VictoriaMetrics]:
    """A receiver of remote write, and beside it a process that has `bench:<n>` recorded for each expression.

    Raises:
        MissingServerError: they were not built.
    """
    programs = find_program("VictoriaMetrics"), find_program("vmalert")
    with tempfile.TemporaryDirectory(prefix="driftline-victoria-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        address, own = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        rules = write_rules(directory, expressions, interval_seconds)
        flags = f"-storageDataPath={directory / 'data'}", f"-httpListenAddr={address}"
        alert_flags = (
            f"-rule={rules}",
            f"-datasource.url=http://{address}",
            f"-remoteWrite.url=http://{address}",
            f"-httpListenAddr={own}",
        )
        processes = []
        try:
            for program, some, listen in zip(programs, (flags, alert_flags), (address, own), strict=True):
                log_file = directory / f"{program.name}.log"
                processes.append(spawn([program, *some], log_file))
                _wait(f"http://{listen}/health", log_file)
            storage, alert = processes
            yield VictoriaMetrics(f"http://{address}", {"victoria-metrics": storage.pid, "vmalert": alert.pid})
        finally:
            for process in reversed(processes):
                end(process, STOP_SECONDS)


def _wait(url: str, log_file: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise RuntimeError(f"it did not start:\n{tail(log_file)}") from None
        time.sleep(0.05)

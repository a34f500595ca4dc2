"""A real Prometheus on a free port, with somebody's configuration."""

import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.stack import free_port
from tests.servers.tools import Process, end, find_program, spawn, tail

START_SECONDS = 60.0


class Prometheus:
    """One server; `url` is its root, without a slash at the end. program: which one, by its name in `tools.py`."""

    def __init__(self, config_text: str, flags: tuple[str, ...], directory: Path, program: str) -> None:
        self._program = program
        self._directory = directory
        self._flags = flags
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_file = directory / "prometheus.log"
        self.process: Process | None = None
        (directory / "prometheus.yml").write_text(config_text, encoding="utf-8")

    def start(self) -> None:
        """Start it and return when it is ready.

        Raises:
            MissingServerError: it is not installed.
            RuntimeError: it did not start.
        """
        command: list[str | Path] = [
            find_program(self._program),
            f"--config.file={self._directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            *self._flags,
        ]
        self.process = spawn(command, self.log_file)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Prometheus did not start:\n{tail(self.log_file)}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """Shut it down; what it has not sent yet stays in its write-ahead log."""
        if self.process is not None:
            end(self.process, 10)


@contextmanager
def run_prometheus(config_text: str, *flags: str, program: str = "Prometheus") -> Iterator[Prometheus]:
    """A running Prometheus in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="driftline-prometheus-", ignore_cleanup_errors=True) as directory:
        prometheus = Prometheus(config_text, flags, Path(directory), program)
        try:
            prometheus.start()
            yield prometheus
        finally:
            prometheus.stop()

"""What processes take, as the kernel counts it, and what roles say of themselves."""

import os
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from agents.stack import free_port
from agents.supervisor import driftline_command
from tests.servers.tools import Process, end, spawn, tail

STOP_SECONDS = 20.0


class Role:
    """One role in a process of its own; what it prints is kept in `log_file`.

    profile: arguments of `benchmarks/profiled.py`, to know where its CPU time goes; none = it runs as it always does.
    """

    def __init__(self, name: str, directory: Path, environ: Mapping[str, str], profile: Sequence[str] = ()) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log_file = directory / f"{name}.log"
        self._environ = {**environ, f"DRIFTLINE_{name.upper()}__LISTEN": self.url.removeprefix("http://")}
        self._profile = profile
        self.process: Process | None = None

    def start(self) -> None:
        """Start it; it is not ready yet."""
        command = driftline_command(self.name)
        if self._profile:
            command = [sys.executable, "-m", "benchmarks.profiled", *self._profile, self.name]
        self.process = spawn(command, self.log_file, self._environ)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    def is_ready(self) -> bool:
        """Whether it can do its work now.

        Raises:
            RuntimeError: it has ended.
        """
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{tail(self.log_file, 40)}")
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=2):
                return True
        except OSError:
            return False

    def metric(self, name: str) -> float:
        """The sum of one of its metrics over all labels."""
        return sum(self.metrics(name).values())

    def metrics(self, name: str) -> dict[str, float]:
        """One of its metrics, by labels as they stand in the text."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=30) as answer:
            lines = [line.rpartition(" ") for line in answer.read().decode().splitlines()]
        return {key.removeprefix(name): float(value) for key, _, value in lines if key.partition("{")[0] == name}

    def stop(self) -> None:
        """Stop it in good order."""
        if self.process is not None:
            end(self.process, STOP_SECONDS)

    def kill(self) -> None:
        """`kill -9`."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextmanager
def run_roles(*roles: Role) -> Iterator[None]:
    """Roles that run; they are stopped in the order of the data."""
    try:
        for role in roles:
            role.start()
        yield
    finally:
        for role in roles:
            role.stop()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had resident."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kib) * 1024


def resident_bytes(pid: int) -> int:
    """The memory that a process has resident now."""
    return int(psutil.Process(pid).memory_info().rss)


def own_pid() -> int:
    """The process that measures, which is also the one that sends."""
    return os.getpid()

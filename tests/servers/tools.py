"""Finds the programs that tests talk to, and says *not run: no Java* where one is missing.

Programs are looked for in the cache that `install.sh` fills, then on PATH, then where Debian puts them. A missing
one raises `MissingServerError`; `tests/conftest.py` reports it as an outcome of its own, never as passed. With
`CI=true` it is a failure.
"""

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# What people call it -> names of the program, then places outside PATH.
_PROGRAMS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "Java": (("java",), ""),
    "Prometheus": (("prometheus",), ""),
    "Prometheus 2": (("prometheus2",), ""),
    "vmagent": (("vmagent",), ""),
    "promtool": (("promtool",), ""),
    "k6": (("k6",), ""),
    "Helm": (("helm",), ""),
    "kubeconform": (("kubeconform",), ""),
    "compose-spec": (("compose-spec",), ""),
    "Chromium": (("chromium", "chromium-browser", "google-chrome"), ""),
    "VictoriaMetrics": (("victoria-metrics",), ""),
    "vmalert": (("vmalert",), ""),
    "PostgreSQL": (("postgres",), "/usr/lib/postgresql/*/bin/postgres"),
}
_PR_SET_PDEATHSIG = 1

Process = subprocess.Popen[bytes]


class MissingServerError(Exception):
    """A test needs a program that is not installed; the text is its name."""


def cache_dir() -> Path:
    """Where `install.sh` puts what it brings."""
    if chosen := os.environ.get("DRIFTLINE_TOOLS"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "driftline" / "tools"


def find_program(name: str) -> Path:
    """The program that people call `name`.

    Raises:
        MissingServerError: it is not installed.
        KeyError: nobody ever heard of it.
    """
    names, elsewhere = _PROGRAMS[name]
    for program in names:
        cached = cache_dir() / "bin" / program
        if os.access(cached, os.X_OK):
            return cached
        if found := shutil.which(program):
            return Path(found)
    if elsewhere and (places := sorted(Path("/").glob(elsewhere.lstrip("/")))):
        return places[-1]
    raise MissingServerError(name)


def find_kafka_jars() -> Path:
    """The folder with Apache Kafka's jars.

    Raises:
        MissingServerError: they are not installed.
    """
    jars = cache_dir() / "kafka"
    if not (jars / "complete").exists():
        raise MissingServerError("Kafka")
    return jars


def _die_with_parent() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(command: Sequence[str | Path], log_file: Path, environ: Mapping[str, str] | None = None) -> Process:
    """Start a server whose output goes to the end of `log_file`; it dies with the test run."""
    with log_file.open("ab") as log:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environ or {})},
            start_new_session=True,  # a Ctrl-C at the terminal reaches the test run only
            preexec_fn=_die_with_parent,  # noqa: PLW1509  sets one flag of the kernel, touches no lock
        )


def end(process: Process, seconds: float) -> None:
    """Ask a process to stop, and insist after `seconds`."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def tail(log_file: Path, lines: int = 15) -> str:
    """The last lines that a server wrote."""
    return "\n".join(log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

"""`make bench`: every benchmark, one after the other, each alone in a process of its own.

Alone, because two that run at once would measure each other; in its own process, because memory and caches of one
must not reach the next. What a benchmark prints is its result; where it is kept says `results.md`.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Some ten minutes each: they live through whole windows.
LONG = ("scale", "churn", "against_peers", "recovery", "million")
# Each has a `main()` that prints rows. The quick ones first.
BENCHMARKS = ("measure", "rules", "ingest", "judge", "latency", *LONG)


def machine() -> str:
    """What the figures were measured on and with, in one line."""
    model = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = platform.python_version()
    return f"{os.cpu_count()} x {model}, {memory_gib:.0f} GiB, {platform.system()}, Python {python}"


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def commit() -> str:
    """The commit that is measured, marked when files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


def run(names: Sequence[str]) -> int:
    """Run the benchmarks; returns how many failed."""
    print(f"machine: {machine()}\ncommit:  {commit()}", flush=True)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"warning: the machine is busy (load {load:.1f}): figures will be too low", file=sys.stderr)
    failed = 0
    for name in names:
        print(f"\n## {name}", flush=True)
        started = time.monotonic()
        answer = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=False)
        print(f"({time.monotonic() - started:.0f} s)", flush=True)
        if answer.returncode:
            failed += 1
            print(f"benchmarks.{name} ended with {answer.returncode}", file=sys.stderr)
    return failed


def main() -> None:
    """Run all of them, or those that are named."""
    parser = argparse.ArgumentParser(description="Run the benchmarks, one after the other.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all when none is given")
    names: list[str] = parser.parse_args().names
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    sys.exit(1 if run(names or BENCHMARKS) else 0)


if __name__ == "__main__":
    main()

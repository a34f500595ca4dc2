"""A role with a profile of its CPU time, all threads: what `--profile` of the large benchmarks starts.

    python -m benchmarks.profiled FILE SECONDS ROLE     (SECONDS: of the start that are left out)

The kernel signals after every few milliseconds of CPU time that the process has used. What each thread has used since
the last signal, by its own clock, is charged to where it stands. (cProfile sees one thread, and slows down what calls
most.) The file has the seconds of each function itself, and with all that it calls.
"""

import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TypeVar

from agents.cli.main import main as driftline

PERIOD_SECONDS = 0.005
MOST_ROWS = 70
Place = tuple[str, str]
_Key = TypeVar("_Key")


class Profile:
    """Seconds by function. own: at the top of the stack. total: anywhere in it."""

    def __init__(self, begins_at: float) -> None:
        self._begins_at = begins_at
        self.own: defaultdict[Place, float] = defaultdict(float)
        self.total: defaultdict[Place, float] = defaultdict(float)
        self.threads: defaultdict[str, float] = defaultdict(float)
        self._clocks: dict[int, float] = {}

    def sample(self, _signal: int, frame: FrameType | None) -> None:
        """Charge what each thread has used since the last time."""
        stacks = sys._current_frames()
        for thread in threading.enumerate():
            number = thread.ident
            if number is None:
                continue
            now = time.clock_gettime(time.pthread_getcpuclockid(number))
            used, self._clocks[number] = now - self._clocks.get(number, now), now
            at = frame if number == threading.main_thread().ident else stacks.get(number)
            if at is None or used <= 0 or time.monotonic() < self._begins_at:
                continue
            self.threads[thread.name] += used
            places = list(_places_of(at))
            self.own[places[0]] += used
            for place in set(places):
                self.total[place] += used

    def write(self, file: Path) -> None:
        """What was found, the most first."""
        whole = sum(self.own.values())
        lines = [f"{whole:.2f} CPU-seconds"]
        lines += [f"{used:8.2f} s thread {name}" for name, used in _ranked(self.threads)]
        for title, counts in (("itself", self.own), ("with what it calls", self.total)):
            lines.append(f"\n{title}:")
            lines += [
                f"{used:8.2f} s {used / whole:6.1%}  {name}  {where}"
                for (name, where), used in _ranked(counts)[:MOST_ROWS]
            ]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _places_of(frame: FrameType | None) -> Iterator[Place]:
    while frame is not None:
        code = frame.f_code
        yield code.co_qualname, "/".join(Path(code.co_filename).parts[-3:])
        frame = frame.f_back


def _ranked(counts: Mapping[_Key, float]) -> list[tuple[_Key, float]]:
    return sorted(counts.items(), key=lambda entry: -entry[1])


def main() -> None:
    """Run the role as `driftline` does, and write the file when it ends."""
    file, after, role = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    profile = Profile(time.monotonic() + after)
    signal.signal(signal.SIGPROF, profile.sample)
    signal.setitimer(signal.ITIMER_PROF, PERIOD_SECONDS, PERIOD_SECONDS)
    sys.argv = ["driftline", role]
    try:
        driftline()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        profile.write(file)


if __name__ == "__main__":
    main()

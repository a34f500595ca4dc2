"""What a part of the benchmark is: tasks for the processes, and figures from their results."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.detection.figure import Figure

Task = Callable[[], object]


class Options(NamedTuple):
    """streams: how many in the synthetic rows, 200 for the promised figures. seed: of everything that is drawn."""

    data: Path
    streams: int = 200
    seed: int = 1


class Row(Protocol):
    """One part; a task can be sent to another process."""

    @property
    def name(self) -> str:
        """Title of its section."""

    def tasks(self, method: str, options: Options) -> list[Task]:
        """What is to be run for one method."""

    def figures(self, method: str, results: Sequence[object], options: Options) -> list[Figure]:
        """What the results, in the order of the tasks, come to."""

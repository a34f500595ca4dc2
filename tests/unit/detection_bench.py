"""Small data for the tests of the detection benchmark: a detector that is easily followed, curves and files."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.detection.method import Decision, FloatArray, Kind, Scope

STEP_MS = 60_000


class Above:
    """Alarms while a value is above a threshold; the score is the value."""

    def __init__(self, streams: int, threshold: float) -> None:
        self._threshold = threshold
        self._open = np.zeros(streams, dtype=np.bool_)

    def observe(self, _at_ms: int, values: FloatArray) -> Decision:
        alarm = np.nan_to_num(values) > self._threshold
        began, self._open = alarm & ~self._open, alarm
        return Decision(began, alarm, alarm, np.nan_to_num(values))


class LooksAhead:
    """Cheats: what it says of the first values depends on how many streams' values it was made to see later."""

    seen = 0

    def __init__(self, streams: int) -> None:
        LooksAhead.seen += 1
        self._count = LooksAhead.seen
        self._streams = streams

    def observe(self, _at_ms: int, values: FloatArray) -> Decision:
        off = np.zeros(self._streams, dtype=np.bool_)
        return Decision(off, off, off, np.full(len(values), float(self._count)))


def above(threshold: float) -> Kind:
    def create(streams: int, _step_ms: int, _scope: Scope) -> Above:
        return Above(streams, threshold)

    return Kind(create)


def looks_ahead() -> Kind:
    return Kind(lambda streams, _step_ms, _scope: LooksAhead(streams))


def write_kpi(folder: Path, name: str, values: FloatArray, label: ArrayLike, step: int = 60) -> None:
    (folder / "kpi").mkdir(exist_ok=True)
    np.savez(folder / "kpi" / f"{name}.npz", value=values, label=label, t0=0, step=step, n_train=len(values) // 2)

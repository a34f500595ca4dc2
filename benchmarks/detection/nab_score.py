"""How the Numenta Anomaly Benchmark scores, version 1.1.

Each anomaly has a window. In it only the best placed alarm counts, the earlier the better; every alarm row outside
costs, least right after a window. The first rows of a file, where detectors learn, do not count. A detector that never
alarms has 0, a perfect one 100. One threshold serves all files; officially it is the best in hindsight.

Source: Lavin and Ahmad (2015), Evaluating Real-time Anomaly Detection Algorithms.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.method import FloatArray

_LEARNING_SHARE = 0.15
_LEARNING_ROWS = 750
OUTSIDE = -1


class Profile(NamedTuple):
    """missed: cost of a window without alarm. false: cost of an alarm row far from any window."""

    missed: float
    false: float


PROFILES: dict[str, Profile] = {
    "standard": Profile(1.0, 0.11),
    "low false positives": Profile(1.0, 0.22),
    "low false negatives": Profile(2.0, 0.11),
}


class Marks(NamedTuple):
    """What an alarm at each row would be worth. first: rows before it do not count.

    worth: in a window the gain, outside the cost, both in -1..1. window: number, or `OUTSIDE`.
    """

    worth: FloatArray
    window: NDArray[np.int64]
    windows: int
    first: int


def _place(x: float) -> float:
    """Worth of a place: x < 0 in a window (-1 = its first row), > 0 in window lengths behind it."""
    return -1.0 if x > 3.0 else 2.0 / (1.0 + math.exp(5.0 * x)) - 1.0


def mark(rows: int, windows: Sequence[tuple[int, int]]) -> Marks:
    """windows: (first, last) rows, ascending."""
    worth = np.full(rows, -1.0)
    window = np.full(rows, OUTSIDE, dtype=np.int64)
    ends = [first for first, _ in windows[1:]] + [rows]  # one too many without windows
    for number, ((first, last), following) in enumerate(zip(windows, ends, strict=False)):
        length = last - first
        for row in range(first, last + 1):
            window[row] = number
            worth[row] = _place((row - last - 1) / (length + 1)) / _place(-1.0)
        for row in range(last + 1, following):
            worth[row] = _place((row - last) / length) if length else -1.0
    return Marks(worth, window, len(windows), min(math.floor(_LEARNING_SHARE * rows), _LEARNING_ROWS))


class _Rows(NamedTuple):
    """Rows of all files, highest score first."""

    score: FloatArray
    worth: FloatArray
    window: NDArray[np.int64]
    windows: int


def _gather(scores: Mapping[str, FloatArray], marks: Mapping[str, Marks]) -> _Rows:
    score, worth, window, total = [], [], [], 0
    for name, mark_ in marks.items():
        kept = slice(mark_.first, None)
        score.append(np.asarray(scores[name], dtype=np.float64)[kept])
        worth.append(mark_.worth[kept])
        number = mark_.window[kept]
        window.append(np.where(number == OUTSIDE, OUTSIDE, number + total))
        total += mark_.windows
    order = np.argsort(-np.concatenate(score), kind="stable")
    return _Rows(np.concatenate(score)[order], np.concatenate(worth)[order], np.concatenate(window)[order], total)


def _totals(rows: _Rows, profile: Profile) -> FloatArray:
    """The raw score when all rows up to each one alarm."""
    gains = np.zeros(len(rows.score))
    best: dict[int, float] = {}
    for place, (worth, window) in enumerate(zip(rows.worth.tolist(), rows.window.tolist(), strict=True)):
        if window == OUTSIDE:
            gains[place] = worth * profile.false
        elif window not in best:
            best[window] = worth
            gains[place] = profile.missed + worth
        elif worth > best[window]:
            gains[place] = worth - best[window]
            best[window] = worth
    return np.cumsum(gains) - profile.missed * rows.windows


def _normalised(raw: float, rows: _Rows, profile: Profile) -> float:
    nothing, perfect = -profile.missed * rows.windows, float(rows.windows)
    return 100.0 * (raw - nothing) / (perfect - nothing)


def at_threshold(
    scores: Mapping[str, FloatArray], marks: Mapping[str, Marks], profile: Profile, threshold: float
) -> float:
    """The score when rows alarm whose score reaches the threshold."""
    rows = _gather(scores, marks)
    count = int(np.searchsorted(-rows.score, -threshold, "right"))
    totals = np.concatenate([[-profile.missed * rows.windows], _totals(rows, profile)])
    return _normalised(float(totals[count]), rows, profile)


def best(scores: Mapping[str, FloatArray], marks: Mapping[str, Marks], profile: Profile) -> tuple[float, float]:
    """(score, threshold) of the best threshold in hindsight, as NAB officially does it."""
    rows = _gather(scores, marks)
    totals = _totals(rows, profile)
    last = np.append(np.diff(rows.score) != 0, True)  # rows of equal score alarm together
    place = int(np.argmax(np.where(last, totals, -np.inf)))
    nothing = -profile.missed * rows.windows
    if totals[place] <= nothing:
        return 0.0, math.inf
    return _normalised(float(totals[place]), rows, profile), float(rows.score[place])


def two_fold(scores: Mapping[str, FloatArray], marks: Mapping[str, Marks], profile: Profile) -> float:
    """The score when each half of the files takes the threshold that is best for the other half.

    The halves are every second file in the order of their names.
    """
    names = sorted(marks)
    halves = [{name: marks[name] for name in names[start::2]} for start in (0, 1)]
    total = sum(mark_.windows for mark_ in marks.values())
    result = 0.0
    for half, other in (halves, halves[::-1]):
        _, threshold = best(scores, other, profile)
        share = sum(mark_.windows for mark_ in half.values()) / total
        result += share * at_threshold(scores, half, profile, threshold)
    return result

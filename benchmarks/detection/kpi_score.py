"""How the AIOps-2018 KPI challenge scores alarms, and what an operator would ask instead.

The challenge: an anomaly of many points is found when an alarm comes at most `delay` points after its first one; then
all its points count as true positives, otherwise all as false negatives; an alarm point outside is a false positive. F1
is taken over the points of all curves together. The operator: how many anomalies were found that way, and how many
incidents (alarms less than `MERGED` points apart) touched none.

An alarm or score of a point may come from points up to it only.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.method import BoolArray

DELAY = 7
MERGED = 15
_GRACE = 15  # an incident that begins so soon after an anomaly is still about it
Places = NDArray[np.int64]


class Events(NamedTuple):
    """found of total anomalies; false: incidents that touched none."""

    found: int
    total: int
    false: int


def runs(state: BoolArray) -> tuple[Places, Places]:
    """(first, one past the last) of every stretch of true points."""
    edges = np.diff(np.concatenate([[0], state.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def point_counts(alarm: BoolArray, label: BoolArray, delay: int = DELAY) -> tuple[int, int, int]:
    """(true positive, false positive, false negative) points."""
    found = missed = 0
    for first, end in zip(*runs(label), strict=True):
        if alarm[first : min(first + delay + 1, end)].any():
            found += int(end - first)
        else:
            missed += int(end - first)
    return found, int(np.count_nonzero(alarm & ~label)), missed


def f1(alarms: Sequence[BoolArray], labels: Sequence[BoolArray], delay: int = DELAY) -> float:
    """The challenge's F1 over all curves together."""
    counts = [point_counts(alarm, label, delay) for alarm, label in zip(alarms, labels, strict=True)]
    found, false, missed = (sum(column) for column in zip(*counts, strict=True))
    return 2.0 * found / (2.0 * found + false + missed) if found else 0.0


def best_threshold(scores: Sequence[NDArray[np.float32]], labels: Sequence[BoolArray], delay: int = DELAY) -> float:
    """The one threshold with the best F1 over these curves: for the half that is not reported."""
    peaks, sizes, outside = [], [], []
    for score, label in zip(scores, labels, strict=True):
        for first, end in zip(*runs(label), strict=True):
            peaks.append(float(score[first : min(first + delay + 1, end)].max()))
            sizes.append(float(end - first))
        outside.append(score[~label])
    order = np.argsort(-np.array(peaks), kind="stable")
    thresholds = np.array(peaks)[order]
    found = np.cumsum(np.array(sizes)[order])
    ordered = np.sort(np.concatenate(outside))
    false = len(ordered) - np.searchsorted(ordered, thresholds, "left")
    measure = 2.0 * found / (2.0 * found + false + (found[-1] - found))
    # Equal peaks are all found together: the last of them says what the threshold gives.
    last = np.append(np.diff(thresholds) != 0, True)
    return float(thresholds[np.argmax(np.where(last, measure, -1.0))])


def events(alarm: BoolArray, label: BoolArray, delay: int = DELAY) -> Events:
    """Anomalies found in time, and incidents about nothing."""
    firsts, ends = runs(label)
    found = sum(bool(alarm[first : min(first + delay + 1, end)].any()) for first, end in zip(firsts, ends, strict=True))
    excused = np.zeros(len(alarm), dtype=np.bool_)
    for first, end in zip(firsts, ends, strict=True):
        excused[first : end + _GRACE] = True
    places = np.flatnonzero(alarm)
    if not len(places):
        return Events(found, len(firsts), 0)
    incident = np.concatenate([[0], np.cumsum(np.diff(places) > MERGED)])
    # Touched: an excused point anywhere between the incident's first and last alarm.
    before = np.concatenate([[0], np.cumsum(excused)])
    start = places[np.searchsorted(incident, np.arange(incident[-1] + 1), "left")]
    stop = places[np.searchsorted(incident, np.arange(incident[-1] + 1), "right") - 1]
    return Events(found, len(firsts), int(np.count_nonzero(before[stop + 1] == before[start])))

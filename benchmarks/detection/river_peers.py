"""Rivals: River's drift detectors and its half-space trees, one object a stream, every parameter the library's own.

A drift detector says at each value whether there was a drift: that is the alarm, lasting for that step, and the score
is 1 there and 0 elsewhere. KSWIN draws: its seed is set. Half-space trees want values in 0-1, so they come after
River's MinMaxScaler, as its documentation shows. They have no threshold of their own: the alarm is a score above the
99.9 % quantile of the stream's scores so far, by River's Quantile.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from river import anomaly, compose, drift, preprocessing, stats

from benchmarks.detection.method import BoolArray, Decision, FloatArray, rises

_SEED = 1
_QUANTILE = 0.999
_LEAST = 1_000  # before so many values a 99.9 % quantile means nothing


class _DriftDetector(Protocol):
    @property
    def drift_detected(self) -> bool: ...
    def update(self, x: float) -> object: ...


def adwin() -> _DriftDetector:
    """Adaptive windowing, delta 0.002, looked at every 32 values."""
    detector: _DriftDetector = drift.ADWIN()  # type: ignore[no-untyped-call]  # River's own is not typed
    return detector


def page_hinkley() -> _DriftDetector:
    """Page-Hinkley, delta 0.005, threshold 50."""
    return drift.PageHinkley()


def kswin() -> _DriftDetector:
    """Kolmogorov-Smirnov windowing, alpha 0.005, 30 of 100 values."""
    return drift.KSWIN(seed=_SEED)


def _known(values: FloatArray) -> Iterator[tuple[int, float]]:
    for row, value in enumerate(values.tolist()):
        if value == value:  # noqa: PLR0124 - NaN, without a call for each of millions of values
            yield row, value


class Drift:
    """One drift detector a stream."""

    def __init__(self, streams: int, create: Callable[[], _DriftDetector]) -> None:
        self._detectors = [create() for _ in range(streams)]

    def observe(self, _at_ms: int, values: FloatArray) -> Decision:
        """A drift is an alarm at its step alone."""
        alarm = np.zeros(len(values), dtype=np.bool_)
        for row, value in _known(values):
            detector = self._detectors[row]
            detector.update(value)
            if detector.drift_detected:
                alarm[row] = True
        return Decision(alarm, alarm, alarm, alarm.astype(np.float64))


class Trees:
    """Half-space trees, one forest a stream."""

    def __init__(self, streams: int) -> None:
        self._forests = [
            compose.Pipeline(preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(seed=_SEED)) for _ in range(streams)
        ]
        self._usual = [stats.Quantile(_QUANTILE) for _ in range(streams)]
        self._count = [0] * streams
        self._open: BoolArray = np.zeros(streams, dtype=np.bool_)

    def observe(self, _at_ms: int, values: FloatArray) -> Decision:
        """Score first, learn then."""
        score, alarm = np.zeros(len(values)), self._open.copy()
        for row, value in _known(values):
            forest, usual, features = self._forests[row], self._usual[row], {"value": value}
            severity = forest.score_one(features)
            forest.learn_one(features)
            alarm[row] = self._count[row] >= _LEAST and severity > usual.get()
            usual.update(severity)
            self._count[row] += 1
            score[row] = severity
        began, self._open = rises(alarm, self._open), alarm
        return Decision(began, alarm, alarm, score)

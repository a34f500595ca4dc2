"""Driftline's own detection behind the table's face: the two banks that the Judge calls, with the Judge's defaults.

A regression is what the bank of change points decided; the Judge adds the life of the alert, and asks for the size that
the budget file calls a regression. An anomaly is what the bank of transients decided, and the score is that bank's. The
alarm budgets are the product's: one false regression in 30 days, one false anomaly a day.
"""

import numpy as np

from benchmarks.detection.method import Decision, FloatArray, Scope
from streams.detect.change_point import ChangePoints
from streams.detect.transient import Transients

REGRESSION_INTERVAL_MS = 30 * 86_400_000.0
ANOMALY_INTERVAL_MS = 86_400_000.0


class Driftline:
    """Both banks over all streams; the bank of transients is left out where only lasting changes count."""

    def __init__(self, streams: int, step_ms: int, scope: Scope) -> None:
        self._shifts = ChangePoints(step_ms)
        self._transients = Transients(step_ms) if scope == "all" else None
        self._rows = np.array([self._shifts.add(REGRESSION_INTERVAL_MS) for _ in range(streams)], dtype=np.int64)
        if self._transients is not None:
            for row in self._rows.tolist():
                assert self._transients.add(ANOMALY_INTERVAL_MS) == row
        self._lasting = np.zeros(streams, dtype=np.bool_)
        self._anomaly = np.zeros(streams, dtype=np.bool_)

    def observe(self, at_ms: int, values: FloatArray) -> Decision:
        """Ask both banks about the streams that have a value."""
        known = np.flatnonzero(np.isfinite(values))
        rows, seen = self._rows[known], values[known]
        began, score = np.zeros(len(values), dtype=np.bool_), np.zeros(len(values))
        shifts = self._shifts.observe(rows, at_ms, seen)
        began[known] = shifts.began
        self._lasting[known] = shifts.shifted != 0
        if self._transients is not None:
            transients = self._transients.observe(rows, at_ms, seen)
            score[known] = transients.score
            self._anomaly[known] = transients.anomalous
        return Decision(began, self._lasting.copy(), self._anomaly.copy(), score)

    def state_bytes(self) -> int:
        """Of one stream, in a snapshot."""
        row = int(self._rows[0])
        return len(self._shifts.state(row)) + (len(self._transients.state(row)) if self._transients is not None else 0)

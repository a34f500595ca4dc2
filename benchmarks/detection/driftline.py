"""Driftline's own detection behind the table's face: the banks that the Judge calls, with the Judge's defaults.

A regression is what the bank of change points decided; the Judge adds the life of the alert, and asks for the size that
the budget file calls a regression. The alarm budget is the product's: one false regression in 30 days.
"""

import numpy as np

from benchmarks.detection.method import Decision, FloatArray, Scope
from streams.detect.change_point import ChangePoints

REGRESSION_INTERVAL_MS = 30 * 86_400_000.0


class Driftline:
    """The bank over all streams."""

    def __init__(self, streams: int, step_ms: int, _scope: Scope) -> None:
        self._shifts = ChangePoints(step_ms)
        self._rows = np.array([self._shifts.add(REGRESSION_INTERVAL_MS) for _ in range(streams)], dtype=np.int64)
        self._lasting = np.zeros(streams, dtype=np.bool_)

    def observe(self, at_ms: int, values: FloatArray) -> Decision:
        """Ask the bank about the streams that have a value."""
        known = np.flatnonzero(np.isfinite(values))
        began = np.zeros(len(values), dtype=np.bool_)
        shifts = self._shifts.observe(self._rows[known], at_ms, values[known])
        began[known] = shifts.began
        self._lasting[known] = shifts.shifted != 0
        return Decision(began, self._lasting.copy(), np.zeros_like(began), began.astype(np.float64))

"""The bank of transient detectors: which values are nothing that their indicator usually has, and how rare they are.

Each row is one point. A value is compared with three expectations (`residuals.py`), each distance is counted in what
is usual for it at this hour (`spread.py`), the three are combined, and the row's own tail says how rarely so much is
passed (`tail.py`): `score` means the same on every row.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.detect.bank import Bank, BoolArray, FloatArray, IntArray
from streams.detect.residuals import Expectations, begin
from streams.detect.root import choose, in_unit, scaled
from streams.detect.spread import Spread
from streams.detect.tail import Tail
from streams.detect.transient_columns import FIELDS, TransientColumns, columns_of, new_row

_DAY_MS: Final = 86_400_000
_STATE_BYTES: Final = 8 * FIELDS
# Before so many values nothing is said.
_WARM_UP: Final = 60.0
_MEAN_DEVIATION: Final = math.sqrt(math.pi / 2)  # standard deviation of a Gaussian / its mean absolute deviation
# Larger values are cut, so that sums of them stay numbers; the week holds single precision.
_LARGEST: Final = 1e37
_LARGEST_DEVIATION: Final = 1e3
_DISAGREEMENT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Sightings:
    """What `observe` says of its rows, each (n,).

    anomalous: such a value comes by chance more rarely than the row's alarms may. began: the value before was not.
    score: 0-1. With n values a day as strange as this one, or stranger, 1 / (1 + n ** 0.25): once a day is 0.5, once in
    ten thousand days 0.9. expected: the usual value, sigma: the standard deviation around it, in the indicator's unit;
    NaN where there was no value.
    """

    anomalous: BoolArray
    began: BoolArray
    score: FloatArray
    expected: FloatArray
    sigma: FloatArray


class Transients:
    """step_ms: the time between two values of a row."""

    def __init__(self, step_ms: int) -> None:
        self._step_ms = step_ms
        self._bank = Bank(FIELDS)
        self._expectations = Expectations(step_ms)
        self._spread = Spread(step_ms)
        self._tail = Tail(step_ms)

    def add(self, false_alarm_interval_ms: float) -> int:
        """A new row, on which noise alone may alarm once in such a time."""
        row = self._bank.add(new_row(false_alarm_interval_ms))
        self._expectations.week.clear(row)
        return row

    def remove(self, row: int) -> None:
        """Forget a row; it may be given again."""
        self._bank.remove(row)

    def state(self, row: int) -> bytes:
        """Everything that is remembered of a row: about 1 KB and the week's 8 KB."""
        return self._bank.state(row) + self._expectations.week.state(row)

    def restore(self, row: int, state: bytes) -> None:
        """Go on where `state` was taken: the same values give the same numbers, bit by bit."""
        self._bank.restore(row, state[:_STATE_BYTES])
        self._expectations.week.restore(row, state[_STATE_BYTES:])

    def accept(self, row: int) -> None:
        """The present level is the usual one from now on."""
        rows = np.array([row])
        block = self._bank.take(rows)
        columns = columns_of(block)
        columns.level[:] = np.median(columns.newest, axis=0) - columns.season[0]
        columns.hour[:] = np.median(columns.newest, axis=0)
        self._bank.put(rows, block)

    def observe(self, rows: IntArray, at_ms: int, values: FloatArray) -> Sightings:
        """One step: `values[i]` is that of `rows[i]`, NaN = none; each row at most once a step."""
        known = np.isfinite(values)
        if known.all():
            return self._observe(rows, at_ms, values)
        seen = self._observe(rows[known], at_ms, values[known])
        answer = Sightings(
            np.zeros(rows.size, dtype=np.bool_),
            np.zeros(rows.size, dtype=np.bool_),
            np.zeros(rows.size),
            np.full(rows.size, np.nan),
            np.full(rows.size, np.nan),
        )
        answer.anomalous[known] = seen.anomalous
        answer.began[known] = seen.began
        answer.score[known] = seen.score
        answer.expected[known] = seen.expected
        answer.sigma[known] = seen.sigma
        return answer

    def _observe(self, rows: IntArray, at_ms: int, values: FloatArray) -> Sightings:
        block = self._bank.take(rows)
        columns = columns_of(block)
        value = np.clip(values, -_LARGEST, _LARGEST)
        choose(columns, value, self._step_ms)
        begin(columns, value)
        self._expectations.advance(columns, rows, at_ms)
        expected = self._expectations.expected(columns, at_ms)
        rooted = scaled(columns, value)
        residuals = rooted - scaled(columns, expected)
        spread = self._spread.observe(columns, at_ms, np.abs(residuals), np.abs(rooted))
        chance = self._tail.observe(columns, _deviation(residuals, spread))
        self._expectations.learn(columns, value, value - expected[-1])
        answer = self._answer(columns, chance, expected[-1], spread[-1])
        columns.count += 1.0
        columns.anomalous[:] = answer.anomalous
        self._bank.put(rows, block)
        return answer

    def _answer(
        self, columns: TransientColumns, chance: FloatArray, expected: FloatArray, spread: FloatArray
    ) -> Sightings:
        warm = columns.count >= _WARM_UP
        anomalous = warm & (chance * columns.interval <= self._step_ms)
        score = np.where(warm, 1.0 / (1.0 + np.sqrt(np.sqrt(chance * (_DAY_MS / self._step_ms)))), 0.0)
        sigma = in_unit(columns, expected, spread * _MEAN_DEVIATION)
        began = anomalous & (columns.anomalous == 0.0)
        return Sightings(anomalous, began, score, expected.copy(), sigma)


def _deviation(residuals: FloatArray, spread: FloatArray) -> FloatArray:
    """How strange values are: the geometric mean of their distances, so that all expectations have to object.

    The distance from the newest values counts twice, for a transient is what comes suddenly. A value that is above one
    expectation and below another is on its way back from something.
    """
    newest, hour, seasonal = np.clip(residuals / spread, -_LARGEST_DEVIATION, _LARGEST_DEVIATION)
    agree = np.where((newest * hour > 0.0) & (newest * seasonal > 0.0), 1.0, _DISAGREEMENT)
    deviation: FloatArray = agree * np.sqrt(np.abs(newest) * np.sqrt(np.abs(hour * seasonal)))
    return deviation

"""The bank of change point detectors: which points have left their usual level, and since when.

Each row is one point. Of every value what its neighbours foretold is taken (`prewhiten.py`), what is left is weighed
for a shift (`robust_score.py`) and the weights are added up (`cusum.py`). What alarms is shifted until its values are
back (`recovery.py`) or the new level is accepted; until then the old level learns nothing.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.detect import cusum
from streams.detect.bank import Bank, BoolArray, FloatArray, IntArray
from streams.detect.daily_profile import DailyProfile
from streams.detect.prewhiten import innovation_of, learn_covariance, push, solve
from streams.detect.recovery import follow
from streams.detect.robust_score import fit_tails, learn_scale
from streams.detect.self_calibration import count_alarms, watch
from streams.detect.shift_columns import FIELDS, SIZES, TESTS, ShiftColumns, columns_of, new_row
from streams.detect.usual_level import UsualLevel

_MEMORY_MS: Final = 7 * 86_400_000
_LEAST_MEMORY: Final = 2000.0
_STATE_BYTES: Final = 8 * FIELDS
# Before so many values nothing is said.
_WARM_UP: Final = 60.0
# What changes slowly is worked out once in so many steps.
_SOLVE_STEPS: Final = 32
# Nothing is learned while a statistic is nearer to its bound than this.
_SUSPICIOUS: Final = 0.5
# Larger values are cut: their squares must be numbers.
_LARGEST: Final = 1e100
# After a hole of so many steps the last values foretell nothing.
_HOLE_STEPS: Final = 20


@dataclass(frozen=True, slots=True)
class Shifts:
    """What `observe` says of its rows, each (n,).

    shifted: -1 lower, 0 not, +1 higher than usual. began: decided at this step. onset_ms: the estimated change point;
    0 = not shifted. before, after: levels, sigma: noise, in the indicator's unit. p_value: how probable so much
    evidence is by chance since the onset, when it was decided; 1 = not shifted. count: values since the onset.
    """

    shifted: NDArray[np.int8]
    began: NDArray[np.bool_]
    onset_ms: IntArray
    before: FloatArray
    after: FloatArray
    sigma: FloatArray
    p_value: FloatArray
    count: IntArray


class ChangePoints:
    """step_ms: the time between two values of a row."""

    def __init__(self, step_ms: int) -> None:
        self._step_ms = step_ms
        self._memory = max(_MEMORY_MS / step_ms, _LEAST_MEMORY)
        self._level = UsualLevel(step_ms)
        self._bank = Bank(FIELDS)
        self._profile = DailyProfile(step_ms)

    def add(self, false_alarm_interval_ms: float) -> int:
        """A new row, on which noise alone may alarm once in such a time."""
        row = self._bank.add(new_row(false_alarm_interval_ms))
        twin = self._profile.add()
        assert twin == row, "both give their rows in one order"
        return row

    def remove(self, row: int) -> None:
        """Forget a row; it may be given again."""
        self._bank.remove(row)
        self._profile.rows.remove(row)

    def state(self, row: int) -> bytes:
        """Everything that is remembered of a row."""
        return self._bank.state(row) + self._profile.rows.state(row)

    def restore(self, row: int, state: bytes) -> None:
        """Go on where `state` was taken: the same values give the same numbers, bit by bit."""
        self._bank.restore(row, state[:_STATE_BYTES])
        self._profile.rows.restore(row, state[_STATE_BYTES:])

    def observe(self, rows: IntArray, at_ms: int, values: FloatArray) -> Shifts:
        """One step: `values[i]` is that of `rows[i]`, NaN = none; each row at most once a step."""
        known = np.isfinite(values)
        if known.all():
            return self._observe(rows, at_ms, values)
        seen = self._observe(rows[known], at_ms, values[known])
        block = self._bank.take(rows)
        columns = columns_of(block)
        answer = self._answer(columns, self._profile.season(columns, rows, at_ms), np.zeros(rows.size, dtype=np.bool_))
        answer.began[known] = seen.began
        return answer

    def _observe(self, rows: IntArray, at_ms: int, values: FloatArray) -> Shifts:
        block = self._bank.take(rows)
        columns = columns_of(block)
        value = np.clip(values, -_LARGEST, _LARGEST)
        elapsed = np.where(columns.last_at > 0.0, at_ms - columns.last_at, 0.0)
        self._begin(columns, at_ms, value)
        season = self._profile.season(columns, rows, at_ms)
        plain = value - season
        deviation = plain - columns.level
        innovation = innovation_of(columns, deviation)
        cusum.accumulate(columns, at_ms, deviation, innovation)
        steady = columns.shifted == 0.0
        columns.evidence *= steady & np.isfinite(columns.bounds[0])
        nearness, which = cusum.strongest(columns)
        over = follow(columns, deviation, ~steady)
        began = steady & cusum.alarms(columns, nearness, which)
        watch(columns, at_ms, cusum.nearness_of_sizes(columns))
        count_alarms(columns, began, which % len(SIZES), elapsed)
        teaches = steady & (nearness < _SUSPICIOUS)
        # Without a season its own rise and fall are shifts: they have to teach the profile all the same.
        self._profile.learn(columns, rows, at_ms, value, teaches | (columns.seasonal == 0.0))
        self._level.learn(columns, plain, teaches)
        self._learn(columns, deviation, innovation, teaches)
        far = np.where(np.isfinite(columns.bounds[0]), 6.0 * columns.scale, np.inf)
        push(columns, plain - innovation + np.clip(innovation, -far, far))
        if began.any():
            self._shift(columns, which, began)
        if over.any():
            columns.shifted[over] = 0.0
            columns.evidence[:, over] = 0.0
        if (at_ms // self._step_ms) % _SOLVE_STEPS == 0:
            comes, goes = self._profile.decide(columns, rows)
            self._level.settle(columns, comes, columns.level.copy())
            self._relearn(columns, comes | goes)
            self._solve(columns)
        self._bank.put(rows, block)
        return self._answer(columns, season, began)

    def _begin(self, columns: ShiftColumns, at_ms: int, value: FloatArray) -> None:
        """First values, and values after a hole: nothing foretells them but the level."""
        new = columns.last_at == 0.0
        if new.any():
            self._level.settle(columns, new, value)
            np.copyto(columns.reference, value, where=new)
        hole = at_ms - columns.last_at > _HOLE_STEPS * self._step_ms
        if hole.any():
            np.copyto(columns.lags, columns.level, where=hole)
        columns.last_at[:] = at_ms

    def _learn(
        self,
        columns: ShiftColumns,
        deviation: FloatArray,
        innovation: FloatArray,
        teaches: BoolArray,
    ) -> None:
        columns.count += teaches
        rate = teaches / np.clip(columns.count, 1.0, self._memory)
        learn_covariance(columns, deviation, rate)
        learn_scale(columns, innovation, rate)

    @staticmethod
    def _relearn(columns: ShiftColumns, changed: BoolArray) -> None:
        """Their noise was another one: a season was in it, or is now."""
        if changed.any():
            for column in (columns.count, columns.deviation, columns.square, columns.covariance, columns.evidence):
                column[..., changed] = 0.0
            columns.jump[changed] = 1.0
            columns.weights[:, changed] = 0.0
            np.copyto(columns.lags, columns.level, where=changed)

    def _solve(self, columns: ShiftColumns) -> None:
        before = columns.jump.copy()
        solve(columns)
        factor = before / columns.jump
        columns.deviation *= factor
        columns.square *= factor * factor
        columns.sigma[:] = np.sqrt(columns.covariance[0])
        columns.waves[:] = self._level.waves(columns)
        fit_tails(columns)
        np.maximum(columns.scale, 1e-6 * np.abs(columns.level) + 1e-100, out=columns.scale)
        cusum.set_bounds(columns, self._step_ms)
        columns.bounds[:, columns.count < _WARM_UP] = np.inf

    def _shift(self, columns: ShiftColumns, which: IntArray, began: BoolArray) -> None:
        place = np.flatnonzero(began)
        test = which[place]
        ages = columns.ages[test, place]
        columns.shifted[place] = np.where(test < TESTS // 2, 1.0, -1.0)
        columns.since[place] = ages
        columns.after[place] = columns.totals[test, place] / ages
        columns.size[place] = columns.after[place]
        columns.onset[place] = columns.onsets[test, place]
        columns.recovery[place] = 0.0
        excess = columns.evidence[test, place] - columns.bounds[test, place]
        share = ages * self._step_ms / columns.interval[place]
        columns.surprise[place] = np.minimum(1.0, share * np.exp(-excess))
        columns.evidence[:, place] = 0.0

    def accept(self, row: int) -> None:
        """The present level is the usual one from now on."""
        rows = np.array([row])
        block = self._bank.take(rows)
        columns = columns_of(block)
        if columns.shifted[0] == 0.0:
            return
        moved = columns.after
        self._level.settle(columns, np.ones(1, dtype=np.bool_), columns.level + moved)
        columns.reference += moved
        columns.shifted[:] = 0.0
        columns.evidence[:] = 0.0
        self._bank.put(rows, block)

    @staticmethod
    def _answer(columns: ShiftColumns, season: FloatArray, began: BoolArray) -> Shifts:
        held = columns.shifted != 0.0
        return Shifts(
            shifted=columns.shifted.astype(np.int8),
            began=began,
            onset_ms=np.where(held, columns.onset, 0.0).astype(np.int64),
            before=columns.level + season,
            after=columns.level + season + np.where(held, columns.after, 0.0),
            sigma=columns.sigma.copy(),
            p_value=np.where(held, columns.surprise, 1.0),
            count=np.where(held, columns.since, 0.0).astype(np.int64),
        )

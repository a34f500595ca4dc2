"""Streams by chance: the noises of the table, unit variance, mean zero, drawn block by block from one seed.

Every stream is then given a level and a spread of its own, which no method is told.
"""

import math
from typing import Literal, get_args

import numpy as np

from benchmarks.detection.method import FloatArray

NoiseName = Literal["gaussian", "ar1", "t4", "season"]
NOISES: tuple[NoiseName, ...] = get_args(NoiseName)

AR_COEFFICIENT = 0.5
T_FREEDOM = 4
SEASON_AMPLITUDE = 3.0
DAY_MS = 86_400_000


class Noise:
    """Many independent streams of one kind.

    name: see `NOISES`. count: streams. step_ms: one sample a step.
    """

    def __init__(self, name: NoiseName, count: int, step_ms: int, seed: int) -> None:
        self._name = name
        self._count = count
        self._step_ms = step_ms
        self._rng = np.random.default_rng([seed, NOISES.index(name)])
        self._last = self._rng.standard_normal(count)
        self._phase = self._rng.uniform(0.0, 2.0 * math.pi, count)
        self.level = 10.0 ** self._rng.uniform(0.0, 3.0, count)
        self.sigma = self.level * self._rng.uniform(0.01, 0.2, count)

    def block(self, first_step: int, steps: int) -> FloatArray:
        """(steps, count) float64 of unit variance; blocks are asked for in order."""
        shape = (steps, self._count)
        if self._name == "t4":
            return self._rng.standard_t(T_FREEDOM, shape) / math.sqrt(T_FREEDOM / (T_FREEDOM - 2))
        white = self._rng.standard_normal(shape)
        if self._name == "ar1":
            return self._coloured(white)
        if self._name == "season":
            days = (first_step + np.arange(steps)) * (self._step_ms / DAY_MS)
            return white + SEASON_AMPLITUDE * np.sin(2.0 * math.pi * days[:, None] + self._phase)
        return white

    def _coloured(self, white: FloatArray) -> FloatArray:
        """x[t] = phi x[t-1] + e[t], the innovations scaled so that x has unit variance."""
        white *= math.sqrt(1.0 - AR_COEFFICIENT**2)
        for number in range(len(white)):
            white[number] += AR_COEFFICIENT * self._last
            self._last = white[number]
        return white

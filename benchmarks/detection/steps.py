"""Rows on steps in noise: how many alarms without a step, and how long from a step to its alarm.

A stream's level, spread, sign of the step and its place are drawn; nothing of it is told to the method. Only lasting
changes count. An alarm before the step is a false alarm; a step is found by the first alarm that begins with it or
later, within `bound` samples; otherwise it was missed. A delay counts the samples from the step to the alarm, both
included, as the limit does. Of a stream with a season the method sees eight days first,
of others two.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.limit import delay_limit
from benchmarks.detection.method import BoolArray, Kind
from benchmarks.detection.noise import DAY_MS, Noise, NoiseName

STEP_MS = 15_000
START_MS = 1_790_006_400_000  # a midnight
SAMPLES = 172_800  # 30 days
SIZES = (0.5, 1.0, 2.0)
_BLOCK = 2_880
_HISTORY_DAYS = 2
_SEASON_HISTORY_DAYS = 8
_PLACES = 2_880  # the step falls anywhere in half a day
_LEAST_BOUND = 240


class FalseAlarms(NamedTuple):
    """alarms: that began where nothing changed. samples: how many were seen."""

    alarms: int
    samples: int


class Delays(NamedTuple):
    """size: of each stream's step, in sigma. delay: samples, -1 = missed. early: alarms before the step.

    open: whether an alarm was open already when the step came: such a step is hardly found anew.
    """

    size: NDArray[np.float64]
    delay: NDArray[np.int64]
    open: BoolArray
    early: int
    samples: int


def bound(noise: NoiseName, size: float) -> int:
    """Later than this a step counts as missed: ten times the limit, and an hour at least."""
    return max(_LEAST_BOUND, round(10.0 * delay_limit(noise, size, SAMPLES)))


def count_false_alarms(kind: Kind, noise: NoiseName, streams: int, samples: int, seed: int) -> FalseAlarms:
    """Feed streams in which nothing ever changes."""
    source = Noise(noise, streams, STEP_MS, seed)
    method = kind.create(streams, STEP_MS, "lasting")
    alarms = 0
    for first in range(0, samples, _BLOCK):
        values = source.level + source.sigma * source.block(first, min(_BLOCK, samples - first))
        for number, row in enumerate(values, first):
            alarms += int(np.count_nonzero(method.observe(START_MS + number * STEP_MS, row).began))
    return FalseAlarms(alarms, streams * samples)


def measure_delays(kind: Kind, noise: NoiseName, streams: int, seed: int) -> Delays:
    """Feed streams with one step each; `streams` of every size."""
    sizes = np.repeat(SIZES, streams)
    source = Noise(noise, len(sizes), STEP_MS, seed)
    rng = np.random.default_rng([seed, 1])
    days = _SEASON_HISTORY_DAYS if noise == "season" else _HISTORY_DAYS
    place = days * DAY_MS // STEP_MS + rng.integers(0, _PLACES, len(sizes))
    shift = sizes * rng.choice([-1.0, 1.0], len(sizes))
    bounds = np.array([bound(noise, size) for size in sizes])
    total = int((place + bounds).max())
    method = kind.create(len(sizes), STEP_MS, "lasting")
    delay = np.full(len(sizes), -1, dtype=np.int64)
    open_ = np.zeros(len(sizes), dtype=np.bool_)
    early = 0
    for first in range(0, total, _BLOCK):
        numbers = np.arange(first, min(first + _BLOCK, total))
        unit = source.block(first, len(numbers)) + shift * (numbers[:, None] >= place)
        for number, row in zip(numbers.tolist(), source.level + source.sigma * unit, strict=True):
            began, lasting, _, _ = method.observe(START_MS + number * STEP_MS, row)
            open_ |= lasting & (place == number + 1)
            if began.any():
                since = number - place
                early += int(np.count_nonzero(began & (since < 0)))
                found = began & (since >= 0) & (since < bounds) & (delay < 0)
                delay[found] = since[found] + 1
    return Delays(sizes, delay, open_, early, total * len(sizes))

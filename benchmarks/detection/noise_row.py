"""Rows "steps in noise": `steps.py` spread over processes, and its figures."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.figure import Figure
from benchmarks.detection.limit import delay_limit
from benchmarks.detection.method import BoolArray
from benchmarks.detection.methods import METHODS
from benchmarks.detection.noise import NoiseName
from benchmarks.detection.row import Options, Task
from benchmarks.detection.steps import SAMPLES, SIZES, Delays, FalseAlarms, count_false_alarms, measure_delays

# 200 streams of 30 days with one false alarm each, and two standard deviations of a Poisson count.
_WANTED_ALARMS = 230
_STREAMS = 200
_STEPS_PER_STREAM = 10
_SEASON_SHARE = 0.2  # eight days of history instead of two
_LARGEST_PART = 100
_WANTED_GAUSSIAN = {0.5: "82", 1.0: "23", 2.0: "7"}
_SLACK = 1.3


class NoiseRow(NamedTuple):
    """Steps in one noise."""

    noise: NoiseName
    name: str

    def tasks(self, method: str, options: Options) -> list[Task]:
        """False alarms in parts of streams, delays in parts of steps."""
        share = METHODS[method].share
        streams = max(1, round(options.streams * share))
        steps = max(10, round(streams * _STEPS_PER_STREAM * (_SEASON_SHARE if self.noise == "season" else 1.0)))
        tasks = [
            partial(_false_alarms, method, self.noise, part, options.seed + 1_000 + number)
            for number, part in enumerate(_parts(streams, _LARGEST_PART))
        ]
        return tasks + [
            partial(_delays, method, self.noise, part, options.seed + 2_000 + number)
            for number, part in enumerate(_parts(steps, _LARGEST_PART * _STEPS_PER_STREAM))
        ]

    def figures(self, method: str, results: Sequence[object], _options: Options) -> list[Figure]:
        """Per 200 streams of 30 days, and per size of the step."""
        alarms = [result for result in results if isinstance(result, FalseAlarms)]
        delays = [result for result in results if isinstance(result, Delays)]
        count, samples = sum(part.alarms for part in alarms), sum(part.samples for part in alarms)
        whole = _STREAMS * SAMPLES
        found = [
            Figure(
                self.name,
                f"false alarms in {_STREAMS} x {SAMPLES:,} samples",
                method,
                float(round(count / samples * whole)),
                f"<= {_WANTED_ALARMS}",
                note="" if samples == whole else f"{count} in {samples:,}",
            )
        ]
        size = np.concatenate([part.size for part in delays])
        delay = np.concatenate([part.delay for part in delays])
        occupied = np.concatenate([part.open for part in delays])
        for one in SIZES:
            found += self._delay_figures(method, one, delay[size == one], occupied[size == one])
        early = sum(part.early for part in delays)
        seen = sum(part.samples for part in delays)
        return [*found, Figure(self.name, "alarms before the steps", method, float(early), note=f"{seen:,} samples")]

    def _delay_figures(self, method: str, size: float, delay: NDArray[np.int64], occupied: BoolArray) -> list[Figure]:
        limit = delay_limit(self.noise, size, SAMPLES)
        wanted = _WANTED_GAUSSIAN[size] if self.noise == "gaussian" else f"{_SLACK * limit:.1f}"
        hits = delay[delay >= 0]
        mean = float(hits.mean()) if len(hits) else None
        spread = f"± {hits.std() / len(hits) ** 0.5:.1f}" if len(hits) else ""
        missed = float(len(delay) - len(hits))
        open_ = int(np.count_nonzero(occupied & (delay < 0)))
        note = f"of {len(delay):,}" + (f"; {open_} with an alarm open already" if open_ else "")
        delayed = f"mean delay at {size} sigma, samples"
        return [
            Figure(self.name, delayed, method, mean, f"<= {wanted}", f"{limit:.1f}", spread),
            Figure(self.name, f"missed at {size} sigma", method, missed, "0", note=note),
        ]


def _parts(total: int, largest: int) -> list[int]:
    """The total in parts of nearly equal size."""
    count = -(-total // largest)
    return [total // count + (number < total % count) for number in range(count)]


def _false_alarms(method: str, noise: NoiseName, streams: int, seed: int) -> FalseAlarms:
    return count_false_alarms(METHODS[method], noise, streams, SAMPLES, seed)


def _delays(method: str, noise: NoiseName, streams: int, seed: int) -> Delays:
    return measure_delays(METHODS[method], noise, streams, seed)

"""Row "cost": microseconds an indicator and step at 10,000 indicators, and bytes of state an indicator.

Driftline's is taken through the Judge, with all methods, limits and alert states that the product has, as
`benchmarks/judge.py` does; the banks alone stand beside it, as what a rival's figure compares with. CPU time, since
others may be running.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from benchmarks import judge as through_judge
from benchmarks.detection.driftline import Driftline
from benchmarks.detection.figure import OURS, Figure
from benchmarks.detection.methods import METHODS
from benchmarks.detection.noise import Noise
from benchmarks.detection.row import Options, Task
from benchmarks.detection.steps import START_MS, STEP_MS

_INDICATORS = 10_000
_STEPS = 60
_WARM = 150
_SLOW_SHARE = 0.1  # pure Python methods are given a hundredth: their cost a stream is the same


class Cost(NamedTuple):
    """alone_us: the detector itself. The rest is None for rivals: bank_bytes: state of the banks, the week's profile
    included. judge_us, state_bytes: through the Judge, all of it.
    """

    alone_us: float
    bank_bytes: float | None
    judge_us: float | None
    state_bytes: float | None


class CostRow(NamedTuple):
    """Nothing alarms: what nearly every step looks like."""

    name: str = "cost"

    def tasks(self, method: str, _options: Options) -> list[Task]:
        """One task."""
        return [partial(_measure, method)]

    def figures(self, method: str, results: Sequence[object], _options: Options) -> list[Figure]:
        """Four figures for ours, one for a rival."""
        (cost,) = (result for result in results if isinstance(result, Cost))
        found = [Figure(self.name, "detector alone, us an indicator and step", method, cost.alone_us)]
        if cost.judge_us is not None:
            measure = f"through the Judge, us an indicator and step, {_INDICATORS:,} indicators"
            found.append(Figure(self.name, measure, method, cost.judge_us, "<= 60"))
            snapshot = "the Judge's snapshot, bytes an indicator"
            found.append(Figure(self.name, snapshot, method, cost.state_bytes, "<= 4,096"))
            banks = "state of the banks, bytes an indicator, the week's profile included"
            found.append(Figure(self.name, banks, method, cost.bank_bytes))
        return found


def _measure(method: str) -> Cost:
    alone = _alone_us(method)
    if method != OURS:
        return Cost(alone, None, None, None)
    judged = through_judge.measure(_INDICATORS, _STEPS)
    return Cost(alone, Driftline(1, STEP_MS, "all").state_bytes(), judged.us, judged.snapshot_bytes)


def _alone_us(method: str) -> float:
    kind = METHODS[method]
    streams = _INDICATORS if kind.share >= _SLOW_SHARE else _INDICATORS // 100
    noise = Noise("gaussian", streams, STEP_MS, 1)
    detector = kind.create(streams, STEP_MS, "all")
    values = noise.level + noise.sigma * noise.block(0, _WARM + _STEPS)
    started = 0.0
    for number, row in enumerate(values):
        if number == _WARM:
            started = time.process_time()
        detector.observe(START_MS + number * STEP_MS, row)
    return (time.process_time() - started) / _STEPS / streams * 1e6

"""A group's series through Meter and Judge, as a worker would run them: what is published and open at each step.

Frames are what `driftline.indicators` would hold, alerts what `driftline.alerts` would have said last.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec

from budgets.event import AlertEvent
from budgets.judge import Judge
from budgets.spec.model import ServiceBudget
from budgets.spec.resolve import queries_of
from streams.frame import IndicatorFrame
from streams.meter import Meter
from streams.promql.evaluate import Series, write_request_of

# Tests begin at Unix time 0, which means "never" to a Judge. A whole week later it is the same hour of the same day.
_JUDGE_AHEAD_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Moment:
    """One step: its frame, and every alert that is open after it."""

    frame: IndicatorFrame
    alerts: tuple[AlertEvent, ...]


def play(
    series: Iterable[Series], budgets: Sequence[ServiceBudget], step_ms: int, wanted: Collection[int]
) -> dict[int, Moment]:
    """Run series from time 0 to the last of the wanted steps.

    Raises:
        WireError: the labels are none that a series can have.
    """
    meter, judge = Meter(step_ms, evaluation_delay_ms=0), Judge(step_ms)
    for budget in budgets:
        meter.define(budget.service, queries_of(budget), 0)
        judge.define(budget, budget.service, 0)
    meter.resume_after(-step_ms)
    arriving = _by_step(series, step_ms)
    moments: dict[int, Moment] = {}
    open_alerts: dict[str, AlertEvent] = {}
    for step in range(0, max(wanted) + 1, step_ms):
        if step in arriving:
            meter.observe("", write_request_of(arriving[step]), step)
        for frame in meter.advance(step):
            for event in judge.observe(msgspec.structs.replace(frame, at=frame.at + _JUDGE_AHEAD_MS)):
                open_alerts[event.fingerprint] = event
            open_alerts = {key: event for key, event in open_alerts.items() if event.status != "resolved"}
            if frame.at in wanted:
                moments[frame.at] = Moment(frame, tuple(open_alerts.values()))
    return moments


def _by_step(series: Iterable[Series], step_ms: int) -> dict[int, list[Series]]:
    """The samples that each step is the first to see."""
    arriving: dict[int, list[Series]] = {}
    for labels, samples in series:
        for step, part in groupby(samples, key=lambda sample: -(-sample[0] // step_ms) * step_ms):
            arriving.setdefault(step, []).append((labels, list(part)))
    return arriving

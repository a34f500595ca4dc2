"""Row "steady copies of real curves": what is found of changes multiplied in, and what is cried without any.

Lasting changes only, except for transients, which count as anomalies too. The limit of a copy is that of its own
noise (see `copies.py`), at one false alarm in 30 days.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.detection.copies import DAY, RAMP, STEP_MS, TRANSIENT, Copy, copies, stretches
from benchmarks.detection.curves import Judged, judge
from benchmarks.detection.data import kpi_curves
from benchmarks.detection.figure import Figure
from benchmarks.detection.kpi_score import MERGED, Places, runs
from benchmarks.detection.limit import delay_limit, effective_shift
from benchmarks.detection.method import BoolArray
from benchmarks.detection.methods import METHODS
from benchmarks.detection.row import Options, Task

_HOUR = 60
_RUN_LENGTH = 30 * DAY
_CLEAR = 2.0  # residual sigmas that a change must have to be counted
_SIZES = (0.05, 0.1, 0.2, 0.5)
_PARTS = 4
_LIMIT_SHIFTS = np.geomspace(0.1, 30.0, 10)


class Outcome(NamedTuple):
    """What a method did about one copy.

    delay: samples up to the alarm from the change on, -1 = none. before: whether an alarm was open when it came.
    incidents: of a transient, how many began in it. closed: whether it was over an hour later. lasting: whether it was
    called a lasting change.
    """

    copy: Copy
    delay: int
    before: bool
    incidents: int
    closed: bool
    lasting: bool


class Quiet(NamedTuple):
    """Incidents in stretches without a change. kind: "steady" or "quiet", see `copies.py`."""

    kind: str
    incidents: int
    days: float


class CopiesRow(NamedTuple):
    """Steps, ramps and transients in every steady stretch."""

    name: str = "steady copies of real curves"

    def tasks(self, method: str, options: Options) -> list[Task]:
        """Stretches in parts."""
        changed = [partial(_change, method, options.data, options.seed, part) for part in range(_PARTS)]
        return [*changed, *(partial(_quiet, method, options.data, kind) for kind in ("steady", "quiet"))]

    def figures(self, method: str, results: Sequence[object], _options: Options) -> list[Figure]:
        """Found shares and delays of what is clear at all; incidents about nothing."""
        outcomes = [one for part in results if isinstance(part, list) for one in part]
        clear = [one for one in outcomes if abs(one.copy.size) >= _CLEAR * one.copy.sigma]
        steps = [one for one in clear if one.copy.shape == "step"]
        found = [_steps("all sizes", self.name, method, steps, ">= 95")]
        for size in _SIZES:
            of_size = [one for one in steps if abs(one.copy.size) == size]
            found += [_steps(f"{size:.0%}", self.name, method, of_size, "")]
        before = 100.0 * sum(one.before for one in steps) / len(steps) if steps else None
        found += [Figure(self.name, "steps that came while an alarm was open already, %", method, before)]
        found += [_against_limit(self.name, method, steps), *_ramps(self.name, method, clear)]
        found += _transients(self.name, method, [one for one in clear if one.copy.shape == "transient"])
        for part in (part for part in results if isinstance(part, Quiet)):
            note = f"{part.incidents} in {part.days:,.0f} curve-days"
            wanted = "<= 1" if part.kind == "steady" else ""
            rate = part.incidents / part.days * 30.0
            measure = f"false incidents per 30 curve-days, {part.kind} stretches"
            found.append(Figure(self.name, measure, method, rate, wanted, note=note))
        return found


def _steps(label: str, row: str, method: str, steps: list[Outcome], wanted: str) -> Figure:
    hits = [one for one in steps if 0 < one.delay <= _HOUR]
    share = 100.0 * len(hits) / len(steps) if steps else None
    measure = f"steps >= 2 sigma found within an hour, {label}, %"
    return Figure(row, measure, method, share, wanted, note=f"of {len(steps)}")


def _against_limit(row: str, method: str, steps: list[Outcome]) -> Figure:
    hits = [one for one in steps if one.delay > 0]
    delays = np.array([one.delay for one in hits], dtype=np.float64)
    limits = np.array([_limit(one.copy) for one in hits])
    ratio = float(np.median(delays / limits)) if hits else None
    note = f"medians {np.median(delays):.0f} and {np.median(limits):.1f} min" if hits else ""
    return Figure(row, "median of delay / limit, steps >= 2 sigma", method, ratio, "<= 2", "1", note)


def _limit(copy: Copy) -> float:
    shift = effective_shift(abs(copy.size) / copy.sigma, copy.correlation)
    table = [delay_limit("gaussian", float(one), _RUN_LENGTH) for one in _LIMIT_SHIFTS]
    return float(np.exp(np.interp(np.log(shift), np.log(_LIMIT_SHIFTS), np.log(table))))


def _ramps(row: str, method: str, clear: list[Outcome]) -> list[Figure]:
    ramps = [one for one in clear if one.copy.shape == "ramp"]
    hits = [one.delay for one in ramps if 0 < one.delay <= RAMP + _HOUR]
    share = 100.0 * len(hits) / len(ramps) if ramps else None
    middle = float(np.median(hits)) if hits else None
    return [
        Figure(row, f"ramps over {RAMP} minutes found by an hour after, %", method, share, note=f"of {len(ramps)}"),
        Figure(row, "ramps, median minutes from their beginning", method, middle),
    ]


def _transients(row: str, method: str, transients: list[Outcome]) -> list[Figure]:
    if not transients:
        return []
    counts = {
        f"{TRANSIENT}-minute transients seen, %": sum(one.incidents > 0 for one in transients),
        "transients that were one incident, opened and closed, %": sum(
            one.incidents == 1 and one.closed for one in transients
        ),
        "transients called a lasting change as well, %": sum(one.lasting for one in transients),
    }
    note = f"of {len(transients)}"
    return [
        Figure(row, measure, method, 100.0 * count / len(transients), note=note) for measure, count in counts.items()
    ]


def _change(method: str, folder: Path, seed: int, part: int) -> list[Outcome]:
    chosen = stretches(kpi_curves(folder), steady=True)[part::_PARTS]
    made = [copy for stretch in chosen for copy in copies(stretch, seed)]
    judged = judge(METHODS[method], [copy.curve for copy in made])
    return [_outcome(copy, one) for copy, one in zip(made, judged, strict=True)]


def _outcome(copy: Copy, judged: Judged) -> Outcome:
    began = np.flatnonzero(judged.began[copy.place :])
    open_: BoolArray = judged.lasting | judged.alarm
    # A short closing within an incident is no second one.
    firsts, ends = _incidents(open_)
    inside = (firsts >= copy.place) & (firsts < copy.place + TRANSIENT)
    return Outcome(
        copy,
        int(began[0]) + 1 if len(began) else -1,
        bool(judged.lasting[copy.place - 1]),
        int(np.count_nonzero(inside)),
        bool((ends[inside] <= copy.place + TRANSIENT + _HOUR).all()),
        bool(judged.began[copy.place : copy.place + TRANSIENT + _HOUR].any()),
    )


def _incidents(alarm: BoolArray, merged: int = MERGED) -> tuple[Places, Places]:
    """(first, end) of stretches of alarms; those less than `merged` apart are one."""
    firsts, ends = runs(alarm)
    if not len(firsts):
        return firsts, ends
    apart = firsts[1:] - ends[:-1] >= merged
    return firsts[np.append(True, apart)], ends[np.append(apart, True)]


def _quiet(method: str, folder: Path, kind: str) -> Quiet:
    chosen = [stretch.curve for stretch in stretches(kpi_curves(folder), steady=kind == "steady")]
    judged = judge(METHODS[method], chosen, "lasting")
    incidents = sum(len(_incidents(one.began, _HOUR)[0]) for one in judged)
    return Quiet(kind, incidents, sum(len(curve.values) for curve in chosen) * STEP_MS / 86_400_000)

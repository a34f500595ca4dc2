"""Row "AIOps-2018 KPI": the second half of every curve, nothing tuned on it.

Default alarms are what the product would publish: anomalies while they are open, regressions where they begin. From the
scores: the one threshold for all curves is fixed on the first halves, and only the second halves are reported.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection import kpi_score
from benchmarks.detection.curves import Judged, judge
from benchmarks.detection.data import KpiCurve, kpi_curves
from benchmarks.detection.figure import Figure
from benchmarks.detection.method import BoolArray
from benchmarks.detection.methods import METHODS
from benchmarks.detection.row import Options, Task

_DAY_MS = 86_400_000
_BUDGETS = {0.07: "> 0.67", 0.033: "0.75 aimed at"}  # false incidents in a curve's day -> wanted event recall
_CANDIDATES = 120
_LARGEST_PART = 11


class _Half(NamedTuple):
    """The same half of every curve."""

    scores: list[NDArray[np.float32]]
    alarms: list[BoolArray]
    labels: list[BoolArray]
    days: float

    def events(self, alarms: list[BoolArray]) -> tuple[float, float]:
        """(event recall, false incidents in a curve's day)."""
        counted = [kpi_score.events(alarm, label) for alarm, label in zip(alarms, self.labels, strict=True)]
        return sum(one.found for one in counted) / sum(one.total for one in counted), sum(
            one.false for one in counted
        ) / self.days

    def above(self, threshold: float) -> list[BoolArray]:
        """Alarms by one threshold for all curves."""
        return [score >= threshold for score in self.scores]


class KpiRow(NamedTuple):
    """All curves, or for a slow method those that it can do."""

    name: str = "AIOps-2018 KPI, second half"

    def tasks(self, method: str, options: Options) -> list[Task]:
        """Curves of one step together."""
        return [partial(_judge, method, options.data, names) for names in _parts(method, options.data)]

    def figures(self, method: str, results: Sequence[object], options: Options) -> list[Figure]:
        """F1 with default alarms and from scores; recall at a budget of false incidents."""
        judged = {one.name: one for part in results if isinstance(part, list) for one in part}
        curves = [curve for curve in kpi_curves(options.data) if curve.curve.name in judged]
        first, second = _half(curves, judged, "first"), _half(curves, judged, "second")
        note = "" if len(curves) == 29 else f"{len(curves)} of 29 curves"
        by_alarm = kpi_score.f1(second.alarms, second.labels)
        threshold = kpi_score.best_threshold(first.scores, first.labels)
        by_score = kpi_score.f1(second.above(threshold), second.labels)
        recall, false = second.events(second.alarms)
        found = [
            Figure(
                self.name,
                "F1, k = 7, default alarms",
                method,
                by_alarm,
                "> 0.79",
                "0.771 without labels, 0.811 with",
                note,
            ),
            Figure(self.name, "F1, k = 7, scores, threshold of the first half", method, by_score, note=note),
            Figure(
                self.name, "event recall, default alarms", method, recall, note=f"{false:.3f} false incidents a day"
            ),
        ]
        for budget, wanted in _BUDGETS.items():
            recall, false = second.events(second.above(_threshold_within(first, budget)))
            measure = f"event recall, scores, <= {budget} false incidents a curve-day in the first half"
            found.append(Figure(self.name, measure, method, recall, wanted, note=f"{false:.3f} in the second"))
        return found


def _parts(method: str, folder: Path) -> list[list[str]]:
    """Names of curves that are judged together; the short ones first, as many as the method can do."""
    curves = sorted(kpi_curves(folder), key=lambda curve: (len(curve.label), curve.curve.name))
    total, parts = 0, list[list[str]]()
    for step_ms in sorted({curve.curve.step_ms for curve in curves}, reverse=True):
        names = []
        for curve in (curve for curve in curves if curve.curve.step_ms == step_ms):
            total += len(curve.label)
            if total <= METHODS[method].real_samples:
                names.append(curve.curve.name)
        count = -(-len(names) // _LARGEST_PART)
        parts += [names[start::count] for start in range(count)]
    return parts


def _judge(method: str, folder: Path, names: list[str]) -> list[Judged]:
    return judge(METHODS[method], [curve.curve for curve in kpi_curves(folder) if curve.curve.name in names])


def _half(curves: list[KpiCurve], judged: dict[str, Judged], which: Literal["first", "second"]) -> _Half:
    cuts = [slice(curve.half, None) if which == "second" else slice(None, curve.half) for curve in curves]
    of = [judged[curve.curve.name] for curve in curves]
    labels = [curve.label[cut] for curve, cut in zip(curves, cuts, strict=True)]
    return _Half(
        [one.score[cut] for one, cut in zip(of, cuts, strict=True)],
        [one.alarm[cut] for one, cut in zip(of, cuts, strict=True)],
        labels,
        sum(len(label) * curve.curve.step_ms for label, curve in zip(labels, curves, strict=True)) / _DAY_MS,
    )


def _threshold_within(half: _Half, budget: float) -> float:
    """The lowest threshold up to which no higher one has more false incidents than the budget."""
    ordered = np.sort(np.concatenate(half.scores))
    shares = np.geomspace(1e-6, 0.05, _CANDIDATES)
    candidates = np.unique(ordered[len(ordered) - 1 - (shares * (len(ordered) - 1)).astype(np.int64)])[::-1]
    kept = float(np.nextafter(ordered[-1], np.float32(np.inf)))
    for candidate in candidates.tolist():
        if half.events(half.above(candidate))[1] > budget:
            break
        kept = candidate
    return kept

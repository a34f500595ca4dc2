"""Row "NAB": the official score in three profiles.

With thresholds of the other half of the files, which is what a user could have had; with the best threshold in
hindsight, which is how NAB publishes; and with the product's own alarms. Detectors of others are scored from their
published scores by the same code.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.detection import nab_score
from benchmarks.detection.curves import Judged, judge
from benchmarks.detection.data import NabFile, nab_files, published_scores
from benchmarks.detection.figure import OURS, Figure
from benchmarks.detection.method import FloatArray
from benchmarks.detection.methods import METHODS
from benchmarks.detection.row import Options, Task

_WANTED = {"standard": "> 58.0", "low false positives": "> 43.4", "low false negatives": "> 64.8"}
_BEST = {"standard": "74.9", "low false positives": "67.0", "low false negatives": "80.4"}
_ALARM = 0.5  # any threshold between a row without alarm, 0, and one with it, 1


class NabRow(NamedTuple):
    """All 58 files."""

    name: str = "NAB, official scoring"

    def tasks(self, method: str, options: Options) -> list[Task]:
        """Files of one step together."""
        steps = sorted({file.curve.step_ms for file in nab_files(options.data)})
        return [partial(_judge, method, options.data, step_ms) for step_ms in steps]

    def figures(self, method: str, results: Sequence[object], options: Options) -> list[Figure]:
        """Three profiles, each three times; the published detectors once."""
        judged = {one.name: one for part in results if isinstance(part, list) for one in part}
        marks = _marks(nab_files(options.data))
        scores = {name: one.score.astype(np.float64) for name, one in judged.items()}
        alarms = {name: one.alarm.astype(np.float64) for name, one in judged.items()}
        found = _figures(self.name, method, scores, marks)
        for profile, weights in nab_score.PROFILES.items():
            value = nab_score.at_threshold(alarms, marks, weights, _ALARM)
            found.append(Figure(self.name, f"{profile}, default alarms", method, value))
        if method == OURS:
            published = published_scores(options.data)
            found += [
                figure._replace(row="NAB, published detectors")
                for detector in sorted(published)
                for figure in _figures(self.name, detector, published[detector], marks)
            ]
        return found


def _marks(files: list[NabFile]) -> dict[str, nab_score.Marks]:
    return {file.curve.name: nab_score.mark(len(file.curve.values), file.windows) for file in files}


def _figures(
    row: str, method: str, scores: Mapping[str, FloatArray], marks: Mapping[str, nab_score.Marks]
) -> list[Figure]:
    found = []
    for profile, weights in nab_score.PROFILES.items():
        honest = nab_score.two_fold(scores, marks, weights)
        oracle, _ = nab_score.best(scores, marks, weights)
        found += [
            Figure(row, f"{profile}, threshold of the other half", method, honest, _WANTED[profile], _BEST[profile]),
            Figure(row, f"{profile}, oracle threshold", method, oracle, limit=_BEST[profile]),
        ]
    return found


def _judge(method: str, folder: Path, step_ms: int) -> list[Judged]:
    return judge(METHODS[method], [file.curve for file in nab_files(folder) if file.curve.step_ms == step_ms])

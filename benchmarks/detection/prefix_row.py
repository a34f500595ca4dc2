"""Row "causality": the first 60 % of ten curves give exactly the alarms and scores that the whole curves gave there."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.detection.curves import Curve, judge
from benchmarks.detection.data import nab_files
from benchmarks.detection.figure import Figure
from benchmarks.detection.method import Kind
from benchmarks.detection.methods import METHODS
from benchmarks.detection.row import Options, Task

_SHARE = 0.6
_CURVES = 10


class PrefixRow(NamedTuple):
    """Ten files of NAB, every sixth by name."""

    name: str = "causality"

    def tasks(self, method: str, options: Options) -> list[Task]:
        """One task."""
        return [partial(_count, method, options.data)]

    def figures(self, method: str, results: Sequence[object], _options: Options) -> list[Figure]:
        """How many curves differ."""
        (differ,) = (result for result in results if isinstance(result, int))
        return [Figure(self.name, f"curves of {_CURVES} whose prefix differs", method, float(differ), "0")]


def differing(kind: Kind, curves: list[Curve]) -> int:
    """How many curves' prefixes are judged differently without what follows; those of one step are judged together."""
    steps = sorted({curve.step_ms for curve in curves})
    return sum(_differing(kind, [curve for curve in curves if curve.step_ms == step_ms]) for step_ms in steps)


def _differing(kind: Kind, curves: list[Curve]) -> int:
    cuts = [int(_SHARE * len(curve.values)) for curve in curves]
    prefixes = [
        curve._replace(values=curve.values[:cut], steps=curve.steps[:cut])
        for curve, cut in zip(curves, cuts, strict=True)
    ]
    pairs = zip(cuts, judge(kind, curves), judge(kind, prefixes), strict=True)
    return sum(
        not all(np.array_equal(one[:cut], other) for one, other in zip(whole[1:], prefix[1:], strict=True))
        for cut, whole, prefix in pairs
    )


def _count(method: str, folder: Path) -> int:
    return differing(METHODS[method], [file.curve for file in nab_files(folder)[::6]][:_CURVES])

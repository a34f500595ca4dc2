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
    """How many curves' prefixes are judged differently without what follows."""
    return sum(_differs(kind, curve) for curve in curves)


def _differs(kind: Kind, curve: Curve) -> bool:
    cut = int(_SHARE * len(curve.values))
    (whole,) = judge(kind, [curve])
    (prefix,) = judge(kind, [curve._replace(values=curve.values[:cut], steps=curve.steps[:cut])])
    return not all(
        np.array_equal(of_whole[:cut], of_prefix) for of_whole, of_prefix in zip(whole[1:], prefix[1:], strict=True)
    )


def _count(method: str, folder: Path) -> int:
    return differing(METHODS[method], [file.curve for file in nab_files(folder)[::6]][:_CURVES])

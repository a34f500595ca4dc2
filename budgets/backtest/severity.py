"""How strange the newest row is, 0-1, for every column: what `--scores` writes. From the Judge's own numbers alone."""

import math

from budgets.backtest.columns import Columns
from budgets.judge import Judge
from budgets.limits import worse_by


def severities_of(judge: Judge, columns: Columns) -> tuple[float, ...]:
    """One severity a column, the larger one where it is watched in both directions; 0.0 without a value."""
    return tuple(max(_severity(judge, point_id) for point_id in ids) for ids in columns.ids)


def _severity(judge: Judge, point_id: str) -> float:
    """The share of usual values that are less strange, by the deviation in the bad direction."""
    seen = judge.look(point_id)
    finding = seen.point.detector.finding if seen is not None else None
    if seen is None or finding is None:
        return 0.0
    worse = worse_by(seen.watched.spec.direction, finding.z)
    return math.erf(worse / math.sqrt(2.0)) if worse > 0 else 0.0

"""A baseline from recorded values: the same detector learns them as if they had come one by one."""

from collections.abc import Iterable

from budgets.spec.model import IndicatorSpec
from budgets.traffic import has_traffic
from budgets.watch import watch_of
from streams.detect.detector import Detector
from streams.detect.usual import Usual


def usual_of(
    spec: IndicatorSpec, step_ms: int, values: Iterable[tuple[int, float | None, float | None]]
) -> Usual | None:
    """What is usual after these values; None = too few of them.

    values: step in Unix ms, value, events behind it; oldest first, `step_ms` apart or with gaps. None = not known.
    """
    detector = Detector(watch_of(spec, step_ms, spec.id))
    for at_ms, value, weight in values:
        if value is None or not has_traffic(spec, weight):
            detector.skip(at_ms)
        else:
            detector.observe(at_ms, value, weight)
            detector.learn(claimed=False)
    return detector.baseline.tell()

"""Stories of series as both sides get them: counters that reset, odd gauges, histograms, gaps, stale markers, churn.

A story is a few series with all their samples. Every series carries the label `story`, so that one Prometheus holds
thousands of stories side by side.
"""

from collections.abc import Mapping
from random import Random

from streams.promql.lanes import Lanes
from streams.promql.plan import Plan
from streams.series.intake import Came, Intake
from streams.series.store import Ceilings, SeriesStore
from streams.wire.encode import encode_write_request
from tests.property.sample_stories import START_MS, tell

MINUTES = 25
# Series by their labels, without the story: (time, value), oldest first.
Labels = tuple[tuple[str, str], ...]
Series = Mapping[Labels, tuple[tuple[int, float], ...]]
_KEEP_MS = 4 * 3_600_000


def tell_series(random: Random, end_ms: int) -> Series:
    """A story that ends at a moment."""
    found: dict[Labels, list[tuple[int, float]]] = {}
    shift_ms = end_ms - START_MS - MINUTES * 60_000

    def add(labels: Mapping[str, str], time_ms: int, value: float) -> None:
        samples = found.setdefault(tuple(sorted(labels.items())), [])
        # What comes late is another test's business.
        if not samples or time_ms > samples[-1][0]:
            samples.append((time_ms, value))

    for write in tell(random, MINUTES, 3):
        for labels, time_ms, value in write.samples:
            add(labels, time_ms + shift_ms, value)
            if labels["__name__"] == "up" and value == 1.0:
                add({**labels, "__name__": "noise"}, time_ms + shift_ms, random.gauss(0, 3))
                add({**labels, "__name__": "level"}, time_ms + shift_ms, float(random.randrange(-2, 3)))
    return {labels: tuple(samples) for labels, samples in found.items()}


def write_request(series: Series, story: str) -> bytes:
    """The story as a sender writes it."""
    return encode_write_request([(dict(labels) | {"story": story}, samples) for labels, samples in series.items()])


class Stored:
    """A story in columns, for as many expressions as one likes."""

    def __init__(self, series: Series, story: str, end_ms: int) -> None:
        self._store = SeriesStore(Ceilings(100_000, 100_000), lag_ms=1, keep_ms=_KEEP_MS)
        self._store.columns.epoch_ms = end_ms
        came = Came(end_ms, end_ms, end_ms, end_ms + 60_000)
        tally = Intake(self._store, out_of_order_ms=0).take("", write_request(series, story), came)
        assert not +tally.dropped

    def plan(self, kind: type[Plan] = Plan) -> Plan:
        """A plan over the story."""
        return kind(Lanes(self._store.columns, self._store.selection))

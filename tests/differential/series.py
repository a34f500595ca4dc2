"""Stories of series as both sides get them: counters that reset, odd gauges, histograms of both kinds, gaps, stale
markers, churn.

A story is a few series with all their samples. Every series carries the label `story`, so that one Prometheus holds
thousands of stories side by side.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from random import Random
from typing import TypeAlias

from streams.promql.lanes import Lanes
from streams.promql.plan import Plan
from streams.series.intake import Came, Intake
from streams.series.store import Ceilings, SeriesStore
from streams.wire.encode import Sample, encode_write_request
from streams.wire.histogram_message import HistogramMessage
from streams.wire.samples import STALE_NAN
from tests.differential.native_series import NATIVE_METRICS, NativeSource, refilled, stale_histogram, united
from tests.property.reference_promql import is_stale
from tests.property.sample_stories import START_MS, tell

MINUTES = 25
# Series by their labels, without the story: (time, value), oldest first. A histogram has its time in itself, too.
Labels = tuple[tuple[str, str], ...]
Sampled: TypeAlias = tuple[int, float | HistogramMessage]
Series = Mapping[Labels, tuple[Sampled, ...]]
_KEEP_MS = 4 * 3_600_000


def tell_series(random: Random, end_ms: int) -> Series:
    """A story that ends at a moment."""
    found: dict[Labels, list[Sampled]] = {}
    shift_ms = end_ms - START_MS - MINUTES * 60_000
    native = _Native(random)

    def add(labels: Mapping[str, str], time_ms: int, value: float | HistogramMessage) -> None:
        samples = found.setdefault(tuple(sorted(labels.items())), [])
        # What comes late is another test's business.
        if not samples or time_ms > samples[-1][0]:
            samples.append((time_ms, value))

    for write in tell(random, MINUTES, 3):
        for labels, time_ms, value in write.samples:
            add(labels, time_ms + shift_ms, value)
            if labels["__name__"] == "up":
                for metric, sample in native.scrape(labels["pod"], time_ms + shift_ms, is_up=value == 1.0):
                    add({**labels, "__name__": metric}, time_ms + shift_ms, sample)
            if labels["__name__"] == "up" and value == 1.0:
                add({**labels, "__name__": "noise"}, time_ms + shift_ms, random.gauss(0, 3))
                add({**labels, "__name__": "level"}, time_ms + shift_ms, float(random.randrange(-2, 3)))
    return {labels: tuple(samples) for labels, samples in found.items()}


class _Native:
    """The native histograms of a story's processes. Most scrapes of an eager process see none: they would tell
    nothing new, and cost both sides most of their time."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._sources: dict[tuple[str, str], NativeSource] = {}
        self._latest_ms: dict[str, int] = {}
        self._numbers: set[str] = set()

    def scrape(self, pod: str, time_ms: int, *, is_up: bool) -> Iterator[tuple[str, float | HistogramMessage]]:
        """Each metric with its sample."""
        if time_ms - self._latest_ms.get(pod, 0) < 4000:
            return
        self._latest_ms[pod] = time_ms
        for metric in NATIVE_METRICS:
            source = self._sources.get((metric, pod))
            if source is None:
                source = self._sources[metric, pod] = NativeSource(self._random, metric)
            if not is_up:
                yield metric, self._random.choice((STALE_NAN, stale_histogram(time_ms)))
            elif metric == "mixed" and self._is_number(pod):
                yield metric, float(self._random.randrange(100))
            else:
                yield metric, source.scrape(time_ms)

    def _is_number(self, pod: str) -> bool:
        """Whether a series of numbers and histograms is at its numbers; now and then it turns."""
        if self._random.random() < 0.15:
            self._numbers ^= {pod}
        return pod in self._numbers


def write_requests(series: Series, story: str) -> list[bytes]:
    """The story as a sender writes it: a request for each turn of a series that turns from numbers to histograms.

    A stale marker that is a number has its own, too: only after what it ends is stored Prometheus knows of which kind.
    """
    turns: list[list[tuple[Mapping[str, str], list[Sample]]]] = []
    for labels, samples in series.items():
        for number, (_, turn) in enumerate(groupby(samples, key=_kind)):
            if number == len(turns):
                turns.append([])
            written = [(at, value) if isinstance(value, float) else value for at, value in turn]
            turns[number].append((dict(labels) | {"story": story}, written))
    return [encode_write_request(turn) for turn in turns]


def _kind(sample: Sampled) -> str:
    _, value = sample
    if not isinstance(value, float):
        return "histogram"
    return "stale" if is_stale(value) else "number"


class Stored:
    """A story in columns, for as many expressions as one likes."""

    def __init__(self, series: Series, story: str, end_ms: int) -> None:
        self._told = (series, story, end_ms)
        self._store = SeriesStore(Ceilings(100_000, 100_000), lag_ms=1, keep_ms=_KEEP_MS)
        self._store.columns.epoch_ms = end_ms
        intake = Intake(self._store, out_of_order_ms=0)
        came = Came(end_ms, end_ms, end_ms, end_ms + 60_000)
        for request in write_requests(series, story):
            tally = intake.take("", request, came)
            assert not +tally.dropped, tally.dropped

    def refilled(self, random: Random) -> "Stored":
        """The same story with other empty buckets in its histograms.

        In which Prometheus has them follows from which samples its storage put into one chunk, later ones too.
        """
        series, story, end_ms = self._told
        others = {
            labels: tuple((at, value if isinstance(value, float) else refilled(value, random)) for at, value in samples)
            for labels, samples in series.items()
        }
        return Stored(others, story, end_ms)

    def united(self) -> "Stored":
        """The same story as Prometheus has it where a series' histograms are in one chunk."""
        series, story, end_ms = self._told
        others = {}
        for labels, samples in series.items():
            messages = iter(united([value for _, value in samples if not isinstance(value, float)]))
            others[labels] = tuple((at, value if isinstance(value, float) else next(messages)) for at, value in samples)
        return Stored(others, story, end_ms)

    def plan(self, kind: type[Plan] = Plan) -> Plan:
        """A plan over the story."""
        return kind(Lanes(self._store.columns, self._store.selection))

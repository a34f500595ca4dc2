"""What was read before, in which order it came and how it was stored changes no byte of a frame."""

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.frame import IndicatorFrame, encode_frame
from streams.meter import MAX_AHEAD_MS, Meter
from streams.promql.evaluate import write_request_of
from streams.query import Query
from streams.series import columns, histograms, store, window
from streams.wire.samples import STALE_NAN
from tests.property.sample_stories import START_MS, Write, as_series, tell
from tests.property.test_meter_values import DELAY_MS, EXPRESSIONS, STEP_MS
from tests.unit.native_samples import Samples, histogram

NATIVE = (
    "histogram_quantile(0.9, sum by (zone) (rate(latency[5m])))",
    "histogram_count(avg(increase(latency[3m])))",
    "histogram_sum(latency offset 1m)",
    "histogram_avg(sum_over_time(latency[1m]) / 3)",
    "histogram_fraction(0, 2, rate(latency[2m:20s]))",
    "histogram_stddev(sum(latency) - sum(latency offset 1m))",
    "resets(latency[5m])",
    'count({__name__=~"latency|queue"})',
)
QUERIES = [Query(f"svc/{number}", expr, "sum(rate(requests[5m]))") for number, expr in enumerate(EXPRESSIONS)]
CHANGE_MS = START_MS // STEP_MS * STEP_MS + 20 * STEP_MS


def create_meter() -> Meter:
    """All expressions, some of them of another service, which changes them on the way and stops."""
    meter = Meter(STEP_MS, DELAY_MS)
    meter.define("svc", QUERIES[:30] + [Query(f"svc/native-{n}", expr) for n, expr in enumerate(NATIVE)], 0)
    meter.define("other", QUERIES[30:40], 0)
    meter.define("other", QUERIES[25:45], CHANGE_MS)
    meter.define("other", [], CHANGE_MS + 20 * STEP_MS)
    return meter


def play(meter: Meter, writes: list[Write]) -> list[IndicatorFrame]:
    frames = []
    for write in writes:
        frames += meter.advance(write.log_time_ms)
        meter.observe("svc", write_request_of([*as_series(write.samples), *natives_of(write)]), write.log_time_ms)
    return frames


def natives_of(write: Write) -> Iterator[tuple[Mapping[str, str], Samples]]:
    """The same latencies as native histograms; how many there are says in which buckets."""
    for labels, time_ms, value in write.samples:
        if labels.get("le") == "+Inf":
            counts = (value // 3, 0.0, value // 2 if value % 5 else 0.0, value - value // 2 - value // 3)
            sample = histogram(*counts, total=value) if math.isfinite(value) else histogram(total=STALE_NAN)
            yield {"__name__": "latency", "pod": labels["pod"], "zone": labels["zone"]}, [(time_ms, sample)]


def shuffled(random: Random, write: Write) -> list[Write]:
    """The same samples in another order of the series, in two records."""
    by_series: dict[tuple[tuple[str, str], ...], list[tuple[dict[str, str], int, float]]] = {}
    for labels, time_ms, value in write.samples:
        by_series.setdefault(tuple(labels.items()), []).append((dict(reversed(labels.items())), time_ms, value))
    groups = list(by_series.values())
    random.shuffle(groups)
    cut = random.randrange(len(groups) + 1)
    parts = (list(chain.from_iterable(part)) for part in (groups[:cut], groups[cut:]))
    return [Write(write.log_time_ms, part) for part in parts]


def assert_same(found: list[IndicatorFrame], expected: list[IndicatorFrame]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert encode_frame(ours) == encode_frame(theirs), f"at {theirs.at}"


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), position=st.floats(0, 1))
def test_a_restart_at_any_step_changes_nothing(seed: int, position: float) -> None:
    writes = tell(Random(seed), minutes=25, targets=3)
    frames = play(create_meter(), writes)
    last = frames[int(position * (len(frames) - 1))]
    meter = create_meter()
    meter.resume_after(last.at)
    begin_ms = last.at - meter.longest_window_ms - MAX_AHEAD_MS
    resumed = play(meter, [write for write in writes if write.log_time_ms >= begin_ms])
    assert_same(resumed, [frame for frame in frames if frame.at > last.at])


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_series_and_records_within_a_moment_changes_nothing(seed: int) -> None:
    random = Random(seed)
    writes = tell(random, minutes=10, targets=3)
    others = list(chain.from_iterable(shuffled(random, write) for write in writes))
    assert_same(play(create_meter(), others), play(create_meter(), writes))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_repeated_records_change_nothing(seed: int) -> None:
    random = Random(seed)
    writes = tell(random, minutes=8, targets=3)
    others = list(chain.from_iterable((write, write) if random.random() < 0.5 else (write,) for write in writes))
    assert_same(play(create_meter(), others), play(create_meter(), writes))


def _small_parts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(window, "_MOST_SERIES", 3)
    patch.setattr(window, "_MOST_CELLS", 7)


def _eager_renumbering(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "_FEW", 0)
    patch.setattr(store, "_MOST_IDLE", 0.0)


def _moving_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "_REBASE_MS", 100_000)


def _frequent_sweeps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(histograms, "_FEW", -1_000_000)


def _slow_growth(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(columns, "_MOST_GROWTH", 2)


@pytest.mark.parametrize("arrange", [_small_parts, _eager_renumbering, _moving_epoch, _frequent_sweeps, _slow_growth])
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_how_series_are_stored_changes_nothing(arrange: Callable[[pytest.MonkeyPatch], None], seed: int) -> None:
    writes = tell(Random(seed), minutes=16, targets=3)
    expected = play(create_meter(), writes)
    with pytest.MonkeyPatch.context() as patch:
        arrange(patch)
        assert_same(play(create_meter(), writes), expected)

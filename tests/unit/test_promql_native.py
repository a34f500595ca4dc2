"""Native histograms on their way through expressions: who takes them, who leaves them out, who refuses a mixture."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from streams.native.histogram import NativeHistogram
from streams.promql.evaluate import elements_of, write_request_of
from streams.promql.lanes import Lanes
from streams.promql.parse import parse_expression
from streams.promql.plan import Plan
from streams.series.intake import Came, Intake
from streams.series.store import Ceilings, SeriesStore
from streams.wire.histogram import CUSTOM_BUCKETS
from streams.wire.samples import STALE_NAN
from tests.unit.native_samples import Samples, histogram

NOW = 1_764_000_000_000
TIMES = [NOW - 240_000 + 60_000 * number for number in range(5)]
SERIES: dict[str, Samples] = {
    "h/a": [(time_ms, histogram(number, 2 * number, number)) for number, time_ms in enumerate(TIMES, 1)],
    "h/b": [(time_ms, histogram(0, number)) for number, time_ms in enumerate(TIMES, 1)],
    "f/a": [(time_ms, float(number)) for number, time_ms in enumerate(TIMES, 1)],
    "mixed/a": [(TIMES[1], 1.0), (TIMES[2], 3.0), (TIMES[3], histogram(1)), (TIMES[4], histogram(2))],
    "custom/a": [(NOW, replace(histogram(1), schema=CUSTOM_BUCKETS, bounds=(5.0,)))],
    "again/a": [(TIMES[2], histogram(8)), (TIMES[3], histogram(9)), (TIMES[4], histogram(1))],
    "again/b": [(TIMES[2], histogram(8)), (TIMES[3], histogram(total=STALE_NAN)), (TIMES[4], histogram(1))],
    "ended/a": [(TIMES[3], histogram(1)), (TIMES[4], histogram(total=STALE_NAN))],
}


def at(expr: str) -> dict[str, float | NativeHistogram]:
    """The result now, by the values of the labels but the name."""
    store = SeriesStore(Ceilings(), lag_ms=1, keep_ms=600_000)
    store.columns.epoch_ms = NOW
    series = []
    for name, samples in SERIES.items():
        metric, _, job = name.partition("/")
        series.append(({"__name__": metric, "job": job}, samples))
    Intake(store, 0).take("", write_request_of(series), Came(NOW, NOW, NOW, NOW))
    plan = Plan(Lanes(store.columns, store.selection))
    with np.errstate(all="ignore"):
        elements = elements_of(plan.part(parse_expression(expr)).at(NOW), plan.natives)
    return {
        "/".join(value for name, value in element.labels if name != "__name__"): element.value for element in elements
    }


def counts(expr: str) -> dict[str, float]:
    """The observations of histograms in the result; of floats, themselves, negative."""
    return {labels: value.count if isinstance(value, NativeHistogram) else -value for labels, value in at(expr).items()}


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("h", {"a": 20, "b": 5}),
        ("mixed", {"a": 2}),
        ("mixed offset 2m", {"a": -3}),
        ("ended", {}),
        ("last_over_time(ended[5m])", {"a": 1}),
        ("-h", {"a": -20, "b": -5}),
        ("h * 2", {"a": 40, "b": 10}),
        ("2 * h", {"a": 40, "b": 10}),
        ("h / 5", {"a": 4, "b": 1}),
        ("5 / h", {}),
        ("h + 1", {}),
        ("h > 1", {}),
        ("h == bool 1", {}),
        ("h + h", {"a": 40, "b": 10}),
        ('h - on() group_left h{job="b"}', {"a": 15, "b": 0}),
        ("h * f", {"a": 100}),
        ("f * h", {"a": 100}),
        ("h / f", {"a": 4}),
        ("f / h", {}),
        ("h - f", {}),
        ("h == h", {"a": 20, "b": 5}),
        ("h != h", {}),
        ("h == bool h", {"a": -1, "b": -1}),
        ("h < bool h", {}),
        ('h == bool on() group_left h{job="b"}', {"a": 0, "b": -1}),
        ("h and f", {"a": 20}),
        ("h unless f", {"b": 5}),
        ("f or h", {"a": -5, "b": 5}),
        ("sum(h)", {"": 25}),
        ("sum by (job) (h)", {"a": 20, "b": 5}),
        ("avg(h)", {"": 12.5}),
        ('sum({__name__=~"h|f"})', {}),
        ('sum by (job) ({__name__=~"h|f"})', {"b": 5}),
        ("count(h)", {"": -2}),
        ("group(h)", {"": -1}),
        ("max(h)", {}),
        ('min({__name__=~"h|f"})', {"": -5}),
        ("stddev(h)", {}),
        ("quantile(0.5, h)", {}),
        ('topk(1, {__name__=~"h|f"})', {"a": -5}),
        ("limitk(1, h)", {"a": 20}),
        ("abs(h)", {}),
        ("scalar(h{job='a'}) > bool 0", {"": 0}),
        ("sort(h)", {}),
        ("absent(h)", {}),
        ("absent_over_time(h[1m])", {}),
        ("timestamp(h) - timestamp(f)", {"a": 0}),
        ('label_replace(h, "job", "x$1", "job", "(.)")', {"xa": 20, "xb": 5}),
        ("count_over_time(mixed[5m])", {"a": -4}),
        ("present_over_time(h[5m])", {"a": -1, "b": -1}),
        ("sum_over_time(h[2m])", {"a": 36, "b": 9}),
        ("sum_over_time(mixed[5m])", {}),
        ("max_over_time(mixed[5m])", {"a": -3}),
        ("max_over_time(h[5m])", {}),
        ("rate(mixed[5m])", {}),
        ("increase(h[4m])", {"a": 16, "b": 4}),
        ("rate(h[4m]) * 240", {"a": 16, "b": 4}),
        ("rate(h[4m:1m]) * 240", {"a": 16, "b": 4}),
        ("sum_over_time(sum(h)[2m:1m])", {"": 45}),
        ("histogram_count(h)", {"a": -20, "b": -5}),
        ("histogram_count(f)", {}),
        ("histogram_sum(sum(h))", {"": -25}),
        ("histogram_avg(h)", {"a": -1, "b": -1}),
        ("histogram_fraction(0, 1, h)", {"a": -0.25, "b": 0}),
        ("histogram_count(sum(h))", {"": -25}),
        ("histogram_count(rate(h[4m])) * 240", {"a": -16, "b": -4}),
        ("histogram_count(rate(h[4m:1m])) * 240", {"a": -16, "b": -4}),
        ("histogram_quantile(1, h)", {"a": -4, "b": -2}),
    ],
)
def test_an_expression_takes_them_as_prometheus_does(expr: str, expected: dict[str, float]) -> None:
    assert counts(expr) == pytest.approx(expected, rel=1e-12)


def test_values_are_counted_by_their_texts() -> None:
    found = at('count_values by (job) ("text", {__name__=~"h|f"})')
    assert list(found.values()) == [1.0, 1.0, 1.0]
    assert "5" in {labels.split("/")[-1] for labels in found}
    assert any("count:20" in labels for labels in found)


CLASSIC = [
    ({"__name__": "both_bucket", "le": bound, "job": job}, [(NOW, count)])
    for job, (bound, count) in chain(
        *([(job, pair) for pair in (("1", 1.0), ("2", 2.0), ("+Inf", 2.0))] for job in ("classic", "conflict"))
    )
]


def test_where_classic_and_native_histograms_have_the_same_labels_neither_counts() -> None:
    store = SeriesStore(Ceilings(), lag_ms=1, keep_ms=600_000)
    store.columns.epoch_ms = NOW
    natives = [({"__name__": "both_bucket", "job": job}, [(NOW, histogram(0, 4))]) for job in ("native", "conflict")]
    Intake(store, 0).take("", write_request_of([*CLASSIC, *natives]), Came(NOW, NOW, NOW, NOW))
    plan = Plan(Lanes(store.columns, store.selection))
    part = plan.part(parse_expression("histogram_quantile(1, both_bucket)"))
    with np.errstate(all="ignore"):
        elements = elements_of(part.at(NOW), plan.natives)
    assert [(dict(element.labels)["job"], element.value) for element in elements] == [("classic", 2.0), ("native", 2.0)]


def test_counts_and_sums_need_no_buckets_that_go_together() -> None:
    """Prometheus reads them without buckets below these functions, but not from within a subquery."""
    assert at("histogram_count(sum({__name__=~'custom|h'}))") == {"": 26.0}
    assert at("histogram_count(sum_over_time(sum({__name__=~'custom|h'})[1m:1m]))") == {}
    assert at("histogram_quantile(0.5, sum({__name__=~'custom|h'}))") == {}


def test_without_buckets_a_counter_that_began_anew_is_not_added_to_one_that_did_not() -> None:
    assert at("histogram_count(again + on (job) h)") == {}
    assert at("histogram_count(again - on (job) h)") == {}
    assert at("histogram_count(again + on (job) again)") == {"a": 2.0, "b": 2.0}
    assert counts("again + on (job) h") == {"a": 21, "b": 6}  # with buckets nobody knows
    assert at("histogram_count(sum by (job) ({__name__=~'again|h'}))") == {"a": 21.0, "b": 6.0}

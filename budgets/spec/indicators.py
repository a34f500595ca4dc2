"""The well-known indicators: which limits they take, their defaults, and their PromQL over the conventional metrics.

A name stands here when its metrics are a convention (client libraries, node_exporter). Everything else is written
in the budget file itself, as `expr` and `unit`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from budgets.spec.model import Direction, IndicatorKind

# Fewer events than this in the window say nothing about a ratio or a percentile: one error in three requests is
# no outage. Twenty keep a service with one request in fifteen seconds observable at the default window.
MIN_TRAFFIC = 20.0
# node_exporter under its usual job names; the chart of kube-prometheus calls it node-exporter.
_NODES = 'job=~"node|node[-_]exporter"'
_PERCENTILE = re.compile(r"p(?!0+$|100)(\d{2,5})")


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression looks at.

    selector: matchers without braces, empty = everything. window: a PromQL duration.
    by: labels that the result keeps.
    """

    selector: str
    window: str
    by: tuple[str, ...] = ()

    def series(self, metric: str, *matchers: str) -> str:
        """A selector of one metric within the scope."""
        inside = ",".join(part for part in (*matchers, self.selector) if part)
        return f"{metric}{{{inside}}}" if inside else metric

    def total(self, function: str, metric: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
        """The sum of a range function over the window, by the labels of the scope and `by`."""
        return f"{self.over('sum', by)}({function}({self.series(metric, *matchers)}[{self.window}]))"

    def over(self, operator: str, by: tuple[str, ...] = ()) -> str:
        """An aggregation that keeps the labels of the scope and `by`."""
        labels = (*by, *self.by)
        return f"{operator} by ({', '.join(labels)}) " if labels else operator


@dataclass(frozen=True, slots=True)
class Measure:
    """What an indicator is computed from. weight_expr: the number of events behind the value, None = not counted."""

    expr: str
    weight_expr: str | None = None


@dataclass(frozen=True, slots=True)
class LimitKey:
    """A key that gives a limit. scale: from the file's number to the indicator's unit."""

    direction: Direction
    scale: str = "1"
    percentage: bool = False


@dataclass(frozen=True, slots=True)
class WellKnown:
    """One well-known indicator.

    measure: from the scope and the quantile or the limit's key.
    scoped: looks at one service's series by default, instead of the whole cluster's.
    regression: relative change that is a warning and critical, ratio.
    thresholds: factors of the limit that are a warning and critical.
    """

    kind: IndicatorKind
    unit: str
    direction: Direction
    limits: dict[str, LimitKey]
    measure: Callable[[Scope, str], Measure]
    regression: tuple[float, float]
    thresholds: tuple[float, float]
    scoped: bool = True
    min_traffic: float = 0.0


def quantile_of(percentile: str) -> str | None:
    """The quantile of a percentile's name as PromQL writes it, None = no such name.

    >>> quantile_of("p95"), quantile_of("p999"), quantile_of("p100"), quantile_of("p5")
    ('0.95', '0.999', None, None)
    """
    match = _PERCENTILE.fullmatch(percentile)
    return "0." + (match[1].rstrip("0")) if match else None


def _response_time(scope: Scope, quantile: str) -> Measure:
    buckets = "http_request_duration_seconds_bucket"
    return Measure(
        f"histogram_quantile({quantile}, {scope.total('rate', buckets, by=('le',))}) * 1000",
        scope.total("increase", buckets, 'le="+Inf"'),
    )


def _throughput(scope: Scope, limit: str) -> Measure:
    metric = "policy_decisions_total" if limit == "min_decisions_per_sec" else "http_requests_total"
    return Measure(scope.total("rate", metric), scope.total("increase", metric))


def _error_rate(scope: Scope, _: str) -> Measure:
    """5xx of all. The status stands in `code` or in `status`; a series with both counts once.

    Without any error the series of 5xx may never have existed: then the ratio is 0 while requests flow. Without
    requests it is 0/0, which is no data.
    """
    requests = "http_requests_total"
    everything = scope.total("rate", requests)
    by_code = scope.total("rate", requests, 'code=~"5.."')
    by_status = scope.total("rate", requests, 'code=""', 'status=~"5.."')
    errors = f"({by_code} or {everything} * 0) + ({by_status} or {everything} * 0)"
    return Measure(f"({errors}) / {everything}", scope.total("increase", requests))


def _cache_hit_rate(scope: Scope, _: str) -> Measure:
    """Hits of all look-ups; a counter that was never touched may not exist, and is 0 then."""

    def both(function: str) -> tuple[str, str]:
        hits, misses = (scope.total(function, f"cache_{what}_total") for what in ("hits", "misses"))
        return f"({hits} or {misses} * 0)", f"({misses} or {hits} * 0)"

    hits, misses = both("rate")
    return Measure(f"{hits} / ({hits} + {misses})", " + ".join(both("increase")))


def _cluster_cpu(scope: Scope, _: str) -> Measure:
    idle = scope.series("node_cpu_seconds_total", 'mode="idle"')
    return Measure(f"1 - {scope.over('avg')}(rate({idle}[{scope.window}]))")


def _cluster_memory(scope: Scope, _: str) -> Measure:
    available, total = (scope.series(f"node_memory_{what}_bytes") for what in ("MemAvailable", "MemTotal"))
    return Measure(f"1 - {scope.over('sum')}({available}) / {scope.over('sum')}({total})")


def _node_availability(scope: Scope, _: str) -> Measure:
    return Measure(f"{scope.over('avg')}({scope.series('up', _NODES)})")


_MAX_PERCENTAGE = {"max_percentage": LimitKey("above", "0.01", percentage=True)}
_MIN_PERCENTAGE = {"min_percentage": LimitKey("below", "0.01", percentage=True)}
UPPER_THRESHOLDS = (0.8, 1.0)
LOWER_THRESHOLDS = (0.9, 0.8)

WELL_KNOWN: dict[str, WellKnown] = {
    "response_time": WellKnown(
        "response_time",
        "ms",
        "above",
        {"budget_ms": LimitKey("above")},
        _response_time,
        regression=(0.15, 0.25),
        thresholds=UPPER_THRESHOLDS,
        min_traffic=MIN_TRAFFIC,
    ),
    "throughput": WellKnown(
        "throughput",
        "1/s",
        "below",
        {"min_rps": LimitKey("below"), "min_decisions_per_sec": LimitKey("below")},
        _throughput,
        regression=(0.10, 0.20),
        thresholds=LOWER_THRESHOLDS,
    ),
    "error_rate": WellKnown(
        "error_rate",
        "ratio",
        "above",
        _MAX_PERCENTAGE,
        _error_rate,
        regression=(0.05, 0.10),
        thresholds=UPPER_THRESHOLDS,
        min_traffic=MIN_TRAFFIC,
    ),
    "cache_hit_rate": WellKnown(
        "hit_rate",
        "ratio",
        "below",
        _MIN_PERCENTAGE,
        _cache_hit_rate,
        regression=(0.05, 0.10),
        thresholds=LOWER_THRESHOLDS,
        min_traffic=MIN_TRAFFIC,
    ),
    **{
        name: WellKnown(
            "resource",
            "ratio",
            "above",
            _MAX_PERCENTAGE,
            measure,
            regression=(0.10, 0.20),
            thresholds=UPPER_THRESHOLDS,
            scoped=False,
        )
        for name, measure in (("cluster_cpu", _cluster_cpu), ("cluster_memory", _cluster_memory))
    },
    "node_availability": WellKnown(
        "availability",
        "ratio",
        "below",
        _MIN_PERCENTAGE,
        _node_availability,
        regression=(0.01, 0.05),
        thresholds=(0.99, 0.95),
        scoped=False,
    ),
}

# Of an indicator of the file's own.
CUSTOM_REGRESSION = (0.15, 0.25)

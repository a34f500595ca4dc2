"""Every metric of every role, each with its meaning. A role builds its own group once, in its wiring.

Names start with `driftline_`, units are base units (seconds, bytes), counters end in `_total`.
"""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector

from streams.series.lateness import BOUNDS_MS, Lateness


class OrdersMetrics:
    """What a role knows of the orders topic."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.refused = Counter(
            "driftline_orders_refused_total",
            "Orders that this role could not take; the last good one stays.",
            ["subject"],
            registry=registry,
        )
        self.budgets = Gauge("driftline_budgets", "Service budgets in force.", registry=registry)


class ChangesMetrics:
    """What a role knows of the changes topic."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.refused = Counter(
            "driftline_changes_refused_total",
            "Records of the changes topic that this role could not take.",
            registry=registry,
        )


class BudgetFilesMetrics:
    """What the publisher of budget files made of them. registry: None = shown nowhere yet."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._refused = Gauge(
            "driftline_budget_files_refused",
            "Budget files that cannot be used now; the last good budgets stay in force.",
            registry=registry,
        )
        self._reloads = Counter(
            "driftline_budget_reloads_total",
            "Budget files read after the start or a change, by result: taken or refused.",
            ["result"],
            registry=registry,
        )

    def register(self, registry: CollectorRegistry) -> None:
        """Show them in a registry."""
        registry.register(self._refused)
        registry.register(self._reloads)

    def take(self, refused: int) -> None:
        """Count one reading. refused: files that were wrong."""
        self._refused.set(refused)
        self._reloads.labels("refused" if refused else "taken").inc()


class IngestMetrics:
    """What comes in, what is kept of it, and how Kafka takes it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "driftline_ingest_requests_total",
            "Write requests answered, by HTTP status.",
            ["code"],
            registry=registry,
        )
        self.body_bytes = Counter(
            "driftline_ingest_body_bytes_total", "Compressed bytes of write requests read.", registry=registry
        )
        self.samples = Counter(
            "driftline_ingest_samples_total",
            "Samples and histograms that a budget needs and that Kafka has acknowledged.",
            registry=registry,
        )
        self.dropped = Counter(
            "driftline_ingest_samples_dropped_total",
            "Samples and histograms of accepted requests that were not kept: unneeded by any budget, of the replica of"
            " an HA pair that is not elected, or series_limit.",
            ["reason"],
            registry=registry,
        )
        self.metadata_dropped = Counter(
            "driftline_ingest_metadata_dropped_total", "Metadata entries, which are not kept.", registry=registry
        )
        self.exemplars_dropped = Counter(
            "driftline_ingest_exemplars_dropped_total",
            "Exemplars of accepted series, which are not kept.",
            registry=registry,
        )
        self.failovers = Counter(
            "driftline_ingest_failovers_total",
            "How often a replica of an HA pair took the elected one's place, as this process read it.",
            registry=registry,
        )
        self.known_series = Gauge(
            "driftline_ingest_known_series", "Series whose labels need not be read again.", registry=registry
        )
        self.needed_series = Gauge(
            "driftline_ingest_needed_series", "Known series that a budget needs.", registry=registry
        )
        self.remembered_bytes = Gauge(
            "driftline_ingest_remembered_bytes",
            "What earlier requests take, by which series are recognised when they come again.",
            registry=registry,
        )
        self.delay_seconds = Histogram(
            "driftline_ingest_delay_seconds",
            "From a request's newest sample time, by the sender's clock, to Kafka's acknowledgement.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
            registry=registry,
        )
        self.pending_bytes = Gauge(
            "driftline_ingest_pending_bytes", "Bytes read or waiting for Kafka's acknowledgement.", registry=registry
        )
        self.kafka_errors = Counter(
            "driftline_ingest_kafka_errors_total",
            "Connections to Kafka that failed or were given up.",
            registry=registry,
        )


class LatenessHistogram(Collector):
    """Samples by lateness, from counts of many at once, which the library's own histogram does not take."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lateness = Lateness()
        registry.register(self)

    def add(self, lateness: Lateness) -> None:
        """Add the counts of a record."""
        self._lateness.merge(lateness)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram as it is now."""
        bounds = [*(str(bound / 1000) for bound in BOUNDS_MS), "+Inf"]
        yield HistogramMetricFamily(
            "driftline_worker_sample_lateness_seconds",
            "From a sample's own time to the log's when it was read; choose evaluation_delay from its upper end.",
            list(zip(bounds, accumulate(self._lateness.counts), strict=True)),
            self._lateness.total_ms / 1000,
        )


class WorkerMetrics:
    """How the worker keeps up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.samples = Counter("driftline_worker_samples_total", "Samples taken into windows.", registry=registry)
        self.dropped = Counter(
            "driftline_worker_samples_dropped_total",
            "Samples not taken, by reason.",
            ["reason"],
            registry=registry,
        )
        self.late = Counter(
            "driftline_worker_samples_late_total",
            "Samples taken late, by reason: after_step (a step that they belong to was closed, they count in later "
            "ones only), out_of_order (behind the newest of their series).",
            ["reason"],
            registry=registry,
        )
        self.lateness = LatenessHistogram(registry)
        self.evaluation_delay_seconds = Gauge(
            "driftline_worker_evaluation_delay_seconds",
            "How long after a step it closes: samples that are later miss it.",
            registry=registry,
        )
        self.advised_delay_seconds = Gauge(
            "driftline_worker_advised_evaluation_delay_seconds",
            "The evaluation_delay at which one sample in a thousand would miss its step, by the lateness of the last "
            "24 hours; 0 until an hour is measured.",
            registry=registry,
        )
        self.series = Gauge("driftline_worker_series", "Series with a window.", registry=registry)
        self.window_bytes = Gauge(
            "driftline_worker_window_bytes", "What series and their windows take, about.", registry=registry
        )
        self.steps = Counter("driftline_worker_steps_total", "Steps evaluated and published.", registry=registry)
        self.step_seconds = Histogram(
            "driftline_worker_step_seconds",
            "Time to evaluate, judge and publish one step of one partition.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
            registry=registry,
        )
        self.step_delay_seconds = Histogram(
            "driftline_worker_step_delay_seconds",
            "From the moment a step could close to its alerts being published.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
            registry=registry,
        )
        self.events = Counter(
            "driftline_worker_alert_events_total",
            "Alert events published, by transition.",
            ["transition"],
            registry=registry,
        )
        self.failing_indicators = Gauge(
            "driftline_worker_failing_indicators",
            "Indicators that have data but no value, because their expression does not fit it; the log says why.",
            registry=registry,
        )
        self.dead_letters = Counter(
            "driftline_worker_dead_letters_total",
            "Records set aside on the dead-letter topic.",
            registry=registry,
        )
        self.recovery_seconds = Gauge(
            "driftline_worker_recovery_seconds",
            "How long the latest rebuild of windows took.",
            registry=registry,
        )


class WebMetrics:
    """How the history keeps up with the log, and what the API answers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "driftline_web_projected_records_total",
            "Records taken into the history, by topic.",
            ["topic"],
            registry=registry,
        )
        self.lag = Gauge(
            "driftline_web_projection_lag_records",
            "Records of the followed topics that the history does not hold yet.",
            registry=registry,
        )
        self.write_seconds = Histogram(
            "driftline_web_projection_write_seconds",
            "Time of one transaction of the projection.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
            registry=registry,
        )
        self.waits = Counter(
            "driftline_web_projection_waits_total",
            "How often the projection had to wait, by what for.",
            ["reason"],
            registry=registry,
        )
        self.points_dropped = Counter(
            "driftline_web_points_dropped_total",
            "Points whose id no database could take.",
            registry=registry,
        )
        self.dead_letters = Counter(
            "driftline_web_dead_letters_total",
            "Records set aside on the dead-letter topic.",
            registry=registry,
        )
        self.requests = Histogram(
            "driftline_web_request_seconds",
            "Time to answer a request, by route and status.",
            ["route", "status"],
            buckets=(0.005, 0.025, 0.1, 0.5, 2.5),
            registry=registry,
        )


class NotifierMetrics:
    """What is taken in, what is sent, and what waits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter("driftline_notifier_events_total", "Alert events taken in.", registry=registry)
        self.lag_records = Gauge(
            "driftline_notifier_lag_records",
            "Records of the alerts topic that are not taken in yet, of this process's partitions.",
            registry=registry,
        )
        self.attempts = Counter(
            "driftline_notifier_attempts_total",
            "Requests to receivers, by what they came to: delivered, retry, refused.",
            ["receiver", "outcome"],
            registry=registry,
        )
        self.attempt_seconds = Histogram(
            "driftline_notifier_attempt_seconds",
            "How long a receiver took to answer.",
            ["receiver"],
            buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
            registry=registry,
        )
        self.finished = Counter(
            "driftline_notifier_deliveries_total",
            "Deliveries that ended, by how: sent, dead, superseded, expired. Alert on dead.",
            ["receiver", "state"],
            registry=registry,
        )
        self.pending = Gauge(
            "driftline_notifier_pending", "Deliveries that wait to be sent.", ["receiver"], registry=registry
        )
        self.oldest_pending_seconds = Gauge(
            "driftline_notifier_oldest_pending_seconds",
            "Age of the oldest delivery that waits.",
            ["receiver"],
            registry=registry,
        )
        self.unreadable = Counter(
            "driftline_notifier_unreadable_records_total",
            "Records of the alerts topic that are not alert events, set aside on the dead-letter topic.",
            registry=registry,
        )

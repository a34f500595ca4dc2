"""Every metric of every role, each with its meaning. A role builds its own group once, in its wiring.

Names start with `driftline_`, units are base units (seconds, bytes), counters end in `_total`.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


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
        self.series = Gauge("driftline_worker_series", "Series with a window.", registry=registry)
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

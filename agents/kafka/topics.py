"""Every topic, declared in one place: `driftline topics create` makes them, nothing relies on auto-creation."""

from dataclasses import dataclass
from typing import Literal

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    name: without the prefix.
    partitioned: as many partitions as the setting says; otherwise one (its records have one order).
    """

    name: str
    partitioned: bool
    cleanup: Literal["delete", "compact"]
    retention_ms: int | None
    key: str
    value: str
    log_append_time: bool = False

    def config(self) -> dict[str, str]:
        """The topic's configuration as Kafka's own keys."""
        config = {"cleanup.policy": self.cleanup}
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        if self.log_append_time:
            config["message.timestamp.type"] = "LogAppendTime"
        if self.cleanup == "compact":
            # A replay must still see what was in force when the replayed samples were written.
            config["min.compaction.lag.ms"] = str(6 * HOUR_MS)
        return config


SAMPLES = Topic("samples", True, "delete", 6 * HOUR_MS, "service", "prometheus.WriteRequest", log_append_time=True)
INDICATORS = Topic("indicators", True, "delete", 35 * DAY_MS, "none", "indicator frame, JSON")
ALERTS = Topic("alerts", True, "delete", 90 * DAY_MS, "fingerprint", "alert event, CloudEvents binary mode")
ALERT_STATE = Topic("alert-state", True, "compact", None, "fingerprint", "latest alert event, JSON")
ORDERS = Topic("orders", False, "compact", None, "subject", "order, JSON")
CHANGES = Topic("changes", False, "delete", 90 * DAY_MS, "service", "change, JSON")
AUDIT = Topic("audit", False, "delete", 400 * DAY_MS, "subject", "audit record, JSON")
DEAD_LETTER = Topic("dead-letter", False, "delete", 14 * DAY_MS, "as the source", "the record as it was")

TOPICS = (SAMPLES, INDICATORS, ALERTS, ALERT_STATE, ORDERS, CHANGES, AUDIT, DEAD_LETTER)

"""Every topic, declared in one place: `driftline topics create` makes them, nothing relies on auto-creation."""

from dataclasses import dataclass
from typing import Literal

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    name: without the prefix.
    partitions: many = as many as the setting says; one = its records have one order.
    """

    name: str
    partitions: Literal["many", "one"]
    cleanup: Literal["delete", "compact"]
    retention_ms: int | None
    key: str
    value: str
    log_append_time: bool = False
    compaction_lag_ms: int = 0

    def config(self) -> dict[str, str]:
        """The topic's configuration as Kafka's own keys."""
        config: dict[str, str] = {"cleanup.policy": self.cleanup}
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        if self.log_append_time:
            config["message.timestamp.type"] = "LogAppendTime"
        if self.compaction_lag_ms:
            config["min.compaction.lag.ms"] = str(self.compaction_lag_ms)
        return config


SAMPLES = Topic("samples", "many", "delete", 6 * HOUR_MS, "service", "prometheus.WriteRequest", log_append_time=True)
INDICATORS = Topic("indicators", "many", "delete", 35 * DAY_MS, "none", "indicator frame, JSON")
# What the Judge knows of each point, for explanations: only the newest is of use.
STATES = Topic("states", "many", "delete", HOUR_MS, "none", "states of some points, JSON")
ALERTS = Topic("alerts", "many", "delete", 90 * DAY_MS, "fingerprint", "alert event, CloudEvents binary mode")
ALERT_STATE = Topic("alert-state", "many", "compact", None, "fingerprint", "latest alert event, JSON")
# A replay must still see what was in force when the replayed samples were written.
ORDERS = Topic("orders", "one", "compact", None, "subject", "order, JSON", compaction_lag_ms=6 * HOUR_MS)
CHANGES = Topic("changes", "one", "delete", 90 * DAY_MS, "service", "change, JSON")
AUDIT = Topic("audit", "one", "delete", 400 * DAY_MS, "subject", "audit record, JSON")
DEAD_LETTER = Topic("dead-letter", "one", "delete", 14 * DAY_MS, "as the source", "the record as it was")
# Ingest's own: which replica of an HA pair is taken. The order of the latest minutes decides, so it is kept whole.
REPLICAS = Topic(
    "replicas",
    "one",
    "compact",
    None,
    "cluster",
    "claim of a replica, JSON",
    log_append_time=True,
    compaction_lag_ms=HOUR_MS // 4,
)
# The worker's own: the changelog of its Faust table. Nobody else reads it.
JUDGE_CHANGELOG = Topic(
    "judge-changelog", "many", "compact", None, "partition/slot/chunk", "chunk of a Judge snapshot, msgpack"
)

TOPICS = (
    SAMPLES,
    INDICATORS,
    STATES,
    ALERTS,
    ALERT_STATE,
    ORDERS,
    CHANGES,
    AUDIT,
    DEAD_LETTER,
    REPLICAS,
    JUDGE_CHANGELOG,
)

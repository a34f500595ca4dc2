"""Is everything there? Asks the database and Kafka every few seconds, for the probes and the metrics."""

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.kafka.topics import ALERTS
from agents.metrics import NotifierMetrics
from agents.notifier.intake import Intake
from agents.notifier.trouble import DATABASE_TROUBLE, explain
from agents.storage import outbox
from agents.storage.database import begin

log = structlog.get_logger()

EVERY_SECONDS = 5.0
PRUNE_SECONDS = 3600.0
# Longer than the topic holds events: a topic that is read again must still find what was sent.
KEEP_MS = (ALERTS.retention_ms or 0) + 10 * 86_400_000


class Watch:
    """Keeps an eye on what the queues and the intake need.

    problem: why the database cannot be written, None = it can.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        intake: Intake,
        receivers: Iterable[str],
        metrics: NotifierMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.problem: str | None = None
        self._engine = engine
        self._intake = intake
        self._receivers = tuple(receivers)
        self._metrics = metrics
        self._clock = clock
        self._pruned_at = 0.0

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        """Look once."""
        await self._intake.check_kafka()
        try:
            await self._look_at_database()
        except DATABASE_TROUBLE as error:
            self.problem = f"cannot write: {explain(error)}"
            log.warning("the database cannot be written", problem=self.problem)
        else:
            self.problem = None

    async def _look_at_database(self) -> None:
        now = self._clock()
        async with begin(self._engine) as connection:
            await outbox.check_writable(connection)
            backlogs = await outbox.backlogs(connection)
            if now - self._pruned_at > PRUNE_SECONDS:
                await outbox.prune(connection, round(now * 1000) - KEEP_MS)
                self._pruned_at = now
        # What waits for a receiver that is not configured any more stays, should it come back, until it is too old.
        for name in {*self._receivers, *backlogs}:
            backlog = backlogs.get(name)
            self._metrics.pending.labels(name).set(backlog.pending if backlog else 0)
            age_seconds = now - backlog.oldest_at / 1000 if backlog else 0.0
            self._metrics.oldest_pending_seconds.labels(name).set(age_seconds)

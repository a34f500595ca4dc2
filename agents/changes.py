"""The changes topic: what was deployed, written by the web role, followed by it and by the workers.

One partition, like the orders: changes are few, and whoever judges a service picks those of its own. A record that is
no change is counted and left out.
"""

import asyncio
from collections.abc import Callable

import structlog
from aiokafka import ConsumerRecord

from agents.kafka.clients import create_producer
from agents.kafka.topic_reader import TopicReader
from agents.kafka.topics import CHANGES
from agents.metrics import ChangesMetrics
from agents.settings import Settings
from budgets.change import Change, decode_change, encode_change

log = structlog.get_logger()

# Somebody waits for the answer.
WRITE_SECONDS = 10.0


class ChangeReader(TopicReader):
    """Hands every change to `on_change`, in order, from the first one of the log on; some may come twice."""

    def __init__(self, settings: Settings, on_change: Callable[[Change], None], metrics: ChangesMetrics) -> None:
        super().__init__(settings, CHANGES, "changes")
        self._on_change = on_change
        self._metrics = metrics

    def take(self, record: ConsumerRecord) -> None:
        """Hand over a change."""
        try:
            change = decode_change(record.value or b"")
            if record.key != change.service.encode():
                raise ValueError(f"expected the key {change.service!r}")  # noqa: TRY301  both are one refusal
        except ValueError as error:
            self._metrics.refused.inc()
            log.error("a change cannot be read", offset=record.offset, reason=str(error))  # noqa: TRY400  not our bug
        else:
            self._on_change(change)


async def write_changes(settings: Settings, *changes: Change) -> None:
    """Write changes, in their order; returns when all are acknowledged.

    Raises:
        KafkaError, TimeoutError: not acknowledged; they may have been written all the same.
    """
    producer = create_producer(settings.kafka, "driftline-changes", linger_ms=0)
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await producer.start()
            topic = settings.topic(CHANGES.name)
            for change in changes:
                await producer.send_and_wait(topic, encode_change(change), key=change.service.encode(), partition=0)
    finally:
        await producer.stop()

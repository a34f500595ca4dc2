"""Records that the projection cannot read: set aside on the dead-letter topic, so that the rest goes on."""

import time
from collections.abc import Callable, Sequence

import structlog
from aiokafka import AIOKafkaProducer

from agents.kafka.clients import close_producer
from agents.kafka.codecs import dead_letter_headers
from agents.kafka.topics import DEAD_LETTER
from agents.metrics import WebMetrics
from agents.settings import Settings
from agents.web.history.batch import Poison

log = structlog.get_logger()

# A few bad records are somebody's mistake; many in a row are ours.
MAX_IN_A_ROW = 100


class DeadLetters:
    """Connects only when there is something to set aside."""

    def __init__(
        self, settings: Settings, create_producer: Callable[[], AIOKafkaProducer], metrics: WebMetrics
    ) -> None:
        self._topic = settings.topic(DEAD_LETTER.name)
        self._create_producer = create_producer
        self._metrics = metrics
        self._in_a_row = 0

    async def set_aside(self, poison: Sequence[Poison], *, readable: int) -> None:
        """Publish the records as they were; returns when every one is acknowledged.

        Args:
            readable: how many records of the same round were good.

        Raises:
            KafkaError: not acknowledged.
            RuntimeError: too many without a good one between.
        """
        if readable:
            self._in_a_row = 0
        if not poison:
            return
        producer = self._create_producer()
        await producer.start()
        try:
            for letter in poison:
                record = letter.record
                log.warning(
                    "record set aside",
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    reason=letter.reason,
                )
                headers = dead_letter_headers(record.topic, record.partition, record.offset, letter.reason)
                await producer.send_and_wait(
                    self._topic,
                    record.value,
                    key=record.key,
                    headers=list(headers),
                    timestamp_ms=round(time.time() * 1000),
                )
                self._metrics.dead_letters.inc()
        finally:
            await close_producer(producer)
        self._in_a_row += len(poison)
        if self._in_a_row > MAX_IN_A_ROW:
            raise RuntimeError(f"{self._in_a_row} unreadable records in a row: {poison[-1].reason}")

"""What was given up, on the dead-letter topic: the record as it was, where it came from, and why."""

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.kafka.clients import close_producer
from agents.kafka.codecs import dead_letter_headers
from agents.kafka.topics import ALERTS, DEAD_LETTER
from agents.settings import Settings
from agents.storage.outbox import Delivery


class DeadLetters:
    """Writes to the dead-letter topic. It connects when it is first needed, which is rare."""

    def __init__(self, settings: Settings, create_producer: Callable[[], AIOKafkaProducer]) -> None:
        self._topic = settings.topic(DEAD_LETTER.name)
        self._alerts_topic = settings.topic(ALERTS.name)
        self._create_producer = create_producer
        self._producer: AIOKafkaProducer | None = None
        self._turn = asyncio.Lock()

    async def add_record(
        self, key: bytes | None, value: bytes | None, partition: int, offset: int, reason: str
    ) -> None:
        """Set a record of the alerts topic aside; returns when it is acknowledged.

        Raises:
            KafkaError: it is not.
        """
        await self._send(key, value, dead_letter_headers(self._alerts_topic, partition, offset, reason))

    async def add_delivery(self, delivery: Delivery, reason: str) -> None:
        """Set an event aside that one receiver did not get; returns when it is acknowledged.

        Raises:
            KafkaError: it is not.
        """
        headers = dead_letter_headers(
            self._alerts_topic, delivery.source_partition, delivery.source_offset, f"{delivery.receiver}: {reason}"
        )
        receiver = ("receiver", delivery.receiver.encode())
        await self._send(delivery.fingerprint.encode(), delivery.body, [*headers, receiver])

    async def _send(self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        async with self._turn:
            try:
                if self._producer is None:
                    producer = self._create_producer()
                    try:
                        await producer.start()
                    except BaseException:
                        await close_producer(producer)
                        raise
                    self._producer = producer
                await self._producer.send_and_wait(self._topic, value, key=key, headers=headers)
            except KafkaError:
                await self._disconnect()  # an idempotent producer can stick after an outage
                raise

    async def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await close_producer(producer)

    async def stop(self) -> None:
        """Disconnect."""
        async with self._turn:
            await self._disconnect()

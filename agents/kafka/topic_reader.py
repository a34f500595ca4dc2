"""Follows a topic of one partition from its beginning on: what people decided, and what they changed.

No consumer group, because everybody needs all of it. A subclass says what to do with a record; it raises nothing for
what a record may hold.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from agents.kafka.clients import close_consumer, create_consumer
from agents.kafka.topics import Topic
from agents.settings import Settings

log = structlog.get_logger()

# How long a start waits for Kafka before its caller is told.
START_SECONDS = 30.0
RETRY_SECONDS = 0.5
# aiokafka does not say that it waits for brokers, so they are asked now and then.
CHECK_SECONDS = 5.0
ANSWER_SECONDS = 5.0


class TopicReader(ABC):
    """Hands every record to `take`, each once and in order, from the first one of the log on.

    problem: why what is known may be out of date; None = it is not.
    """

    def __init__(self, settings: Settings, topic: Topic, what: str) -> None:
        """what: its records, in plural, for people."""
        assert topic.partitions == "one"
        self._settings = settings
        self._what = what
        self._partition = TopicPartition(settings.topic(topic.name), 0)
        self._consumer: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None
        self._next_offset = 0
        self.problem: str | None = f"{what} have not been read yet"

    @abstractmethod
    def take(self, record: ConsumerRecord) -> None:
        """Take one record; after a log that began anew some come a second time."""

    async def start(self) -> None:
        """Return when every record that there is has been handed over; from then on they are followed.

        Raises:
            TimeoutError: Kafka could not be read; may be called again.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._connect_patiently()
        except TimeoutError as error:
            raise TimeoutError(
                f"{self._what} cannot be read from {self._settings.kafka.bootstrap}, topic {self._partition.topic}"
                f" (driftline topics create makes it)"
            ) from error
        finally:
            if self.problem is not None:
                await self._disconnect()
        self._task = asyncio.create_task(self._follow(), name=self._what)

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._disconnect()

    async def _connect_patiently(self) -> None:
        """Connect and read to the end, however often it takes."""
        while True:
            try:
                await self._connect()
                await self._catch_up()
            except (KafkaError, OSError) as error:
                self._note(f"{self._what} cannot be read: {error!r}")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._note(None)
                return

    async def _connect(self) -> None:
        await self._disconnect()
        self._consumer = create_consumer(self._settings.kafka, f"driftline-{self._what}")
        await self._consumer.start()
        self._consumer.assign([self._partition])

    async def _disconnect(self) -> None:
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await close_consumer(consumer, ANSWER_SECONDS)

    async def _catch_up(self) -> None:
        assert self._consumer is not None
        end = await self._find_end()
        self._consumer.seek(self._partition, await self._position())
        while await self._consumer.position(self._partition) < end:
            await self._take_some(1_000)

    async def _find_end(self) -> int:
        """Where the log ends; a log that ends before what was read is another one, and read from its beginning."""
        assert self._consumer is not None
        async with asyncio.timeout(ANSWER_SECONDS):
            end = int((await self._consumer.end_offsets([self._partition]))[self._partition])
        if end < self._next_offset:
            log.error("the log is shorter than what was read of it: read again", topic=self._partition.topic, end=end)
            self._next_offset = 0
            self._consumer.seek(self._partition, await self._position())
        return end

    async def _position(self) -> int:
        """Where to go on; compaction may have moved the beginning."""
        assert self._consumer is not None
        async with asyncio.timeout(ANSWER_SECONDS):
            first = int((await self._consumer.beginning_offsets([self._partition]))[self._partition])
        return max(first, self._next_offset)

    async def _follow(self) -> None:
        """Hand over what comes, through outages, until cancelled."""
        checked_at = time.monotonic()
        while True:
            try:
                await self._take_some(500)
                if time.monotonic() - checked_at > CHECK_SECONDS:
                    checked_at = time.monotonic()
                    await self._find_end()
                    self._note(None)
            except TimeoutError:
                self._note(f"Kafka does not answer: newer {self._what} may not be known here")
            except (KafkaError, OSError) as error:
                self._note(f"{self._what} cannot be read: {error!r}")
                await asyncio.sleep(RETRY_SECONDS)
                await self._connect_patiently()

    def _note(self, problem: str | None) -> None:
        """Set `problem`, and say it once."""
        if problem is not None and problem != self.problem:
            kafka = self._settings.kafka.bootstrap
            log.warning("a topic cannot be followed", topic=self._partition.topic, kafka=kafka, reason=problem)
        elif problem is None and self.problem is not None:
            log.info("a topic is followed", topic=self._partition.topic, next_offset=self._next_offset)
        self.problem = problem

    async def _take_some(self, timeout_ms: int) -> None:
        assert self._consumer is not None
        batches = await self._consumer.getmany(self._partition, timeout_ms=timeout_ms)
        for record in batches.get(self._partition, []):
            if record.offset >= self._next_offset:
                self._next_offset = record.offset + 1
                self.take(record)

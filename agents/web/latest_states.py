"""The newest state of every point, as the topic `states` tells it. In memory only: all of it is told anew every minute.

Without it nothing is wrong with the history; only explanations say that nothing is known.
"""

import asyncio
from collections.abc import Callable

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.kafka.clients import close_consumer, find_partitions
from agents.kafka.topics import STATES
from agents.settings import Settings
from budgets.explain.state import PointState, decode_states, turns_of

log = structlog.get_logger()

POLL_MS = 250
RECORDS_PER_ROUND = 100
ANSWER_SECONDS = 5.0
RETRY_SECONDS = 1.0
# A point that is not told about any more is gone.
FORGET_AFTER_MS = 600_000
# What a whole installation has; more is somebody's mistake and must not take the memory.
MAX_POINTS = 500_000


class LatestStates:
    """Follows the topic; one task. problem: why nothing comes now, None = it does."""

    def __init__(self, settings: Settings, create_consumer: Callable[[], AIOKafkaConsumer]) -> None:
        self._topic = settings.topic(STATES.name)
        self._records_back = 2 * turns_of(settings.step)
        self._create_consumer = create_consumer
        self._states: dict[str, PointState] = {}
        self._pruned_at = 0
        self.problem: str | None = "the states have not been read yet"

    def get(self, point_id: str) -> PointState | None:
        """The newest state of a point; None = nothing is known of it."""
        return self._states.get(point_id)

    def take(self, data: bytes) -> None:
        """Take one record; one that cannot be read is as good as none, the next comes in a minute."""
        try:
            frame = decode_states(data)
        except msgspec.DecodeError as error:
            log.warning("states that cannot be read", error=str(error))
            return
        for state in frame.points:
            known = self._states.get(state.id)
            if (known is None and len(self._states) < MAX_POINTS) or (known is not None and known.at <= state.at):
                self._states[state.id] = state
        if frame.at - self._pruned_at >= FORGET_AFTER_MS:
            self._pruned_at = frame.at
            self._states = {
                point_id: state for point_id, state in self._states.items() if frame.at - state.at < FORGET_AFTER_MS
            }

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            consumer = self._create_consumer()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await consumer.start()
                await self._follow(consumer)
            except (KafkaError, TimeoutError) as error:
                if self.problem is None:
                    log.warning("the states are not followed", error=repr(error))
                self.problem = f"Kafka is away: {error!r}"
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                await close_consumer(consumer, ANSWER_SECONDS)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        """Read from the last minute on, until the topic has other partitions or Kafka is away."""
        async with asyncio.timeout(ANSWER_SECONDS):
            partitions = await find_partitions(consumer, self._topic)
        if not partitions:
            raise KafkaError(f"there is no topic {self._topic}: driftline topics create makes it")
        consumer.assign(sorted(partitions))
        await self._seek(consumer, partitions)
        self.problem = None
        while consumer.partitions_for_topic(self._topic) == {partition.partition for partition in partitions}:
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_ROUND)
            for batch in batches.values():
                for record in batch:
                    self.take(record.value or b"")

    async def _seek(self, consumer: AIOKafkaConsumer, partitions: set[TopicPartition]) -> None:
        ordered = sorted(partitions)
        async with asyncio.timeout(ANSWER_SECONDS):
            first = await consumer.beginning_offsets(ordered)
            ends = await consumer.end_offsets(ordered)
        for partition in ordered:
            consumer.seek(partition, max(first[partition], ends[partition] - self._records_back))

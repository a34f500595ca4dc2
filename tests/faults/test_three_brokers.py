"""`kill -9` of a broker of three under load: everything acknowledged is there, once, in order."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from agents.kafka.admin import create_topics
from agents.kafka.clients import create_consumer, create_producer, read_to_end
from agents.kafka.topics import SAMPLES
from agents.settings import Settings, load_settings
from tests.servers.kafka import KafkaCluster, run_kafka

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(180)]

PARTITIONS = 4
# Enough records after the kill that leadership moved and the producers went on for a while.
RECORDS_AFTER = 400


@pytest.fixture
def three_brokers() -> Iterator[KafkaCluster]:
    with run_kafka(3) as cluster:
        yield cluster


@dataclass
class Writer:
    """Writes numbered records to one partition, one after the other, and remembers what was acknowledged."""

    producer: AIOKafkaProducer
    topic: str
    partition: int
    acknowledged: list[int] = field(default_factory=list)
    longest_seconds: float = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        number = 0
        while not stop.is_set():
            started = time.monotonic()
            # In bunches, so that several records are on their way when the broker dies.
            bunch = list(range(number, number + 10))
            sent = [
                await self.producer.send(self.topic, b"%d" % one, key=b"service", partition=self.partition)
                for one in bunch
            ]
            await asyncio.gather(*sent)
            self.acknowledged += bunch
            number += len(bunch)
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - started)


async def stored(settings: Settings, partition: int) -> list[int]:
    consumer = create_consumer(settings.kafka, "test")
    await consumer.start()
    try:
        place = TopicPartition(settings.topic(SAMPLES.name), partition)
        return [int(record.value) async for record in read_to_end(consumer, place)]
    finally:
        await consumer.stop()


async def written(writers: list[Writer], count: int, seconds: float) -> None:
    goals = [len(writer.acknowledged) + count for writer in writers]
    deadline = time.monotonic() + seconds
    while any(len(writer.acknowledged) < goal for writer, goal in zip(writers, goals, strict=True)):
        assert time.monotonic() < deadline, "writing did not go on"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("victim", [0, 2])
async def test_nothing_acknowledged_is_lost_and_order_is_kept(three_brokers: KafkaCluster, victim: int) -> None:
    overrides = {"kafka": {"bootstrap": three_brokers.bootstrap, "partitions": PARTITIONS, "replication": 3}}
    settings = load_settings(environ={}, overrides=overrides)
    await create_topics(settings)
    producer = create_producer(settings.kafka, "test")
    await producer.start()
    topic = settings.topic(SAMPLES.name)
    writers = [Writer(producer, topic, partition) for partition in range(PARTITIONS)]
    stop = asyncio.Event()
    running = [asyncio.create_task(writer.run(stop)) for writer in writers]
    try:
        await written(writers, 100, seconds=30)
        three_brokers.nodes[victim].kill()
        await written(writers, RECORDS_AFTER, seconds=60)
        stop.set()
        await asyncio.gather(*running)
    finally:
        stop.set()
        await producer.stop()
    for writer in writers:
        assert await stored(settings, writer.partition) == writer.acknowledged
    assert max(writer.longest_seconds for writer in writers) > 0.5, "the dead broker must have led something"

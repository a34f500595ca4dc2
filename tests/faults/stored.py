"""What is in the log: read from its first record, without any of the product's own state."""

from collections import defaultdict

from aiokafka import ConsumerRecord, TopicPartition

from agents.kafka.clients import create_consumer, read_to_end
from agents.kafka.topics import SAMPLES
from agents.settings import Settings
from streams.wire.labels import parse_labels
from streams.wire.request import split_series
from streams.wire.samples import read_samples


async def read_topic(settings: Settings, topic: str, partition: int) -> list[ConsumerRecord]:
    """Every record of one partition."""
    consumer = create_consumer(settings.kafka, "driftline-oracle")
    await consumer.start()
    try:
        return [record async for record in read_to_end(consumer, TopicPartition(settings.topic(topic), partition))]
    finally:
        await consumer.stop()


async def stored_times(settings: Settings, partitions: int, names: tuple[str, ...]) -> dict[tuple[str, ...], set[int]]:
    """Sample times in the samples log, by the values of the labels `names`."""
    stored: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for number in range(partitions):
        for record in await read_topic(settings, SAMPLES.name, number):
            if not record.value:
                continue
            batch = read_samples(split_series(record.value))
            labels = [dict(parse_labels(blob)) for blob in batch.blobs]
            for series, timestamp in zip(batch.series.tolist(), batch.timestamps_ms.tolist(), strict=True):
                stored[tuple(labels[series][name] for name in names)].add(timestamp)
    return stored


async def stored_samples(settings: Settings, partitions: int) -> set[tuple[str, str, int]]:
    """(service, instance, time) of every sample in the samples log."""
    stored = await stored_times(settings, partitions, ("service", "instance"))
    return {(service, instance, time) for (service, instance), times in stored.items() for time in times}

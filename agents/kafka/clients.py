"""Connections to Kafka: producers and plain readers, made in one way for every role.

The embedded broker and a real cluster differ only in the bootstrap address.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from agents.settings import KafkaSettings

STOP_SECONDS = 2.0
_MOST_CANCELS = 100


class _Consumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    """Stops in good order also while brokers are away.

    aiokafka 0.14 awaits the fetches that it has just cancelled: `stop` then ends half-way with CancelledError, which
    its caller would take for his own cancellation, and leaves the connections open.
    """

    async def stop(self) -> None:
        stopping = asyncio.ensure_future(super().stop())
        try:
            await asyncio.wait({stopping})
        finally:
            stopping.cancel()  # our caller's patience may have ended
        if stopping.cancelled():
            await self._client.close()
        else:
            stopping.result()


def create_producer(kafka: KafkaSettings, client_id: str, *, linger_ms: int = 5) -> AIOKafkaProducer:
    """A producer that acknowledges only what every in-sync replica holds; the caller starts and stops it."""
    return AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        linger_ms=linger_ms,
        max_batch_size=1 << 20,
        max_request_size=8 << 20,
        request_timeout_ms=10_000,
    )


async def close_producer(producer: AIOKafkaProducer) -> None:
    """Close a producer that may be stuck: what it still holds is given up.

    `stop` waits for acknowledgements that may never come, and aiokafka has no other way (pyproject.toml pins it).
    """
    try:
        await asyncio.wait_for(producer.flush(), STOP_SECONDS)
        await asyncio.wait_for(producer.stop(), STOP_SECONDS)
    except (KafkaError, TimeoutError):
        producer._closed = True  # noqa: SLF001
        task = producer._sender.sender_task  # noqa: SLF001
        if task is not None:
            task.cancel()
        await producer.client.close()
        attempts = 0
        # Cancelled, it waits for its requests under way, one for each broker; cancelled again, it ends the one at hand.
        while task is not None and not task.done() and attempts < _MOST_CANCELS:
            attempts += 1
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)


def create_consumer(kafka: KafkaSettings, client_id: str, group: str | None = None) -> AIOKafkaConsumer:
    """A consumer without automatic commits: what is done is recorded by who does it."""
    return _Consumer(
        bootstrap_servers=kafka.bootstrap,
        client_id=client_id,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=2_000,
        # The embedded broker answers an idle fetch only when this has passed; a cluster answers at once.
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=8 << 20,
    )


async def close_consumer(consumer: AIOKafkaConsumer, seconds: float) -> None:
    """Close a consumer, in so many seconds at most; what fails on the way is given up.

    Not by `asyncio.wait_for`: that swallows a cancellation of ours which comes just when the consumer is closed, and
    who was to end goes on for ever.
    """
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            await consumer.stop()


async def find_partitions(consumer: AIOKafkaConsumer, *topics: str) -> set[TopicPartition]:
    """Every partition of the topics that exist.

    `consumer.partitions_for_topic` knows a topic only after somebody asked the brokers about it, which a consumer
    does for what it is assigned; older clusters tell it about all topics at the start, the embedded broker does not.
    """
    await consumer._client.set_topics(topics)  # noqa: SLF001  aiokafka has no public way to ask
    return {TopicPartition(topic, number) for topic in topics for number in consumer.partitions_for_topic(topic) or ()}


async def read_to_end(
    consumer: AIOKafkaConsumer, partition: TopicPartition, start: int | None = None
) -> AsyncIterator[ConsumerRecord]:
    """Every record of one partition from `start` (None = the earliest) up to the end as it is now.

    The partition stays assigned: what comes later can be read on.
    """
    consumer.assign([partition])
    end = (await consumer.end_offsets([partition]))[partition]
    if start is None:
        await consumer.seek_to_beginning(partition)
    else:
        consumer.seek(partition, start)
    while await consumer.position(partition) < end:
        batches = await consumer.getmany(partition, timeout_ms=1_000)
        for record in batches.get(partition, []):
            if record.offset < end:
                yield record


async def read_all_to_end(
    consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int]
) -> AsyncIterator[ConsumerRecord]:
    """Every record of some partitions from their offsets up to their ends as they are now; in order in each of them."""
    ends = await consumer.end_offsets(list(starts))
    # Once assigned, a connection waits for records to come before it answers anything else.
    left = {partition for partition, start in starts.items() if start < ends[partition]}
    consumer.assign(list(left))
    for partition in left:
        consumer.seek(partition, starts[partition])
    while left:
        for partition, records in (await consumer.getmany(*left, timeout_ms=1_000)).items():
            for record in records:
                if record.offset < ends[partition]:
                    yield record
        left = {partition for partition in left if await consumer.position(partition) < ends[partition]}

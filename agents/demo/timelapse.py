"""Plays simulated history into the log, as fast as the worker takes it.

The embedded broker holds a few megabytes a partition, so the producer waits for the worker's frames between
chunks instead of running ahead of it.
"""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from agents.demo.history import HistoryRecord, records_of
from agents.demo.traffic import Cluster, RequestService
from agents.kafka.clients import create_consumer, create_producer, find_partitions
from agents.kafka.topics import INDICATORS, SAMPLES
from agents.settings import Settings
from streams.frame import decode_frame

CHUNK_RECORDS = 240
Services = Sequence[RequestService | Cluster]


class _Frames:
    """How far the worker has come, told by the frames that it publishes."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self._last_at: dict[int, int] = {}

    async def start(self) -> None:
        """Follow every partition from its end."""
        await self._consumer.start()
        partitions = await find_partitions(self._consumer, self._topic)
        self._consumer.assign(partitions)
        await self._consumer.seek_to_end(*partitions)

    async def wait_for(self, step_ms: int, partitions: set[int]) -> None:
        """Return when each of `partitions` has published a frame at or after `step_ms`."""
        while any(self._last_at.get(number, 0) < step_ms for number in partitions):
            for partition, records in (await self._consumer.getmany(timeout_ms=200)).items():
                self._last_at[partition.partition] = decode_frame(records[-1].value).at

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()


async def _send(producer: AIOKafkaProducer, topic: str, record: HistoryRecord) -> "asyncio.Future[object]":
    sent: asyncio.Future[object] = await producer.send(
        topic, record.value, key=record.service.encode(), timestamp_ms=record.time_ms
    )
    return sent


async def play_history(
    settings: Settings,
    services: Services,
    start_ms: int,
    end_ms: int,
    rng: np.random.Generator,
    on_progress: Callable[[float], None] = lambda _: None,
    interval_ms: int | None = None,
) -> int:
    """Produce every service's samples from `start_ms` to `end_ms`.

    Args:
        on_progress: called with the part that the worker has taken, 0-1.
        interval_ms: one record a service so often, None = each step.

    Returns:
        The time of the last record, Unix ms.
    """
    interval_ms = interval_ms or settings.step
    topic = settings.topic(SAMPLES.name)
    frames = _Frames(create_consumer(settings.kafka, "driftline-demo"), settings.topic(INDICATORS.name))
    producer = create_producer(settings.kafka, "driftline-demo")
    await frames.start()
    await producer.start()
    time_ms, taken_ms = start_ms, start_ms
    partitions: set[int] = set()
    try:
        while time_ms + interval_ms <= end_ms:
            count = min(CHUNK_RECORDS, (end_ms - time_ms) // interval_ms)
            histories = [records_of(service, time_ms, interval_ms, count, rng) for service in services]
            # In the order of time: services may share a partition, and its time never goes back.
            sent = [
                await _send(producer, topic, record) for moment in zip(*histories, strict=True) for record in moment
            ]
            # The next chunk is on its way while the worker takes this one, not more: the broker's memory is small.
            await frames.wait_for(taken_ms - settings.evaluation_delay - 2 * settings.step, partitions)
            on_progress((taken_ms - start_ms) / (end_ms - start_ms))
            partitions |= {metadata.partition for metadata in await asyncio.gather(*sent)}  # type: ignore[attr-defined]
            taken_ms = time_ms = time_ms + count * interval_ms
        await frames.wait_for(taken_ms - settings.evaluation_delay - 2 * settings.step, partitions)
        on_progress(1.0)
    finally:
        await producer.stop()
        await frames.stop()
    return time_ms

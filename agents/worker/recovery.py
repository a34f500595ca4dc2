"""Where a worker goes on after it was given a partition: found in the log itself.

Snapshot (Faust table) -> frames after it (indicators topic) -> position in the samples topic from which the
windows of the next step fill up.
"""

from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.kafka.clients import create_consumer, read_to_end
from agents.kafka.topics import INDICATORS, SAMPLES
from agents.settings import Settings
from agents.worker.partition import Partition
from agents.worker.snapshots import read_snapshot
from budgets.judge import SnapshotError
from streams.frame import IndicatorFrame, decode_frame
from streams.meter import MAX_AHEAD_MS

log = structlog.get_logger()


def rewind_to(last_step_ms: int, longest_window_ms: int) -> int:
    """From when the log must be read again, so that all windows after a step hold what they held.

    A sample may be stamped ahead of the log, by no more than MAX_AHEAD_MS: none that a window needs came earlier.
    """
    return last_step_ms - longest_window_ms - MAX_AHEAD_MS


async def _offset_at(consumer: AIOKafkaConsumer, partition: TopicPartition, time_ms: int) -> int:
    """The first offset whose record is not older than `time_ms`; the earliest where the broker cannot say."""
    found = (await consumer.offsets_for_times({partition: max(0, time_ms)})).get(partition)
    if found is not None and found.offset >= 0:
        return int(found.offset)
    return int((await consumer.beginning_offsets([partition]))[partition])


async def _frames_after(
    consumer: AIOKafkaConsumer, partition: TopicPartition, step_ms: int | None
) -> list[IndicatorFrame]:
    start = await _offset_at(consumer, partition, step_ms or 0)
    if start >= (await consumer.end_offsets([partition]))[partition]:
        return []  # once it were assigned, the connection would wait for more before it answers anything else
    frames = [decode_frame(record.value) async for record in read_to_end(consumer, partition, start)]
    return [frame for frame in frames if step_ms is None or frame.at > step_ms]


@asynccontextmanager
async def open_log(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A reader of the log for `recover`; to open one takes about as long as to recover a partition.

    Raises:
        KafkaError: the log cannot be read now.
    """
    consumer = create_consumer(settings.kafka, "driftline-worker-recovery")
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def recover(
    settings: Settings, consumer: AIOKafkaConsumer, partition: Partition, table: MutableMapping[bytes, bytes]
) -> None:
    """Restore the Judge and set `partition.cursor` to where its samples must be read again from.

    Raises:
        KafkaError: the log cannot be read now.
    """
    number = partition.number
    samples = TopicPartition(settings.topic(SAMPLES.name), number)
    snapshot_step_ms = _restore(partition, read_snapshot(table, number))
    indicators = TopicPartition(settings.topic(INDICATORS.name), number)
    frames = await _frames_after(consumer, indicators, snapshot_step_ms)
    last_step_ms = partition.catch_up(frames, snapshot_step_ms)
    if last_step_ms is None:
        partition.cursor = int((await consumer.beginning_offsets([samples]))[samples])
    else:
        partition.cursor = await _offset_at(consumer, samples, rewind_to(last_step_ms, partition.longest_window_ms))
    log.info(
        "partition recovered",
        partition=number,
        frames=len(frames),
        snapshot_step_ms=snapshot_step_ms,
        last_step_ms=last_step_ms,
        cursor=partition.cursor,
    )


def _restore(partition: Partition, snapshot: tuple[int, bytes] | None) -> int | None:
    """The step of the snapshot that was taken over, None = there is none that this version can read."""
    if snapshot is None:
        return None
    step_ms, data = snapshot
    try:
        partition.restore(data)
    except SnapshotError as error:
        # Every frame is still there: slower, and the same in the end.
        log.warning("a snapshot is not used", partition=partition.number, reason=str(error))
        return None
    return step_ms


async def earliest_offsets(settings: Settings, partitions: list[int]) -> Mapping[int, int]:
    """The first offset that the samples topic still holds, for each partition."""
    consumer = create_consumer(settings.kafka, "driftline-worker-positions")
    await consumer.start()
    try:
        topics = {TopicPartition(settings.topic(SAMPLES.name), number): number for number in partitions}
        offsets = await consumer.beginning_offsets(list(topics))
        return {topics[partition]: int(offset) for partition, offset in offsets.items()}
    finally:
        await consumer.stop()

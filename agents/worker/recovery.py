"""Where a worker goes on after it was given a partition: found in the log itself.

Snapshot (Faust table) -> frames after it (indicators topic) -> position in the samples topic from which the
windows of the next step fill up.
"""

from collections.abc import Mapping, MutableMapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.kafka.clients import create_consumer, read_all_to_end
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


async def _offsets_at(consumer: AIOKafkaConsumer, times: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
    """The first offset of each partition whose record is not older than a time; the earliest where there is none."""
    found = await consumer.offsets_for_times({partition: max(0, time_ms) for partition, time_ms in times.items()})
    earliest = await consumer.beginning_offsets(list(times))
    known = {partition: int(at.offset) for partition, at in found.items() if at is not None and at.offset >= 0}
    return {partition: known.get(partition, int(earliest[partition])) for partition in times}


async def recover(settings: Settings, partitions: Sequence[Partition], table: MutableMapping[bytes, bytes]) -> None:
    """Restore the Judges and set each `partition.cursor` to where its samples must be read again from.

    All at once: what a partition costs alone is mostly waiting for answers.

    Raises:
        KafkaError: the log cannot be read now.
    """
    by_number = {partition.number: partition for partition in partitions}
    snapshots = {number: _restore(partition, read_snapshot(table, number)) for number, partition in by_number.items()}
    consumer = create_consumer(settings.kafka, "driftline-worker-recovery")
    await consumer.start()
    try:
        indicators = {TopicPartition(settings.topic(INDICATORS.name), number): number for number in by_number}
        frames = await _frames_after(consumer, {place: snapshots[number] for place, number in indicators.items()})
        times: dict[TopicPartition, int] = {}
        for place, number in indicators.items():
            partition = by_number[number]
            last_step_ms = partition.catch_up(frames[place], snapshots[number])
            # Before the first step ever there is nothing to go on with: from the beginning.
            since_ms = 0 if last_step_ms is None else rewind_to(last_step_ms, partition.longest_window_ms)
            times[TopicPartition(settings.topic(SAMPLES.name), number)] = since_ms
            _tell(partition, len(frames[place]), snapshots[number], last_step_ms)
        for place, offset in (await _offsets_at(consumer, times)).items():
            by_number[place.partition].cursor = offset
    finally:
        await consumer.stop()


async def _frames_after(
    consumer: AIOKafkaConsumer, steps: Mapping[TopicPartition, int | None]
) -> Mapping[TopicPartition, list[IndicatorFrame]]:
    """The frames of each partition after a step, oldest first; all that there are where there is none."""
    starts = await _offsets_at(consumer, {place: step_ms or 0 for place, step_ms in steps.items()})
    frames: dict[TopicPartition, list[IndicatorFrame]] = {place: [] for place in steps}
    async for record in read_all_to_end(consumer, starts):
        place, frame = TopicPartition(record.topic, record.partition), decode_frame(record.value)
        step_ms = steps[place]
        if step_ms is None or frame.at > step_ms:
            frames[place].append(frame)
    return frames


def _tell(partition: Partition, frames: int, snapshot_step_ms: int | None, last_step_ms: int | None) -> None:
    log.info(
        "partition recovered",
        partition=partition.number,
        frames=frames,
        snapshot_step_ms=snapshot_step_ms,
        last_step_ms=last_step_ms,
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

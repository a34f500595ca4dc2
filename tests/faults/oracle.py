"""What must have been published: one process, pure replay of the samples log from its first record."""

from collections import defaultdict

from aiokafka import TopicPartition

from agents.kafka.clients import create_consumer, read_to_end
from agents.kafka.partitions import partition_of
from agents.kafka.topics import ALERTS, INDICATORS, ORDERS, SAMPLES
from agents.settings import Settings
from agents.worker.partition import BudgetVersion, Partition
from budgets.event import decode_event, parse_time
from budgets.judge import Judge
from budgets.order import decode_order
from budgets.spec.resolve import budget_of_order
from streams.frame import decode_frame
from streams.meter import Meter
from streams.wire.labels import parse_labels
from streams.wire.request import split_series
from streams.wire.samples import read_samples


async def _read(settings: Settings, topic: str, partition: int) -> list[tuple[int, bytes, bytes]]:
    """Every record as (time, key, value)."""
    consumer = create_consumer(settings.kafka, "driftline-oracle")
    await consumer.start()
    try:
        place = TopicPartition(settings.topic(topic), partition)
        return [(r.timestamp, r.key or b"", r.value or b"") async for r in read_to_end(consumer, place)]
    finally:
        await consumer.stop()


async def _versions(settings: Settings) -> list[BudgetVersion]:
    versions = []
    for _, key, value in await _read(settings, ORDERS.name, 0):
        kind, _, service = key.decode().partition("/")
        if kind == "budget":
            order = decode_order(value)
            versions.append(BudgetVersion(service, budget_of_order(order), order.effective_at))
    return versions


async def expected_ids(settings: Settings, partitions: int) -> dict[str, int]:
    """Event id -> step of every transition that a replay decides, up to the last step that was published."""
    versions = await _versions(settings)
    ids: dict[str, int] = {}
    for number in range(partitions):
        frames = await _read(settings, INDICATORS.name, number)
        last_step = max((decode_frame(value).at for _, _, value in frames), default=0)
        partition = Partition(
            number, 0, lambda: Meter(settings.step, settings.evaluation_delay), lambda: Judge(settings.step)
        )
        for version in versions:
            if partition_of(version.service, partitions) == number:
                partition.define(version)
        for time_ms, key, value in await _read(settings, SAMPLES.name, number):
            for step in partition.close_steps(time_ms):
                if step.frame.at <= last_step:
                    ids.update({event.id: step.frame.at for event in step.events})
            if value:
                partition.observe(key.decode(), value)
    return ids


async def published_ids(settings: Settings, partitions: int) -> dict[str, list[int]]:
    """Event id -> steps of its copies on the alerts topic."""
    ids: dict[str, list[int]] = defaultdict(list)
    for number in range(partitions):
        for _, _, value in await _read(settings, ALERTS.name, number):
            event = decode_event(value)
            ids[event.id].append(parse_time(event.at))
    return ids


async def stored_times(settings: Settings, partitions: int, names: tuple[str, ...]) -> dict[tuple[str, ...], set[int]]:
    """Sample times in the samples log, by the values of the labels `names`."""
    stored: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for number in range(partitions):
        for _, _, value in await _read(settings, SAMPLES.name, number):
            if not value:
                continue
            batch = read_samples(split_series(value))
            labels = [dict(parse_labels(blob)) for blob in batch.blobs]
            for series, timestamp in zip(batch.series.tolist(), batch.timestamps_ms.tolist(), strict=True):
                stored[tuple(labels[series][name] for name in names)].add(timestamp)
    return stored


async def stored_samples(settings: Settings, partitions: int) -> set[tuple[str, str, int]]:
    """(service, instance, time) of every sample in the samples log."""
    stored = await stored_times(settings, partitions, ("service", "instance"))
    return {(service, instance, time) for (service, instance), times in stored.items() for time in times}

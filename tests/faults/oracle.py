"""What must have been published: one process, pure replay of the samples log from its first record."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from agents.kafka.codecs import decode_alert
from agents.kafka.partitions import partition_of
from agents.kafka.topics import ALERTS, INDICATORS, ORDERS, SAMPLES
from agents.settings import Settings
from agents.worker.agent import create_meter
from agents.worker.partition import BudgetVersion, ClosedStep, Partition
from budgets.event import AlertEvent, parse_time
from budgets.judge import Judge
from budgets.order import decode_order
from budgets.spec.resolve import budget_of_order
from streams.frame import decode_frame, encode_frame
from tests.faults.stored import read_topic

Events = dict[str, AlertEvent]


@dataclass(frozen=True, slots=True)
class FrameComparison:
    """Published frames against those of a worker that never died, by (partition, step).

    published: steps that have a frame. different: that have one, or more, of other bytes. missing: that have none.
    """

    published: int
    different: list[tuple[int, int]]
    missing: list[tuple[int, int]]


async def _versions(settings: Settings) -> list[BudgetVersion]:
    versions = []
    for record in await read_topic(settings, ORDERS.name, 0):
        kind, _, service = record.key.decode().partition("/")
        if kind == "budget":
            order = decode_order(record.value)
            versions.append(BudgetVersion(service, budget_of_order(order), order.effective_at))
    return versions


async def replay(settings: Settings, partitions: int) -> AsyncIterator[tuple[int, ClosedStep]]:
    """Every step that the log has closed, with its partition: what a worker would publish that never died."""
    versions = await _versions(settings)
    for number in range(partitions):
        partition = Partition(number, 0, lambda: create_meter(settings), lambda: Judge(settings.step))
        for version in versions:
            if partition_of(version.service, partitions) == number:
                partition.define(version)
        for record in await read_topic(settings, SAMPLES.name, number):
            for step in partition.close_steps(record.timestamp):
                yield number, step
            if record.value:
                partition.observe(record.key.decode(), record.value)


async def expected_events(settings: Settings, partitions: int, until_ms: int) -> Events:
    """Every transition that a replay decides at a step up to `until_ms`, by event id."""
    return {
        event.id: event
        async for _, step in replay(settings, partitions)
        if step.frame.at <= until_ms
        for event in step.events
    }


async def compare_frames(settings: Settings, partitions: int, until_ms: int) -> FrameComparison:
    """Hold every published frame of a step up to `until_ms` against the one of a replay, byte for byte."""
    expected: dict[tuple[int, int], bytes] = {}
    async for number, step in replay(settings, partitions):
        if step.frame.at <= until_ms:
            expected[number, step.frame.at] = encode_frame(step.frame)
    published: set[tuple[int, int]] = set()
    different: set[tuple[int, int]] = set()
    for number in range(partitions):
        for record in await read_topic(settings, INDICATORS.name, number):
            place = number, decode_frame(record.value).at
            if place[1] <= until_ms:
                published.add(place)
                if expected.get(place) != record.value:
                    different.add(place)
    return FrameComparison(len(published), sorted(different), sorted(expected.keys() - published))


async def published_events(settings: Settings, partitions: int, until_ms: int) -> Events:
    """Every event on the alerts topic of a step up to `until_ms`, by id; copies of one id must be equal."""
    events: Events = {}
    for number in range(partitions):
        for record in await read_topic(settings, ALERTS.name, number):
            event = decode_alert(record)
            if parse_time(event.at) <= until_ms:
                assert events.setdefault(event.id, event) == event, "one id, two events"
    return events


async def last_step(settings: Settings, partition: int) -> int:
    """The newest published step of a partition, 0 = none."""
    records = await read_topic(settings, INDICATORS.name, partition)
    return max((decode_frame(record.value).at for record in records), default=0)

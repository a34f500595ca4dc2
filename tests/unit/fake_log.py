"""A log in memory that answers like the part of an aiokafka consumer that the projection uses."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from agents.kafka.codecs import encode_alert
from budgets.event import AlertEvent
from streams.frame import IndicatorFrame, Points, encode_frame

INDICATORS = "driftline.indicators"
ALERTS = "driftline.alerts"
STATES = "driftline.states"
START_MS = 1_790_000_000_000 // 3_600_000 * 3_600_000
STEP_MS = 15_000


@dataclass
class FakeRecord:
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class FakeLog:
    def __init__(self, partitions: int = 2, topics: tuple[str, ...] = (INDICATORS, ALERTS)) -> None:
        self.records: dict[TopicPartition, list[FakeRecord]] = {
            TopicPartition(topic, number): [] for topic in topics for number in range(partitions)
        }
        self.earliest: dict[TopicPartition, int] = defaultdict(int)
        self.away = False

    def append(self, topic: str, partition: int, value: bytes | None, key: bytes | None = None) -> None:
        records = self.records[TopicPartition(topic, partition)]
        records.append(FakeRecord(topic, partition, len(records), key, value))

    def frame(self, step: int, values: Mapping[str, float | None], partition: int = 0, weight: float = 100.0) -> None:
        points = Points(list(values), list(values.values()), [weight] * len(values))
        self.append(INDICATORS, partition, encode_frame(IndicatorFrame(START_MS + step * STEP_MS, STEP_MS, points)))

    def alert(self, event: AlertEvent, partition: int = 0) -> None:
        record = encode_alert(event)
        self.append(ALERTS, partition, record.value, record.key)

    def consumer(self) -> "FakeConsumer":
        return FakeConsumer(self)


class FakeConsumer:
    def __init__(self, log: FakeLog) -> None:
        self._log = log
        self._client = self  # `find_partitions` asks the client below the consumer
        self._positions: dict[TopicPartition, int] = {}

    def _answer(self) -> None:
        if self._log.away:
            raise KafkaConnectionError("nobody there")

    async def start(self) -> None:
        self._answer()

    async def stop(self) -> None:
        return

    async def set_topics(self, _: Iterable[str]) -> None:
        self._answer()

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {tp.partition for tp in self._log.records if tp.topic == topic}

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self._answer()
        return {tp: self._log.earliest[tp] for tp in partitions}

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self._answer()
        return {tp: len(self._log.records[tp]) for tp in partitions}

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self._positions = dict.fromkeys(partitions, 0)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    async def seek_to_beginning(self, partition: TopicPartition) -> None:
        self._positions[partition] = self._log.earliest[partition]

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[FakeRecord]]:
        batches: dict[TopicPartition, list[FakeRecord]] = {}
        left = max_records
        for tp, wanted in self._positions.items():
            position = max(wanted, self._log.earliest[tp])
            taken = [] if self._log.away else self._log.records[tp][position : position + left]
            if taken:
                batches[tp] = taken
                self._positions[tp] = taken[-1].offset + 1
                left -= len(taken)
        await asyncio.sleep(0 if batches else min(timeout_ms, 5) / 1000)
        return batches

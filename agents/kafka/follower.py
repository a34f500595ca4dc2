"""Follows every topic of the embedded broker and keeps it in journals; plays them back into the next broker.

The broker drops a partition's oldest batches silently. For topics that delete that is retention, and said once it
begins to hurt; what a compacted topic still needs is written again before it falls out.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from agents.kafka.admin import partitions_of
from agents.kafka.clients import create_consumer, create_producer
from agents.kafka.journal import CompactedJournal, Journal, Record, RotatingJournal
from agents.kafka.mock_cluster import PARTITION_BATCHES, PARTITION_BYTES
from agents.kafka.topics import INDICATORS, SAMPLES, TOPICS, Topic
from agents.settings import KafkaSettings, Settings, SettingsError

log = structlog.get_logger()

SYNC_SECONDS = 0.5
CHECK_SECONDS = 10.0
# A worker that comes back reads as far as the longest usual window and Prometheus' lookback.
SAMPLES_WANTED_SECONDS = 900.0
SAY_AGAIN_SECONDS = 3600.0


@dataclass(slots=True)
class _Latest:
    """A key's latest record, and what the partition had taken before it."""

    record: Record
    bytes_before: int
    batches_before: int


@dataclass(slots=True)
class _Partition:
    """One partition as the follower knows it. next_offset: what is read next."""

    topic: Topic
    place: TopicPartition
    journal: Journal
    next_offset: int = 0
    bytes_taken: int = 0
    batches_taken: int = 0
    latest: dict[bytes, _Latest] = field(default_factory=dict)

    def note(self, records: list[Record]) -> None:
        """Count what the broker holds, and remember what a compacted topic must not lose."""
        for record in records:
            if self.topic.cleanup == "compact":
                key = record.key or b""
                if record.value is None:
                    self.latest.pop(key, None)
                else:
                    self.latest[key] = _Latest(record, self.bytes_taken, self.batches_taken)
            self.bytes_taken += record.size_bytes
            self.batches_taken += 1

    def endangered(self) -> list[Record]:
        """Latest records of a compacted topic that have come half-way to where the broker drops them."""
        if sum(latest.record.size_bytes for latest in self.latest.values()) > PARTITION_BYTES // 2:
            return []  # cannot be helped by writing it again: said by `check`
        return [
            latest.record
            for latest in self.latest.values()
            if self.bytes_taken - latest.bytes_before > PARTITION_BYTES // 2
            or self.batches_taken - latest.batches_before > PARTITION_BATCHES // 2
        ]


def _record_of(consumed: ConsumerRecord) -> Record:
    headers = tuple((name, value or b"") for name, value in consumed.headers)
    return Record(consumed.key, consumed.value, headers, consumed.timestamp)


class Follower:
    """Keeps journals under `directory`; `replay` comes first, then `follow` until it is told to stop."""

    def __init__(self, settings: Settings, kafka: KafkaSettings, directory: Path) -> None:
        self._kafka = kafka
        directory.mkdir(parents=True, exist_ok=True)
        self._partitions = [
            _open(directory / topic.name, topic, settings.topic(topic.name), number, partitions_of(settings, topic))
            for topic in TOPICS
            for number in range(partitions_of(settings, topic))
        ]
        self._by_place = {partition.place: partition for partition in self._partitions}
        self._said_at: dict[str, float] = {}
        self._samples_since: dict[TopicPartition, deque[tuple[int, int]]] = {}

    async def replay(self) -> int:
        """Write everything that was kept into the new broker; how many records that were."""
        count = 0
        producer = create_producer(self._kafka, "driftline-journal")
        await producer.start()
        try:
            for partition in self._partitions:
                for records in partition.journal.load():
                    for record in records:
                        await _produce(producer, partition.place, record)
                    partition.note(records)
                    partition.next_offset += len(records)
                    count += len(records)
                await producer.flush()
        finally:
            await producer.stop()
        return count

    async def follow(self, stop: asyncio.Event) -> None:
        """Keep what arrives, until `stop` is set and everything up to then is on disk."""
        consumer = create_consumer(self._kafka, "driftline-journal")
        producer = create_producer(self._kafka, "driftline-journal")
        await consumer.start()
        await producer.start()
        try:
            consumer.assign(list(self._by_place))
            for partition in self._partitions:
                consumer.seek(partition.place, partition.next_offset)
            synced_at = checked_at = time.monotonic()
            while not stop.is_set():
                await self._take_some(consumer)
                if time.monotonic() - synced_at > SYNC_SECONDS:
                    synced_at = time.monotonic()
                    self._sync()
                    await self._write_again(consumer, producer)
                if time.monotonic() - checked_at > CHECK_SECONDS:
                    checked_at = time.monotonic()
                    await self._check(consumer)
            await self._catch_up(consumer)
        finally:
            for partition in self._partitions:
                partition.journal.close()
            await producer.stop()
            await consumer.stop()

    async def _take_some(self, consumer: AIOKafkaConsumer) -> None:
        batches = await consumer.getmany(timeout_ms=100)
        # Frames last: a frame says that the events of its step are on their topic.
        for place in sorted(batches, key=lambda place: self._by_place[place].topic is INDICATORS):
            records = batches[place]
            partition = self._by_place[place]
            if records[0].offset > partition.next_offset:
                log.error(
                    "the embedded broker dropped records before they were kept on disk",
                    topic=place.topic,
                    partition=place.partition,
                    records=records[0].offset - partition.next_offset,
                )
            partition.next_offset = records[-1].offset + 1
            kept = [_record_of(record) for record in records]
            partition.journal.append(kept)
            partition.note(kept)
            if partition.topic is SAMPLES:
                self._remember_time(place, records[0])

    def _sync(self) -> None:
        for partition in self._partitions:
            partition.journal.sync()

    async def _catch_up(self, consumer: AIOKafkaConsumer) -> None:
        ends = await consumer.end_offsets(list(self._by_place))
        while any(self._by_place[place].next_offset < end for place, end in ends.items()):
            await self._take_some(consumer)
        self._sync()

    async def _write_again(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        """Renew what a compacted topic still needs, only while nothing newer is on its way."""
        for partition in self._partitions:
            endangered = partition.endangered() if partition.topic.cleanup == "compact" else []
            if not endangered:
                continue
            end = (await consumer.end_offsets([partition.place]))[partition.place]
            if end != partition.next_offset:
                continue  # what is endangered may be replaced already: look again when it has been read
            for record in endangered:
                await _produce(producer, partition.place, record)
            await producer.flush()
            log.info("compacted records written again", topic=partition.place.topic, records=len(endangered))

    async def _check(self, consumer: AIOKafkaConsumer) -> None:
        """Say it when the broker's memory is too small for this installation."""
        starts = await consumer.beginning_offsets(list(self._by_place))
        for place, start in starts.items():
            partition = self._by_place[place]
            if partition.topic is SAMPLES and start > 0:
                self._check_samples(place, start)
            live = sum(latest.record.size_bytes for latest in partition.latest.values())
            if live > PARTITION_BYTES // 2:
                self._say("a compacted topic outgrows the embedded broker: use --kafka", place, bytes=live)

    def _remember_time(self, place: TopicPartition, record: ConsumerRecord) -> None:
        since = self._samples_since.setdefault(place, deque())
        if not since or record.timestamp - since[-1][1] >= 1000 * CHECK_SECONDS:
            since.append((record.offset, record.timestamp))

    def _check_samples(self, place: TopicPartition, start: int) -> None:
        since = self._samples_since.get(place, deque())
        while len(since) > 1 and since[0][0] < start:
            since.popleft()
        if not since:
            return
        seconds = (since[-1][1] - since[0][1]) / 1000
        if seconds < SAMPLES_WANTED_SECONDS:
            self._say("the embedded broker holds too little of the samples: use --kafka", place, seconds=seconds)

    def _say(self, what: str, place: TopicPartition, **facts: float) -> None:
        now = time.monotonic()
        if now - self._said_at.get(place.topic, -SAY_AGAIN_SECONDS) >= SAY_AGAIN_SECONDS:
            self._said_at[place.topic] = now
            log.error(what, topic=place.topic, partition=place.partition, **facts)


async def _produce(producer: AIOKafkaProducer, place: TopicPartition, record: Record) -> None:
    await producer.send(
        place.topic,
        record.value,
        key=record.key,
        partition=place.partition,
        timestamp_ms=record.timestamp_ms,
        headers=list(record.headers),
    )


def _open(directory: Path, topic: Topic, name: str, number: int, count: int) -> _Partition:
    """One partition's journal.

    Raises:
        SettingsError: the directory was written with another number of partitions.
    """
    directory.mkdir(exist_ok=True)
    kept = len(list(directory.glob("*.log")))
    if number == 0 and kept not in {0, count}:
        raise SettingsError(
            f"{directory} was written with {kept} partitions, the settings say {count} (kafka.partitions)"
        )
    path = directory / f"{number}.log"
    journal: Journal
    if topic.cleanup == "compact":
        journal = CompactedJournal(path, topic.compaction_lag_ms)
    else:
        journal = RotatingJournal(path, PARTITION_BYTES)
    return _Partition(topic, TopicPartition(name, number), journal)

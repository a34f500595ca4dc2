"""The history projection: follows the indicators and alerts topics into SQL.

Positions are kept in the database, not in a consumer group, and move in the transaction that writes the rows; they
hold for one `log_id`. While Kafka or the database is away it waits with `problem` set and then goes on by itself.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError

from agents.kafka.clients import close_consumer, find_partitions
from agents.kafka.topics import ALERTS, INDICATORS
from agents.metrics import WebMetrics
from agents.settings import Settings
from agents.web.history.batch import Record, decode_events, decode_frames, points_of
from agents.web.history.dead_letters import DeadLetters
from agents.web.history.writer import HistoryWriter, PositionMovedError, Source

log = structlog.get_logger()

POLL_MS = 250
# One transaction's worth: a few hundred milliseconds of work, during which SQLite's other writers wait.
RECORDS_PER_ROUND = 500
CHECK_SECONDS = 2.0
ANSWER_SECONDS = 5.0
RETRY_SECONDS = 0.5
PRUNE_SECONDS = 3600.0

Batches = Mapping[TopicPartition, Sequence[Record]]


class _PartitionsChangedError(Exception):
    """A topic has other partitions than when we began to read it."""


class Projection:
    """Reads, decodes, writes; one task.

    problem: why the history is not kept now, None = it is.
    clock: Unix seconds; decides only what is old enough to be forgotten.
    lag: records that the log holds and the history does not, as of the latest look.
    """

    def __init__(
        self,
        settings: Settings,
        writer: HistoryWriter,
        metrics: WebMetrics,
        create_consumer: Callable[[], AIOKafkaConsumer],
        dead_letters: DeadLetters,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._indicators = settings.topic(INDICATORS.name)
        self._alerts = settings.topic(ALERTS.name)
        self._writer = writer
        self._metrics = metrics
        self._create_consumer = create_consumer
        self._dead_letters = dead_letters
        self._clock = clock
        self._known: dict[Source, int] = {}
        self._begun_anew: set[TopicPartition] = set()
        self.problem: str | None = "the history projection has not started yet"
        self.lag = 0

    async def run(self) -> None:
        """Follow until cancelled.

        Raises:
            RuntimeError: too many unreadable records in a row.
            SQLAlchemyError: the database refuses what we write: our bug.
        """
        while True:
            try:
                async with self._consumer() as consumer:
                    await self._follow(consumer)
            except _PartitionsChangedError:
                log.info("the topics have other partitions than before, reading all of them")
            except (KafkaError, TimeoutError) as error:
                await self._wait("kafka", f"Kafka is away: {error!r}")
            except (SQLAlchemyError, OSError) as error:
                if isinstance(error, DataError | IntegrityError | ProgrammingError):
                    raise
                await self._wait("database", f"the database is away: {_first_line(error)}")

    async def _wait(self, reason: str, problem: str) -> None:
        if self.problem != problem:
            log.warning("the history projection waits", reason=reason, problem=problem)
        self.problem = problem
        self._metrics.waits.labels(reason).inc()
        await asyncio.sleep(RETRY_SECONDS)

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = self._create_consumer()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await consumer.start()
            yield consumer
        finally:
            await close_consumer(consumer, ANSWER_SECONDS)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        """Read on until something is in the way."""
        async with asyncio.timeout(ANSWER_SECONDS):
            partitions = await find_partitions(consumer, self._indicators, self._alerts)
        self._check_topics(partitions)
        self._begun_anew.clear()
        consumer.assign(sorted(partitions))
        await self._resume(consumer, partitions)
        checked_at = pruned_at = float("-inf")
        while True:
            if time.monotonic() - checked_at > CHECK_SECONDS:
                await self._check(consumer, partitions)
                checked_at = time.monotonic()
            if time.monotonic() - pruned_at > PRUNE_SECONDS:
                await self._prune()
                pruned_at = time.monotonic()
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_ROUND)
            try:
                await self._apply(batches)
            except PositionMovedError:  # another web role wrote these records
                self._metrics.waits.labels("another_role").inc()
                await self._resume(consumer, partitions)

    async def _resume(self, consumer: AIOKafkaConsumer, partitions: set[TopicPartition]) -> None:
        """Read on from where the history ends."""
        async with asyncio.timeout(ANSWER_SECONDS):
            earliest = await consumer.beginning_offsets(sorted(partitions))
        self._known = await self._writer.claim({(tp.topic, tp.partition): offset for tp, offset in earliest.items()})
        for (topic, number), offset in self._known.items():
            consumer.seek(TopicPartition(topic, number), offset)

    def _check_topics(self, partitions: set[TopicPartition]) -> None:
        for topic in (self._indicators, self._alerts):
            if all(partition.topic != topic for partition in partitions):
                raise KafkaError(f"there is no topic {topic}: driftline topics create makes it")

    async def _check(self, consumer: AIOKafkaConsumer, partitions: set[TopicPartition]) -> None:
        """Whether Kafka and the database answer, how far behind we are, and whether the log is still the one we know.

        `getmany` gives nothing both when there is nothing and when nobody answers.
        """
        async with asyncio.timeout(ANSWER_SECONDS):
            ends = await consumer.end_offsets(sorted(partitions))
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._writer.ping()
        behind = 0
        for partition, end in ends.items():
            source = (partition.topic, partition.partition)
            if end < self._known[source] and partition not in self._begun_anew:
                log.error("the log is shorter than it was, reading it from its beginning", source=source, end=end)
                self._begun_anew.add(partition)
                await consumer.seek_to_beginning(partition)
            behind += max(0, end - self._known[source])
        self.lag = behind
        self._metrics.lag.set(behind)
        self.problem = None
        for topic in (self._indicators, self._alerts):
            if consumer.partitions_for_topic(topic) != {tp.partition for tp in partitions if tp.topic == topic}:
                raise _PartitionsChangedError

    async def _apply(self, batches: Batches) -> None:
        """Write one round of records, set the unreadable ones aside."""
        if not batches:
            return
        started = time.perf_counter()
        frame_records = [record for tp, batch in batches.items() if tp.topic == self._indicators for record in batch]
        event_records = [record for tp, batch in batches.items() if tp.topic == self._alerts for record in batch]
        frames, bad_frames = decode_frames(frame_records)
        events, bad_events = decode_events(event_records)
        # Before the position moves: a record that is neither kept nor set aside would be lost.
        await self._dead_letters.set_aside([*bad_frames, *bad_events], readable=len(frames) + len(events))
        # Columns of thousands of points: beside the event loop, which answers requests meanwhile.
        points = await asyncio.to_thread(points_of, frames)
        moves = self._moves(batches)
        await self._writer.write(points, events, moves)
        self._known |= {source: after for source, (_, after) in moves.items()}
        self._metrics.points_dropped.inc(points.dropped)
        self._metrics.records.labels(INDICATORS.name).inc(len(frame_records))
        self._metrics.records.labels(ALERTS.name).inc(len(event_records))
        self._metrics.write_seconds.observe(time.perf_counter() - started)

    def _moves(self, batches: Batches) -> dict[Source, tuple[int, int]]:
        moves: dict[Source, tuple[int, int]] = {}
        for partition, records in batches.items():
            if not records:
                continue
            source = (partition.topic, partition.partition)
            known, found = self._known.get(source, 0), records[0].offset
            if found != known:
                log.warning("the log does not go on where it was left", source=source, expected=known, found=found)
            moves[source] = (known, records[-1].offset + 1)
        return moves

    async def _prune(self) -> None:
        now_ms = round(self._clock() * 1000)
        assert INDICATORS.retention_ms is not None
        assert ALERTS.retention_ms is not None
        gone = await self._writer.prune(now_ms - INDICATORS.retention_ms, now_ms - ALERTS.retention_ms)
        if gone:
            log.info("old history forgotten", rows=gone)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or repr(error)

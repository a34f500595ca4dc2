"""The alerts topic -> the outbox: who is to get what is decided here, once, and written down before anything is sent.

A batch of records is one transaction; only after it is Kafka told that they are done. A crash in between repeats
the batch, and repeated events find their rows. A record that is not an alert event goes to the dead-letter topic; many
in a row are our bug, and end the role.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.kafka.clients import close_consumer
from agents.kafka.codecs import decode_alert
from agents.metrics import NotifierMetrics
from agents.notifier.dead_letters import DeadLetters
from agents.notifier.route import decide
from agents.notifier.trouble import TROUBLE, TROUBLE_SECONDS, explain
from agents.settings import ReceiverSettings
from agents.storage import outbox
from agents.storage.database import begin
from agents.storage.outbox import NewDelivery
from budgets.event import AlertEvent, parse_time

log = structlog.get_logger()

T = TypeVar("T")

# A few bad records are somebody's mistake; many in a row are ours.
MAX_UNREADABLE_IN_A_ROW = 100
MAX_BATCH = 500
POLL_MS = 500
ANSWER_SECONDS = 5.0
STOP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """An alert event, as it was published and where. at: when it was decided, Unix ms."""

    event: AlertEvent
    body: bytes
    at: int
    partition: int
    offset: int


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Reads the alerts topic as a member of the notifiers' group.

    problem: why it cannot work now, None = it can.
    """

    def __init__(
        self,
        topic: str,
        create_consumer: Callable[[], AIOKafkaConsumer],
        receivers: Sequence[ReceiverSettings],
        engine: AsyncEngine,
        dead_letters: DeadLetters,
        metrics: NotifierMetrics,
        wake: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Connects when it runs.

        Args:
            wake: told the name of a receiver for which something is new.
        """
        self.problem: str | None = "not connected to Kafka yet"
        self._topic = topic
        self._create_consumer = create_consumer
        self._receivers = receivers
        self._engine = engine
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._wake = wake
        self._clock = clock
        self._consumer: AIOKafkaConsumer | None = None
        self._unreadable_in_a_row = 0
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Work until `stop`; the task fails when our own code does."""
        self._task = asyncio.create_task(self._run(), name="intake")
        return self._task

    async def stop(self) -> None:
        """Finish the batch that is under way and leave the group."""
        self._stopping = True
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """What was read and not committed is read again by who gets the partitions."""

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """The group has let us in, with or without partitions for us."""
        self.problem = None
        log.info("partitions assigned", partitions=sorted(place.partition for place in assigned))

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._consume()
            except TROUBLE as error:
                self._report(error)
                await asyncio.sleep(TROUBLE_SECONDS)

    async def _consume(self) -> None:
        consumer = self._create_consumer()
        try:
            await consumer.start()
            consumer.subscribe([self._topic], listener=self)
            self._consumer = consumer
            while not self._stopping:
                batch = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_BATCH)
                if batch:
                    await self._take(consumer, batch)
        finally:
            self._consumer = None
            await close_consumer(consumer, STOP_SECONDS)

    async def _take(self, consumer: AIOKafkaConsumer, batch: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        arrivals = [arrival for records in batch.values() for arrival in await self._decode(records)]
        woken = await self._until_done(lambda: self.store(arrivals))
        self._metrics.events.inc(len(arrivals))
        for receiver in woken:
            self._wake(receiver)
        done = {place: records[-1].offset + 1 for place, records in batch.items()}
        try:
            await consumer.commit(done)
        except (CommitFailedError, IllegalStateError) as error:
            # The partitions went to another notifier, which reads the batch again and finds its rows.
            log.info("offsets not committed", error=repr(error))

    async def _until_done(self, action: Callable[[], Awaitable[T]]) -> T:
        """Do it, however long the database or Kafka is away; the error itself when we are stopping."""
        while True:
            try:
                result = await action()
            except TROUBLE as error:
                self._report(error)
                if self._stopping:
                    raise
                await asyncio.sleep(TROUBLE_SECONDS)
            else:
                self.problem = None
                return result

    async def _decode(self, records: Sequence[ConsumerRecord]) -> list[Arrival]:
        arrivals = []
        for record in records:
            try:
                event = decode_alert(record)
                arrivals.append(Arrival(event, record.value, parse_time(event.at), record.partition, record.offset))
            except (msgspec.DecodeError, ValueError) as error:
                await self._set_aside(record, str(error))
            else:
                self._unreadable_in_a_row = 0
        return arrivals

    async def _set_aside(self, record: ConsumerRecord, reason: str) -> None:
        log.warning("record set aside", partition=record.partition, offset=record.offset, reason=reason)
        place = (record.partition, record.offset)
        await self._until_done(lambda: self._dead_letters.add_record(record.key, record.value, *place, reason))
        self._metrics.unreadable.inc()
        self._unreadable_in_a_row += 1
        if self._unreadable_in_a_row > MAX_UNREADABLE_IN_A_ROW:
            raise RuntimeError(f"{self._unreadable_in_a_row} unreadable records in a row: {reason}")

    async def store(self, arrivals: Sequence[Arrival]) -> set[str]:
        """Write down in one transaction who gets what; returns the receivers for which something is new.

        Raises:
            SQLAlchemyError, OSError: nothing of it is written.
        """
        woken: set[str] = set()
        expired: list[str] = []
        if not arrivals:
            return woken
        async with begin(self._engine) as connection:
            for arrival in arrivals:
                told = await outbox.told(connection, arrival.event.fingerprint, arrival.event.episode)
                for receiver in self._receivers:
                    new = self._new_delivery(arrival, receiver, told.get(receiver.name, frozenset()))
                    if new is not None and await outbox.add(connection, new):
                        woken.add(receiver.name)
                        expired += [receiver.name] if new.state == "expired" else []
        for name in expired:
            self._metrics.finished.labels(name, "expired").inc()
        return woken

    def _new_delivery(self, arrival: Arrival, receiver: ReceiverSettings, told: frozenset[str]) -> NewDelivery | None:
        event, now_ms = arrival.event, round(self._clock() * 1000)
        decision = decide(receiver, event, now_ms - arrival.at, told)
        if decision is None:
            return None
        return NewDelivery(
            event_id=event.id,
            receiver=receiver.name,
            fingerprint=event.fingerprint,
            episode=event.episode,
            service=event.service,
            severity=event.severity,
            transition=event.transition,
            body=arrival.body,
            source_partition=arrival.partition,
            source_offset=arrival.offset,
            event_at=arrival.at,
            created_at=now_ms,
            state=decision.state,
            last_error=decision.reason,
        )

    async def check_kafka(self) -> None:
        """Ask Kafka how far behind we are, and notice when it does not answer."""
        consumer = self._consumer
        if consumer is None or not (places := consumer.assignment()):
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                ends = await consumer.end_offsets(list(places))
            positions = {place: await consumer.position(place) for place in places if place in consumer.assignment()}
        except IllegalStateError:
            return  # a rebalance took the partitions away in between
        except (KafkaError, TimeoutError) as error:
            self.problem = f"Kafka does not answer: {type(error).__name__}"
            return
        self._metrics.lag_records.set(sum(max(0, ends[place] - at) for place, at in positions.items()))
        if self.problem and self.problem.startswith("Kafka does not answer"):
            self.problem = None

    def _report(self, error: Exception) -> None:
        self.problem = f"alerts are not taken in: {explain(error)}"
        log.warning("the intake waits", problem=self.problem)

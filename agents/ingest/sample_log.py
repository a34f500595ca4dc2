"""The samples topic as ingest writes it: connected, lost and found again without a restart.

Nothing is answered as stored that Kafka has not acknowledged from every in-sync replica. When a batch is not
acknowledged in time, or Kafka refuses one, the producer is dropped with all that waits in it (an idempotent one can
stick after an outage, and after a refused batch it always does); senders are told to come again, and a new one is made.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from agents.ingest.lane import Lane, Part, Record, Ticket
from agents.kafka.clients import close_producer
from agents.kafka.partitions import partition_of
from agents.metrics import IngestMetrics

log = structlog.get_logger()

CONNECT_SECONDS = 10.0
TOPIC_SECONDS = 3.0
# Longer than the failover of a healthy cluster takes, shorter than senders wait for an answer.
DELIVERY_SECONDS = 10.0
RETRY_SECONDS = 0.5
TICK_SECONDS = 1.0


class LogUnavailableError(Exception):
    """Not stored, as far as we know: the sender should come again. The text is for people."""


class SampleLog:
    """Writes parts of requests to the partitions of their services.

    problem: why nothing can be written now, None = it can. pending_bytes: what waits for acknowledgement.
    closing: producers that were given up and are not yet gone.
    """

    def __init__(
        self,
        topic: str,
        create_producer: Callable[[], AIOKafkaProducer],
        metrics: IngestMetrics,
        max_pending_bytes: int,
        delivery_seconds: float = DELIVERY_SECONDS,
    ) -> None:
        self._topic = topic
        self._create_producer = create_producer
        self._metrics = metrics
        self._max_pending_bytes = max_pending_bytes
        self._delivery_seconds = delivery_seconds
        self._lanes: list[Lane] = []
        self._lane_of: dict[bytes, Lane] = {}
        self.closing: set[asyncio.Task[None]] = set()
        self.problem: str | None = "connecting to Kafka"
        self.pending_bytes = 0

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Hold memory for a request while the block lasts. A lone request may be larger than the bound.

        Raises:
            LogUnavailableError: too much is waiting already.
        """
        if self.pending_bytes and self.pending_bytes + size > self._max_pending_bytes:
            raise LogUnavailableError("too many bytes wait for Kafka")
        self.pending_bytes += size
        try:
            yield
        finally:
            self.pending_bytes -= size

    async def write(self, parts: Sequence[tuple[bytes, bytes]]) -> None:
        """Return when every (service, WriteRequest) is acknowledged.

        Raises:
            LogUnavailableError: some may not be.
        """
        if self.problem is not None:
            raise LogUnavailableError(self.problem)
        if not parts:
            return
        with self.reserve(sum(len(value) for _, value in parts)):
            ticket = Ticket(len(parts))
            for service, value in parts:
                self._lane(service).put(Part(service, value, ticket))
            failure = await ticket.failure
        if failure is not None:
            raise LogUnavailableError(failure)

    def _lane(self, service: bytes) -> Lane:
        lane = self._lane_of.get(service)
        if lane is None:
            lane = self._lane_of[service] = self._lanes[partition_of(service.decode(), len(self._lanes))]
        return lane

    async def run(self) -> None:
        """Keep connected until cancelled."""
        try:
            while True:
                await self._run_once()
                self._metrics.kafka_errors.inc()
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            if self.closing:
                await asyncio.wait(self.closing)

    async def _run_once(self) -> None:
        """One producer, from its start until it fails."""
        producer = self._create_producer()
        try:
            await self._connect(producer)
            log.info("writing samples", topic=self._topic, partitions=len(self._lanes))
            async with asyncio.TaskGroup() as tasks:
                for lane in self._lanes:
                    tasks.create_task(lane.run(lambda number, records: self._send(producer, number, records)))
                tasks.create_task(self._tick())
        except* UnknownTopicOrPartitionError:
            self._fail(f"topic {self._topic} does not exist (driftline topics create)")
        except* (KafkaError, TimeoutError, OSError) as errors:
            self._fail("Kafka does not acknowledge" if self._lanes else "Kafka is not reachable")
            log.warning("samples cannot be written, connecting again", error=repr(errors.exceptions[0]))
        finally:
            self._fail(self.problem or "ingest is stopping")
            closing = asyncio.create_task(close_producer(producer))
            self.closing.add(closing)
            closing.add_done_callback(self.closing.discard)

    async def _connect(self, producer: AIOKafkaProducer) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            await producer.start()
        try:
            async with asyncio.timeout(TOPIC_SECONDS):
                partitions = await producer.partitions_for(self._topic)
        except TimeoutError:
            raise UnknownTopicOrPartitionError from None
        self._lanes = [Lane(number) for number in range(len(partitions))]
        self._lane_of = {}
        self.problem = None

    async def _send(self, producer: AIOKafkaProducer, partition: int, records: list[Record]) -> None:
        batch = producer.create_batch()
        for service, value in records:
            taken = batch.append(key=service, value=value, timestamp=None)
            assert taken is not None, "a batch is larger than the producer allows"
        batch.close()
        async with asyncio.timeout(self._delivery_seconds):
            await (await producer.send_batch(batch, self._topic, partition=partition))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for lane in self._lanes:
                lane.tick()

    def _fail(self, problem: str) -> None:
        self.problem = problem
        for lane in self._lanes:
            lane.fail(problem)
        self._lanes = []

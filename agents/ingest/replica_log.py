"""The log of claims (`driftline.replicas`) that elects one replica of every HA pair: written, read, followed.

Nothing is connected until the first series of an HA pair comes in. While the log cannot be written or read back, what
needs a decision is answered 503; what is decided stays decided for a moment.
"""

import asyncio
import secrets
import time
from collections.abc import Iterable

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from agents.ingest.elections import Elections, Replica, Standing
from agents.ingest.sample_log import LogUnavailableError
from agents.kafka.clients import close_producer, create_consumer, create_producer, read_to_end
from agents.kafka.topics import REPLICAS
from agents.metrics import IngestMetrics
from agents.settings import Settings

log = structlog.get_logger()

START_SECONDS = 10.0
# Read back within this, or the sender comes again.
SETTLE_SECONDS = 5.0
RETRY_SECONDS = 0.5
EXPIRE_SECONDS = 60.0
# More clusters than anybody has: each costs memory in every ingest.
MOST_CLUSTERS = 10_000


class Claim(msgspec.Struct, frozen=True):
    """The value of a record; its key is the cluster.

    renews: the replica is elected. ingest, number: who wrote it, and which of its claims it is.
    """

    replica: str
    renews: bool
    ingest: str
    number: int
    schema: int = 1


_decoder = msgspec.json.Decoder(Claim)


class ReplicaLog:
    """Claims of this process on their way, and everybody's as they are read."""

    def __init__(self, settings: Settings, elections: Elections, metrics: IngestMetrics) -> None:
        self._settings = settings
        self._elections = elections
        self._metrics = metrics
        self._partition = TopicPartition(settings.topic(REPLICAS.name), 0)
        self._name = secrets.token_hex(8)
        self._number = 0
        self._needed = asyncio.Event()
        self._waiting: dict[Replica, asyncio.Future[bool]] = {}
        self._on_their_way: dict[int, tuple[Replica, float]] = {}
        self._wake = asyncio.Event()

    async def settle(self, replicas: Iterable[Replica]) -> None:
        """Return when a claim of each is read back, so that who is elected is known.

        Raises:
            LogUnavailableError: that is not possible now.
        """
        if self._elections.clusters > MOST_CLUSTERS:
            raise LogUnavailableError("too many clusters write with HA labels")
        claims = [self._claim(replica) for replica in replicas]
        _, late = await asyncio.wait(claims, timeout=SETTLE_SECONDS)
        if late or not all(claim.result() for claim in claims):
            raise LogUnavailableError(f"replicas cannot be elected now: topic {self._partition.topic}")

    def renew(self, replicas: Iterable[Replica]) -> None:
        """See to it that elected replicas stay so; returns at once."""
        for replica in replicas:
            if self._elections.is_due(replica):
                self._claim(replica)

    def _claim(self, replica: Replica) -> asyncio.Future[bool]:
        claim = self._waiting.get(replica)
        if claim is None:
            claim = self._waiting[replica] = asyncio.get_running_loop().create_future()
            self._wake.set()
        self._needed.set()
        return claim

    async def run(self) -> None:
        """Keep connected, once it is needed, until cancelled."""
        await self._needed.wait()
        while True:
            try:
                await self._run_once()
            except* (KafkaError, OSError, TimeoutError) as errors:
                log.warning("replicas cannot be elected, connecting again", error=repr(errors.exceptions[0]))
            self._fail()
            await asyncio.sleep(RETRY_SECONDS)

    async def _run_once(self) -> None:
        consumer = create_consumer(self._settings.kafka, "driftline-replicas")
        producer = create_producer(self._settings.kafka, "driftline-replicas", linger_ms=0)
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
                await producer.start()
                async for record in read_to_end(consumer, self._partition):
                    self._take(record)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(consumer))
                tasks.create_task(self._write(producer))
                tasks.create_task(self._expire())
        finally:
            await consumer.stop()
            await close_producer(producer)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            batches = await consumer.getmany(self._partition, timeout_ms=500)
            for record in batches.get(self._partition, []):
                self._take(record)

    async def _write(self, producer: AIOKafkaProducer) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            taken = {replica for replica, _ in self._on_their_way.values()}
            for replica in [replica for replica in self._waiting if replica not in taken]:
                self._number += 1
                self._on_their_way[self._number] = replica, _monotonic_ms()
                renews = self._elections.standing(replica) is Standing.ELECTED
                value = msgspec.json.encode(Claim(replica.name, renews, self._name, self._number))
                async with asyncio.timeout(SETTLE_SECONDS):
                    await producer.send_and_wait(
                        self._partition.topic, value, replica.cluster.encode(), partition=self._partition.partition
                    )

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_SECONDS)
            self._elections.expire()

    def _take(self, record: ConsumerRecord) -> None:
        try:
            claim = _decoder.decode(record.value or b"")
            replica = Replica((record.key or b"").decode(), claim.replica)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("a claim cannot be read and is passed over", offset=record.offset, error=repr(error))
            return
        if self._elections.observe(replica, record.timestamp, renews=claim.renews):
            self._metrics.failovers.inc()
            log.warning("another replica is taken from now on", cluster=replica.cluster, replica=replica.name)
        if claim.ingest == self._name and claim.number in self._on_their_way:
            own, sent_ms = self._on_their_way.pop(claim.number)
            self._elections.set_clock(record.timestamp, sent_ms)
            self._waiting.pop(own).set_result(True)

    def _fail(self) -> None:
        waiting, self._waiting = self._waiting, {}
        self._on_their_way.clear()
        for claim in waiting.values():
            claim.set_result(False)


def _monotonic_ms() -> float:
    return time.monotonic() * 1000

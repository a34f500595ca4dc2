"""The orders topic, for every role: follow it, or read it once and write what differs.

One partition, so that orders have one order; no consumer group, because everybody needs all of it. An order that
cannot be taken is counted and left out: what was in force before stays.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from agents.kafka.clients import create_consumer, create_producer, read_to_end
from agents.kafka.topics import ORDERS
from agents.metrics import OrdersMetrics
from agents.settings import Settings
from budgets.order import Order, decode_order, encode_order
from budgets.spec.resolve import SCHEMA, budget_of_order

log = structlog.get_logger()

# How long a start waits for Kafka before its caller is told.
START_SECONDS = 30.0
RETRY_SECONDS = 0.5
# aiokafka does not say that it waits for brokers, so they are asked now and then.
CHECK_SECONDS = 5.0
ANSWER_SECONDS = 5.0

OnOrder = Callable[[str, Order | None], None]


def read_order(record: ConsumerRecord) -> tuple[str, Order | None]:
    """The subject and the order of a record; None = a tombstone.

    Raises:
        ValueError, msgspec.DecodeError: not an order, or one that cannot be carried out.
    """
    subject = (record.key or b"").decode()
    if "/" not in subject:
        raise ValueError(f"expected a key such as budget/<service>, got {subject!r}")
    if record.value is None:
        return subject, None
    order = decode_order(record.value)
    if order.schema != SCHEMA or order.subject != subject:
        raise ValueError(f"expected an order about {subject!r} of schema {SCHEMA}")
    if subject.startswith("budget/"):
        budget_of_order(order)
    return subject, order


class OrderReader:
    """Hands every order to `on_order`, each once and in order, from the first one of the log on.

    problem: why what is known may be out of date; None = it is not.
    """

    def __init__(self, settings: Settings, on_order: OnOrder, metrics: OrdersMetrics) -> None:
        self._settings = settings
        self._on_order = on_order
        self._metrics = metrics
        self._partition = TopicPartition(settings.topic(ORDERS.name), 0)
        self._consumer: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None
        self._next_offset = 0
        self._latest: dict[bytes | None, bytes | None] = {}
        self._budgets: set[str] = set()
        self.problem: str | None = "orders have not been read yet"

    async def start(self) -> None:
        """Return when every order that there is has been handed over; from then on they are followed.

        Raises:
            TimeoutError: Kafka could not be read; may be called again.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._connect_patiently()
        except TimeoutError as error:
            raise TimeoutError(
                f"orders cannot be read from {self._settings.kafka.bootstrap}, topic {self._partition.topic}"
                f" (driftline topics create makes it)"
            ) from error
        finally:
            if self.problem is not None:
                await self._disconnect()
        self._task = asyncio.create_task(self._follow(), name="orders")

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._disconnect()

    async def _connect_patiently(self) -> None:
        """Connect and read to the end, however often it takes."""
        while True:
            try:
                await self._connect()
                await self._catch_up()
            except (KafkaError, OSError) as error:
                self._note(f"orders cannot be read: {error!r}")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._note(None)
                return

    async def _connect(self) -> None:
        await self._disconnect()
        self._consumer = create_consumer(self._settings.kafka, "driftline-orders")
        await self._consumer.start()
        self._consumer.assign([self._partition])

    async def _disconnect(self) -> None:
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(consumer.stop(), ANSWER_SECONDS)

    async def _catch_up(self) -> None:
        assert self._consumer is not None
        end = await self._find_end()
        self._consumer.seek(self._partition, await self._position())
        while await self._consumer.position(self._partition) < end:
            await self._take_some(1_000)

    async def _find_end(self) -> int:
        """Where the log ends; a log that ends before what was read is another one, and read from its beginning."""
        assert self._consumer is not None
        async with asyncio.timeout(ANSWER_SECONDS):
            end = int((await self._consumer.end_offsets([self._partition]))[self._partition])
        if end < self._next_offset:
            log.error("the orders log is shorter than what was read of it: read again", read=self._next_offset, end=end)
            self._next_offset = 0
            self._consumer.seek(self._partition, await self._position())
        return end

    async def _position(self) -> int:
        """Where to go on; compaction may have moved the beginning."""
        assert self._consumer is not None
        async with asyncio.timeout(ANSWER_SECONDS):
            first = int((await self._consumer.beginning_offsets([self._partition]))[self._partition])
        return max(first, self._next_offset)

    async def _follow(self) -> None:
        """Hand over what comes, through outages, until cancelled."""
        checked_at = time.monotonic()
        while True:
            try:
                await self._take_some(500)
                if time.monotonic() - checked_at > CHECK_SECONDS:
                    checked_at = time.monotonic()
                    await self._find_end()
                    self._note(None)
            except TimeoutError:
                self._note("Kafka does not answer: newer orders may not be known here")
            except (KafkaError, OSError) as error:
                self._note(f"orders cannot be read: {error!r}")
                await asyncio.sleep(RETRY_SECONDS)
                await self._connect_patiently()

    def _note(self, problem: str | None) -> None:
        """Set `problem`, and say it once."""
        if problem is not None and problem != self.problem:
            log.warning("orders cannot be followed", kafka=self._settings.kafka.bootstrap, reason=problem)
        elif problem is None and self.problem is not None:
            log.info("orders are followed", budgets=len(self._budgets), next_offset=self._next_offset)
        self.problem = problem

    async def _take_some(self, timeout_ms: int) -> None:
        assert self._consumer is not None
        batches = await self._consumer.getmany(self._partition, timeout_ms=timeout_ms)
        for record in batches.get(self._partition, []):
            if record.offset >= self._next_offset:
                self._next_offset = record.offset + 1
                self._take(record)

    def _take(self, record: ConsumerRecord) -> None:
        # The embedded broker writes what must not be forgotten again, and a log may be read a second time.
        if record.key in self._latest and self._latest[record.key] == record.value:
            return
        self._latest[record.key] = record.value
        try:
            subject, order = read_order(record)
            self._on_order(subject, order)
        except (ValueError, msgspec.DecodeError) as error:
            self._refuse(record, str(error))
        except Exception as error:  # the loop over records: one order must not keep the next ones away
            log.exception("an order could not be carried out", offset=record.offset)
            self._refuse(record, repr(error))
        else:
            if subject.startswith("budget/"):
                in_force = order is not None and order.document is not None
                (self._budgets.add if in_force else self._budgets.discard)(subject)
                self._metrics.budgets.set(len(self._budgets))

    def _refuse(self, record: ConsumerRecord, reason: str) -> None:
        subject = (record.key or b"").decode(errors="replace")
        self._metrics.refused.labels(subject).inc()
        log.error("order refused, the last good one stays", subject=subject, offset=record.offset, reason=reason)


async def read_orders(settings: Settings) -> dict[str, Order]:
    """The latest order of every subject that has one; what cannot be read is left out, and would be written anew.

    Raises:
        KafkaError, TimeoutError: the log cannot be read now.
    """
    consumer = create_consumer(settings.kafka, "driftline-orders-once")
    orders: dict[str, Order] = {}
    try:
        async with asyncio.timeout(START_SECONDS):
            await consumer.start()
            async for record in read_to_end(consumer, TopicPartition(settings.topic(ORDERS.name), 0)):
                orders.pop((record.key or b"").decode(errors="replace"), None)
                with suppress(ValueError, msgspec.DecodeError):
                    subject, order = read_order(record)
                    if order is not None:
                        orders[subject] = order
    finally:
        await consumer.stop()
    return orders


async def write_orders(settings: Settings, orders: Iterable[Order]) -> None:
    """Write orders, in their order; returns when all are acknowledged.

    Raises:
        KafkaError, TimeoutError: not acknowledged; they may have been written all the same.
    """
    producer = create_producer(settings.kafka, "driftline-orders")
    try:
        async with asyncio.timeout(START_SECONDS):
            await producer.start()
            for order in orders:
                topic = settings.topic(ORDERS.name)
                await producer.send_and_wait(topic, encode_order(order), key=order.subject.encode(), partition=0)
    finally:
        await producer.stop()

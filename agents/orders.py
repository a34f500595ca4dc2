"""The orders topic, for every role: follow it, or read it once and write what differs.

One partition, so that orders have one order. An order that cannot be taken is counted and left out: what was in force
before stays.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec
import structlog
from aiokafka import ConsumerRecord, TopicPartition

from agents.kafka.clients import create_consumer, create_producer, read_to_end
from agents.kafka.topic_reader import START_SECONDS, TopicReader
from agents.kafka.topics import ORDERS
from agents.metrics import OrdersMetrics
from agents.settings import Settings
from budgets.order import Order, decode_order, encode_order
from budgets.spec.resolve import SCHEMA, budget_of_order

log = structlog.get_logger()

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


class OrderReader(TopicReader):
    """Hands every order to `on_order`, each once and in order, from the first one of the log on."""

    def __init__(self, settings: Settings, on_order: OnOrder, metrics: OrdersMetrics) -> None:
        super().__init__(settings, ORDERS, "orders")
        self._on_order = on_order
        self._metrics = metrics
        self._latest: dict[bytes | None, bytes | None] = {}
        self._budgets: set[str] = set()

    def take(self, record: ConsumerRecord) -> None:
        """Hand over an order, unless it says what is known."""
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

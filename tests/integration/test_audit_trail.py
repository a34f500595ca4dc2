"""The audit trail on a real log: complete after any pause, written once by any number of roles, true to its chain."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from agents.kafka.clients import create_producer
from agents.kafka.topics import AUDIT
from agents.metrics import OrdersMetrics
from agents.orders import OrderReader, write_orders
from agents.settings import Settings
from agents.storage.audit import AuditStore
from agents.storage.database import open_database
from agents.web.audit_trail import AuditTrail
from budgets.audit import BEGINNING, AuditRecord, decode_record, encode_record
from budgets.baseline_order import BaselineDocument, document_of
from budgets.order import Order
from tests.faults.stored import read_topic
from tests.servers.embedded import EmbeddedBroker

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(embedded_broker: EmbeddedBroker) -> Settings:
    return Settings(kafka=embedded_broker.kafka, step=1000)


def order(version: int, at: int, indicator: str = "api/latency") -> Order:
    document = BaselineDocument(indicator, version, "update")
    return Order(f"baseline/{indicator}", document_of(document), "alice", at, at)


@asynccontextmanager
async def auditing(settings: Settings, database: Path) -> AsyncIterator[tuple[AuditTrail, AuditStore]]:
    engine = await open_database(f"sqlite+aiosqlite:///{database}")
    store = AuditStore(engine)
    trail = AuditTrail(settings, store)
    orders = OrderReader(settings, trail.on_order, OrdersMetrics(CollectorRegistry()))
    task = asyncio.create_task(trail.run())
    await orders.start()
    try:
        yield trail, store
    finally:
        await orders.stop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await engine.dispose()


async def kept(store: AuditStore, count: int) -> list[AuditRecord]:
    """The records, oldest first, as soon as there are so many."""
    deadline = time.monotonic() + 20
    while True:
        found = [record for _, record in await store.newest(None, None, 1000)][::-1]
        if len(found) >= count:
            assert len(found) == count
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)


def versions_of(records: list[AuditRecord], side: Callable[[AuditRecord], dict[str, object] | None]) -> list[object]:
    return [None if (document := side(record)) is None else document["version"] for record in records]


async def test_every_order_is_audited_once_with_what_it_replaced(settings: Settings, tmp_path: Path) -> None:
    await write_orders(settings, [order(1, 10), order(2, 20)])
    async with auditing(settings, tmp_path / "one.db") as (trail, store):
        await kept(store, 2)
        await write_orders(settings, [order(3, 30)])
        await kept(store, 3)
        assert trail.problem is None
    # While nobody audits, people go on giving orders.
    await write_orders(settings, [order(1, 40, "api/throughput"), order(4, 50)])
    async with auditing(settings, tmp_path / "one.db") as (_, store):
        records = await kept(store, 5)
    assert versions_of(records, lambda record: record.after) == [1, 2, 3, 1, 4]
    assert versions_of(records, lambda record: record.before) == [None, 1, 2, None, 3]
    assert records[0].previous == BEGINNING
    assert all(after.previous == before.hash for before, after in pairwise(records))
    stored = [decode_record(record.value) for record in await read_topic(settings, AUDIT.name, 0)]
    assert stored == records


async def test_two_who_audit_write_one_chain(settings: Settings, tmp_path: Path) -> None:
    given = [order(number, number * 10) for number in range(1, 21)]
    async with auditing(settings, tmp_path / "a.db") as (_, a), auditing(settings, tmp_path / "b.db") as (_, b):
        for each in given:
            await write_orders(settings, [each])
        assert await kept(a, 20) == await kept(b, 20)


async def test_a_record_that_somebody_changed_is_noticed(settings: Settings, tmp_path: Path) -> None:
    await write_orders(settings, [order(1, 10)])
    async with auditing(settings, tmp_path / "a.db") as (_, store):
        (record,) = await kept(store, 1)
    with pytest.raises(ValueError, match="somebody changed it"):
        decode_record(encode_record(msgspec.structs.replace(record, by="mallory")))
    producer = create_producer(settings.kafka, "test")
    await producer.start()
    await producer.send_and_wait(settings.topic(AUDIT.name), b"no record", partition=0)
    await producer.stop()
    await write_orders(settings, [order(2, 20)])
    async with auditing(settings, tmp_path / "a.db") as (trail, store):
        await kept(store, 2)
        assert trail.breaks == 1

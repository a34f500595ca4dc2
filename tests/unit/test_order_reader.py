"""What a role makes of records of the orders topic, on a log in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry

from agents.kafka import topic_reader as subject
from agents.metrics import OrdersMetrics
from agents.orders import OrderReader
from agents.settings import Settings
from budgets.order import Order, encode_order
from budgets.spec.load import load_budgets
from budgets.spec.resolve import document_of


@dataclass
class Record:
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass
class Log:
    """The orders topic. away: nobody answers."""

    records: list[Record] = field(default_factory=list)
    away: bool = False
    connections: int = 0

    def append(self, key: str | bytes, value: bytes | None) -> None:
        self.records.append(Record(len(self.records), key.encode() if isinstance(key, str) else key, value))

    def order(self, service: str = "api", effective_at: int = 1, rps: int = 1) -> None:
        text = f'{{"{service}": {{"throughput": {{"min_rps": {rps}}}}}}}'
        (budget,) = load_budgets(text, "b.json", step_ms=1000)
        order = Order(f"budget/{service}", document_of(budget), "files", 1, effective_at)
        self.append(order.subject, encode_order(order))


class Consumer:
    """The part of an aiokafka consumer that the reader uses."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._position = 0

    def _answer(self) -> None:
        if self._log.away:
            raise KafkaConnectionError("nobody there")

    async def start(self) -> None:
        self._answer()
        self._log.connections += 1

    async def stop(self) -> None:
        return

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        assert list(partitions) == [TopicPartition("driftline.orders", 0)]

    def seek(self, _: TopicPartition, offset: int) -> None:
        self._position = offset

    async def position(self, _: TopicPartition) -> int:
        return self._position

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._answer()
        first = self._log.records[0].offset if self._log.records else 0
        return dict.fromkeys(partitions, first)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._answer()
        end = self._log.records[-1].offset + 1 if self._log.records else 0
        return dict.fromkeys(partitions, end)

    async def getmany(self, partition: TopicPartition, *, timeout_ms: int) -> dict[TopicPartition, list[Record]]:
        self._answer()
        found = [record for record in self._log.records if record.offset >= self._position]
        if not found:
            await asyncio.sleep(min(0.001, timeout_ms / 1000))
            return {}
        self._position = found[-1].offset + 1
        return {partition: found}


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(subject, "create_consumer", lambda *_: Consumer(log))
    monkeypatch.setattr(subject, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(subject, "CHECK_SECONDS", 0.005)
    monkeypatch.setattr(subject, "START_SECONDS", 0.3)
    return log


@dataclass
class Role:
    """What a role heard."""

    reader: OrderReader
    registry: CollectorRegistry
    heard: list[tuple[str, int | None]]

    def refused(self, key: str) -> float | None:
        return self.registry.get_sample_value("driftline_orders_refused_total", {"subject": key})

    def budgets(self) -> float | None:
        return self.registry.get_sample_value("driftline_budgets")


def create_role(on_order: Callable[[str, Order | None], None] | None = None) -> Role:
    heard: list[tuple[str, int | None]] = []
    registry = CollectorRegistry()

    def hear(key: str, order: Order | None) -> None:
        if on_order is not None:
            on_order(key, order)
        heard.append((key, order.effective_at if order else None))

    return Role(OrderReader(Settings(), hear, OrdersMetrics(registry)), registry, heard)


@asynccontextmanager
async def running(on_order: Callable[[str, Order | None], None] | None = None) -> AsyncIterator[Role]:
    role = create_role(on_order)
    await role.reader.start()
    try:
        yield role
    finally:
        await role.reader.stop()


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


async def test_a_start_hands_over_every_order_and_then_follows(log: Log) -> None:
    log.order("api", 1)
    log.order("shop", 2)
    log.append("budget/api", None)
    async with running() as role:
        assert role.heard == [("budget/api", 1), ("budget/shop", 2), ("budget/api", None)]
        assert (role.reader.problem, role.budgets()) == (None, 1.0)
        log.order("api", 3)
        await until(lambda: role.heard[-1] == ("budget/api", 3))
        assert role.budgets() == 2.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("budget/api", b"{"),
        ("budget/api", b'{"subject": "budget/api"}'),
        ("budget/api", encode_order(Order("budget/api", {"service": "api"}, "me", 1, 2))),
        ("budget/api", encode_order(Order("budget/shop", None, "me", 1, 2))),
        ("budget/api", encode_order(Order("budget/api", None, "me", 1, 2, schema=2))),
        ("api", encode_order(Order("api", None, "me", 1, 2))),
    ],
)
async def test_an_order_that_cannot_be_read_is_counted_and_the_last_good_one_stays(
    log: Log, key: str, value: bytes
) -> None:
    log.order("api", 1)
    log.append(key, value)
    log.order("shop", 2)
    async with running() as role:
        assert role.heard == [("budget/api", 1), ("budget/shop", 2)]
        assert role.refused(key) == 1.0
        assert role.budgets() == 2.0


async def test_a_key_that_is_no_text_is_refused(log: Log) -> None:
    log.append(b"\xff", b"{}")
    async with running() as role:
        assert role.heard == []
        assert role.refused("\ufffd") == 1.0


async def test_a_role_that_cannot_carry_out_an_order_goes_on_with_the_next(log: Log) -> None:
    def fail_on_api(key: str, _: Order | None) -> None:
        if key == "budget/api":
            raise KeyError("a bug of the role")

    log.order("api", 1)
    log.order("shop", 2)
    async with running(fail_on_api) as role:
        assert role.heard == [("budget/shop", 2)]
        assert role.refused("budget/api") == 1.0


async def test_the_same_record_again_is_not_handed_over_again(log: Log) -> None:
    log.order("api", 1)
    log.order("api", 1)
    async with running() as role:
        assert role.heard == [("budget/api", 1)]


async def test_a_log_that_begins_anew_is_read_from_its_beginning(log: Log) -> None:
    log.order("api", 1)
    log.order("shop", 1)
    async with running() as role:
        log.records.clear()
        log.order("api", 5)
        await until(lambda: role.heard[-1] == ("budget/api", 5))
        assert role.reader.problem is None


async def test_an_outage_is_told_and_over_without_a_restart(log: Log) -> None:
    log.order("api", 1)
    async with running() as role:
        log.away = True
        await until(lambda: role.reader.problem is not None)
        log.order("shop", 2)
        log.away = False
        await until(lambda: role.heard == [("budget/api", 1), ("budget/shop", 2)])
        await until(lambda: role.reader.problem is None)
        assert log.connections == 2


async def test_a_start_without_kafka_says_so_and_can_be_repeated(log: Log) -> None:
    log.away = True
    role = create_role()
    with pytest.raises(TimeoutError, match=r"orders cannot be read from 127\.0\.0\.1:9092, topic driftline\.orders"):
        await role.reader.start()
    assert role.reader.problem is not None
    log.away = False
    log.order("api", 1)
    await role.reader.start()
    assert role.heard == [("budget/api", 1)]
    assert not role.reader.problem
    await role.reader.stop()


async def test_a_reader_that_was_never_started_can_be_stopped(log: Log) -> None:
    await create_role().reader.stop()

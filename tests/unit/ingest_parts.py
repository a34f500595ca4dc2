"""What the tests of ingest share: budgets, requests, and a Kafka producer that remembers."""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from agents.ingest.elections import Elections, Replica
from agents.ingest.known_requests import KnownRequests
from agents.ingest.known_series import KnownSeries
from agents.ingest.pairs import HaLabels
from agents.ingest.routes import Routes
from agents.ingest.sorting import Sorter
from budgets.spec.model import IndicatorSpec, ServiceBudget
from streams.wire.encode import encode_write_request
from streams.wire.labels import parse_labels
from streams.wire.limits import WireLimits
from streams.wire.request import compress, split_series
from streams.wire.samples import read_samples
from streams.wire.symbols import SeriesMemory

NOW_MS = 1_764_000_000_000
Series = tuple[Mapping[str, str], Sequence[tuple[int, float]]]


def budget_of(service: str, *exprs: str, weight_expr: str | None = None) -> ServiceBudget:
    specs = (
        IndicatorSpec(f"{service}/i{n}", service, f"i{n}", "custom", expr, "1", "above", weight_expr=weight_expr)
        for n, expr in enumerate(exprs)
    )
    return ServiceBudget(service, tuple(specs))


def requests_total(service: str) -> str:
    return f'sum(rate(http_requests_total{{service="{service}"}}[5m]))'


def series(name: str, sample: tuple[int, float] = (NOW_MS, 1.0), /, **labels: str) -> Series:
    return {"__name__": name, **labels}, [sample]


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Return when the condition holds; it may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while not (await answer if inspect.isawaitable(answer := condition()) else answer):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.001)


def body_of(*of: Series) -> bytes:
    return compress(encode_write_request(of))


def samples_of(value: bytes) -> list[tuple[dict[str, str], int, float]]:
    """Every sample of a record, as (labels, time, value)."""
    batch = read_samples(split_series(value))
    return [
        (dict(parse_labels(batch.blobs[index])), int(at_ms), float(number))
        for index, at_ms, number in zip(batch.series, batch.timestamps_ms, batch.values, strict=True)
    ]


def create_sorter(
    routes: Routes,
    limits: WireLimits | None = None,
    max_series: int = 1000,
    elections: Elections | None = None,
    known: KnownSeries | None = None,
    most_bytes: int = 1 << 20,
) -> Sorter:
    known = known if known is not None else KnownSeries(1000, 1 << 20)
    memory = SeriesMemory(1 << 20)
    return Sorter(
        routes,
        known,
        KnownRequests(known, memory, most_bytes),
        memory,
        limits or WireLimits(),
        max_series,
        HaLabels("cluster", "__replica__"),
        elections or Elections(20_000, lambda: 0.0),
    )


class NoPairs:
    """In place of `ReplicaLog`, where no series has HA labels."""

    async def settle(self, replicas: Iterable[Replica]) -> None:
        raise AssertionError(f"not expected: {list(replicas)}")

    def renew(self, replicas: Iterable[Replica]) -> None:
        assert list(replicas) == []


def routes_of(*budgets: ServiceBudget) -> Routes:
    routes = Routes()
    for budget in budgets:
        routes.define(budget.service, budget, 0)
    return routes


class FakeBatch:
    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes]] = []

    def append(self, *, timestamp: int | None, key: bytes, value: bytes) -> object:
        assert timestamp is None, "the broker says what time it is"
        self.records.append((key, value))
        return object()

    def close(self) -> None:
        pass


class _FakeClient:
    async def close(self) -> None:
        pass


class _FakeSender:
    sender_task = None


@dataclass
class FakeKafka:
    """A broker in memory. `away`: nothing is acknowledged. `refuses`: every batch fails so."""

    partitions: int = 4
    away: bool = False
    refuses: KafkaError | None = None
    has_topic: bool = True
    batches: list[tuple[int, list[tuple[bytes, bytes]]]] = field(default_factory=list)
    attempts: int = 0
    started: int = 0
    stopped: int = 0
    offered: int = 0

    def producer(self) -> "FakeProducer":
        return FakeProducer(self)

    def records(self) -> list[tuple[bytes, bytes]]:
        """Every record with a value."""
        return [(key, value) for _, batch in self.batches for key, value in batch if value]

    def ticks(self) -> list[int]:
        """The partition of every tick."""
        return [number for number, batch in self.batches if batch == [(b"", b"")]]


class FakeProducer:
    """The part of aiokafka's producer that ingest uses."""

    def __init__(self, kafka: FakeKafka) -> None:
        self._kafka = kafka
        self._sender = _FakeSender()
        self.client = _FakeClient()

    async def start(self) -> None:
        self._kafka.attempts += 1
        if self._kafka.away:
            raise KafkaError("nobody listens")
        self._kafka.started += 1

    async def flush(self) -> None:
        pass

    async def stop(self) -> None:
        self._kafka.stopped += 1

    async def partitions_for(self, topic: str) -> set[int]:
        if not self._kafka.has_topic:
            raise UnknownTopicOrPartitionError(topic)
        return set(range(self._kafka.partitions))

    def create_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> "asyncio.Future[object]":
        self._kafka.offered += 1
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self._kafka.refuses is not None:
            future.set_exception(self._kafka.refuses)
        elif not self._kafka.away:
            self._kafka.batches.append((partition, batch.records))
            future.set_result(TopicPartition(topic, partition))
        return future

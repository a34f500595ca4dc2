"""Ingest's sorting and the worker's Meters in one process: what each part costs, and nothing else's noise.

Without Kafka, HTTP and Judge. Requests go through the real Sorter and through the real lanes, a partition each, so
records are as large as they are in production; what a lane would send goes to that partition's Meter, joined as the
worker joins records.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agents.ingest.elections import Elections
from agents.ingest.known_requests import KnownRequests
from agents.ingest.known_series import KnownSeries
from agents.ingest.lane import Lane, Part, Record, Ticket
from agents.ingest.main import BYTES_PER_BLOB, IDLE_SECONDS
from agents.ingest.pairs import HaLabels
from agents.ingest.routes import Routes
from agents.ingest.sorting import Sorter
from agents.kafka.partitions import partition_of
from agents.settings import IngestSettings, Settings
from agents.worker.block import Block
from budgets.spec.model import ServiceBudget
from budgets.spec.resolve import queries_of
from streams.meter import Meter, Observed
from streams.wire.limits import DEFAULT_LIMITS
from streams.wire.symbols import SeriesMemory


@dataclass(slots=True)
class Cost:
    """CPU-seconds: ingest's decoding and sorting, the Meters' observe, their steps. samples: that a budget needs."""

    sorting: float = 0.0
    observing: float = 0.0
    stepping: float = 0.0
    samples: int = 0

    @property
    def total(self) -> float:
        """All parts."""
        return self.sorting + self.observing + self.stepping

    def since(self, before: "Cost") -> "Cost":
        """What has come in addition."""
        return Cost(
            self.sorting - before.sorting,
            self.observing - before.observing,
            self.stepping - before.stepping,
            self.samples - before.samples,
        )


@dataclass(slots=True)
class Message:
    """A record as the worker reads it."""

    key: bytes | None
    value: bytes | None


class Pipeline:
    """From bodies of requests to frames of indicators.

    known: ingest's cache of label sections. meters: one a partition. cost: so far. points: values in frames, so far.
    """

    def __init__(self, budgets: Sequence[ServiceBudget], partitions: int) -> None:
        settings, own = Settings(), IngestSettings()
        self.known = KnownSeries(own.max_cached_blobs, own.max_cached_blobs * BYTES_PER_BLOB)
        self.meters = [Meter(settings.step, settings.evaluation_delay) for _ in range(partitions)]
        self.cost = Cost()
        self.points = 0
        self._lanes = [Lane(number) for number in range(partitions)]
        self._numbers: dict[bytes, int] = {}
        self._records: list[tuple[int, Record]] = []
        self._blocks = [Block[Message]() for _ in range(partitions)]
        self._aged_ms: int | None = None
        routes = Routes()
        for budget in budgets:
            number = self._numbers[budget.service.encode()] = partition_of(budget.service, partitions)
            routes.define(budget.service, budget, 0)
            self.meters[number].define(budget.service, queries_of(budget), 0)
        memory = SeriesMemory(own.max_cached_blobs * BYTES_PER_BLOB)
        ha_labels = HaLabels(own.ha.cluster_label, own.ha.replica_label)
        elections = Elections(own.ha.failover_timeout, lambda: 0)
        requests = KnownRequests(self.known, memory, own.max_remembered_bytes)
        self._sorter = Sorter(
            routes, self.known, requests, memory, DEFAULT_LIMITS, own.max_series, ha_labels, elections
        )

    @property
    def series_count(self) -> int:
        """Series that have a window."""
        return sum(meter.series_count for meter in self.meters)

    @property
    def byte_count(self) -> int:
        """What they take by the Meters' own count."""
        return sum(meter.byte_count for meter in self.meters)

    async def take(self, bodies: Sequence[bytes], log_time_ms: int) -> None:
        """Requests that come at once, and the steps that close by then."""
        started = time.process_time()
        self._keep_house(log_time_ms)
        writing = [asyncio.create_task(lane.run(self._send)) for lane in self._lanes]
        tickets = [ticket for body in bodies if (ticket := self._sort(body)) is not None]
        await asyncio.gather(*(ticket.failure for ticket in tickets))
        for task in writing:
            task.cancel()
        await asyncio.gather(*writing, return_exceptions=True)
        sorted_at = time.process_time()
        for number, record in self._records:
            if self._blocks[number].is_due(log_time_ms, is_behind=False):
                self._observe(number)
            self._blocks[number].put(Message(*record), log_time_ms)
        for number in range(len(self.meters)):
            self._observe(number)
        observed_at = time.process_time()
        for meter in self.meters:
            self.points += sum(len(frame.points.id) for frame in meter.advance(log_time_ms))
        self.cost.sorting += sorted_at - started
        self.cost.observing += observed_at - sorted_at
        self.cost.stepping += time.process_time() - observed_at
        self._records.clear()

    def _keep_house(self, now_ms: int) -> None:
        """What ingest does once in a while, by the time of the records instead of the clock."""
        if self._aged_ms is None:
            self._aged_ms = now_ms
        if now_ms - self._aged_ms > IDLE_SECONDS * 1000:
            self._aged_ms = now_ms
            self.known.age()

    def _sort(self, body: bytes) -> Ticket | None:
        result = self._sorter.sort(body)
        assert not result.refused_series
        self.cost.samples += result.samples
        if not result.parts:
            return None
        ticket = Ticket(len(result.parts))
        for service, value in result.parts:
            self._lanes[self._numbers[service]].put(Part(service, value, ticket))
        return ticket

    def _observe(self, number: int) -> None:
        for _, observed in self._blocks[number].take_into(self.meters[number]):
            assert isinstance(observed, Observed)
            assert not observed.dropped

    async def _send(self, partition: int, records: list[Record]) -> None:
        self._records += [(partition, record) for record in records]

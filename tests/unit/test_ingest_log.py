"""The way into Kafka: batches, acknowledgements, ticks, and what happens when Kafka goes away and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber
from prometheus_client import CollectorRegistry

from agents.ingest.records import MAX_RECORD_BYTES
from agents.ingest.sample_log import LogUnavailableError, SampleLog
from agents.kafka.partitions import partition_of
from agents.metrics import IngestMetrics
from tests.unit.ingest_parts import FakeKafka, until


@asynccontextmanager
async def running(kafka: FakeKafka, max_pending_bytes: int = 10_000_000) -> AsyncIterator[SampleLog]:
    log = SampleLog(
        "samples",
        kafka.producer,
        IngestMetrics(CollectorRegistry()),
        max_pending_bytes,
        delivery_seconds=0.2,
    )
    task = asyncio.create_task(log.run())
    try:
        yield log
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert kafka.stopped >= kafka.started


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.ingest.sample_log.RETRY_SECONDS", 0.01)
    monkeypatch.setattr("agents.ingest.sample_log.TICK_SECONDS", 0.02)


async def test_every_part_is_written_to_the_partition_of_its_service() -> None:
    kafka = FakeKafka()
    async with running(kafka) as log:
        await until(lambda: log.problem is None)
        await log.write([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
        assert sorted(kafka.records()) == [(b"a", b"13"), (b"b", b"2")]
        assert {number for number, batch in kafka.batches if (b"b", b"2") in batch} == {partition_of("b", 4)}
        assert log.pending_bytes == 0


async def test_concurrent_requests_share_a_batch_and_a_record() -> None:
    kafka = FakeKafka(partitions=1)
    async with running(kafka) as log:
        await until(lambda: log.problem is None)
        await asyncio.gather(*(log.write([(b"a", b"%d" % n), (b"b", b"x")]) for n in range(5)))
        (batch,) = [records for _, records in kafka.batches if records != [(b"", b"")]]
        assert batch == [(b"a", b"01234"), (b"b", b"xxxxx")]


async def test_batches_stay_below_what_brokers_take() -> None:
    kafka = FakeKafka(partitions=1)
    async with running(kafka) as log:
        await until(lambda: log.problem is None)
        await asyncio.gather(*(log.write([(b"a", bytes([65 + n]) * 300_000)]) for n in range(7)))
        sizes = [sum(len(value) for _, value in records) for _, records in kafka.batches]
        assert max(sizes) <= MAX_RECORD_BYTES
        assert b"".join(value for _, value in kafka.records()) == b"".join(bytes([65 + n]) * 300_000 for n in range(7))


async def test_every_partition_is_ticked() -> None:
    kafka = FakeKafka(partitions=3)
    async with running(kafka):
        await until(lambda: set(kafka.ticks()) == {0, 1, 2})


async def test_nothing_is_written_before_kafka_is_there_and_then_it_is() -> None:
    kafka = FakeKafka(away=True)
    async with running(kafka) as log:
        await until(lambda: log.problem == "Kafka is not reachable")
        with pytest.raises(LogUnavailableError, match="not reachable"):
            await log.write([(b"a", b"1")])
        kafka.away = False
        await until(lambda: log.problem is None)
        await log.write([(b"a", b"1")])
        assert kafka.records() == [(b"a", b"1")]


async def test_a_missing_topic_is_named() -> None:
    kafka = FakeKafka(has_topic=False)
    async with running(kafka) as log:
        await until(lambda: log.problem == "topic samples does not exist (driftline topics create)")
        kafka.has_topic = True
        await until(lambda: log.problem is None)


async def test_what_is_not_acknowledged_in_time_is_refused_and_the_producer_replaced() -> None:
    kafka = FakeKafka()
    async with running(kafka) as log:
        await until(lambda: log.problem is None)
        kafka.away = True
        waiting = [log.write([(b"a", b"1")]), log.write([(b"b", b"2"), (b"a", b"3")])]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(answer) for answer in answers] == ["Kafka does not acknowledge"] * 2
        assert log.pending_bytes == 0
        started = kafka.started
        kafka.away = False
        await until(lambda: log.problem is None)
        assert kafka.started == started + 1
        await log.write([(b"a", b"4")])
        assert kafka.records() == [(b"a", b"4")]


@pytest.mark.parametrize("error", [OutOfOrderSequenceNumber(), KafkaError("refused")])
async def test_a_producer_that_sticks_is_dropped_and_made_anew(error: KafkaError) -> None:
    kafka = FakeKafka()
    async with running(kafka) as log:
        await until(lambda: log.problem is None)
        kafka.refuses = error
        with pytest.raises(LogUnavailableError):
            await log.write([(b"a", b"1")])
        kafka.refuses = None
        await until(lambda: log.problem is None)
        await log.write([(b"a", b"1")])


async def test_silence_is_noticed_without_any_request() -> None:
    kafka = FakeKafka()
    async with running(kafka) as log:
        await until(lambda: log.problem is None)
        kafka.away = True
        await until(lambda: log.problem is not None)
        offered, attempts = kafka.offered, kafka.attempts
        await until(lambda: kafka.attempts >= attempts + 5)
        assert kafka.offered == offered


async def test_too_many_waiting_bytes_are_refused_at_once_but_never_a_lone_request() -> None:
    kafka = FakeKafka()
    async with running(kafka, max_pending_bytes=100) as log:
        await until(lambda: log.problem is None)
        await log.write([(b"a", b"x" * 500)])
        first = asyncio.create_task(log.write([(b"a", b"x" * 60)]))
        await until(lambda: log.pending_bytes)
        with pytest.raises(LogUnavailableError, match="too many bytes"):
            await log.write([(b"a", b"x" * 60)])
        await first
        await log.write([(b"a", b"x" * 60)])


async def test_stopping_answers_what_still_waits() -> None:
    kafka = FakeKafka()
    async with running(kafka) as log:
        await until(lambda: log.problem is None)
        kafka.away = True
        waiting = asyncio.create_task(log.write([(b"a", b"1")]))
        await until(lambda: log.pending_bytes)
    with pytest.raises(LogUnavailableError):
        await waiting

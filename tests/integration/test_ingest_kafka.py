"""A real ingest process on real brokers: samples arrive where workers look for them, through changes and outages."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest
from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry

from agents.ingest.sample_log import LogUnavailableError, SampleLog
from agents.kafka.clients import create_producer
from agents.kafka.partitions import partition_of
from agents.kafka.topics import SAMPLES
from agents.metrics import IngestMetrics
from agents.orders import write_orders
from agents.settings import KafkaSettings, Settings
from agents.stack import free_port
from budgets.order import Order
from budgets.spec.resolve import document_of
from tests.faults.stored import read_topic
from tests.servers.embedded import EmbeddedBroker
from tests.servers.ingest import Ingest, declare, run_ingest
from tests.servers.kafka import run_kafka
from tests.servers.waiting import until
from tests.unit.ingest_parts import NOW_MS, Series, body_of, budget_of, requests_total, samples_of, series

HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
PARTITIONS = 4


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.integration)])
async def kafka(request: pytest.FixtureRequest, topic_prefix: str) -> KafkaSettings:
    if request.param == "embedded":
        broker: EmbeddedBroker = request.getfixturevalue("embedded_broker")
        return broker.kafka
    cluster = request.getfixturevalue("apache_kafka")
    return KafkaSettings(bootstrap=cluster.bootstrap, topic_prefix=topic_prefix, partitions=PARTITIONS)


async def post(ingest: Ingest, *of: Series) -> int:
    async with (
        aiohttp.ClientSession(headers=HEADERS) as session,
        session.post(ingest.write_url, data=body_of(*of)) as answer,
    ):
        assert (answer.status == 503) == ("Retry-After" in answer.headers)
        return answer.status


async def records(settings: Settings) -> dict[int, list[ConsumerRecord]]:
    return {number: await read_topic(settings, SAMPLES.name, number) for number in range(PARTITIONS)}


async def test_samples_arrive_in_their_services_partitions_and_every_partition_ticks(kafka: KafkaSettings) -> None:
    services = ("a", "b", "auth-service", "policy-service")
    settings = await declare(kafka, [budget_of(service, requests_total(service)) for service in services])
    with run_ingest(kafka) as ingest:
        for n in range(3):
            request = [series("http_requests_total", (NOW_MS + n, 1.0), service=service) for service in services]
            assert await post(ingest, *request, series("up")) == 204
        found = await records(settings)
        for service in services:
            mine = [r for r in found[partition_of(service, PARTITIONS)] if r.key == service.encode()]
            labels = {"__name__": "http_requests_total", "service": service}
            samples = [sample for record in mine for sample in samples_of(record.value)]
            assert samples == [(labels, NOW_MS + n, 1.0) for n in range(3)]

        async def all_tick() -> bool:
            return all(any(r.value == b"" for r in some) for some in (await records(settings)).values())

        await until(all_tick, 10, "every partition has a tick")


async def test_a_changed_budget_is_served_without_a_restart(kafka: KafkaSettings) -> None:
    settings = await declare(kafka, [budget_of("a", "old")])
    with run_ingest(kafka) as ingest:
        assert await post(ingest, series("old"), series("new")) == 204
        now_ms = round(time.time() * 1000)
        await write_orders(settings, [Order("budget/a", document_of(budget_of("a", "new")), "test", now_ms, now_ms)])

        async def is_new_stored() -> bool:
            assert await post(ingest, series("old"), series("new")) == 204
            found = (await records(settings))[partition_of("a", PARTITIONS)]
            names = [labels["__name__"] for r in found if r.value for labels, *_ in samples_of(r.value)]
            assert names.count("old") > names.count("new")  # the old selector is served for some minutes
            return "new" in names

        await until(is_new_stored, 10, "the new selector is served")


@pytest.mark.integration
async def test_a_start_without_kafka_waits_and_says_so() -> None:
    port = free_port()
    kafka = KafkaSettings(bootstrap=f"127.0.0.1:{port}", partitions=PARTITIONS)
    with run_ingest(kafka, ready=False) as ingest:
        await until(lambda: ingest.why_not_ready() in {"connecting to Kafka", "Kafka is not reachable"}, 20, "503")
        assert await post(ingest, series("up")) == 503
        with run_kafka(ports=[port]):
            missing = "topic driftline.samples does not exist (driftline topics create)"
            await until(lambda: ingest.why_not_ready() == missing, 30, "the missing topic is named")
            await declare(kafka, [budget_of("a", "up")])
            await until(lambda: ingest.why_not_ready() is None, 40, "ready without a restart")
            assert await post(ingest, series("up")) == 204
            assert "Traceback" not in ingest.log_text()


@pytest.fixture
async def log(embedded_broker: EmbeddedBroker) -> AsyncIterator[SampleLog]:
    kafka = embedded_broker.kafka
    log = SampleLog(
        "driftline.samples",
        lambda: create_producer(kafka, "test"),
        IngestMetrics(CollectorRegistry()),
        max_pending_bytes=1 << 20,
        delivery_seconds=1.0,
    )
    task = asyncio.create_task(log.run())
    yield log
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def leftovers() -> list[str]:
    """What given-up producers still do."""
    return [text for task in asyncio.all_tasks() if "aiokafka/producer" in (text := repr(task))]


async def test_a_broker_that_hangs_is_given_up_and_found_again(embedded_broker: EmbeddedBroker, log: SampleLog) -> None:
    """Stopped in the middle, it keeps its connections open and answers nothing."""
    assert embedded_broker.process is not None
    tasks = []
    for n in range(3):
        await until(lambda: log.problem is None, 30, "connected")
        await log.write([(b"a", b"%d" % n)])
        embedded_broker.process.send_signal(signal.SIGSTOP)
        with pytest.raises(LogUnavailableError):
            await log.write([(b"a", b"lost?")])
        assert log.problem is not None
        assert log.pending_bytes == 0
        await until(lambda: leftovers() == [], 30, "the producer is gone while the broker still hangs")
        embedded_broker.process.send_signal(signal.SIGCONT)
        await until(lambda: log.problem is None and not log.closing, 30, "connected again")
        tasks.append(len(asyncio.all_tasks()))
    assert tasks[0] == tasks[1] == tasks[2]

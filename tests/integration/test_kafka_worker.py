"""The worker on both brokers: silence, unreadable records, its own death, and a Kafka that goes away."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from agents.kafka.clients import create_consumer, create_producer, read_to_end
from agents.kafka.codecs import decode_alert
from agents.kafka.partitions import partition_of
from agents.kafka.topics import ALERTS, DEAD_LETTER, INDICATORS, SAMPLES
from agents.settings import KafkaSettings, Settings, load_settings
from agents.supervisor import Child
from budgets.event import AlertEvent
from budgets.spec.load import load_budgets
from streams.frame import decode_frame
from streams.wire.encode import encode_write_request
from tests.servers.ingest import declare
from tests.servers.kafka import KafkaCluster
from tests.servers.roles import run_role
from tests.servers.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

PARTITIONS = 4
PLACE = partition_of("api", PARTITIONS)
BUDGET = {
    "api": {
        "window": "5s",
        "for": "1s",
        "keep_firing_for": "1s",
        "throughput": {"min_rps": 100, "warning_threshold": 0.9, "critical_threshold": 0.5},
    }
}


@pytest.fixture(params=["embedded", "apache"])
def kafka(request: pytest.FixtureRequest) -> Iterator[KafkaSettings]:
    if request.param == "embedded":
        yield request.getfixturevalue("embedded_broker").kafka
    else:
        cluster: KafkaCluster = request.getfixturevalue("apache_kafka")
        prefix: str = request.getfixturevalue("topic_prefix")
        yield KafkaSettings(bootstrap=cluster.bootstrap, topic_prefix=prefix, partitions=PARTITIONS)


class Writer:
    """Writes one service's counter to the samples topic, as ingest would."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._topic = settings.topic(SAMPLES.name)
        self._producer = producer
        self._total = 1.0
        self._last = time.time()

    async def write(self, rate: float) -> None:
        """One record for the time since the last one."""
        now = time.time()
        self._total += rate * (now - self._last)
        self._last = now
        labels = {"__name__": "http_requests_total", "service": "api", "instance": "a", "code": "200"}
        await self.write_bytes(encode_write_request([(labels, [(round(now * 1000), self._total)])]))

    async def write_bytes(self, value: bytes) -> None:
        """One record, whatever it is."""
        await self._producer.send_and_wait(self._topic, value, key=b"api", partition=PLACE)

    async def keep_writing(self, rate: float) -> None:
        """Twice a second, until cancelled."""
        while True:
            await self.write(rate)
            await asyncio.sleep(0.5)


@asynccontextmanager
async def writing(settings: Settings, rate: float) -> AsyncIterator[Writer]:
    producer = create_producer(settings.kafka, "test")
    await producer.start()
    writer = Writer(settings, producer)
    task = asyncio.create_task(writer.keep_writing(rate))
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await producer.stop()


async def prepare(kafka: KafkaSettings, directory: Path) -> tuple[Settings, dict[str, str]]:
    """Topics and the budget; the settings and the environment that gives them to a role."""
    environ = {
        "DRIFTLINE_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "DRIFTLINE_KAFKA__LOG_ID": kafka.log_id,
        "DRIFTLINE_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
        "DRIFTLINE_KAFKA__PARTITIONS": str(PARTITIONS),
        "DRIFTLINE_STEP": "1s",
        "DRIFTLINE_EVALUATION_DELAY": "1s",
        "DRIFTLINE_DATA_DIR": str(directory),
        "DRIFTLINE_WORKER__SESSION_TIMEOUT": "3s",
        "DRIFTLINE_WORKER__SNAPSHOT_EVERY": "2s",
    }
    settings = load_settings(environ=environ)
    await declare(settings.kafka, load_budgets(json.dumps(BUDGET), "budget.json", step_ms=settings.step))
    return settings, environ


async def records_of(settings: Settings, topic: str, partition: int) -> list[ConsumerRecord]:
    consumer = create_consumer(settings.kafka, "test")
    await consumer.start()
    try:
        return [record async for record in read_to_end(consumer, TopicPartition(settings.topic(topic), partition))]
    finally:
        await consumer.stop()


async def events_of(settings: Settings) -> list[AlertEvent]:
    partitions = [await records_of(settings, ALERTS.name, number) for number in range(PARTITIONS)]
    return sorted((decode_alert(record) for records in partitions for record in records), key=lambda event: event.at)


async def steps_of(settings: Settings) -> list[int]:
    return [decode_frame(record.value).at for record in await records_of(settings, INDICATORS.name, PLACE)]


async def heard(settings: Settings, transition: str) -> bool:
    return any(event.transition == transition for event in await events_of(settings))


async def readiness(worker: Child) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(worker.probe_url) as answer:
        return answer.status, await answer.text()


async def test_silence_makes_an_alert_stale_although_nobody_ticks(kafka: KafkaSettings, tmp_path: Path) -> None:
    settings, environ = await prepare(kafka, tmp_path)
    async with run_role("worker", environ):
        async with writing(settings, rate=20):
            await until(lambda: heard(settings, "firing"), 40, "too little throughput fires")
        await until(lambda: heard(settings, "stale"), 40, "the worker's own ticks close steps without data")
    ticks = [record for record in await records_of(settings, SAMPLES.name, PLACE) if not record.value]
    assert ticks


async def test_an_unreadable_record_is_set_aside_and_the_partition_goes_on(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    settings, environ = await prepare(kafka, tmp_path)
    async with run_role("worker", environ), writing(settings, rate=20) as writer:
        await until(lambda: heard(settings, "pending"), 40, "it works")
        await writer.write_bytes(b"\xff\xff not protobuf")
        broken_at = time.time() * 1000

        async def goes_on() -> bool:
            return max(await steps_of(settings)) > broken_at + 1000

        await until(goes_on, 30, "later steps are published")
    (record,) = await records_of(settings, DEAD_LETTER.name, 0)
    assert record.value == b"\xff\xff not protobuf"
    assert record.key == b"api"
    headers = dict(record.headers)
    assert headers["source-topic"] == settings.topic(SAMPLES.name).encode()
    assert headers["source-partition"] == str(PLACE).encode()
    (source,) = [r for r in await records_of(settings, SAMPLES.name, PLACE) if r.value == record.value]
    assert headers["source-offset"] == str(source.offset).encode()
    assert headers["reason"]


async def test_after_kill_9_it_goes_on_with_the_next_step(kafka: KafkaSettings, tmp_path: Path) -> None:
    settings, environ = await prepare(kafka, tmp_path)
    async with run_role("worker", environ) as worker, writing(settings, rate=20):
        await until(lambda: heard(settings, "firing"), 40, "too little throughput fires")
        assert worker.process is not None
        worker.process.kill()
        killed_at = time.time() * 1000

        async def is_back() -> bool:
            return max(await steps_of(settings)) > killed_at + 3000

        await until(is_back, 60, "steps after its death are published")
        assert worker.restarts == 1
    steps = await steps_of(settings)
    assert sorted(set(steps)) == list(range(min(steps), max(steps) + 1000, 1000)), "no step is missing"
    assert {event.episode for event in await events_of(settings)} == {(await events_of(settings))[0].episode}
    assert not await heard(settings, "resolved")


async def test_while_kafka_is_away_it_is_not_ready_and_comes_back_by_itself(
    own_kafka: KafkaCluster, tmp_path: Path
) -> None:
    settings, environ = await prepare(KafkaSettings(bootstrap=own_kafka.bootstrap, partitions=PARTITIONS), tmp_path)

    async def is_ready() -> bool:
        return (await readiness(worker))[0] == 200

    async def is_not_ready() -> bool:
        return (await readiness(worker))[0] == 503

    async with run_role("worker", environ) as worker:
        async with writing(settings, rate=20):
            await until(lambda: heard(settings, "firing"), 40, "too little throughput fires")
        await asyncio.to_thread(own_kafka.stop)
        await until(is_not_ready, 40, "it says that it cannot work")
        await asyncio.to_thread(own_kafka.start)
        await until(is_ready, 60, "ready again")
        async with writing(settings, rate=200):
            await until(lambda: heard(settings, "resolved"), 60, "enough throughput resolves")
    assert len({event.episode for event in await events_of(settings)}) == 1

"""Two replicas of one pair, two ingests, one Kafka: one replica at a time is stored, and a dead one is replaced."""

import asyncio
import sys
import time
from contextlib import suppress

import aiohttp
import pytest

from agents.kafka.topics import SAMPLES
from agents.settings import KafkaSettings, Settings
from tests.faults.stored import read_topic
from tests.servers.ingest import Ingest, declare, run_ingest
from tests.servers.waiting import until
from tests.unit.ingest_parts import body_of, budget_of, requests_total, samples_of, series

HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
PARTITIONS = 4
TIMEOUT_SECONDS = 4
EVERY_SECONDS = 0.2
# What the sending itself, two readings of the log and a slow machine may add to the timeout.
ROOM_SECONDS = 3


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.integration)])
async def kafka(request: pytest.FixtureRequest, topic_prefix: str) -> KafkaSettings:
    if request.param == "embedded":
        embedded: KafkaSettings = request.getfixturevalue("embedded_broker").kafka
        return embedded
    cluster = request.getfixturevalue("apache_kafka")
    return KafkaSettings(bootstrap=cluster.bootstrap, topic_prefix=topic_prefix, partitions=PARTITIONS)


class Sender:
    """A replica: one series, its value says who it is; every request goes to the next ingest, as behind a balancer."""

    def __init__(self, name: str, value: float, ingests: list[Ingest]) -> None:
        self._name = name
        self._value = value
        self._ingests = ingests
        self.statuses: list[int] = []
        self._task = asyncio.create_task(self._send())

    async def _send(self) -> None:
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            number = 0
            while True:
                sample = (round(time.time() * 1000), self._value)
                body = body_of(series("http_requests_total", sample, service="a", cluster="eu", __replica__=self._name))
                number += 1
                url = self._ingests[number % len(self._ingests)].write_url
                async with session.post(url, data=body) as answer:
                    self.statuses.append(answer.status)
                await asyncio.sleep(EVERY_SECONDS)

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


async def stored(settings: Settings) -> list[tuple[int, float]]:
    """(time, value) of every sample in the order of the log; all are of one series without the replica's label."""
    found: list[tuple[int, float]] = []
    for number in range(PARTITIONS):
        for record in await read_topic(settings, SAMPLES.name, number):
            for labels, at_ms, value in samples_of(record.value or b""):
                assert labels == {"__name__": "http_requests_total", "service": "a", "cluster": "eu"}
                found.append((at_ms, value))
    return found


@pytest.fixture
async def settings(kafka: KafkaSettings) -> Settings:
    return await declare(kafka, [budget_of("a", requests_total("a"))])


@pytest.mark.timeout(120)
async def test_one_replica_at_a_time_is_stored_and_a_dead_one_is_replaced_in_time(
    kafka: KafkaSettings, settings: Settings
) -> None:
    environ = {"DRIFTLINE_INGEST__HA__FAILOVER_TIMEOUT": f"{TIMEOUT_SECONDS}s"}
    with run_ingest(kafka, environ=environ) as first, run_ingest(kafka, environ=environ) as second:
        senders = {1.0: Sender("one", 1.0, [first, second]), 2.0: Sender("two", 2.0, [second, first])}

        async def has(count: int) -> bool:
            return len(await stored(settings)) >= count

        await until(lambda: has(20), 30, "samples of the elected replica are stored")
        elected = {value for _, value in await stored(settings)}
        assert len(elected) == 1
        (dead,) = elected
        (alive,) = senders.keys() - elected
        await senders[dead].stop()

        async def is_replaced() -> bool:
            return (await stored(settings))[-1][1] == alive

        await until(is_replaced, 30, "the other replica is taken")
        revived = Sender("one" if dead == 1.0 else "two", dead, [first, second])
        await until(lambda: len(revived.statuses) >= 20, 30, "the revived replica has written for a while")
        await revived.stop()
        await senders[alive].stop()
        samples = await stored(settings)
        logs = [first.log_text(), second.log_text()]
        statuses = [*senders[dead].statuses, *senders[alive].statuses, *revived.statuses]
    values = [value for _, value in samples]
    change = values.index(alive)
    assert values == [dead] * change + [alive] * (len(values) - change)
    gap_seconds = (samples[change][0] - samples[change - 1][0]) / 1000
    sys.stdout.write(f"\nreplaced after {gap_seconds:.1f} s with a timeout of {TIMEOUT_SECONDS} s\n")
    assert TIMEOUT_SECONDS - 2 * EVERY_SECONDS <= gap_seconds <= TIMEOUT_SECONDS + ROOM_SECONDS
    assert set(statuses) == {204}
    for text in logs:
        assert text.count("another replica is taken from now on") == 1
        assert "Traceback" not in text

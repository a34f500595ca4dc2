"""The notifier as a process of its own, on both brokers: signed deliveries, probes, stopping, and `kill -9`."""

import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from agents.kafka.admin import create_topics
from agents.kafka.clients import create_producer
from agents.kafka.codecs import encode_alert
from agents.settings import KafkaSettings, Settings
from agents.stack import free_port
from budgets.event import AlertEvent, encode_event
from tests.servers.kafka import KafkaCluster
from tests.servers.tools import Process, end, spawn, tail
from tests.servers.waiting import until
from tests.servers.webhook_sink import Answer, WebhookSink, verify_signature
from tests.unit.alert_events import alert_event
from tests.unit.fake_log import STEP_MS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SECRET = "whsec_MDEyMzQ1Njc4OWFi"
READY_SECONDS = 90.0


@pytest.fixture(params=["embedded", "apache"])
def kafka(request: pytest.FixtureRequest) -> KafkaSettings:
    if request.param == "embedded":
        settings: KafkaSettings = request.getfixturevalue("embedded_broker").kafka
        return settings
    prefix = request.getfixturevalue("topic_prefix")
    bootstrap = request.getfixturevalue("apache_kafka").bootstrap
    return KafkaSettings(bootstrap=bootstrap, topic_prefix=prefix, partitions=4)


@dataclass
class Notifier:
    """One notifier process on one data directory, and the receiver to which it sends."""

    kafka: KafkaSettings
    data_dir: Path
    sink: WebhookSink
    listen: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    process: Process | None = None

    @property
    def settings(self) -> Settings:
        return Settings(kafka=self.kafka, data_dir=self.data_dir)

    def start(self) -> None:
        receivers = [{"name": "sink", "type": "webhook", "url": self.sink.url, "secret": SECRET}]
        environ = {
            "DRIFTLINE_KAFKA__BOOTSTRAP": self.kafka.bootstrap,
            "DRIFTLINE_KAFKA__TOPIC_PREFIX": self.kafka.topic_prefix,
            "DRIFTLINE_DATA_DIR": str(self.data_dir),
            "DRIFTLINE_NOTIFIER__LISTEN": self.listen,
            "DRIFTLINE_NOTIFIER__RETRY_INITIAL": "50ms",
            "DRIFTLINE_NOTIFIER__RETRY_MAX": "500ms",
            "DRIFTLINE_NOTIFIER__RECEIVERS": json.dumps(receivers),
        }
        command = [sys.executable, "-m", "agents.cli.main", "notifier"]
        self.process = spawn(command, self.log_file, environ)

    @property
    def log_file(self) -> Path:
        return self.data_dir / "notifier.log"

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        reason = "it never answered"
        async with aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://{self.listen}/-/ready") as answer:
                        if answer.status == 200:
                            return
                        reason = await answer.text()
                assert time.monotonic() < deadline, f"not ready: {reason}\n{tail(self.log_file)}"
                await asyncio.sleep(0.1)

    async def get(self, path: str) -> str:
        async with aiohttp.ClientSession() as session, session.get(f"http://{self.listen}{path}") as answer:
            return await answer.text()

    async def publish(self, *events: AlertEvent) -> None:
        producer = create_producer(self.kafka, "test")
        await producer.start()
        try:
            for event in events:
                record = encode_alert(event)
                topic = self.settings.topic("alerts")
                await producer.send_and_wait(topic, record.value, key=record.key, headers=list(record.headers))
        finally:
            await producer.stop()

    def delivered(self) -> list[str]:
        return [delivery.headers["webhook-id"] for delivery in self.sink.deliveries]

    async def wait_delivered(self, *events: AlertEvent, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while missing := {event.id for event in events} - set(self.delivered()):
            assert time.monotonic() < deadline, f"{len(missing)} of {len(events)} missing\n{tail(self.log_file)}"
            await asyncio.sleep(0.05)


@pytest.fixture
async def notifier(kafka: KafkaSettings, tmp_path: Path) -> AsyncIterator[Notifier]:
    sink = WebhookSink()
    await sink.start()
    notifier = Notifier(kafka, tmp_path, sink)
    await create_topics(notifier.settings)
    notifier.start()
    yield notifier
    if notifier.process is not None:
        end(notifier.process, 10)
    await sink.stop()


def history(services: int, episodes: int) -> Iterator[AlertEvent]:
    """Alerts of some services that fire, escalate and resolve, just now; in order for each of them."""
    start_ms = round(time.time() * 1000) // STEP_MS * STEP_MS - 3 * episodes * STEP_MS
    for episode in range(episodes):
        for step, transition in enumerate(("firing", "escalated", "resolved"), start=3 * episode):
            for number in range(services):
                yield alert_event(
                    transition,  # type: ignore[arg-type]  # a literal of three transitions
                    step,
                    service=f"service-{number}",
                    started=3 * episode,
                    start_ms=start_ms,
                )


async def test_alerts_arrive_signed_and_in_order_and_repeats_do_not(notifier: Notifier) -> None:
    events = list(history(services=3, episodes=2))
    await notifier.wait_ready()
    await notifier.publish(*events)
    await notifier.publish(*events)
    await notifier.wait_delivered(*events)
    last = alert_event("firing", 1, service="last", start_ms=round(time.time() * 1000))
    await notifier.publish(last)
    await notifier.wait_delivered(last)
    assert sorted(notifier.delivered()) == sorted(event.id for event in (*events, last))
    bodies = {event.id: encode_event(event) for event in events}
    for delivery in notifier.sink.deliveries[: len(events)]:
        verify_signature(delivery, SECRET)
        assert delivery.body == bodies[delivery.headers["webhook-id"]]
    assert_in_order(notifier, events)
    sent = f'driftline_notifier_deliveries_total{{receiver="sink",state="sent"}} {len(events) + 1}.0'

    async def is_counted() -> bool:
        metrics = await notifier.get("/metrics")
        assert "/hook" not in metrics
        return sent in metrics

    await until(is_counted, 20, "every delivery is counted once")


def assert_in_order(notifier: Notifier, events: list[AlertEvent]) -> None:
    """The first arrivals of each alert's events are in the order in which they were published."""
    firsts = list(dict.fromkeys(notifier.delivered()))
    for fingerprint in {event.fingerprint for event in events}:
        ids = [event.id for event in events if event.fingerprint == fingerprint]
        assert [event_id for event_id in firsts if event_id in set(ids)] == ids


async def test_a_stop_is_quick_and_what_waits_is_sent_by_the_next_start(notifier: Notifier) -> None:
    events = list(history(services=2, episodes=1))
    await notifier.wait_ready()
    notifier.sink.then = Answer(503)
    await notifier.publish(*events)
    await notifier.sink.wait_for(3, 60)
    started = time.monotonic()
    assert notifier.process is not None
    notifier.process.terminate()
    assert await asyncio.to_thread(notifier.process.wait, 20) == 0, tail(notifier.log_file)
    assert time.monotonic() - started < 10
    notifier.sink.then = Answer(204)
    notifier.sink.deliveries.clear()
    notifier.start()
    resolved = [event for event in events if event.transition == "resolved"]
    await notifier.wait_delivered(*resolved)
    assert "Traceback" not in notifier.log_file.read_text(encoding="utf-8")


async def test_killed_between_sending_and_recording_it_sends_the_same_id_again(notifier: Notifier) -> None:
    (event, *_) = history(services=1, episodes=1)
    await notifier.wait_ready()
    notifier.sink.answers.append(Answer(204, delay_seconds=60))
    await notifier.publish(event)
    await notifier.sink.wait_for(1, 60)  # sent, not answered, so not recorded
    notifier.kill()
    notifier.start()
    await notifier.sink.wait_for(2, 60)
    assert notifier.delivered() == [event.id, event.id]
    assert notifier.sink.deliveries[0].body == notifier.sink.deliveries[1].body
    await notifier.wait_ready()
    follower = alert_event("firing", 1, service="follower", start_ms=round(time.time() * 1000))
    await notifier.publish(follower)
    await notifier.wait_delivered(follower)
    assert notifier.delivered() == [event.id, event.id, follower.id], "what was recorded is not sent again"


async def test_killed_at_random_moments_it_loses_nothing_and_keeps_the_order(notifier: Notifier) -> None:
    rng = random.Random(11)
    events = list(history(services=8, episodes=5))
    notifier.sink.then = Answer(204, delay_seconds=0.02)
    await notifier.wait_ready()
    publishing = asyncio.create_task(notifier.publish(*events))
    for _ in range(4):
        arrived = len(notifier.sink.deliveries)
        await notifier.sink.wait_for(arrived + rng.randint(1, 20), 60)
        await asyncio.sleep(rng.uniform(0.0, 0.05))  # any moment of sending, waiting, recording, reading
        notifier.kill()
        notifier.start()
    await publishing
    await notifier.wait_delivered(*events, seconds=120)
    assert set(notifier.delivered()) == {event.id for event in events}
    assert_in_order(notifier, events)
    repeats = len(notifier.delivered()) - len(events)
    assert repeats <= 4, "at most the request under way is repeated by a kill"


async def test_without_kafka_it_waits_says_so_and_comes_back(
    own_kafka: KafkaCluster, tmp_path: Path, topic_prefix: str
) -> None:
    kafka = KafkaSettings(bootstrap=own_kafka.bootstrap, topic_prefix=topic_prefix, partitions=4)
    sink = WebhookSink()
    await sink.start()
    notifier = Notifier(kafka, tmp_path, sink)
    await create_topics(notifier.settings)
    notifier.start()
    try:
        await notifier.wait_ready()
        await asyncio.to_thread(own_kafka.stop)

        async def says_so() -> bool:
            return "Kafka" in await notifier.get("/-/ready")

        await until(says_so, 60, "ready says that Kafka is away")
        assert await notifier.get("/-/healthy") == "healthy\n"
        await asyncio.to_thread(own_kafka.start)
        await notifier.wait_ready()
        (event, *_) = history(services=1, episodes=1)
        await notifier.publish(event)
        await notifier.wait_delivered(event)
    finally:
        assert notifier.process is not None
        end(notifier.process, 10)
        await sink.stop()

"""The web role as a process, on the embedded broker and on Apache Kafka: what is published is served."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import TopicPartition

from agents.kafka.admin import create_topics
from agents.kafka.clients import create_consumer, create_producer, read_to_end
from agents.kafka.codecs import encode_alert
from agents.kafka.topics import ALERTS, DEAD_LETTER, INDICATORS
from agents.orders import write_orders
from agents.settings import Settings, load_settings
from agents.stack import Stack, create_stack, free_port
from budgets.event import AlertEvent
from budgets.order import Order
from budgets.spec.model import ServiceBudget
from budgets.spec.resolve import document_of
from streams.frame import IndicatorFrame, Points, encode_frame
from tests.servers.kafka import KafkaCluster
from tests.unit.alert_events import alert_event
from tests.unit.fake_log import STEP_MS
from tests.unit.web_house import spec

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
DEADLINE_SECONDS = 60.0


@asynccontextmanager
async def web_role(tmp_path: Path, kafka: str | None, topic_prefix: str) -> AsyncIterator[Stack]:
    overrides: dict[str, Any] = {
        "data_dir": str(tmp_path / "data"),
        "kafka": {"partitions": "4", "topic_prefix": topic_prefix},
        "web": {"listen": f"127.0.0.1:{free_port()}"},
    }
    stack = create_stack(load_settings(environ={}, overrides=overrides), None, overrides)
    try:
        if kafka is None:
            await stack.start_broker()
        else:
            stack.use_kafka(kafka)
        await create_topics(stack.settings)
        await stack.start_role("web")
        await stack.wait_ready()
        yield stack
    finally:
        await stack.stop()


async def publish(settings: Settings, frames: list[IndicatorFrame], events: list[AlertEvent], garbage: bytes) -> None:
    producer = create_producer(settings.kafka, "test")
    await producer.start()
    try:
        indicators = settings.topic(INDICATORS.name)
        for frame in frames:
            await producer.send_and_wait(indicators, encode_frame(frame), partition=1, timestamp_ms=frame.at)
        await producer.send_and_wait(indicators, garbage, partition=1)
        for event in events:
            record = encode_alert(event)
            await producer.send_and_wait(
                settings.topic(ALERTS.name), record.value, key=record.key, headers=list(record.headers)
            )
    finally:
        await producer.stop()


async def eventually(look: Callable[[], Awaitable[Any]], is_enough: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_enough(found := await look()):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)
    return found


@pytest.mark.parametrize("broker", ["embedded", "apache"])
async def test_what_is_published_is_served_also_after_a_kill_and_garbage_is_set_aside(
    broker: str, tmp_path: Path, topic_prefix: str, request: pytest.FixtureRequest
) -> None:
    kafka = request.getfixturevalue("apache_kafka").bootstrap if broker == "apache" else None
    now_ms = round(time.time() * 1000) // STEP_MS * STEP_MS
    frames = [
        IndicatorFrame(now_ms - ago * STEP_MS, STEP_MS, Points(["api/latency"], [100.0 + ago], [50.0]))
        for ago in range(300, -1, -1)
    ]
    events = [
        alert_event("pending", -4, start_ms=now_ms, started=-4, service="api", indicator="latency"),
        alert_event("firing", -2, start_ms=now_ms, started=-4, service="api", indicator="latency"),
    ]
    budget = ServiceBudget("api", (spec("api", "latency"),))
    async with web_role(tmp_path, kafka, topic_prefix) as stack, aiohttp.ClientSession() as session:
        url = f"http://{stack.settings.web.listen}"

        async def get(path: str) -> Any:
            try:
                async with session.get(url + path) as answer:
                    return await answer.json(content_type=None)
            except aiohttp.ClientConnectionError:
                return {"items": []}

        await write_orders(stack.settings, [Order("budget/api", document_of(budget), "test", now_ms, 0)])
        await publish(stack.settings, frames[:-1], events[:1], b"garbage")
        await eventually(lambda: get("/api/v1/alerts"), lambda page: len(page["items"]) == 1)
        await eventually(
            lambda: get("/api/v1/indicators"), lambda page: page["items"] and page["items"][0]["value"] == 101.0
        )
        web = stack.children["web"].process
        assert web is not None
        web.kill()
        await publish(stack.settings, [frames[-2], frames[-1]], [events[0], events[1]], b"more garbage")
        (item,) = (
            await eventually(
                lambda: get("/api/v1/indicators"), lambda page: page["items"] and page["items"][0]["value"] == 100.0
            )
        )["items"]
        assert item["state"] in {"ok", "stale"}
        (alert,) = (
            await eventually(lambda: get("/api/v1/alerts?status=firing"), lambda page: len(page["items"]) == 1)
        )["items"]
        detail = await get(f"/api/v1/alerts/{alert['fingerprint']}")
        assert [event["transition"] for event in detail["transitions"]] == ["pending", "firing"]
        history = await get(f"/api/v1/indicators/api/latency/history?from={frames[0].at}&step=15s")
        assert [point["value"] for point in history["items"]] == [frame.points.value[0] for frame in frames]
        await _check_dead_letters(stack.settings)

        async def metrics() -> str:
            async with session.get(url + "/metrics") as answer:
                return await answer.text()

        await eventually(metrics, lambda text: "driftline_web_projection_lag_records 0.0" in text)


async def _check_dead_letters(settings: Settings) -> None:
    async def read() -> list[tuple[bytes, dict[str, bytes]]]:
        consumer = create_consumer(settings.kafka, "test")
        await consumer.start()
        try:
            topic = TopicPartition(settings.topic(DEAD_LETTER.name), 0)
            return [(record.value, dict(record.headers)) async for record in read_to_end(consumer, topic)]
        finally:
            await consumer.stop()

    letters = await eventually(read, lambda found: {value for value, _ in found} >= {b"garbage", b"more garbage"})
    headers = dict(letters)[b"garbage"]
    assert headers["source-topic"] == settings.topic(INDICATORS.name).encode()
    assert headers["source-partition"] == b"1"
    assert b"not an indicator frame" in headers["reason"]


async def test_while_kafka_is_stopped_the_history_is_served_and_readiness_says_why(
    tmp_path: Path, topic_prefix: str, own_kafka: KafkaCluster
) -> None:
    now_ms = round(time.time() * 1000) // STEP_MS * STEP_MS

    def frame(at_ms: int, value: float) -> IndicatorFrame:
        return IndicatorFrame(at_ms, STEP_MS, Points(["api/latency"], [value], [50.0]))

    async with web_role(tmp_path, own_kafka.bootstrap, topic_prefix) as stack, aiohttp.ClientSession() as session:
        url = f"http://{stack.settings.web.listen}"
        values = f"{url}/api/v1/indicators/api/latency/history?from={now_ms - 3_600_000}&step=15s"

        async def ready() -> tuple[int, str]:
            async with session.get(url + "/-/ready") as answer:
                return answer.status, await answer.text()

        async def points() -> list[float]:
            async with session.get(values) as answer:
                document = await answer.json(content_type=None)
            return [point["value"] for point in document.get("items", [])]

        await publish(stack.settings, [frame(now_ms - STEP_MS, 1.0)], [], b"garbage")
        await eventually(points, lambda found: found == [1.0])
        await asyncio.to_thread(own_kafka.stop)
        status, _ = await eventually(ready, lambda found: "Kafka is away" in found[1])
        assert status == 503
        assert await points() == [1.0]
        await asyncio.to_thread(own_kafka.start)
        await asyncio.to_thread(own_kafka.wait_for, 1)
        await eventually(ready, lambda found: found[0] == 200)
        await publish(stack.settings, [frame(now_ms, 2.0)], [], b"garbage")
        await eventually(points, lambda found: found == [1.0, 2.0])

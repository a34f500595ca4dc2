"""The whole way on real parts: Prometheus -> ingest -> Kafka -> worker -> notifier -> HTTP receiver.

A simulated past gives the baselines, then a real Prometheus scrapes a real exporter. The exporter becomes slow and
recovers; what must arrive is exactly the budget alert and the regression alert, signed, with evidence, and their
resolution.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imported there, but not listed as exported
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from agents.budget_files import BudgetPublisher
from agents.cli.up import webhook_receiver
from agents.demo.timelapse import play_history
from agents.demo.traffic import RequestService
from agents.kafka.admin import create_topics
from agents.kafka.topics import SAMPLES
from agents.settings import Settings, load_settings
from agents.stack import Stack, create_stack, free_port
from budgets.event import parse_time
from tests.servers.prometheus import Prometheus
from tests.servers.waiting import until
from tests.servers.webhook_sink import WebhookSink, verify_signature

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

BUDGET = {
    "auth-service": {
        "window": "15s",
        "for": "5s",
        "keep_firing_for": "10s",
        "response_time": {"p95": {"budget_ms": 200, "warning_threshold": 0.8, "critical_threshold": 1.0}},
        "error_rate": {"max_percentage": 1.0, "warning_threshold": 0.5, "critical_threshold": 0.8},
    }
}
WINDOW_SECONDS = 15
HISTORY_MS = 3 * 3_600_000
PROMETHEUS = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: auth-service
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
remote_write:
  - url: http://{ingest}/api/v1/write
    queue_config: {{batch_send_deadline: 500ms, min_backoff: 100ms, max_backoff: 1s}}
"""


@dataclass
class House:
    """One running stack and what stands around it."""

    stack: Stack
    sink: WebhookSink
    exporter_url: str
    secret: str
    events: list[dict[str, Any]] = field(default_factory=list)

    async def tell(self, path: str) -> None:
        async with aiohttp.ClientSession() as session, session.post(self.exporter_url + path) as answer:
            assert answer.status == 204

    def transitions(self) -> list[tuple[str, str, str]]:
        bodies = [json.loads(delivery.body) for delivery in self.sink.deliveries]
        return [(body["kind"], body["indicator"], body["transition"]) for body in bodies]


def use_create_time(settings: Settings) -> None:
    """Let record timestamps say what time it is, as a time-lapse needs."""
    change = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, settings.topic(SAMPLES.name), incremental_configs=[change])
    client = AdminClient({"bootstrap.servers": settings.kafka.bootstrap})
    for future in client.incremental_alter_configs([resource]).values():
        future.result(timeout=20)


@contextlib.asynccontextmanager
async def house(
    tmp_path: Path, kafka: dict[str, str] | None, start_prometheus: Callable[..., Prometheus]
) -> AsyncIterator[House]:
    """A stack with three hours of history behind it and a real Prometheus in front of it."""
    budget_file = tmp_path / "budget.json"
    budget_file.write_text(json.dumps(BUDGET), encoding="utf-8")
    sink = WebhookSink()
    await sink.start()
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    overrides: dict[str, Any] = {
        "data_dir": str(data_dir),
        "step": "5s",
        "evaluation_delay": "3s",
        "kafka": {"partitions": "4", **(kafka or {})},
        "ingest": {"listen": f"127.0.0.1:{free_port()}"},
        "web": {"listen": f"127.0.0.1:{free_port()}"},
        "notifier": {"receivers": [webhook_receiver(sink.url, data_dir)]},
    }
    stack = create_stack(load_settings(environ={}, overrides=overrides), None, overrides)
    exporter_port = free_port()
    exporter = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.acceptance.exporter", str(exporter_port)
    )
    publisher: BudgetPublisher | None = None
    try:
        if kafka is None:
            await stack.start_broker()
        await create_topics(stack.settings)
        if kafka is not None:
            await asyncio.to_thread(use_create_time, stack.settings)
        publisher = BudgetPublisher(stack.settings, [budget_file], effective_at_ms=0)
        await publisher.start()
        for role in ("worker", "notifier", "web"):
            await stack.start_role(role)
        await stack.wait_ready()
        service = RequestService("auth-service", rate=3000.0, median_seconds=0.055, error_ratio=0.001)
        end_ms = int(time.time() * 1000)
        rng = np.random.default_rng(5)
        end_ms = await play_history(stack.settings, [service], end_ms - HISTORY_MS, end_ms, rng)
        await play_history(stack.settings, [service], end_ms, int(time.time() * 1000), rng)
        await stack.start_role("ingest")
        await stack.wait_ready()
        start_prometheus(PROMETHEUS.format(exporter=exporter_port, ingest=stack.settings.ingest.listen))
        secret = (data_dir / "webhook.secret").read_text(encoding="ascii").strip()
        yield House(stack, sink, f"http://127.0.0.1:{exporter_port}", secret)
    finally:
        if publisher is not None:
            await publisher.stop()
        await stack.stop()
        exporter.terminate()
        await exporter.wait()
        await sink.stop()


async def p95_from_prometheus(stack: Stack, since: float) -> bool:
    """Whether the API has a p95 of a step that began a whole window after `since`."""
    url = f"http://{stack.settings.web.listen}/api/v1/indicators?service=auth-service"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        items = {item["id"]: item for item in (await answer.json())["items"]}
    item = items["auth-service/response_time_p95"]
    return item["value"] is not None and parse_time(item["at"]) / 1000 > since + WINDOW_SECONDS


@pytest.mark.parametrize("broker", ["embedded", "apache"])
async def test_a_regression_and_a_breach_arrive_signed_and_resolve_and_nothing_else_arrives(
    broker: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    topic_prefix: str,
    start_prometheus: Callable[..., Prometheus],
) -> None:
    kafka = None
    if broker == "apache":
        kafka = {"bootstrap": request.getfixturevalue("apache_kafka").bootstrap, "topic_prefix": topic_prefix}
    async with house(tmp_path, kafka, start_prometheus) as home:
        expected = {("budget", "response_time_p95"), ("regression", "response_time_p95")}

        def in_transition(*wanted: str) -> set[tuple[str, str]]:
            return {(kind, name) for kind, name, what in home.transitions() if what in wanted}

        started = time.time()
        await until(lambda: p95_from_prometheus(home.stack, started), 60, "values of Prometheus' own series")
        assert home.transitions() == []
        await home.tell("/slowdown?factor=1.8")
        await until(lambda: in_transition("firing", "escalated") >= expected, 90, "budget and regression alerts fire")
        await home.tell("/slowdown?factor=1")
        await until(lambda: in_transition("resolved") >= expected, 120, "both alerts resolve")
        assert in_transition("firing", "escalated") == in_transition("resolved") == expected
        for delivery in home.sink.deliveries:
            verify_signature(delivery, home.secret)
        check_evidence(home)


def check_evidence(home: House) -> None:
    """What an engineer who is woken up by it reads."""
    bodies = [json.loads(delivery.body) for delivery in home.sink.deliveries]
    assert len({body["id"] for body in bodies}) == len(bodies)
    regression = next(body for body in bodies if body["kind"] == "regression" and body["status"] == "firing")
    evidence = regression["evidence"]
    assert evidence["change_ratio"] > 0.3
    assert evidence["z"] > 2
    assert 0 < evidence["ci95"][0] < evidence["ci95"][1]
    assert evidence["baseline"] == pytest.approx(125, rel=0.1)

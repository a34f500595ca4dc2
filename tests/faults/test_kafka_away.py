"""Kafka is stopped for over a minute: ingest says 503, a real Prometheus waits, and not one sample is missing after."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from agents.budget_files import BudgetPublisher
from agents.kafka.admin import create_topics
from agents.settings import load_settings
from agents.stack import free_port
from agents.supervisor import Child, driftline_command, wait_ready
from tests.faults.stored import stored_times
from tests.servers.kafka import KafkaCluster
from tests.servers.prometheus import Prometheus
from tests.servers.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(400)]

Scraped = dict[tuple[str, str], set[int]]

AWAY_SECONDS = 70
PARTITIONS = 4
SELECTOR = 'http_requests_total{service="auth-service"}'
BUDGET = '{"auth-service": {"throughput": {"min_rps": 1}}}'
PROMETHEUS = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: auth-service
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
remote_write:
  - url: http://{ingest}/api/v1/write
    queue_config: {{batch_send_deadline: 500ms, min_backoff: 100ms, max_backoff: 2s}}
"""


async def _status(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


async def _scraped(prometheus_url: str) -> Scraped:
    """What Prometheus itself stored: (pod, code) -> sample times."""
    query = {"query": f"{SELECTOR}[10m]", "time": str(time.time())}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{prometheus_url}/api/v1/query", params=query) as answer,
    ):
        result = (await answer.json())["data"]["result"]
    return {
        (series["metric"]["pod"], series["metric"]["code"]): {round(at * 1000) for at, _ in series["values"]}
        for series in result
    }


@asynccontextmanager
async def _running(*command: str, environ: dict[str, str] | None = None) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **(environ or {})})
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def test_a_minute_without_kafka_loses_no_sample_and_needs_no_restart(
    tmp_path: Path, own_kafka: KafkaCluster, start_prometheus: Callable[..., Prometheus]
) -> None:
    (tmp_path / "budget.json").write_text(BUDGET, encoding="utf-8")
    ingest = f"127.0.0.1:{free_port()}"
    environ = {
        "DRIFTLINE_KAFKA__BOOTSTRAP": own_kafka.bootstrap,
        "DRIFTLINE_KAFKA__PARTITIONS": str(PARTITIONS),
        "DRIFTLINE_INGEST__LISTEN": ingest,
    }
    settings = load_settings(environ=environ)
    await create_topics(settings)
    publisher = BudgetPublisher(settings, [tmp_path / "budget.json"])
    await publisher.start()
    await publisher.stop()
    exporter = free_port()
    role = Child("ingest", driftline_command("ingest"), {**os.environ, **environ}, f"http://{ingest}/-/ready")

    async def answers(status: int) -> bool:
        return await _status(f"http://{ingest}/-/ready") == status

    async def stores_everything(scraped: Scraped) -> bool:
        stored = await stored_times(settings, PARTITIONS, ("pod", "code"))
        return all(times <= stored.get(series, set()) for series, times in scraped.items())

    async def has_stored_something() -> bool:
        return len(await stored_times(settings, PARTITIONS, ("pod", "code"))) == 4

    async with _running(sys.executable, "-m", "tests.acceptance.exporter", str(exporter)):
        try:
            await role.start()
            await wait_ready([role], 30)
            prometheus = start_prometheus(PROMETHEUS.format(exporter=exporter, ingest=ingest))
            await until(has_stored_something, 30, "samples of every series arrive")
            await asyncio.to_thread(own_kafka.stop)
            stopped_at = time.monotonic()
            await until(lambda: answers(503), 30, "ready says 503 while Kafka is away")
            await asyncio.sleep(AWAY_SECONDS - (time.monotonic() - stopped_at))
            await asyncio.to_thread(own_kafka.start)
            await until(lambda: answers(200), 60, "ready again without a restart")
            assert role.restarts == 0
            scraped = await _scraped(prometheus.url)
            await until(lambda: stores_everything(scraped), 60, "every scraped sample is in the log")
            assert sum(len(times) for times in scraped.values()) > 4 * AWAY_SECONDS
        finally:
            await role.stop()

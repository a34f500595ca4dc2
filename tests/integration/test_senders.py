"""Real senders: every sample that a Prometheus scraped and that a k6 measured is in the log."""

import asyncio
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from agents.kafka.topics import SAMPLES
from agents.settings import Settings
from agents.stack import free_port
from streams.wire.limits import DEFAULT_LIMITS
from streams.wire.request import split_series
from streams.wire.samples import FrameReader, read_tails
from tests.faults.stored import read_topic
from tests.servers.embedded import EmbeddedBroker
from tests.servers.ingest import declare, run_ingest
from tests.servers.prometheus import Prometheus
from tests.servers.tools import find_program
from tests.servers.waiting import until
from tests.unit.ingest_parts import budget_of, samples_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

PARTITIONS = 4
PROMETHEUS = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: auth-service
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
remote_write:
  - url: {write_url}
    queue_config: {{batch_send_deadline: 500ms, max_samples_per_send: 100}}
"""
K6_SCRIPT = """
import http from 'k6/http';
export const options = {{vus: 3, iterations: 300}};
export default function () {{ http.get('{url}'); }}
"""


async def query(url: str, expr: str) -> list[dict[str, Any]]:
    params = {"query": expr, "time": str(time.time())}
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/query", params=params) as answer:
        result: list[dict[str, Any]] = (await answer.json())["data"]["result"]
        return result


@asynccontextmanager
async def running_exporter(port: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.acceptance.exporter", str(port))
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def stored_samples(settings: Settings) -> dict[tuple[str, ...], set[tuple[int, float]]]:
    """(name, pod, code) -> (time, value) of everything in the log; an absent label is empty."""
    found: dict[tuple[str, ...], set[tuple[int, float]]] = defaultdict(set)
    for number in range(PARTITIONS):
        for record in await read_topic(settings, SAMPLES.name, number):
            for labels, at_ms, value in samples_of(record.value or b""):
                found[tuple(labels.get(name, "") for name in ("__name__", "pod", "code"))].add((at_ms, value))
    return found


@pytest.mark.parametrize("program", ["Prometheus", "Prometheus 2"])
async def test_every_sample_that_prometheus_scraped_is_in_the_log(
    embedded_broker: EmbeddedBroker, start_prometheus: Callable[..., Prometheus], program: str
) -> None:
    settings = await declare(embedded_broker.kafka, [budget_of("a", "http_requests_total")])
    exporter = free_port()
    with run_ingest(embedded_broker.kafka) as ingest:
        async with running_exporter(exporter):
            config = PROMETHEUS.format(exporter=exporter, write_url=ingest.write_url)
            prometheus = start_prometheus(config, program=program)

            async def has_scraped() -> bool:
                counts = await query(prometheus.url, "count_over_time(http_requests_total[10m])")
                return bool(counts) and all(int(series["value"][1]) >= 20 for series in counts)

            await until(has_scraped, 60, "twenty scrapes")
        scraped = {
            tuple(series["metric"][name] for name in ("__name__", "pod", "code")): {
                (round(at * 1000), float(value)) for at, value in series["values"]
            }
            for series in await query(prometheus.url, "http_requests_total[10m]")
        }
        assert sum(map(len, scraped.values())) >= 20 * len(scraped) > 20

        async def is_complete() -> bool:
            stored = await stored_samples(settings)
            # The exporter is gone: Prometheus ends each series with a stale marker, whose value is NaN.
            ended = all(any(value != value for _, value in stored[name]) for name in scraped)  # noqa: PLR0124
            return ended and all(samples <= stored[name] for name, samples in scraped.items())

        await until(is_complete, 60, "every scraped sample is stored")
        prometheus.stop()  # while it can still say good-bye to ingest: otherwise it tries until it is killed
        assert "Traceback" not in ingest.log_text()


@asynccontextmanager
async def running_target() -> AsyncIterator[str]:
    """Something for k6 to load."""
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        await runner.cleanup()


async def test_what_k6_measured_is_in_the_log(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    settings = await declare(embedded_broker.kafka, [budget_of("k6", 'sum({__name__=~"k6_.+"})')])
    k6 = find_program("k6")
    with run_ingest(embedded_broker.kafka) as ingest:
        async with running_target() as url:
            script = tmp_path / "script.js"
            script.write_text(K6_SCRIPT.format(url=url), encoding="utf-8")
            environ = {
                "K6_PROMETHEUS_RW_SERVER_URL": ingest.write_url,
                "K6_PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM": "true",
                "K6_PROMETHEUS_RW_PUSH_INTERVAL": "500ms",
                "K6_NO_USAGE_REPORT": "true",
            }
            process = await asyncio.create_subprocess_exec(
                *(k6, "run", "--quiet", "--no-summary", "-o", "experimental-prometheus-rw", script),
                env={**os.environ, **environ},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        assert b"level=error" not in output, output.decode()
        stored = await stored_samples(settings)
        assert max(value for _, value in stored["k6_iterations_total", "", ""]) == 300
        assert max(value for _, value in stored["k6_http_reqs_total", "", ""]) == 300
        assert await count_histograms(settings, "k6_http_req_duration_seconds") > 0


async def count_histograms(settings: Settings, name: str) -> int:
    """Native histograms of a metric in the log."""
    count = 0
    for number in range(PARTITIONS):
        for record in await read_topic(settings, SAMPLES.name, number):
            frames = split_series(record.value or b"")
            reader = FrameReader(read_tails(frames), DEFAULT_LIMITS)
            read = (reader.read(frames, index) for index in range(len(frames)))
            count += sum(frame.histograms for frame in read if dict(frame.labels)["__name__"] == name)
    return count

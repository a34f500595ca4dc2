"""A real vmagent: its first try, with zstd, is answered 415; it goes on with snappy by itself and nothing is lost."""

import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from agents.kafka.topics import SAMPLES
from agents.settings import Settings
from agents.stack import free_port
from tests.faults.stored import read_topic
from tests.integration.test_senders import PARTITIONS
from tests.servers.embedded import EmbeddedBroker
from tests.servers.ingest import declare, run_ingest
from tests.servers.tools import end, find_program, spawn, tail
from tests.servers.waiting import until
from tests.unit.ingest_parts import budget_of, samples_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

NAME = "http_requests_total"
SCRAPE = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@asynccontextmanager
async def counting_target(port: int, served: list[int]) -> AsyncIterator[None]:
    """A page whose one counter says how often it was asked for; served: all its values."""

    async def page(_: web.Request) -> web.Response:
        served.append(len(served) + 1)
        return web.Response(text=f'{NAME}{{service="a"}} {served[-1]}\n')

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@contextmanager
def running_vmagent(scrape_config: str, write_url: str) -> Iterator[None]:
    """vmagent as one starts it; when it ends in good order it has sent everything."""
    with tempfile.TemporaryDirectory(prefix="driftline-vmagent-") as name:
        directory = Path(name)
        (directory / "scrape.yml").write_text(scrape_config, encoding="utf-8")
        command: list[str | Path] = [
            find_program("vmagent"),
            f"-promscrape.config={directory / 'scrape.yml'}",
            f"-remoteWrite.url={write_url}",
            f"-remoteWrite.tmpDataPath={directory / 'queue'}",
            "-remoteWrite.flushInterval=500ms",
            f"-httpListenAddr=127.0.0.1:{free_port()}",
        ]
        process = spawn(command, directory / "vmagent.log")
        try:
            yield
            assert process.poll() is None, tail(directory / "vmagent.log")
        finally:
            end(process, 15)


async def stored_values(settings: Settings) -> list[float]:
    """The counter's values in the log, in order; the stale marker at the end is none."""
    records = [record for number in range(PARTITIONS) for record in await read_topic(settings, SAMPLES.name, number)]
    found = [sample for record in records for sample in samples_of(record.value or b"")]
    return [value for labels, _, value in found if labels["__name__"] == NAME and value == value]  # noqa: PLR0124  not NaN


async def answers(url: str) -> dict[str, int]:
    """How often ingest gave each answer."""
    async with aiohttp.ClientSession() as session, session.get(url + "/metrics") as answer:
        text = await answer.text()
    return {
        code: int(float(count))
        for code, count in re.findall(r'^driftline_ingest_requests_total\{code="(\d+)"\} (\S+)$', text, re.MULTILINE)
    }


async def test_vmagent_falls_back_to_snappy_and_loses_nothing(embedded_broker: EmbeddedBroker) -> None:
    settings = await declare(embedded_broker.kafka, [budget_of("a", NAME)])
    served: list[int] = []
    port = free_port()
    with run_ingest(embedded_broker.kafka) as ingest:
        async with counting_target(port, served):
            with running_vmagent(SCRAPE.format(port=port), ingest.write_url):

                async def has_scraped() -> bool:
                    return len(served) >= 20

                await until(has_scraped, 60, "twenty scrapes")

                async def has_some() -> bool:
                    return bool(await stored_values(settings))

                await until(has_some, 60, "samples in the log")
        assert len(served) >= 20

        async def is_complete() -> bool:
            return sorted(set(await stored_values(settings))) == served

        await until(is_complete, 60, "every scraped value is stored")
        given = await answers(ingest.url)
        assert given.pop("415") == 1
        assert given.keys() == {"204"}
        assert given["204"] > 1
        assert "Traceback" not in ingest.log_text()

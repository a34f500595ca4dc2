"""A change that a pipeline tells a running Driftline stands in the alert that follows, also after a worker died."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest

from agents.kafka.topics import CHANGES
from budgets.event import AlertEvent, parse_time
from tests.golden.documents import DOCS
from tests.integration.test_kafka_worker import events_of, prepare, records_of, writing
from tests.servers.embedded import EmbeddedBroker
from tests.servers.roles import run_role
from tests.servers.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


async def tell(url: str, document: dict[str, Any]) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.post(url, json=document) as answer:
        told: dict[str, Any] = await answer.json()
        assert answer.status == 201, told
    return told


async def read(url: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        items: list[dict[str, Any]] = (await answer.json())["items"]
    return items


async def test_a_change_stands_in_the_alert_that_follows_it(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    settings, environ = await prepare(embedded_broker.kafka, tmp_path)

    async def told() -> list[AlertEvent]:
        return [event for event in await events_of(settings) if event.kind == "budget"]

    async def has(transition: str) -> bool:
        return any(event.transition == transition for event in await told())

    async with run_role("web", environ) as web, run_role("worker", environ) as worker:
        url = web.probe_url.replace("/-/ready", "/api/v1/changes")
        change = await tell(url, {"service": "api", "version": "2.4.1", "note": "new index"})
        async with writing(settings, rate=20):
            await until(lambda: has("firing"), 60, "too little throughput fires")
            assert worker.process is not None
            worker.process.kill()
        async with writing(settings, rate=300):
            await until(lambda: has("resolved"), 90, "enough throughput resolves, at the next worker")
        assert await read(url + "?service=api") == [change]
    (record,) = await records_of(settings, CHANGES.name, 0)
    schema = json.loads(await asyncio.to_thread((DOCS / "schemas" / "change.json").read_text, encoding="utf-8"))
    jsonschema.validate(json.loads(record.value), schema)
    assert record.key == b"api"
    for event in await told():
        (named,) = event.changes
        assert (named.service, named.version, named.at, named.note) == ("api", "2.4.1", change["at"], "new index")
        assert named.chance is not None
        assert 0 < named.chance < 0.05
        assert parse_time(event.at) > parse_time(named.at)
        assert "api changed to 2.4.1" in event.annotations.description

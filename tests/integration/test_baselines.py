"""A baseline that people make and accept is what a running Driftline judges by, also after a worker died."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest

from agents.kafka.topics import AUDIT, ORDERS
from tests.golden.documents import DOCS
from tests.integration.test_kafka_worker import events_of, prepare, records_of, writing
from tests.servers.embedded import EmbeddedBroker
from tests.servers.roles import run_role
from tests.servers.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

# Three hundred requests a second, known from long ago; nothing of the time of day.
USUAL = {"level": 300.0, "spread": 0.02, "since": 1_790_000_000_000, "until": 1_790_600_000_000, "values": 10_000}


async def give(url: str, order: dict[str, Any]) -> dict[str, Any]:
    path = "/api/v1/baselines/api%2Fthroughput"
    async with aiohttp.ClientSession() as session, session.post(url + path, json=order) as answer:
        document: dict[str, Any] = await answer.json()
        assert answer.status == 201, document
    return document


async def read(url: str, path: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(url + path) as answer:
        items: list[dict[str, Any]] = (await answer.json())["items"]
    return items


async def validate(records: list[Any], schema: str) -> None:
    document = json.loads(await asyncio.to_thread((DOCS / "schemas" / schema).read_text, encoding="utf-8"))
    for record in records:
        jsonschema.validate(json.loads(record.value), document)


async def test_what_people_say_is_usual_is_what_is_judged_by(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    settings, environ = await prepare(embedded_broker.kafka, tmp_path)

    async def regression(transition: str) -> bool:
        events = await events_of(settings)
        return any(event.kind == "regression" and event.transition == transition for event in events)

    async with run_role("web", environ) as web, run_role("worker", environ) as worker:
        url = web.probe_url.removesuffix("/-/ready")
        made = await give(url, {"action": "create", "usual": USUAL, "note": "from the load test"})
        async with writing(settings, rate=200):
            await until(lambda: regression("firing"), 60, "a third less than what is usual")
            assert worker.process is not None
            worker.process.kill()
            accepted = await give(url, {"action": "update"})
            await until(lambda: regression("resolved"), 90, "the level is accepted, at the next worker")

            async def is_shown() -> bool:
                (item,) = await read(url, "/api/v1/baselines?service=api")
                return item["expected"] is not None and abs(item["expected"] - 200) < 10 and item["rung"] == "zscore"

            await until(is_shown, 90, "the list says what is usual")

        async def is_audited() -> bool:
            return len(await read(url, "/api/v1/audit")) == 3

        await until(is_audited, 20, "the budget and both orders are audited")
        versions = await read(url, "/api/v1/baselines/api%2Fthroughput")
        newest, older, _ = await read(url, "/api/v1/audit")
    assert (made["version"], accepted["version"]) == (1, 2)
    assert versions == [accepted, made]
    assert newest["before"] == older["after"]
    assert newest["previous"] == older["hash"]
    assert older["before"] is None
    await validate(await records_of(settings, ORDERS.name, 0), "order.json")
    await validate(await records_of(settings, AUDIT.name, 0), "audit.json")

"""The API of baselines and of the audit trail, and the command line on top of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiokafka.errors import KafkaConnectionError

from agents.storage.audit import AuditStore
from agents.supervisor import driftline_command
from budgets.audit import BEGINNING, create_record
from budgets.baseline_order import baseline_of_order
from budgets.event import format_time
from streams.detect.usual import Usual
from streams.frame import Baselines, IndicatorFrame, Points, encode_frame
from tests.unit.fake_log import INDICATORS, STEP_MS
from tests.unit.test_api import get
from tests.unit.web_house import House, spec, throughput, web_house

ID = "api/latency"
PATH = "/api/v1/baselines/api%2Flatency"
USUAL = {"level": 100.0, "spread": 0.02, "since": 1, "until": 2, "values": 1000}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with web_house(tmp_path) as house:
        house.promise("api", spec("api", "latency"), throughput("api"))
        yield house


async def give(house: House, order: dict[str, Any], status: int = 201, path: str = PATH) -> Any:
    async with house.client.post(path, json=order) as answer:
        document = await answer.json(content_type=None)
        assert answer.status == status, document
        return document


def tell(house: House, expected: float | None = 100.0, rung: str = "season", season: str | None = "week") -> None:
    """Publish a frame that says what is usual."""
    told = Baselines([expected], [0.02], [rung], [season])
    frame = IndicatorFrame(house.now_ms, STEP_MS, Points([ID], [101.0], [50.0]), baselines=told)
    house.log.append(INDICATORS, 0, encode_frame(frame))


async def test_the_list_of_indicators_says_what_is_usual_without_any_alert(house: House) -> None:
    tell(house)
    await house.project()
    latency, other = (await get(house, "/api/v1/indicators"))["items"]
    assert (latency["baseline"], latency["spread"], latency["rung"], latency["season"]) == (
        100.0,
        0.02,
        "season",
        "week",
    )
    assert (other["baseline"], other["rung"]) == (None, None)


async def test_what_is_usual_stays_while_frames_do_not_repeat_it(house: House) -> None:
    tell(house)
    await house.project()
    house.now_ms += STEP_MS
    house.measure({ID: 102.0})
    await house.project()
    (item,) = (await get(house, "/api/v1/baselines?service=api&limit=1"))["items"]
    assert (item["expected"], item["at"]) == (100.0, format_time(house.now_ms - STEP_MS))
    assert item["version"] is None


async def test_an_order_is_written_with_the_next_version_and_holds_from_the_next_step(house: House) -> None:
    first = await give(house, {"action": "create", "usual": USUAL, "release": "2.4.1", "note": "launch"})
    second = await give(house, {"action": "update"})
    assert (first["version"], first["pinned_to"], first["level"]) == (1, "2.4.1", 100.0)
    assert (second["version"], second["pinned_to"]) == (2, "2.4.1")
    order = house.orders[0]
    assert order.effective_at % 15_000 == 0
    assert order.at < order.effective_at <= order.at + 15_000
    document = baseline_of_order(order)
    assert document is not None
    assert document.usual == msgspec.convert(USUAL, Usual)
    item = (await get(house, "/api/v1/baselines"))["items"][0]
    assert (item["id"], item["version"]["version"], item["version"]["by"]) == (ID, 2, "api")


async def test_a_baseline_is_made_of_what_was_recorded(house: House) -> None:
    values = (100.0 * (1 + 0.01 * np.random.default_rng(1).standard_normal(3000))).tolist()
    recorded = {"since": 1_790_000_040_000, "step": 60_000, "values": values, "weights": [100.0] * len(values)}
    made = await give(house, {"action": "create", "recorded": recorded})
    assert made["level"] == pytest.approx(100.0, rel=0.01)
    assert made["learned_from"] == format_time(1_790_000_040_000)
    document = baseline_of_order(house.orders[0])
    assert document is not None
    assert document.usual is not None
    assert len(document.usual.hours) == pytest.approx(50, abs=1)


async def test_a_baseline_is_made_of_what_driftline_has_measured(house: House) -> None:
    for steps_ago in range(200, 0, -1):
        house.measure({ID: 100.0 + steps_ago % 3}, steps_ago)
    await house.project()
    made = await give(house, {"action": "create", "since": house.now_ms - 3_600_000})
    assert made["level"] == pytest.approx(101.0, rel=0.01)


async def test_too_few_values_make_no_baseline(house: House) -> None:
    house.measure({ID: 100.0})
    await house.project()
    problem = await give(house, {"action": "create"}, status=409)
    assert problem["detail"] == f"{ID}: too few values in that time to say what is usual"
    assert house.orders == []


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"action": "delete"}, "expected {action, …}"),
        ({"action": "pin"}, "release: expected the name"),
        ({"action": "update", "release": "2"}, "release: expected with pin or create"),
        ({"action": "update", "usual": USUAL}, "expected with create"),
        ({"action": "update", "note": "x" * 300}, "at most 200 characters"),
        ({"action": "create", "since": "yesterday"}, "since: expected a time"),
        ({"action": "create", "recorded": {"since": 0, "step": 1, "values": []}}, "recorded: expected steps"),
        ({"action": "create", "recorded": {"since": 0, "step": 60000, "values": [1], "weights": [1, 2]}}, "recorded:"),
        ({"action": "create", "colour": "red"}, "unknown field"),
    ],
)
async def test_a_wrong_order_is_refused_with_what_was_expected(
    house: House, order: dict[str, Any], expected: str
) -> None:
    assert expected in (await give(house, order, status=400))["detail"]
    assert house.orders == []


async def test_an_indicator_that_nobody_promised_is_not_found(house: House) -> None:
    await give(house, {"action": "update"}, status=404, path="/api/v1/baselines/api%2Fother")


async def test_an_order_is_json(house: House) -> None:
    async with house.client.post(PATH, data="action=update") as answer:
        assert answer.status == 415


async def test_kafka_away_is_said_and_nothing_is_promised(house: House) -> None:
    house.kafka_away.append(KafkaConnectionError("away"))
    await give(house, {"action": "update"}, status=503)


async def test_versions_and_audit_are_read_page_by_page(house: House) -> None:
    store, previous, before = AuditStore(house.engine), BEGINNING, None
    for number in range(1, 4):
        after = {"indicator": ID, "version": number, "action": "update"}
        record = create_record(previous, f"baseline/{ID}", "alice", number, before, after)
        await store.add([record, record])
        previous, before = record.hash, after
    page = await get(house, "/api/v1/audit?limit=2")
    assert [item["after"]["version"] for item in page["items"]] == [3, 2]
    assert page["items"][0]["previous"] == page["items"][1]["hash"]
    assert page["items"][0]["before"] == page["items"][1]["after"]
    rest = await get(house, f"/api/v1/audit?limit=2&cursor={page['next']}")
    assert [item["after"]["version"] for item in rest["items"]] == [1]
    async with house.client.get(PATH) as answer:
        versions = (await answer.json())["items"]
    assert [version["version"] for version in versions] == [3, 2, 1]
    assert (await get(house, "/api/v1/audit?subject=budget/api"))["items"] == []


async def run(house: House, *arguments: str) -> tuple[int, str, str]:
    """The command's exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *driftline_command("baseline"),
        *arguments,
        "--url",
        house.url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_command_shows_makes_accepts_and_pins(house: House) -> None:
    tell(house)
    for steps_ago in range(200, 0, -1):
        house.measure({ID: 100.0}, steps_ago)
    await house.project()
    code, out, _ = await run(house, "show", "api", "--indicator", "latency")
    assert (code, "season of the week" in out, "100 ms" in out) == (0, True, True)
    code, out, _ = await run(house, "create", "api", "--indicator", "latency", "--pin", "2.4.1")
    assert (code, out.partition(",")[0]) == (0, "api/latency: version 1")
    code, _, _ = await run(house, "update", "api", "--indicator", "latency", "--note", "new cache")
    assert code == 0
    code, _, _ = await run(house, "update", "api", "--indicator", "latency", "--unpin")
    assert code == 0
    actions = [document.action for order in house.orders if (document := baseline_of_order(order))]
    assert actions == ["create", "update", "unpin"]


async def test_the_command_says_what_it_could_not_do(house: House) -> None:
    house.measure({ID: 100.0})
    await house.project()
    code, _, err = await run(house, "create", "api")
    assert (code, "too few values" in err) == (3, True)
    code, _, _ = await run(house, "show", "api")
    assert code == 3
    code, _, err = await run(house, "show", "nobody")
    assert (code, "no budget" in err) == (2, True)
    code, _, err = await run(house, "create", "api", "--prometheus", "http://127.0.0.1:1")
    assert (code, "127.0.0.1:1" in err) == (4, True)
    code, _, _ = await run(house, "update", "api", "--pin", "2", "--unpin")
    assert code == 2


async def test_a_new_installation_takes_its_baselines_from_a_prometheus(house: House) -> None:
    asked: list[dict[str, Any]] = []

    async def query_range(request: web.Request) -> web.Response:
        form = dict(await request.post())
        asked.append(form)
        first, step = round(float(str(form["start"]))), round(float(str(form["step"])))
        values = [[first + step * number, str(100 + number % 5)] for number in range(3000)]
        result = [{"metric": {}, "values": values}] if form["query"] == "sum(latency)" else []
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": result}})

    house.promise("api", spec("api", "latency", expr="sum(latency)"), throughput("api"))
    app = web.Application()
    app.router.add_post("/api/v1/query_range", query_range)
    async with TestServer(app) as prometheus:
        address = str(prometheus.make_url("")).rstrip("/")
        code, out, err = await run(house, "create", "api", "--prometheus", address, "--since", "7d", "--output", "json")
    assert code == 3, err
    assert f"api/throughput: {address} remembers nothing of up" in err
    (made,) = json.loads(out)["items"]
    assert made["level"] == pytest.approx(102.0, rel=0.01)
    assert {form["step"] for form in asked} == {"60.000"}
    document = baseline_of_order(house.orders[0])
    assert document is not None
    assert document.usual is not None
    assert sum(mean is not None for mean in document.usual.hours) == pytest.approx(50, abs=1)

"""The HTTP API as a caller sees it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import jsonschema
import pytest

from agents.cli.check import fetch_items, verdict_of
from agents.cli.output import ExitCode
from agents.storage.database import begin
from agents.storage.outbox import NewDelivery, add
from budgets.event import format_time
from tests.unit.alert_events import alert_event
from tests.unit.fake_log import STEP_MS
from tests.unit.web_house import House, error_rate, spec, throughput, web_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with web_house(tmp_path) as house:
        yield house


async def get(house: House, path: str, status: int = 200) -> Any:
    """The document at a path, held to what OpenAPI says of it."""
    async with house.client.get(path) as answer:
        document = await answer.json(content_type=None)
        assert answer.status == status, document
        expected = "application/json" if status == 200 else "application/problem+json"
        assert answer.content_type == expected
    await validate(house, path, status, document)
    return document


async def validate(house: House, path: str, status: int, document: Any) -> None:
    async with house.client.get("/api/openapi.json") as answer:
        openapi = await answer.json()
    bare = path.partition("?")[0]
    templates = [
        template
        for template in openapi["paths"]
        if re.fullmatch(re.sub(r"\{\w+\}", ".+", template), bare) and "get" in openapi["paths"][template]
    ]
    if not templates:
        schema: Any = {"$ref": "#/components/schemas/Problem"}
    else:
        responses = openapi["paths"][templates[0]]["get"]["responses"]
        (content,) = responses.get(str(status), responses["default"])["content"].values()
        schema = content["schema"]
    whole = {**schema, "components": openapi["components"]}
    validator = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    validator.validate(document)


async def a_busy_house(house: House) -> None:
    house.promise("auth-service", spec("auth-service", "response_time_p95"), throughput("auth-service"))
    house.promise("policy-service", error_rate("policy-service"), spec("policy-service", "cpu", kind="resource"))
    house.measure({"auth-service/response_time_p95": 120.0, "auth-service/throughput": 1100.0}, steps_ago=1)
    house.measure({"auth-service/response_time_p95": 231.4, "auth-service/throughput": 850.0})
    house.measure({"policy-service/error_rate": 0.001, 'policy-service/cpu{pod="a/1"}': None})
    for transition, ago in (("pending", 3), ("firing", 2)):
        house.log.alert(alert_event(transition, -ago, start_ms=house.now_ms, started=-3))  # type: ignore[arg-type]  # literals
    await house.project()


async def test_indicators_show_the_newest_value_against_its_limit(house: House) -> None:
    await a_busy_house(house)
    items = {item["id"]: item for item in (await get(house, "/api/v1/indicators"))["items"]}
    assert items["auth-service/response_time_p95"] == {
        "id": "auth-service/response_time_p95",
        "service": "auth-service",
        "indicator": "response_time_p95",
        "labels": {},
        "kind": "response_time",
        "unit": "ms",
        "value": 231.4,
        "weight": 100.0,
        "at": format_time(house.now_ms),
        "limit": 200.0,
        "warning": 160.0,
        "critical": 200.0,
        "direction": "above",
        "state": "critical",
        "baseline": 171.2,
        "spread": None,
        "rung": None,
        "season": None,
    }
    assert items["auth-service/throughput"]["state"] == "warning"
    assert items['policy-service/cpu{pod="a/1"}']["labels"] == {"pod": "a/1"}
    assert items['policy-service/cpu{pod="a/1"}']["state"] == "no_data"


async def test_indicators_are_filtered_by_service_and_kind(house: House) -> None:
    await a_busy_house(house)
    found = (await get(house, "/api/v1/indicators?service=auth-service&kind=throughput,error_rate"))["items"]
    assert [item["id"] for item in found] == ["auth-service/throughput"]
    assert (await get(house, "/api/v1/indicators?service=nobody"))["items"] == []


@pytest.mark.parametrize(
    ("value", "weight", "steps_ago", "state"),
    [
        (100.0, 500.0, 0, "ok"),
        (200.0, 500.0, 0, "warning"),
        (200.1, 500.0, 0, "critical"),
        (None, 500.0, 0, "no_data"),
        (900.0, 3.0, 0, "low_traffic"),
        (100.0, None, 0, "ok"),
        (100.0, 500.0, 8, "stale"),
        (None, 500.0, 8, "stale"),
        (100.0, 500.0, 2, "ok"),
    ],
)
async def test_the_state_says_what_the_newest_value_means(
    house: House, value: float | None, weight: float | None, steps_ago: int, state: str
) -> None:
    house.promise("api", spec("api", "latency", min_traffic=10.0))
    house.measure({"api/latency": value}, steps_ago=steps_ago, weight=weight)
    await house.project()
    (item,) = (await get(house, "/api/v1/indicators"))["items"]
    assert item["state"] == state


async def test_a_promise_that_was_never_measured_is_no_data(house: House) -> None:
    house.promise("api", spec("api", "latency"))
    (item,) = (await get(house, "/api/v1/indicators"))["items"]
    assert (item["state"], item["value"], item["at"]) == ("no_data", None, None)


async def test_the_placeholder_of_an_empty_result_goes_when_groups_appear_and_gone_groups_are_stale(
    house: House,
) -> None:
    house.promise("api", spec("api", "latency", group_by=("route",)))
    house.measure({"api/latency": None}, steps_ago=20)
    house.measure({'api/latency{route="/gone"}': 1.0}, steps_ago=10)
    house.measure({'api/latency{route="/long-gone"}': 1.0}, steps_ago=400)
    house.measure({'api/latency{route="/"}': 1.0})
    await house.project()
    items = (await get(house, "/api/v1/indicators"))["items"]
    assert [(item["labels"]["route"], item["state"]) for item in items] == [("/", "ok"), ("/gone", "stale")]


async def test_a_budget_holds_from_its_step_on_and_until_it_is_removed(house: House) -> None:
    house.promise("api", spec("api", "latency", limit=100.0))
    house.promise("api", spec("api", "latency", limit=300.0), effective_at=house.now_ms + 3_600_000)
    (item,) = (await get(house, "/api/v1/indicators"))["items"]
    assert item["limit"] == 100.0
    assert house.budgets.at(house.now_ms + 3_600_000)["api"].indicators[0].limit == 300.0
    house.budgets.on_order("budget/api", None)
    assert house.budgets.at(house.now_ms) == {}


async def test_services_show_their_worst_state_and_their_alerts(house: House) -> None:
    await a_busy_house(house)
    items = {item["service"]: item for item in (await get(house, "/api/v1/services"))["items"]}
    assert items["auth-service"]["state"] == "critical"
    assert items["auth-service"]["states"] == {"critical": 1, "warning": 1}
    assert items["auth-service"]["alerts"] == {"firing": 1}
    assert items["auth-service"]["source"] == "budgets/auth-service.json"
    assert items["policy-service"]["state"] == "no_data"


async def test_a_firing_alert_makes_its_service_bad_though_every_value_is_within_limits(house: House) -> None:
    house.promise("auth-service", spec("auth-service", "response_time_p95"))
    house.measure({"auth-service/response_time_p95": 100.0})
    house.log.alert(alert_event("firing", 0, start_ms=house.now_ms, kind="regression", severity="warning"))
    await house.project()
    (item,) = (await get(house, "/api/v1/services"))["items"]
    assert (item["state"], item["states"]) == ("warning", {"ok": 1})


async def test_alerts_are_listed_newest_first_and_filtered(house: House) -> None:
    await a_busy_house(house)
    house.log.alert(alert_event("firing", 0, start_ms=house.now_ms, service="policy-service", kind="trend"))
    house.log.alert(alert_event("resolved", -9, start_ms=house.now_ms, started=-12, indicator="throughput"))
    await house.project()
    everything = (await get(house, "/api/v1/alerts"))["items"]
    assert [(item["kind"], item["status"]) for item in everything] == [
        ("trend", "firing"),
        ("budget", "firing"),
        ("budget", "resolved"),
    ]
    assert len((await get(house, "/api/v1/alerts?status=pending,firing,stale"))["items"]) == 2
    (one,) = (await get(house, "/api/v1/alerts?service=policy-service"))["items"]
    assert one["service"] == "policy-service"


async def test_an_alert_shows_every_transition_and_every_delivery(house: House) -> None:
    await a_busy_house(house)
    event = alert_event("firing", -2, start_ms=house.now_ms, started=-3)
    new = NewDelivery(
        event.id, "slack", event.fingerprint, event.episode, event.service, event.severity, "firing", b"{}", 0, 0, 1, 1
    )
    async with begin(house.engine) as connection:
        await add(connection, new)
    detail = await get(house, f"/api/v1/alerts/{event.fingerprint}")
    assert [item["transition"] for item in detail["transitions"]] == ["pending", "firing"]
    assert detail["alert"]["evidence"]["ci95"] == [0.29, 0.41]
    (delivery,) = detail["deliveries"]
    assert (delivery["receiver"], delivery["state"], delivery["due_at"]) == ("slack", "pending", format_time(1))


async def test_history_gives_the_points_as_they_were_or_by_steps(house: House) -> None:
    house.promise("api", spec("api", "latency"))
    hour = house.now_ms // 3_600_000 * 3_600_000 - 3_600_000
    ago = (house.now_ms - hour) // STEP_MS
    for step, value in enumerate([1.0, None, 9.0, 4.0, 5.0, 6.0]):
        house.measure({"api/latency": value}, steps_ago=ago - step)
    await house.project()
    window = f"from={hour}&to={format_time(hour + 10 * STEP_MS)}"
    exact = await get(house, f"/api/v1/indicators/api%2Flatency/history?{window}&step=15s")
    assert [item["value"] for item in exact["items"]] == [1.0, None, 9.0, 4.0, 5.0, 6.0]
    assert exact["items"][1]["at"] == format_time(hour + STEP_MS)
    assert (exact["limit"], exact["unit"], exact["next"]) == (200.0, "ms", None)
    minutes = await get(house, f"/api/v1/indicators/api/latency/history?{window}&step=1m")
    assert [(item["at"], item["value"], item["min"], item["max"]) for item in minutes["items"]] == [
        (format_time(hour), 1.0, 1.0, 1.0),
        (format_time(hour + 60_000), 5.0, 4.0, 9.0),
        (format_time(hour + 120_000), 6.0, 6.0, 6.0),
    ]
    assert (await get(house, f"/api/v1/indicators/api/latency/history?{window}"))["step"] == STEP_MS


async def test_history_has_marks_where_its_alerts_changed(house: House) -> None:
    await a_busy_house(house)
    document = await get(house, "/api/v1/indicators/auth-service/response_time_p95/history")
    assert [mark["transition"] for mark in document["marks"]] == ["pending", "firing"]
    other = await get(house, "/api/v1/indicators/auth-service/throughput/history")
    assert other["marks"] == []


async def test_an_indicator_with_labels_is_found_by_its_id(house: House) -> None:
    await a_busy_house(house)
    point_id = 'policy-service/cpu{pod="a/1"}'
    document = await get(house, f"/api/v1/indicators/{quote(point_id, safe='')}/history")
    assert document["id"] == point_id
    assert [item["value"] for item in document["items"]] == [None]


@pytest.mark.parametrize("path", ["/api/v1/indicators", "/api/v1/services", "/api/v1/alerts"])
async def test_a_list_read_in_parts_is_the_whole_list(house: House, path: str) -> None:
    for number in range(7):
        service = f"service-{number}"
        house.promise(service, spec(service, "latency"))
        house.measure({f"{service}/latency": 1.0})
        # Two at the same time: the cursor must tell them apart.
        house.log.alert(alert_event("firing", -(number // 2), start_ms=house.now_ms, started=-9, service=service))
    await house.project()
    whole = await get(house, path)
    assert whole["next"] is None
    assert len(whole["items"]) == 7
    parts, cursor = [], ""
    while True:
        part = await get(house, f"{path}?limit=3{cursor}")
        parts.append(part["items"])
        if part["next"] is None:
            break
        cursor = f"&cursor={part['next']}"
    assert [len(items) for items in parts] == [3, 3, 1]
    assert [item for items in parts for item in items] == whole["items"]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/api/v1/indicators?servce=x", 400, "unknown parameter 'servce', expected service, kind, cursor, limit"),
        ("/api/v1/indicators?kind=colour", 400, "kind: expected one or several of response_time"),
        ("/api/v1/indicators?service=a&service=b", 400, "more than once"),
        ("/api/v1/alerts?status=open", 400, "status: expected one or several of pending, firing, stale, resolved"),
        ("/api/v1/services?limit=0", 400, "limit: expected a number from 1 to 1000, got '0'"),
        ("/api/v1/services?limit=many", 400, "limit: expected"),
        ("/api/v1/services?limit=99999999999999999999", 400, "limit: expected"),
        ("/api/v1/services?cursor=%21%21", 400, "cursor: expected the `next`"),
        ("/api/v1/alerts?cursor=WyJhIl0", 400, "cursor: expected the `next`"),
        ("/api/v1/alerts/0000000000000000", 404, "no alert has the fingerprint"),
        ("/api/v1/indicators/nobody/nothing/history", 404, "no indicator has the id 'nobody/nothing'"),
        ("/api/v1/indicators/a/x/history?from=yesterday", 400, "from: expected a time such as 2026-01-31T12:00:00Z"),
        ("/api/v1/indicators/a/x/history?to=2026-01-31T12:00:00", 400, "to: expected a time"),
        ("/api/v1/indicators/a/x/history?from=99999999999999999999", 400, "from: expected a time"),
        ("/api/v1/indicators/a/x/history?from=2000&to=1000", 400, "from: expected a time before `to`"),
        ("/api/v1/indicators/a/x/history?step=fast", 400, "step: expected a duration such as 15s"),
        ("/api/v1/indicators/a/x/history?step=1ms", 400, "step: expected at least 1s"),
        ("/api/v1/indicators/a/x/history?from=0&step=15s", 400, "more than 11000 points"),
        ("/api/v1/nothing", 404, "there is no /api/v1/nothing"),
        ("/nothing", 404, "there is no /nothing"),
        ("/static/../main.py", 404, "there is no"),
    ],
)
async def test_a_wrong_question_is_answered_with_what_was_expected(
    house: House, path: str, status: int, detail: str
) -> None:
    document = await get(house, path, status)
    assert detail in document["detail"]
    assert document["status"] == status


async def test_another_method_is_refused_with_what_is_allowed(house: House) -> None:
    async with house.client.post("/api/v1/alerts") as answer:
        document = await answer.json(content_type=None)
        assert (answer.status, answer.content_type) == (405, "application/problem+json")
        assert answer.headers["Allow"] == "GET,HEAD"
    assert document["detail"] == "/api/v1/alerts does not take POST, expected GET, HEAD"


async def test_our_own_mistake_is_answered_without_a_word_of_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("agents.web.overview.OverviewSource.get", fail)
    document = await get(house, "/api/v1/services", 500)
    assert "secret" not in str(document)


async def test_while_the_database_is_away_the_answer_is_to_come_back(house: House) -> None:
    async with begin(house.engine) as connection:
        await connection.exec_driver_sql("ALTER TABLE indicator_latest RENAME TO elsewhere")
    async with house.client.get("/api/v1/services") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "5"
    await get(house, "/api/v1/services", 503)


async def test_who_has_no_token_is_answered_with_a_problem_and_who_has_one_with_data(tmp_path: Path) -> None:
    config = tmp_path / "web.yml"
    config.write_text("bearer_tokens: [open-sesame]\n", encoding="utf-8")
    async with web_house(tmp_path, config) as house:
        async with house.client.get("/api/v1/services") as answer:
            document = await answer.json(content_type=None)
            assert (answer.status, answer.content_type) == (401, "application/problem+json")
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="driftline"'
            assert document["detail"].startswith("a valid user and password or bearer token")
        headers = {"Authorization": "Bearer open-sesame"}
        for path in ("/api/v1/services", "/", "/api/openapi.json"):
            async with house.client.get(path) as answer:
                assert answer.status == 401
            async with house.client.get(path, headers=headers) as answer:
                assert answer.status == 200
        async with house.client.get("/-/ready") as answer:
            assert answer.status == 200


async def test_the_check_command_understands_the_answer(house: House) -> None:
    await a_busy_house(house)
    items = await fetch_items(house.url, "/api/v1/indicators", {"service": "auth-service", "limit": "1"})
    assert len(items) == 2
    assert verdict_of(items) is ExitCode.GATE_FAILED
    assert verdict_of(await fetch_items(house.url, "/api/v1/indicators", {"service": "policy-service"})) is (
        ExitCode.INCONCLUSIVE
    )
    with pytest.raises(aiohttp.ClientResponseError):
        await fetch_items(house.url, "/api/v1/indicators", {"wrong": "1"})


async def test_readiness_says_what_is_in_the_way(house: House) -> None:
    house.not_ready.append("Kafka is away")
    async with house.client.get("/-/ready") as answer:
        assert (answer.status, await answer.text()) == (503, "Kafka is away\n")
    house.not_ready.clear()
    async with house.client.get("/-/ready") as answer:
        assert answer.status == 200

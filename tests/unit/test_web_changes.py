"""Telling of a change, and reading what was told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from agents.settings import Settings
from agents.web.changes import MOST_KEPT, ChangeLog
from budgets.change import Change
from budgets.event import format_time, parse_time
from tests.unit.test_api import get
from tests.unit.web_house import House, web_house

DAY_MS = 86_400_000


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with web_house(tmp_path) as house:
        yield house


async def tell(house: House, document: object, status: int = 201, **keys: Any) -> Any:
    async with house.client.post("/api/v1/changes", json=document, **keys) as answer:
        body = await answer.json(content_type=None)
        assert answer.status == status, body
    return body


async def test_a_change_is_written_with_the_step_from_which_it_is_known(house: House) -> None:
    told = await tell(house, {"service": "api", "version": "2.4.1", "note": "hotfix"})
    (change,) = house.changes
    assert (told["service"], told["version"], told["by"], told["note"]) == ("api", "2.4.1", "api", "hotfix")
    assert told["at"] == change.at
    assert 0 <= change.effective_at - change.at_ms < Settings().step
    assert change.effective_at % Settings().step == 0


@pytest.mark.parametrize("form", [lambda at_ms: at_ms, format_time])
async def test_a_change_may_be_told_after_it_happened(house: House, form: Any) -> None:
    at_ms = house.now_ms - 3_600_000
    await tell(house, {"service": "api", "version": "2", "at": form(at_ms)})
    (change,) = house.changes
    assert change.at_ms == at_ms
    assert change.effective_at >= house.now_ms


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"service": "api"}, "version"),
        ({"service": "", "version": "2"}, "service"),
        ({"service": "api", "version": " "}, "version"),
        ({"service": "a" * 201, "version": "2"}, "service"),
        ({"service": "api", "version": "2\n"}, "version"),
        ({"service": "api", "version": "2", "note": "n" * 1001}, "note"),
        ({"service": "api", "version": 2}, "str"),
        ({"service": "api", "version": "2", "when": "now"}, "when"),
        ({"service": "api", "version": "2", "at": "yesterday"}, "at: expected a time"),
        ({"service": "api", "version": "2", "at": "2026-01-01T10:00:00"}, "at: expected a time"),
        ({"service": "api", "version": "2", "at": 10**18}, "at: expected a time"),
        ([], "object"),
    ],
)
async def test_what_is_no_change_is_refused_with_what_was_expected(
    house: House, document: object, expected: str
) -> None:
    body = await tell(house, document, 400)
    assert expected in body["detail"]
    assert house.changes == []


@pytest.mark.parametrize("ago_ms", [-600_000, 91 * DAY_MS])
async def test_a_change_that_has_not_come_or_that_nobody_remembers_is_refused(house: House, ago_ms: int) -> None:
    body = await tell(house, {"service": "api", "version": "2", "at": house.now_ms - ago_ms}, 400)
    assert "90 days" in body["detail"]


async def test_a_form_of_another_page_cannot_tell_of_a_change(house: House) -> None:
    async with house.client.post("/api/v1/changes", data='{"service":"api","version":"2"}') as answer:
        assert answer.status == 415
        assert "application/json" in (await answer.json(content_type=None))["detail"]


@pytest.mark.parametrize("trouble", [KafkaConnectionError("away"), TimeoutError()])
async def test_a_change_that_is_not_in_the_log_is_not_acknowledged(house: House, trouble: Exception) -> None:
    house.kafka_away.append(trouble)
    async with house.client.post("/api/v1/changes", json={"service": "api", "version": "2"}) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "5"


async def test_a_user_who_proved_who_it_is_is_named(tmp_path: Path) -> None:
    config = tmp_path / "web.yml"
    # The bcrypt hash of "secret".
    config.write_text("basic_auth_users: {ci: $2b$04$gsA.DnB9U9QhXXHDwTgTqu0u/JsdH5rxiRQKEyrRt29NTTfmhzzTy}\n")
    async with web_house(tmp_path, config) as house:
        await tell(house, {"service": "api", "version": "2"}, 401)
        await tell(house, {"service": "api", "version": "2"}, headers={"Authorization": "Basic Y2k6c2VjcmV0"})
        assert [change.by for change in house.changes] == ["ci"]


async def test_changes_are_listed_the_newest_first_in_parts_and_by_service(house: House) -> None:
    for number in range(5):
        at = house.now_ms - 60_000 * (5 - number)
        await tell(house, {"service": f"service-{number % 2}", "version": str(number), "at": at})
    first = await get(house, "/api/v1/changes?limit=3")
    second = await get(house, f"/api/v1/changes?limit=3&cursor={first['next']}")
    assert [item["version"] for item in (*first["items"], *second["items"])] == ["4", "3", "2", "1", "0"]
    assert second["next"] is None
    only = await get(house, "/api/v1/changes?service=service-1")
    assert [item["version"] for item in only["items"]] == ["3", "1"]
    assert parse_time(only["items"][0]["at"]) == house.now_ms - 120_000
    await get(house, "/api/v1/changes?servcie=api", 400)


def test_the_list_is_bounded_and_a_record_that_comes_twice_stands_there_once() -> None:
    log = ChangeLog()
    for number in range(MOST_KEPT + 10):
        log.on_change(Change("api", str(number), format_time(number * 1_000), "ci", 0))
    log.on_change(Change("api", str(MOST_KEPT), format_time(MOST_KEPT * 1_000), "ci", 0))
    found = log.newest(None, None, 2 * MOST_KEPT)
    assert len(found) == MOST_KEPT
    assert found[0][1].version == str(MOST_KEPT + 9)

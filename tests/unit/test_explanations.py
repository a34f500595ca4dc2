"""The API says why: from the states that the worker tells, and from the evidence of events."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agents.cli.main import create_app
from agents.settings import Settings
from agents.web.latest_states import FORGET_AFTER_MS, LatestStates
from budgets.event import AlertEvent
from budgets.explain.state import PointState, StateFrame, encode_states, states_of, turns_of
from tests.unit.fake_log import STATES, STEP_MS, FakeLog
from tests.unit.test_explain import POINT, Story
from tests.unit.web_house import House, web_house


def frame_of(story: Story) -> bytes:
    return encode_states(StateFrame(story.at, STEP_MS, [story.state]))


def told(state: PointState) -> bytes:
    return encode_states(StateFrame(state.at, STEP_MS, [state]))


@asynccontextmanager
async def following(states: LatestStates) -> AsyncIterator[None]:
    task = asyncio.create_task(states.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with web_house(tmp_path) as house:
        yield house


# --- how states come -------------------------------------------------------------------------------------------------


class _Counting(LatestStates):
    """Counts the records that it takes."""

    taken = 0

    def take(self, data: bytes) -> None:
        self.taken += 1
        super().take(data)


async def test_only_the_newest_records_are_read_and_later_ones_follow() -> None:
    log, story = FakeLog(topics=(STATES,)), Story().usual(60)
    for _ in range(30):
        log.append(STATES, 1, frame_of(story.usual(1)))
    states = _Counting(Settings(), log.consumer)
    async with following(states):
        await until(lambda: states.get(POINT) == story.state)
        assert states.taken == 2 * turns_of(Settings().step)
        log.append(STATES, 1, frame_of(story.usual(1)))
        await until(lambda: states.get(POINT) == story.state)
        assert states.problem is None


async def test_a_topic_that_is_missing_and_a_kafka_that_is_away_are_said() -> None:
    states = LatestStates(Settings(), FakeLog(topics=()).consumer)
    async with following(states):
        await until(lambda: "driftline topics create" in (states.problem or ""))
    log = FakeLog(topics=(STATES,))
    log.away = True
    states = LatestStates(Settings(), log.consumer)
    async with following(states):
        await until(lambda: "nobody there" in (states.problem or ""))


def test_a_record_that_cannot_be_read_changes_nothing_and_an_older_one_neither() -> None:
    states, story = LatestStates(Settings(), FakeLog().consumer), Story().usual(60)
    older = story.state
    newer = story.usual(1).state
    states.take(told(newer))
    states.take(b"{}")
    states.take(told(older))
    assert states.get(POINT) == newer


def test_a_point_that_is_not_told_about_any_more_is_forgotten() -> None:
    states, story = LatestStates(Settings(), FakeLog().consumer), Story().usual(60)
    states.take(told(story.state))
    states.take(encode_states(StateFrame(story.state.at + FORGET_AFTER_MS, STEP_MS, [])))
    assert states.get(POINT) is None


def test_every_point_is_told_about_within_a_minute() -> None:
    story = Story().usual(60)
    turns = turns_of(STEP_MS)
    assert turns == 4
    frames = [states_of(story.judge, turn * STEP_MS, STEP_MS) for turn in range(turns)]
    assert [state.id for frame in frames for state in frame.points] == [POINT]


# --- what is answered ------------------------------------------------------------------------------------------------


async def answered(house: House, path: str) -> tuple[int, Any]:
    async with house.client.get(path) as answer:
        return answer.status, await answer.json()


async def test_an_indicator_is_explained_by_its_newest_state(house: House) -> None:
    story = Story().usual(120)
    house.promise("api", story.spec)
    house.states.take(told(story.state))
    status, explanation = await answered(house, f"/api/v1/indicators/{POINT}/explanation")
    assert status == 200
    assert (explanation["id"], explanation["rung"]) == (POINT, "zscore")
    assert [kind["kind"] for kind in explanation["kinds"]] == ["budget", "regression", "trend", "no_data"]


async def regressed(house: House) -> tuple[Story, list[AlertEvent]]:
    """A house whose indicator regressed, and what its alert went through."""
    story = Story().usual(120).tell(*[150.0] * 5)
    house.promise("api", story.spec)
    events = [event for event in story.events if event.kind == "regression"]
    for event in events:
        house.log.alert(event)
    await house.project()
    return story, events


async def test_an_indicator_that_nothing_was_told_about_is_not_guessed_at(house: House) -> None:
    house.promise("api", Story().spec)
    status, problem = await answered(house, "/api/v1/indicators/api/other/explanation")
    assert (status, problem["detail"]) == (404, "no indicator has the id 'api/other'")
    status, problem = await answered(house, f"/api/v1/indicators/{POINT}/explanation")
    assert (status, "nothing was told about" in problem["detail"]) == (404, True)


async def test_an_alert_says_why_each_transition_happened_and_what_holds_now(house: House) -> None:
    story, events = await regressed(house)
    status, detail = await answered(house, f"/api/v1/alerts/{events[0].fingerprint}")
    assert (status, detail["now"]) == (200, None)
    assert [each["event_id"] for each in detail["explanations"]] == [event.id for event in events]
    house.states.take(told(story.state))
    _, detail = await answered(house, f"/api/v1/alerts/{events[0].fingerprint}")
    assert (detail["now"]["kind"], detail["now"]["status"]) == ("regression", "firing")
    assert all(condition["holds"] for condition in detail["now"]["conditions"])


async def test_the_command_prints_conditions_with_values_and_thresholds(house: House) -> None:
    story, events = await regressed(house)
    house.states.take(told(story.state))

    async def explained(*arguments: str) -> tuple[int, str]:
        command = ["explain", *arguments, "--url", house.url]
        answer = await asyncio.to_thread(CliRunner().invoke, create_app(["explain"]), command)
        return answer.exit_code, " ".join(answer.output.split())

    code, text = await explained(POINT)
    assert code == 0
    assert "budget: quiet" in text
    assert "150 ms, it fires above 160 ms" in text
    assert "regression: firing" in text
    code, text = await explained(events[0].fingerprint)
    assert code == 0
    assert "above its baseline of" in text
    assert "The regression alert is firing since" in text
    code, text = await explained(POINT, "--output", "json")
    assert (code, text.startswith('{ "id":')) == (0, True)
    code, text = await explained("api/nothing")
    assert (code, "no indicator has the id 'api/nothing'" in text) == (3, True)
    assert (await explained("0123456789abcdef"))[0] == 3

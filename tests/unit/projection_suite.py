"""What the history projection must do on every database: one suite, run on SQLite and on PostgreSQL."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.metrics import WebMetrics
from agents.settings import KafkaSettings, Settings
from agents.storage.database import begin, begin_read, open_database
from agents.storage.history import (
    alert,
    alert_transition,
    decode_points,
    indicator_latest,
    indicator_points,
    position,
)
from agents.web.history.batch import Poison
from agents.web.history.projection import Projection
from agents.web.history.writer import HistoryWriter
from tests.unit.alert_events import alert_event
from tests.unit.fake_log import ALERTS, INDICATORS, START_MS, STEP_MS, FakeConsumer, FakeLog

DEADLINE_SECONDS = 20.0
History = dict[str, Any]


class KeptLetters:
    """Dead letters that stay here."""

    def __init__(self) -> None:
        self.poison: list[Poison] = []

    async def set_aside(self, poison: list[Poison], *, readable: int) -> None:
        assert readable >= 0
        self.poison += poison


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.005)


def create_projection(
    engine: AsyncEngine, create_consumer: Callable[[], FakeConsumer], log_id: str = "one"
) -> tuple[Projection, KeptLetters]:
    settings = Settings(kafka=KafkaSettings(log_id=log_id))
    letters = KeptLetters()
    metrics = WebMetrics(CollectorRegistry())
    writer = HistoryWriter(engine, log_id)
    projection = Projection(
        settings,
        writer,
        metrics,
        create_consumer,
        letters,  # type: ignore[arg-type]  # a stand-in
        clock=lambda: (START_MS + 1000 * STEP_MS) / 1000,
    )
    return projection, letters


@asynccontextmanager
async def running(projection: Projection) -> AsyncIterator[None]:
    task = asyncio.create_task(projection.run())
    try:
        yield
    finally:
        task.cancel()
        (error,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(error, asyncio.CancelledError), f"the projection ended by itself: {error!r}"


async def rows_of(engine: AsyncEngine, table: Table) -> list[Any]:
    async with begin_read(engine) as connection:
        return list((await connection.execute(select(table))).all())


async def positions_of(engine: AsyncEngine) -> dict[tuple[str, int], int]:
    return {(row.topic, row.partition): row.next_offset for row in await rows_of(engine, position)}


async def history_of(engine: AsyncEngine) -> History:
    """Everything that the history says, without the order in which it was learned."""
    points: dict[str, list[tuple[int, float | None, float]]] = {}
    for row in await rows_of(engine, indicator_points):
        columns = decode_points(row.points)
        assert row.starts_at <= columns.at[0]
        assert row.ends_at == columns.at[-1]
        points.setdefault(row.id, []).extend(
            (at, None if math.isnan(value) else value, weight)
            for at, value, weight in zip(
                columns.at.tolist(), columns.value.tolist(), columns.weight.tolist(), strict=True
            )
        )
    transitions = sorted(await rows_of(engine, alert_transition), key=lambda row: row.seq)
    return {
        "points": {key: sorted(value) for key, value in points.items()},
        "latest": sorted(await rows_of(engine, indicator_latest)),
        "alerts": sorted(
            (row.fingerprint, row.event_id, row.status, row.event) for row in await rows_of(engine, alert)
        ),
        "transitions": {
            fingerprint: [row.event_id for row in transitions if row.fingerprint == fingerprint]
            for fingerprint in {row.fingerprint for row in transitions}
        },
    }


async def project(
    engine: AsyncEngine, log: FakeLog, log_id: str = "one", consumer: type[FakeConsumer] = FakeConsumer
) -> tuple[History, KeptLetters]:
    """Let a fresh projection read to the end of the log, and stop."""
    projection, letters = create_projection(engine, lambda: consumer(log), log_id)
    ends = {(tp.topic, tp.partition): len(records) for tp, records in log.records.items()}
    async with running(projection):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while await positions_of(engine) != ends:
            assert time.monotonic() < deadline, projection.problem
            await asyncio.sleep(0.01)
    return await history_of(engine), letters


def a_log(*, repeats: bool = False) -> FakeLog:
    """Two partitions of frames and two alerts over three hundred steps; with `repeats`, as after a crash."""
    log = FakeLog()
    rng = random.Random(4)
    for step in range(300):
        log.frame(step, {"a/x": rng.random(), 'a/y{route="/"}': None if step % 7 else rng.random()})
        log.frame(step // 2, {"b/x": float(step // 2)}, partition=1)  # every frame twice
        for transition, at in (("pending", 20), ("firing", 20), ("escalated", 60), ("resolved", 250)):
            if step == at:
                log.alert(alert_event(transition, at, severity="warning"))  # type: ignore[arg-type]  # a literal
        if step == 200:
            log.alert(alert_event("firing", 200, indicator="error_rate"), partition=1)
    if repeats:
        for tp, records in list(log.records.items()):
            for record in records[-60:]:
                log.append(tp.topic, tp.partition, record.value, record.key)
    return log


class StopsAfter(FakeConsumer):
    """Gives a few records at a time, so that every batch is another prefix."""

    limit = 7

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Any:
        return await super().getmany(timeout_ms=timeout_ms, max_records=min(max_records, self.limit))


class ProjectionSuite:
    """Give it a fixture `url` with the address of an empty database."""

    @pytest.fixture
    async def engine(self, url: str) -> AsyncIterator[AsyncEngine]:
        engine = await open_database(url)
        yield engine
        await engine.dispose()

    @pytest.fixture
    async def wipe(self, engine: AsyncEngine) -> Callable[[], Any]:
        async def wipe() -> None:
            async with begin(engine) as connection:
                for table in (position, indicator_points, indicator_latest, alert, alert_transition):
                    await connection.execute(table.delete())

        return wipe

    async def test_every_point_and_every_transition_is_kept_as_published(self, engine: AsyncEngine) -> None:
        log = FakeLog()
        log.frame(0, {"a/x": 1.0, 'a/y{route="/"}': None})
        log.frame(1, {"a/x": 2.5, 'a/y{route="/"}': 7.0})
        log.alert(alert_event("pending", 0))
        log.alert(alert_event("firing", 0))
        history, _ = await project(engine, log)
        assert history["points"]["a/x"] == [(START_MS, 1.0, 100.0), (START_MS + STEP_MS, 2.5, 100.0)]
        latest = {row.id: row for row in history["latest"]}
        assert latest["a/x"].value == 2.5
        assert (latest['a/y{route="/"}'].query_id, latest['a/y{route="/"}'].labels) == ("a/y", '{"route":"/"}')
        ((fingerprint, event_id, status, _),) = history["alerts"]
        assert status == "firing"
        assert history["transitions"][fingerprint] == [alert_event("pending", 0).id, event_id]

    async def test_records_that_are_repeated_change_nothing(self, engine: AsyncEngine, wipe: Callable[[], Any]) -> None:
        expected, _ = await project(engine, a_log())
        await wipe()
        history, _ = await project(engine, a_log(repeats=True))
        assert history == expected

    async def test_a_restart_after_any_batch_changes_nothing(
        self, engine: AsyncEngine, wipe: Callable[[], Any]
    ) -> None:
        expected, _ = await project(engine, a_log())
        rng = random.Random(8)
        for _ in range(3):
            await wipe()
            whole, grown = a_log(), a_log()
            ends = {tp: len(records) for tp, records in grown.records.items()}
            reached = dict.fromkeys(ends, 0)
            while reached != ends:
                for tp, end in ends.items():
                    reached[tp] = min(end, reached[tp] + rng.randrange(150))
                    grown.records[tp] = whole.records[tp][: reached[tp]]
                history, _ = await project(engine, grown)
            assert history == expected

    async def test_how_records_fall_into_batches_changes_nothing(
        self, engine: AsyncEngine, wipe: Callable[[], Any]
    ) -> None:
        expected, _ = await project(engine, a_log())
        await wipe()
        history, _ = await project(engine, a_log(), consumer=StopsAfter)
        assert history == expected

    async def test_partitions_that_are_read_one_after_the_other_change_nothing(
        self, engine: AsyncEngine, wipe: Callable[[], Any]
    ) -> None:
        expected, _ = await project(engine, a_log())
        await wipe()
        whole, grown = a_log(), a_log()
        for records in grown.records.values():
            records.clear()
        for tp in sorted(whole.records, reverse=True):
            grown.records[tp] = whole.records[tp]
            history, _ = await project(engine, grown)
        assert history == expected

    async def test_a_log_that_begins_anew_is_read_again_and_changes_nothing(self, engine: AsyncEngine) -> None:
        expected, _ = await project(engine, a_log())
        replayed = a_log()
        for records in replayed.records.values():  # the journal forgot the oldest: other offsets, same content
            del records[:50]
            for offset, record in enumerate(records):
                record.offset = offset
        history, _ = await project(engine, replayed, log_id="two")
        assert history == expected
        assert {row.log_id for row in await rows_of(engine, position)} == {"two"}

    async def test_a_log_that_went_back_under_the_same_name_is_read_from_its_beginning(
        self, engine: AsyncEngine
    ) -> None:
        await project(engine, a_log())
        young = FakeLog()
        young.frame(400, {"a/x": 5.0})
        young.alert(alert_event("firing", 400, started=400))
        projection, _ = create_projection(engine, young.consumer)
        async with running(projection):
            deadline = time.monotonic() + DEADLINE_SECONDS
            while (await positions_of(engine))[INDICATORS, 0] != 1 or (await positions_of(engine))[ALERTS, 0] != 1:
                assert time.monotonic() < deadline, projection.problem
                await asyncio.sleep(0.01)
        history = await history_of(engine)
        assert {row.id: row.value for row in history["latest"]}["a/x"] == 5.0
        assert alert_event("firing", 400, started=400).id in {event_id for _, event_id, _, _ in history["alerts"]}

    async def test_what_retention_cut_is_passed_over(self, engine: AsyncEngine) -> None:
        log = a_log()
        await project(engine, log)
        for tp, records in log.records.items():
            log.earliest[tp] = len(records) + 5
            for _ in range(5):
                log.append(tp.topic, tp.partition, b"cut")
        log.frame(500, {"a/x": 9.0})
        projection, letters = create_projection(engine, log.consumer)
        async with running(projection):
            deadline = time.monotonic() + DEADLINE_SECONDS
            while (await positions_of(engine))[INDICATORS, 0] != 306:
                assert time.monotonic() < deadline, projection.problem
                await asyncio.sleep(0.01)
        assert letters.poison == []
        assert {row.id: row.value for row in (await history_of(engine))["latest"]}["a/x"] == 9.0

    async def test_records_that_cannot_be_read_are_set_aside_and_the_rest_goes_on(self, engine: AsyncEngine) -> None:
        log = FakeLog()
        log.append(INDICATORS, 0, b"\xffgarbage")
        log.frame(1, {"a/x": 1.0})
        log.append(ALERTS, 1, b"{}", b"key")
        log.alert(alert_event("firing", 1), partition=1)
        history, letters = await project(engine, log)
        assert len(history["alerts"]) == len(history["latest"]) == 1
        assert {(letter.record.topic, letter.record.value) for letter in letters.poison} == {
            (INDICATORS, b"\xffgarbage"),
            (ALERTS, b"{}"),
        }

    async def test_two_projections_into_one_database_write_everything_once(self, engine: AsyncEngine) -> None:
        expected_log, shared = a_log(), a_log()
        first, _ = create_projection(engine, lambda: StopsAfter(shared))
        second, _ = create_projection(engine, lambda: StopsAfter(shared))
        ends = {(tp.topic, tp.partition): len(records) for tp, records in shared.records.items()}
        async with running(first), running(second):
            deadline = time.monotonic() + DEADLINE_SECONDS
            # Both know it: stopped in the middle of a transaction, one would leave the database locked.
            while not first._known == second._known == await positions_of(engine) == ends:
                assert time.monotonic() < deadline, (first.problem, second.problem)
                await asyncio.sleep(0.01)
        history = await history_of(engine)
        async with begin(engine) as connection:
            for table in (position, indicator_points, indicator_latest, alert, alert_transition):
                await connection.execute(table.delete())
        assert history == (await project(engine, expected_log))[0]

    async def test_while_kafka_is_away_it_says_so_and_goes_on_by_itself(self, engine: AsyncEngine) -> None:
        log = FakeLog()
        log.away = True
        projection, _ = create_projection(engine, log.consumer)
        async with running(projection):
            await until(lambda: (projection.problem or "").startswith("Kafka is away"))
            log.away = False
            log.frame(1, {"a/x": 1.0})
            await until(lambda: projection.problem is None)
            log.away = True
            await until(lambda: (projection.problem or "").startswith("Kafka is away"))
            log.frame(2, {"a/x": 2.0})
            log.away = False
            deadline = time.monotonic() + DEADLINE_SECONDS
            while (await positions_of(engine))[INDICATORS, 0] != 2:
                assert time.monotonic() < deadline, projection.problem
                await asyncio.sleep(0.01)

    async def test_a_topic_that_does_not_exist_yet_is_named_and_waited_for(self, engine: AsyncEngine) -> None:
        log = FakeLog()
        hidden = {tp: log.records.pop(tp) for tp in list(log.records) if tp.topic == ALERTS}
        projection, _ = create_projection(engine, log.consumer)
        async with running(projection):
            await until(lambda: "driftline.alerts" in (projection.problem or ""))
            log.records |= hidden
            await until(lambda: projection.problem is None)

    async def test_a_partition_that_is_added_is_read_too(self, engine: AsyncEngine) -> None:
        log = FakeLog(partitions=1)
        projection, _ = create_projection(engine, log.consumer)
        async with running(projection):
            await until(lambda: projection.problem is None)
            log.records |= {tp: [] for tp in FakeLog(partitions=2).records if tp.partition == 1}
            log.frame(1, {"a/x": 1.0}, partition=1)
            deadline = time.monotonic() + DEADLINE_SECONDS
            while (await positions_of(engine)).get((INDICATORS, 1)) != 1:
                assert time.monotonic() < deadline, projection.problem
                await asyncio.sleep(0.01)

    async def test_old_history_is_forgotten_but_never_an_open_alert(self, engine: AsyncEngine) -> None:
        await project(engine, a_log())
        writer = HistoryWriter(engine, "one")
        later = START_MS + 1000 * STEP_MS
        assert await writer.prune(START_MS - 1, START_MS - 1) == 0
        assert await writer.prune(later, later) > 0
        history = await history_of(engine)
        assert history["points"] == {}
        ((_, event_id, status, _),) = history["alerts"]
        assert (status, list(history["transitions"].values())) == ("firing", [[event_id]])

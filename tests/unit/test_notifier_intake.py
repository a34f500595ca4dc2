"""The intake: a batch is written down before Kafka hears that it is done; what cannot be read is set aside."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError
from sqlalchemy.exc import OperationalError

from agents.notifier import intake as intake_module
from agents.notifier.intake import MAX_UNREADABLE_IN_A_ROW, Intake
from agents.notifier.watch import Watch
from agents.storage import outbox
from budgets.event import AlertEvent, encode_event
from tests.unit.fake_log import FakeRecord
from tests.unit.notifier_bench import Bench, create_bench, sqlite_url
from tests.unit.outbox_suite import ESCALATED, FIRING, NOW_MS, RESOLVED
from tests.unit.test_notifier_delivery import until

PLACE = TopicPartition("driftline.alerts", 3)
Batch = Mapping[TopicPartition, Sequence[FakeRecord]]


@dataclass
class FakeConsumer:
    """Gives out batches, and remembers what was committed."""

    batches: deque[Batch]
    commits: list[Mapping[TopicPartition, int]] = field(default_factory=list)
    commit_error: Exception | None = None
    start_errors: int = 0
    end: int = 0
    away: bool = False

    async def start(self) -> None:
        if self.start_errors:
            self.start_errors -= 1
            raise KafkaConnectionError("nobody there")

    async def stop(self) -> None:
        pass

    def subscribe(self, topics: Sequence[str], listener: Intake) -> None:
        assert topics == [PLACE.topic]
        self._joined = asyncio.create_task(listener.on_partitions_assigned([PLACE]))

    def assignment(self) -> set[TopicPartition]:
        return {PLACE}

    async def end_offsets(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        assert set(places) == {PLACE}
        if self.away:
            raise KafkaConnectionError("nobody there")
        return {PLACE: self.end}

    async def position(self, _: TopicPartition) -> int:
        return 4

    async def getmany(self, **_: Any) -> Batch:
        await asyncio.sleep(0.001)
        return self.batches.popleft() if self.batches else {}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.commit_error is not None:
            error, self.commit_error = self.commit_error, None
            raise error
        self.commits.append(offsets)


def batch(*values: AlertEvent | bytes | None, first: int = 0) -> Batch:
    encoded = [encode_event(value) if isinstance(value, AlertEvent) else value for value in values]
    return {
        PLACE: [FakeRecord(PLACE.topic, PLACE.partition, first + n, b"k", value) for n, value in enumerate(encoded)]
    }


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(intake_module, "TROUBLE_SECONDS", 0.01)
    bench = await create_bench(sqlite_url(tmp_path), NOW_MS)
    yield bench
    await bench.close()


@asynccontextmanager
async def reading(bench: Bench, consumer: FakeConsumer) -> AsyncIterator[asyncio.Task[None]]:
    bench.intake._create_consumer = lambda: consumer
    task = bench.intake.start()
    try:
        yield task
    finally:
        await bench.intake.stop()


async def test_a_batch_is_written_down_then_committed_and_queues_are_woken(bench: Bench) -> None:
    consumer, woken = FakeConsumer(deque([batch(FIRING, ESCALATED, first=7)])), list[str]()
    bench.intake._wake = woken.append
    async with reading(bench, consumer):
        await until(lambda: bool(consumer.commits))
    assert consumer.commits == [{PLACE: 9}]
    rows = await bench.rows(FIRING.fingerprint)
    assert [(row.event_id, row.source_partition, row.source_offset) for row in rows] == [
        (FIRING.id, 3, 7),
        (ESCALATED.id, 3, 8),
    ]
    assert woken == ["pager"]
    assert bench.metric("driftline_notifier_events_total") == 2


async def test_nothing_is_committed_before_it_is_written_down(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    add = outbox.add

    async def fail(*_: object) -> bool:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    monkeypatch.setattr(outbox, "add", fail)
    consumer = FakeConsumer(deque([batch(FIRING)]))
    async with reading(bench, consumer):
        await until(lambda: "disk is full" in (bench.intake.problem or ""))
        assert consumer.commits == []
        monkeypatch.setattr(outbox, "add", add)
        await until(lambda: consumer.commits == [{PLACE: 1}])
        assert bench.intake.problem is None
    assert await bench.states(FIRING.fingerprint) == [("firing", "pending")]


async def test_an_unreadable_record_is_set_aside_with_its_place_and_reason_and_the_rest_goes_on(bench: Bench) -> None:
    no_time = encode_event(ESCALATED).replace(ESCALATED.at.encode(), b"yesterday")
    consumer = FakeConsumer(deque([batch(b"{", None, no_time, FIRING)]))
    bench.producer.away = 1
    async with reading(bench, consumer):
        await until(lambda: consumer.commits == [{PLACE: 4}])
    assert await bench.states(FIRING.fingerprint) == [("firing", "pending")]
    assert [(letter.value, letter.headers["source-offset"]) for letter in bench.producer.records] == [
        (b"{", "0"),
        (None, "1"),
        (no_time, "2"),
    ]
    assert all(
        letter.headers["source-partition"] == "3" and letter.headers["reason"] for letter in bench.producer.records
    )
    assert bench.metric("driftline_notifier_unreadable_records_total") == 3


async def test_too_many_unreadable_records_in_a_row_end_the_role(bench: Bench) -> None:
    consumer = FakeConsumer(deque([batch(*[b"{"] * (MAX_UNREADABLE_IN_A_ROW + 1))]))
    async with reading(bench, consumer) as task:
        await asyncio.wait({task}, timeout=30)
        with pytest.raises(RuntimeError, match="unreadable records in a row"):
            task.result()
    assert consumer.commits == []


async def test_many_unreadable_records_that_are_not_in_a_row_do_not(bench: Bench) -> None:
    values: list[AlertEvent | bytes | None] = [b"{", FIRING] * (MAX_UNREADABLE_IN_A_ROW + 1)
    consumer = FakeConsumer(deque([batch(*values)]))
    async with reading(bench, consumer):
        await until(lambda: bool(consumer.commits))
    assert len(bench.producer.records) == MAX_UNREADABLE_IN_A_ROW + 1


async def test_kafka_may_come_later_than_we_do(bench: Bench) -> None:
    consumer = FakeConsumer(deque([batch(FIRING)]), start_errors=2)
    assert "not connected" in (bench.intake.problem or "")
    async with reading(bench, consumer):
        await until(lambda: "nobody there" in (bench.intake.problem or ""))
        await until(lambda: bool(consumer.commits))
        assert bench.intake.problem is None


async def test_partitions_that_went_to_another_notifier_are_no_error(bench: Bench) -> None:
    batches = deque([batch(FIRING), batch(RESOLVED, first=1)])
    consumer = FakeConsumer(batches, commit_error=CommitFailedError("rebalanced"))
    async with reading(bench, consumer):
        await until(lambda: consumer.commits == [{PLACE: 2}])


async def test_the_watch_tells_lag_backlog_and_what_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = FakeConsumer(deque([batch(FIRING, ESCALATED)]), end=10)
    watch = Watch(bench.engine, bench.intake, ["pager", "idle"], bench.intake._metrics, bench.clock)
    async with reading(bench, consumer):
        await until(lambda: bool(consumer.commits))
        bench.clock.move_to(NOW_MS + 5_000)
        await watch.look()
        assert (watch.problem, bench.intake.problem) == (None, None)
        assert bench.metric("driftline_notifier_lag_records") == 6
        assert bench.metric("driftline_notifier_pending", receiver="pager") == 2
        assert bench.metric("driftline_notifier_oldest_pending_seconds", receiver="pager") == 5
        assert bench.metric("driftline_notifier_pending", receiver="idle") == 0
        consumer.away = True
        await watch.look()
        assert "Kafka does not answer" in (bench.intake.problem or "")
        consumer.away = False
        await watch.look()
        assert bench.intake.problem is None

    async def fail(_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("attempt to write a readonly database"))

    monkeypatch.setattr(outbox, "check_writable", fail)
    await watch.look()
    assert "readonly" in (watch.problem or "")

"""A queue that runs: trouble that comes and goes, stopping, and errors of our own."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from agents.notifier import delivery
from agents.notifier.receivers.receiver import Message, Outcome
from agents.storage import outbox
from tests.unit.notifier_bench import DELIVERED, Bench, create_bench, sqlite_url
from tests.unit.outbox_suite import FIRING, NOW_MS, OTHER

DEADLINE_SECONDS = 30.0
REFUSED = Outcome("refused", 400, "HTTP 400")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = await create_bench(sqlite_url(tmp_path), NOW_MS)
    yield bench
    await bench.close()


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        now = condition()
        if now if isinstance(now, bool) else await now:
            return
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[asyncio.Task[None]]:
    task = bench.queue.start()
    try:
        yield task
    finally:
        await bench.queue.stop()


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "TROUBLE_SECONDS", 0.01)


async def test_a_woken_queue_sends_at_once_and_others_rows_are_found_without_waking(bench: Bench) -> None:
    async with running(bench):
        await bench.take(FIRING)
        bench.queue.wake()
        await until(lambda: len(bench.receiver.messages) == 1)
        await bench.take(OTHER)
        await until(lambda: len(bench.receiver.messages) == 2)


async def test_what_kafka_does_not_take_as_dead_letter_is_not_forgotten_and_not_sent_again(
    bench: Bench, no_patience: None
) -> None:
    bench.receiver.answers.append(REFUSED)
    bench.producer.away = 3
    await bench.take(FIRING, OTHER)
    async with running(bench):
        await until(lambda: len(bench.producer.records) == 1)
        await until(lambda: len(bench.receiver.messages) == 2)
        await until(lambda: bench.queue.problem is None)
    assert [message.event_id for message in bench.receiver.messages] == [FIRING.id, OTHER.id]
    assert bench.producer.starts == 4, "an idempotent producer can stick: each try has a fresh one"
    assert await bench.states(FIRING.fingerprint) == [("firing", "dead")]


async def test_while_the_database_cannot_record_a_delivery_it_is_not_repeated(
    bench: Bench, no_patience: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = outbox.record_sent

    async def fail(*_: object) -> None:
        raise OperationalError("UPDATE", {"body": "hunter2"}, Exception("database or disk is full"))

    monkeypatch.setattr(outbox, "record_sent", fail)
    await bench.take(FIRING)
    async with running(bench):
        await until(lambda: "disk is full" in (bench.queue.problem or ""))
        assert "hunter2" not in (bench.queue.problem or "")
        monkeypatch.setattr(outbox, "record_sent", record)
        await until(lambda: bench.queue.problem is None)
        assert await bench.states(FIRING.fingerprint) == [("firing", "sent")]
    assert len(bench.receiver.messages) == 1


async def test_an_error_of_our_own_ends_one_delivery_and_tells_no_secret(bench: Bench) -> None:
    bench.receiver.answers.append(RuntimeError("https://hooks.example/hunter2"))
    await bench.take(FIRING, OTHER)
    with capture_logs() as logs:
        await bench.queue.work_off()
    assert await bench.states(FIRING.fingerprint) == [("firing", "dead")]
    assert await bench.states(OTHER.fingerprint) == [("firing", "sent")]
    (letter,) = bench.producer.records
    assert "RuntimeError" in letter.headers["reason"]
    assert "hunter2" not in repr(logs) + repr(letter.headers)
    assert any("notifier_bench.py" in str(line.get("places")) for line in logs), "we are told where"


async def test_stopping_finishes_the_request_under_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def send(message: Message) -> Outcome:
        asked.set()
        await answer.wait()
        return DELIVERED

    monkeypatch.setattr(bench.receiver, "send", send)
    await bench.take(FIRING, OTHER)
    bench.queue.start()
    await asked.wait()
    stopping = asyncio.create_task(bench.queue.stop())
    await asyncio.sleep(0)
    answer.set()
    await stopping
    assert await bench.states(FIRING.fingerprint) == [("firing", "sent")]
    assert await bench.states(OTHER.fingerprint) == [("firing", "pending")], "no new request is begun"


async def test_a_request_that_takes_too_long_is_given_up_when_stopping_and_stays_pending(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def send(message: Message) -> Outcome:
        asked.set()
        await asyncio.Event().wait()
        return DELIVERED

    monkeypatch.setattr(bench.receiver, "send", send)
    monkeypatch.setattr(delivery, "STOP_SECONDS", 0.05)
    await bench.take(FIRING)
    bench.queue.start()
    await asked.wait()
    await bench.queue.stop()
    assert await bench.states(FIRING.fingerprint) == [("firing", "pending")]


async def test_stopping_does_not_wait_for_kafka(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.receiver.answers.append(REFUSED)
    bench.producer.away = 1_000_000
    await bench.take(FIRING)
    async with running(bench):
        await until(lambda: bench.queue.problem is not None)
    assert await bench.states(FIRING.fingerprint) == [("firing", "pending")]


async def test_a_slow_receiver_delays_only_its_own_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = [await create_bench(sqlite_url(tmp_path / name), NOW_MS) for name in ("slow", "quick")]
    asked = asyncio.Event()

    async def send(message: Message) -> Outcome:
        asked.set()
        await asyncio.Event().wait()
        return DELIVERED

    monkeypatch.setattr(slow.receiver, "send", send)
    monkeypatch.setattr(delivery, "STOP_SECONDS", 0.05)
    for bench in (slow, quick):
        await bench.take(FIRING, OTHER)
    async with running(slow):
        await asked.wait()
        async with running(quick):
            await until(lambda: len(quick.receiver.messages) == 2)
    for bench in (slow, quick):
        await bench.close()

"""The outbox on a real PostgreSQL: the same suite as on SQLite, and several notifiers that share it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from agents.storage.database import begin_read, open_database
from agents.storage.exclusive import ExclusiveNames
from tests.servers.postgresql import PostgreSQL, run_postgresql
from tests.unit.notifier_bench import create_bench
from tests.unit.outbox_suite import ESCALATED, FIRING, NOW_MS, OTHER, OutboxSuite

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    with run_postgresql() as server:
        yield server


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    return postgresql.create_database()


class TestOutboxOnPostgresql(OutboxSuite):
    pass


async def test_one_of_two_notifiers_works_for_a_receiver_until_it_is_gone(url: str) -> None:
    first, second = [await create_bench(url, NOW_MS) for _ in range(2)]
    await first.take(FIRING)
    await first.queue.work_off()
    await second.take(FIRING, OTHER)
    assert await second.queue.work_off() is None
    assert second.receiver.messages == []
    await first.queue.work_off()
    assert [message.event_id for message in first.receiver.messages] == [FIRING.id, OTHER.id]
    await second.take(ESCALATED)
    await first.names.release()
    await second.queue.work_off()
    assert [message.event_id for message in second.receiver.messages] == [ESCALATED.id]
    for bench in (first, second):
        await bench.close()


async def test_who_lost_the_connection_lost_what_it_held(url: str) -> None:
    engines = [await open_database(url) for _ in range(2)]
    first, second = (ExclusiveNames(engine) for engine in engines)
    assert await first.hold("notifier/pager")
    assert not await second.hold("notifier/pager")
    async with begin_read(engines[1]) as connection:
        cut = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'"
        assert (await connection.execute(text(cut))).scalars().all() == [True]
    assert await second.hold("notifier/pager")
    with pytest.raises(DBAPIError):
        await first.hold("notifier/pager")
    assert not await first.hold("notifier/pager")
    for names, engine in zip((first, second), engines, strict=True):
        await names.release()
        await engine.dispose()

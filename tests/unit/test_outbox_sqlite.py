"""The outbox on SQLite, and what only one database is needed for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from agents.settings import SettingsError
from agents.storage import outbox
from agents.storage.database import begin, begin_read, create_engine, open_database
from tests.unit.alert_events import alert_event
from tests.unit.notifier_bench import Bench, create_bench, sqlite_url
from tests.unit.outbox_suite import FIRING, NOW_MS, OutboxSuite


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path)


@pytest.fixture
async def bench(url: str) -> AsyncIterator[Bench]:
    bench = await create_bench(url, NOW_MS)
    yield bench
    await bench.close()


class TestOutboxOnSqlite(OutboxSuite):
    pass


async def test_the_database_is_durable_concurrent_and_checks_references(bench: Bench) -> None:
    async with begin_read(bench.engine) as connection:
        found = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert found == ["wal", 2, 1, 15_000]


async def test_the_folder_of_the_database_is_made(tmp_path: Path) -> None:
    engine = await open_database(f"sqlite:///{tmp_path}/a/b/c.db")
    await engine.dispose()
    assert (tmp_path / "a/b/c.db").exists()


async def test_a_write_transaction_that_fails_leaves_nothing(bench: Bench) -> None:
    await bench.take(FIRING)

    async def fail_half_way() -> None:
        async with begin(bench.engine) as connection:
            await connection.execute(text("DELETE FROM outbox"))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail_half_way()
    assert len(await bench.rows(FIRING.fingerprint)) == 1


async def test_who_reads_first_and_writes_then_cannot_be_overtaken(bench: Bench) -> None:
    """Without the lock at the start SQLite would fail the second writer at once, whatever its patience."""
    await bench.take(FIRING)
    both_started = asyncio.Barrier(2)

    async def count_up() -> None:
        await both_started.wait()
        async with begin(bench.engine) as connection:
            attempts = (await connection.execute(text("SELECT attempts FROM outbox"))).scalar_one()
            await connection.execute(text("UPDATE outbox SET attempts = :attempts"), {"attempts": attempts + 1})

    await asyncio.gather(count_up(), count_up())
    (row,) = await bench.rows(FIRING.fingerprint)
    assert row.attempts == 2


async def test_a_database_that_cannot_be_written_is_noticed(bench: Bench) -> None:
    await bench.engine.dispose()
    event.listen(bench.engine.sync_engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))
    with pytest.raises(OperationalError, match="readonly"):
        async with begin(bench.engine) as connection:
            await outbox.check_writable(connection)


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "hunter2", "://hunter2"])
def test_an_address_that_is_none_is_the_operators_mistake_and_is_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        create_engine(url)
    assert "database_url" in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_the_due_query_uses_its_index(bench: Bench) -> None:
    await bench.take(*(alert_event("firing", step) for step in range(20)))
    plan = text(
        "EXPLAIN QUERY PLAN SELECT * FROM outbox WHERE receiver = 'pager' AND state = 'pending' ORDER BY due_at"
    )
    async with begin_read(bench.engine) as connection:
        steps = [row[-1] for row in await connection.execute(plan)]
    assert "ix_outbox_receiver_due_at" in steps[0]
    assert len(steps) == 1, "no sorting beyond the index"

"""The history projection on SQLite, and what only one database is needed for."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from agents.storage.database import begin_read, open_database
from agents.storage.metadata import metadata
from agents.web.history.writer import HistoryWriter
from tests.unit.fake_log import INDICATORS, FakeLog
from tests.unit.projection_suite import ProjectionSuite, create_projection, positions_of, running, until


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/driftline.db"


class TestProjectionOnSqlite(ProjectionSuite):
    pass


async def test_the_migrations_make_the_tables_that_the_code_declares(url: str) -> None:
    engine = await open_database(url)
    ours = set(metadata.tables)

    def difference(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in ours}
        )
        return list(compare_metadata(context, metadata))

    async with begin_read(engine) as connection:
        assert await connection.run_sync(difference) == []
    await engine.dispose()


async def test_while_the_database_is_away_it_says_so_and_loses_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await open_database(url)
    log = FakeLog()
    projection, _ = create_projection(engine, log.consumer)
    write = HistoryWriter.write

    async def fail(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    async with running(projection):
        await until(lambda: projection.problem is None)
        monkeypatch.setattr(HistoryWriter, "write", fail)
        log.frame(1, {"a/x": 1.0})
        await until(lambda: "disk is full" in (projection.problem or ""))
        assert (await positions_of(engine))[INDICATORS, 0] == 0
        monkeypatch.setattr(HistoryWriter, "write", write)
        await until(lambda: projection.problem is None)
        await until(lambda: projection.lag == 0)
    assert (await positions_of(engine))[INDICATORS, 0] == 1
    await engine.dispose()

"""Opening the database: SQLite for one machine, PostgreSQL for several; the same statements on both.

    engine = await open_database(settings.database())
    async with begin(engine) as connection:     # a write transaction: commits at the end, rolls back on an error
        await connection.execute(insert(table)…)
    async with begin_read(engine) as connection:    # one consistent view, takes no write lock
        rows = (await connection.execute(select(table)…)).all()
    await engine.dispose()                      # when the role stops

SQLite's write lock is taken at the start of a write transaction, so that one which reads first and writes then cannot
find that somebody else wrote in between; who comes second waits.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import stamina
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from agents.settings import SettingsError

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_TIMEOUT_MS = 15_000
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_READ_ONLY = "driftline_read_only"
# Any number, the same in every role: who migrates holds it, the others wait.
_MIGRATION_LOCK = 7_461_913


async def open_database(url: str) -> AsyncEngine:
    """Connect and bring the tables up to date; roles that start at once wait for each other.

    Raises:
        SettingsError: not an address that we support; it is not repeated in the text, for it may hold a password.
        SQLAlchemyError: not reachable, or a migration failed.
    """
    engine = create_engine(url)
    try:
        # Turning on SQLite's write-ahead log does not wait for a lock that another starting role holds.
        async for attempt in stamina.retry_context(on=OperationalError, attempts=5, timeout=30.0):
            with attempt:
                async with begin(engine) as connection:
                    await connection.run_sync(_migrate)
    except BaseException:
        await engine.dispose()
        raise
    return engine


def create_engine(url: str) -> AsyncEngine:
    """An engine without a connection yet: `open_database` is what roles use.

    Raises:
        SettingsError: as `open_database`.
    """
    address = _address(url)
    if address.get_backend_name() == "postgresql":
        return create_async_engine(address, pool_pre_ping=True, connect_args={"timeout": 10})
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(address)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise SettingsError("database_url: expected an address such as postgresql://user:password@host/name") from error
    backend = address.drivername.partition("+")[0]
    if backend not in _DRIVERS:
        raise SettingsError(f"database_url: expected sqlite or postgresql, got {backend}")
    return address.set(drivername=_DRIVERS[backend])


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # Transactions begin where we say (`_begin_sqlite`), not where the driver guesses.
    connection.isolation_level = None
    cursor = connection.cursor()
    # FULL: a transaction after which a Kafka offset is committed must survive a power cut.
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@asynccontextmanager
async def begin(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A write transaction."""
    async with engine.begin() as connection:
        yield connection


@asynccontextmanager
async def begin_read(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A read transaction: everything that is read in it is of one moment."""
    options = {_READ_ONLY: True}
    if engine.dialect.name == "postgresql":
        options |= {"postgresql_readonly": True}
    reader = engine.execution_options(**options)
    if engine.dialect.name == "postgresql":
        reader = reader.execution_options(isolation_level="REPEATABLE READ")
    async with reader.connect() as connection:
        yield connection


def _migrate(connection: Connection) -> None:
    """Upgrade inside the caller's transaction: all of it or nothing."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

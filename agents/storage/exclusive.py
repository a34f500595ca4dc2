"""One process at a time: who may work on a named thing when several processes share a database.

On PostgreSQL an advisory lock of a connection that is kept open: it is free again the moment its process is gone.
SQLite serves one machine, where `up` and the data directory's lock see to it that there is one process of a role.
"""

import asyncio
import hashlib

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class ExclusiveNames:
    """The names that this process holds, all on one connection."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._held: set[str] = set()
        self._turn = asyncio.Lock()

    async def hold(self, name: str) -> bool:
        """Whether this process holds `name`; takes it when it is free.

        To be asked again before each piece of work: a lost connection loses what it held.

        Raises:
            SQLAlchemyError, OSError: the database cannot be asked.
        """
        if self._engine.dialect.name != "postgresql":
            return True
        async with self._turn:
            try:
                return await self._hold(name)
            except (SQLAlchemyError, OSError):
                await self._drop()
                raise

    async def _hold(self, name: str) -> bool:
        if self._connection is None:
            connection = await self._engine.connect()
            self._connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        if name in self._held:
            await self._connection.execute(text("SELECT 1"))
            return True
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        taken = (await self._connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key})).scalar_one()
        if taken:
            self._held.add(name)
        return bool(taken)

    async def _drop(self) -> None:
        """Close the connection for good: back in the pool it might still hold its locks."""
        connection, self._connection = self._connection, None
        self._held.clear()
        if connection is not None:
            await connection.invalidate()
            await connection.close()

    async def release(self) -> None:
        """Give up everything."""
        async with self._turn:
            try:
                if self._connection is not None:
                    await self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
                    connection, self._connection = self._connection, None
                    self._held.clear()
                    await connection.close()
            except (SQLAlchemyError, OSError):
                await self._drop()

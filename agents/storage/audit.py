"""The audit trail in SQL, in the order of its topic: a projection that can be dropped and is filled again.

The topic keeps every record for 400 days, the table for ever; who reads it stands in `agents/web/audit_trail.py`.
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Index, Table, Text, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.storage.database import begin, begin_read
from agents.storage.metadata import RowId, metadata
from budgets.audit import AuditRecord, decode_record, encode_record

audit = Table(
    "audit",
    metadata,
    Column("seq", RowId, primary_key=True, autoincrement=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "subject", "seq"),
)


class AuditStore:
    """The table; every method is one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert

    async def add(self, records: Sequence[AuditRecord]) -> None:
        """Keep records, in their order; those that are there stay."""
        rows = [
            {"hash": each.hash, "subject": each.subject, "at": each.at, "record": encode_record(each).decode()}
            for each in records
        ]
        if rows:
            statement = self._insert(audit).on_conflict_do_nothing(index_elements=["hash"])
            async with begin(self._engine) as connection:
                await connection.execute(statement, rows)

    async def newest(self, subject: str | None, before: int | None, limit: int) -> list[tuple[int, AuditRecord]]:
        """Records with their numbers, the newest first. before: only those with smaller numbers."""
        query = select(audit.c.seq, audit.c.record).order_by(audit.c.seq.desc()).limit(limit)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        if before is not None:
            query = query.where(audit.c.seq < before)
        async with begin_read(self._engine) as connection:
            return [(seq, decode_record(text.encode())) for seq, text in await connection.execute(query)]

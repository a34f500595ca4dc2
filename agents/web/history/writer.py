"""Writing the history: rows and the source's position in one transaction, so that a repeat changes nothing.

Several web roles may project into one PostgreSQL: a position is moved only from where its reader knew it to be, so
of two that read the same records one writes and the other notices.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from agents.storage.database import begin, begin_read
from agents.storage.history import (
    PointColumns,
    alert,
    alert_transition,
    decode_points,
    encode_points,
    indicator_baseline,
    indicator_latest,
    indicator_points,
    merge_points,
    position,
)
from agents.web.history.batch import Points
from budgets.event import AlertEvent, encode_event, parse_time
from streams.frame import split_point_id

# Values in one IN (…): both databases take some thirty thousand parameters.
_KEYS_PER_QUERY = 5_000

# A topic's partition.
Source = tuple[str, int]


class PositionMovedError(Exception):
    """Somebody else has written what was read here: read on from the positions in the database."""


class HistoryWriter:
    """Writes batches; stateless but for the database.

    log_id: the log that offsets belong to (`settings.kafka.log_id`).
    """

    def __init__(self, engine: AsyncEngine, log_id: str) -> None:
        self._engine = engine
        self._log_id = log_id
        self._insert = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert

    async def claim(self, starts: Mapping[Source, int]) -> dict[Source, int]:
        """Where to read on, source by source.

        Args:
            starts: every source with its first offset, for those that this log's positions do not know yet.
        """
        rows = [
            {"topic": topic, "partition": partition, "log_id": self._log_id, "next_offset": offset}
            for (topic, partition), offset in sorted(starts.items())
        ]
        async with begin(self._engine) as connection:
            if rows:
                new = self._insert(position)
                statement = new.on_conflict_do_update(
                    index_elements=["topic", "partition"],
                    set_={"log_id": new.excluded.log_id, "next_offset": new.excluded.next_offset},
                    where=position.c.log_id != new.excluded.log_id,
                )
                await connection.execute(statement, rows)
            found = await connection.execute(select(position.c.topic, position.c.partition, position.c.next_offset))
            return {(topic, number): offset for topic, number, offset in found if (topic, number) in starts}

    async def write(
        self, points: Points, events: Sequence[AlertEvent], moves: Mapping[Source, tuple[int, int]]
    ) -> None:
        """Everything of one round of reading, or nothing.

        Args:
            moves: where each source's position was known to be, and where it is after this.

        Raises:
            PositionMovedError: nothing was written.
        """
        async with begin(self._engine) as connection:
            # In one order everywhere, so that two writers wait for each other instead of locking each other out.
            for (topic, partition), (known, after) in sorted(moves.items()):
                moved = await connection.execute(
                    update(position)
                    .where(
                        position.c.topic == topic,
                        position.c.partition == partition,
                        position.c.log_id == self._log_id,
                        position.c.next_offset == known,
                    )
                    .values(next_offset=after)
                )
                if moved.rowcount != 1:
                    raise PositionMovedError
            await self._write_points(connection, points.rows)
            await self._write_latest(connection, points)
            await self._write_baselines(connection, points)
            await self._write_events(connection, events)

    async def _write_points(self, connection: AsyncConnection, rows: Mapping[tuple[str, int], PointColumns]) -> None:
        table = indicator_points
        starts = sorted({start for _, start in rows})
        stored: dict[tuple[str, int], bytes] = {}
        for block in _blocks(sorted({point_id for point_id, _ in rows})):
            found = await connection.execute(
                select(table.c.id, table.c.starts_at, table.c.points).where(
                    table.c.id.in_(block), table.c.starts_at.in_(starts)
                )
            )
            stored |= {(point_id, start): data for point_id, start, data in found}
        # Beside the event loop: it packs thousands of points.
        packed = await asyncio.to_thread(_pack, rows, stored)
        await self._upsert(connection, table, packed, keys=("id", "starts_at"))

    async def _write_latest(self, connection: AsyncConnection, points: Points) -> None:
        rows = []
        for point in points.latest.values():
            query_id, labels = split_point_id(point.id)
            service, _, name = query_id.partition("/")
            rows.append(
                {
                    "id": point.id,
                    "query_id": query_id,
                    "service": service,
                    "name": name,
                    "labels": msgspec.json.encode(labels).decode(),
                    "value": point.value,
                    "weight": point.weight,
                    "at": point.at,
                    "step": point.step,
                }
            )
        await self._upsert(connection, indicator_latest, rows, keys=("id",), newest_by="at")

    async def _write_baselines(self, connection: AsyncConnection, points: Points) -> None:
        rows = [asdict(told) for told in points.baselines.values()]
        await self._upsert(connection, indicator_baseline, rows, keys=("id",), newest_by="at")

    async def _write_events(self, connection: AsyncConnection, events: Sequence[AlertEvent]) -> None:
        """Only events that were never seen; of those, each alert's last one becomes its latest."""
        seen: set[str] = set()
        for block in _blocks([event.id for event in events]):
            seen.update(
                await connection.scalars(
                    select(alert_transition.c.event_id).where(alert_transition.c.event_id.in_(block))
                )
            )
        new = list({event.id: event for event in events if event.id not in seen}.values())
        if not new:
            return
        rows = [
            {
                "event_id": event.id,
                "fingerprint": event.fingerprint,
                "service": event.service,
                "at": parse_time(event.at),
                "event": encode_event(event).decode(),
            }
            for event in new
        ]
        statement = self._insert(alert_transition).on_conflict_do_nothing(index_elements=["event_id"])
        await connection.execute(statement, rows)
        latest: dict[str, dict[str, Any]] = {}
        for event, row in zip(new, rows, strict=True):
            known = latest.get(event.fingerprint)
            if known is None or row["at"] >= known["at"]:
                latest[event.fingerprint] = {**row, "status": event.status}
        await self._upsert(connection, alert, list(latest.values()), keys=("fingerprint",), newest_by="at")

    async def _upsert(
        self,
        connection: AsyncConnection,
        table: Table,
        rows: list[dict[str, Any]],
        *,
        keys: tuple[str, ...],
        newest_by: str | None = None,
    ) -> None:
        """Insert or replace; with `newest_by` an older row never replaces a newer one."""
        if not rows:
            return
        new = self._insert(table)
        statement = new.on_conflict_do_update(
            index_elements=list(keys),
            set_={column: new.excluded[column] for column in rows[0] if column not in keys},
            where=new.excluded[newest_by] >= table.c[newest_by] if newest_by else None,
        )
        await connection.execute(statement, rows)

    async def prune(self, points_before: int, events_before: int) -> int:
        """Forget what is older than two moments, Unix ms; an alert that is still open stays with all its events.

        Returns:
            How many rows went.
        """
        open_alerts = select(alert.c.fingerprint).where(alert.c.status != "resolved")
        async with begin(self._engine) as connection:
            gone = 0
            for statement in (
                delete(indicator_points).where(
                    indicator_points.c.starts_at < points_before, indicator_points.c.ends_at < points_before
                ),
                delete(indicator_baseline).where(indicator_baseline.c.at < points_before),
                delete(indicator_latest).where(indicator_latest.c.at < points_before),
                delete(alert_transition).where(
                    alert_transition.c.at < events_before, alert_transition.c.fingerprint.not_in(open_alerts)
                ),
                delete(alert).where(alert.c.at < events_before, alert.c.status == "resolved"),
            ):
                gone += (await connection.execute(statement)).rowcount
            return gone

    async def ping(self) -> None:
        """Ask the database for anything; raises what it raises."""
        async with begin_read(self._engine) as connection:
            await connection.execute(select(func.count()).select_from(position))


def _pack(
    rows: Mapping[tuple[str, int], PointColumns], stored: Mapping[tuple[str, int], bytes]
) -> list[dict[str, Any]]:
    """Rows of `indicator_points`: what is new merged into what is there."""
    packed = []
    for key, columns in rows.items():
        merged = merge_points(decode_points(stored[key]), columns) if key in stored else columns
        packed.append(
            {"id": key[0], "starts_at": key[1], "ends_at": int(merged.at[-1]), "points": encode_points(merged)}
        )
    return packed


def _blocks(keys: Iterable[str]) -> Iterable[list[str]]:
    iterator = iter(keys)
    while block := list(islice(iterator, _KEYS_PER_QUERY)):
        yield block

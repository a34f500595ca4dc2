"""Reading the history: what the API and the page ask the database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec
import numpy as np
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.storage.database import begin_read
from agents.storage.history import (
    LONGEST_ROW_MS,
    PointColumns,
    alert,
    alert_transition,
    decode_points,
    indicator_baseline,
    indicator_latest,
    indicator_points,
    merge_points,
)
from agents.storage.outbox import Delivery, deliveries_of
from agents.web.history.batch import LatestBaseline
from budgets.event import AlertEvent, Status, decode_event

_IDS_PER_QUERY = 5_000
OPEN: tuple[Status, ...] = ("pending", "firing", "stale")


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest point of one indicator; at: Unix ms, step: ms."""

    id: str
    query_id: str
    labels: dict[str, str]
    value: float | None
    weight: float | None
    at: int
    step: int
    usual: LatestBaseline | None = None


class HistoryReader:
    """Every method is one consistent view."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def latest(self) -> list[Latest]:
        """The newest point of every indicator that was ever measured, by id."""
        table = indicator_latest
        columns = (
            table.c.id,
            table.c.query_id,
            table.c.labels,
            table.c.value,
            table.c.weight,
            table.c.at,
            table.c.step,
        )
        told = indicator_baseline
        async with begin_read(self._engine) as connection:
            usual = {row.id: LatestBaseline(*row) for row in await connection.execute(select(*told.c))}
            rows = await connection.execute(select(*columns).order_by(table.c.id))
            return [
                Latest(
                    point_id,
                    query_id,
                    msgspec.json.decode(labels, type=dict[str, str]),
                    value,
                    weight,
                    at,
                    step,
                    usual.get(point_id),
                )
                for point_id, query_id, labels, value, weight, at, step in rows
            ]

    async def points(self, ids: Sequence[str], from_ms: int, to_ms: int) -> dict[str, PointColumns]:
        """The points of some indicators in [from_ms, to_ms]; who has none is not in it."""
        table = indicator_points
        parts: dict[str, list[PointColumns]] = {}
        async with begin_read(self._engine) as connection:
            for block in _blocks(ids):
                rows = await connection.execute(
                    select(table.c.id, table.c.points)
                    .where(
                        table.c.id.in_(block),
                        table.c.starts_at > from_ms - LONGEST_ROW_MS,
                        table.c.starts_at <= to_ms,
                        table.c.ends_at >= from_ms,
                    )
                    .order_by(table.c.id, table.c.starts_at)
                )
                for point_id, data in rows:
                    parts.setdefault(point_id, []).append(decode_points(data))
        found = {point_id: _cut(merge_points(*pieces), from_ms, to_ms) for point_id, pieces in parts.items()}
        return {point_id: columns for point_id, columns in found.items() if columns.at.size}

    async def open_alerts(self) -> list[AlertEvent]:
        """The latest event of every alert that is not resolved."""
        async with begin_read(self._engine) as connection:
            rows = await connection.scalars(select(alert.c.event).where(alert.c.status.in_(OPEN)))
            return [decode_event(text.encode()) for text in rows]

    async def alerts(
        self, statuses: Sequence[str], service: str | None, after: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, AlertEvent]]:
        """The latest event of alerts with its time in Unix ms, newest first.

        Args:
            statuses: any of these; empty = all.
            after: time and fingerprint of the last one that was read.
        """
        query = select(alert.c.at, alert.c.event).order_by(alert.c.at.desc(), alert.c.fingerprint.desc()).limit(limit)
        if statuses:
            query = query.where(alert.c.status.in_(statuses))
        if service is not None:
            query = query.where(alert.c.service == service)
        if after is not None:
            query = query.where(tuple_(alert.c.at, alert.c.fingerprint) < tuple_(*after))
        async with begin_read(self._engine) as connection:
            return [(at, decode_event(text.encode())) for at, text in await connection.execute(query)]

    async def alert(self, fingerprint: str) -> tuple[list[AlertEvent], Sequence[Delivery]]:
        """Every transition of one alert, oldest first, and what was sent about it; empty = never heard of."""
        table = alert_transition
        query = select(table.c.event).where(table.c.fingerprint == fingerprint).order_by(table.c.at, table.c.seq)
        async with begin_read(self._engine) as connection:
            events = [decode_event(text.encode()) for text in await connection.scalars(query)]
            return events, await deliveries_of(connection, fingerprint)

    async def transitions(self, service: str, from_ms: int, to_ms: int) -> list[AlertEvent]:
        """Every transition of a service's alerts in [from_ms, to_ms], oldest first."""
        table = alert_transition
        query = (
            select(table.c.event)
            .where(table.c.service == service, table.c.at.between(from_ms, to_ms))
            .order_by(table.c.at, table.c.seq)
        )
        async with begin_read(self._engine) as connection:
            return [decode_event(text.encode()) for text in await connection.scalars(query)]


def _cut(columns: PointColumns, from_ms: int, to_ms: int) -> PointColumns:
    first, end = np.searchsorted(columns.at, (from_ms, to_ms + 1)).tolist()
    return PointColumns(columns.at[first:end], columns.value[first:end], columns.weight[first:end])


def _blocks(ids: Iterable[str]) -> Iterable[list[str]]:
    iterator = iter(ids)
    while block := list(islice(iterator, _IDS_PER_QUERY)):
        yield block

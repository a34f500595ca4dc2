"""The outbox: what is to be sent to whom, when it is due next, and what became of it.

The one table that is a source itself: the log can rebuild everything but what has been sent already. A row is one
alert event for one receiver; a repeated event finds its row and adds nothing. The rows of one alert and receiver are
sent in the order of their ids: a row is due only when no earlier one of them is pending.

Every function takes the caller's connection, so that the caller says what belongs into one transaction.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    Row,
    Table,
    Text,
    UniqueConstraint,
    delete,
    exists,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.storage.metadata import RowId, metadata

# pending: to be sent. sent: the receiver took it. dead: given up, with the reason. superseded: told by the alert's
# resolution instead. expired: too old when it was taken in, never sent.
State = Literal["pending", "sent", "dead", "superseded", "expired"]
Unsent = Literal["dead", "superseded"]

_PENDING = text("state = 'pending'")

outbox = Table(
    "outbox",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("episode", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("transition", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("source_partition", Integer, nullable=False),
    Column("source_offset", BigInteger, nullable=False),
    Column("event_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("last_status", Integer),
    Column("last_error", Text, nullable=False),
    Column("finished_at", BigInteger),
    Column("sent_at", BigInteger),
    UniqueConstraint("event_id", "receiver"),
    CheckConstraint("state IN ('pending', 'sent', 'dead', 'superseded', 'expired')", name="state"),
    Index(None, "receiver", "due_at", sqlite_where=_PENDING, postgresql_where=_PENDING),
    Index(None, "fingerprint", "receiver"),
    Index(None, "created_at"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A row to be: one event for one receiver.

    body: the event's JSON, byte for byte as it was published.
    source_partition, source_offset: where it stood on the alerts topic.
    event_at, created_at: Unix ms, when it was decided and when it was taken in.
    """

    event_id: str
    receiver: str
    fingerprint: str
    episode: str
    service: str
    severity: str
    transition: str
    body: bytes
    source_partition: int
    source_offset: int
    event_at: int
    created_at: int
    state: State = "pending"
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class Delivery(NewDelivery):
    """A row as it is. last_error: why the latest attempt failed, or why the row ended; never an address or a secret."""

    id: int = 0
    due_at: int = 0
    attempts: int = 0
    last_status: int | None = None
    finished_at: int | None = None
    sent_at: int | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one receiver. oldest_at: when the oldest of it was taken in, Unix ms."""

    pending: int
    oldest_at: int


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**row._asdict())


def _is_head() -> ColumnElement[bool]:
    """Whether a pending row is the first one of its alert and receiver."""
    earlier = outbox.alias("earlier")
    return ~exists().where(
        earlier.c.receiver == outbox.c.receiver,
        earlier.c.fingerprint == outbox.c.fingerprint,
        earlier.c.state == "pending",
        earlier.c.id < outbox.c.id,
    )


async def add(connection: AsyncConnection, new: NewDelivery) -> bool:
    """Add a row, due at once; False if the receiver has this event already."""
    ended = new.created_at if new.state != "pending" else None
    values = {**asdict(new), "due_at": new.created_at, "attempts": 0, "finished_at": ended}
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(outbox).values(values).on_conflict_do_nothing(index_elements=["event_id", "receiver"])
    return bool((await connection.execute(statement)).rowcount)


async def told(connection: AsyncConnection, fingerprint: str, episode: str) -> dict[str, frozenset[State]]:
    """What became of an episode's rows so far, by receiver."""
    columns = (outbox.c.receiver, outbox.c.state)
    rows = await connection.execute(
        select(*columns).distinct().where(outbox.c.fingerprint == fingerprint, outbox.c.episode == episode)
    )
    states: dict[str, set[State]] = {}
    for receiver, state in rows:
        states.setdefault(receiver, set()).add(state)
    return {receiver: frozenset(of_it) for receiver, of_it in states.items()}


async def next_delivery(connection: AsyncConnection, receiver: str) -> Delivery | None:
    """The row of a receiver that is due first; its `due_at` may lie ahead. None = nothing is pending."""
    first = (
        select(outbox)
        .where(outbox.c.receiver == receiver, outbox.c.state == "pending", _is_head())
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(1)
    )
    row = (await connection.execute(first)).first()
    return None if row is None else _delivery(row)


async def superseded_by_resolution(connection: AsyncConnection, receiver: str) -> Sequence[Delivery]:
    """Pending rows that were tried in vain and whose episode has a pending resolution behind them."""
    resolution = outbox.alias("resolution")
    is_over = exists().where(
        resolution.c.receiver == outbox.c.receiver,
        resolution.c.fingerprint == outbox.c.fingerprint,
        resolution.c.episode == outbox.c.episode,
        resolution.c.state == "pending",
        resolution.c.transition == "resolved",
        resolution.c.id > outbox.c.id,
    )
    rows = await connection.execute(
        select(outbox)
        .where(outbox.c.receiver == receiver, outbox.c.state == "pending", outbox.c.attempts > 0, is_over)
        .order_by(outbox.c.id)
    )
    return [_delivery(row) for row in rows]


async def record_sent(connection: AsyncConnection, delivery: Delivery, now_ms: int, status: int | None) -> None:
    """The receiver took it."""
    values = {"state": "sent", "attempts": delivery.attempts + 1, "last_status": status, "last_error": ""}
    await _update(connection, delivery, **values, sent_at=now_ms, finished_at=now_ms)


async def record_attempt(
    connection: AsyncConnection, delivery: Delivery, *, due_at: int, status: int | None, error: str
) -> None:
    """An attempt in vain; the row is due again at `due_at`."""
    await _update(
        connection, delivery, attempts=delivery.attempts + 1, due_at=due_at, last_status=status, last_error=error
    )


async def record_end(
    connection: AsyncConnection,
    delivery: Delivery,
    now_ms: int,
    *,
    state: Unsent,
    status: int | None,
    reason: str,
) -> None:
    """The row ends without having been taken, for a reason."""
    await _update(connection, delivery, state=state, last_status=status, last_error=reason, finished_at=now_ms)


async def _update(connection: AsyncConnection, delivery: Delivery, **values: object) -> None:
    # Only what is still pending: another process may have been first.
    row = (outbox.c.id == delivery.id, outbox.c.state == "pending")
    await connection.execute(update(outbox).where(*row).values(values))


async def hasten(connection: AsyncConnection, receiver: str, now_ms: int) -> None:
    """Make due at once what waits to be tried again: the receiver is back."""
    waiting = (outbox.c.receiver == receiver, outbox.c.state == "pending", outbox.c.due_at > now_ms)
    await connection.execute(update(outbox).where(*waiting).values(due_at=now_ms))


async def backlogs(connection: AsyncConnection) -> dict[str, Backlog]:
    """What waits, by receiver; a receiver without anything is not in it."""
    columns = (outbox.c.receiver, func.count(), func.min(outbox.c.created_at))
    rows = await connection.execute(select(*columns).where(outbox.c.state == "pending").group_by(outbox.c.receiver))
    return {receiver: Backlog(count, oldest_at) for receiver, count, oldest_at in rows}


async def deliveries_of(connection: AsyncConnection, fingerprint: str) -> Sequence[Delivery]:
    """Everything that was or is to be sent about one alert, in order: for the API and the page."""
    rows = await connection.execute(select(outbox).where(outbox.c.fingerprint == fingerprint).order_by(outbox.c.id))
    return [_delivery(row) for row in rows]


async def prune(connection: AsyncConnection, before_ms: int) -> int:
    """Forget rows that were added before `before_ms`; returns how many."""
    return (await connection.execute(delete(outbox).where(outbox.c.created_at < before_ms))).rowcount


async def check_writable(connection: AsyncConnection) -> None:
    """Touch the table without changing it; raises what the database says if it cannot be written."""
    await connection.execute(update(outbox).where(outbox.c.id == -1).values(attempts=0))

"""The audit trail: follows the orders and writes each once more to `driftline.audit`, chained to the one before.

What is audited is read from that topic alone, so a restart goes on where it was; an order that was given while nobody
audited is audited then. Several web roles write the same records in the same order: equal bytes, taken once.
"""

import asyncio
from collections import deque

import structlog
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError

from agents.kafka.clients import create_producer
from agents.kafka.topic_reader import TopicReader
from agents.kafka.topics import AUDIT
from agents.settings import Settings
from agents.storage.audit import AuditStore
from budgets.audit import BEGINNING, AuditRecord, create_record, decode_record, encode_record
from budgets.order import Order

log = structlog.get_logger()

POLL_SECONDS = 0.2
RETRY_SECONDS = 1.0
ANSWER_SECONDS = 30.0
# A record that another role wrote, too, comes soon after.
_REMEMBERED_HASHES = 10_000


class AuditReader(TopicReader):
    """What the topic says: the newest record of each subject, and where the chain ends.

    fresh: records that came since they were last taken away. breaks: how often a record did not follow the one before.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, AUDIT, "audit records")
        self._seen: dict[str, None] = {}
        self.newest: dict[str, AuditRecord] = {}
        self.end: str | None = None
        self.fresh: list[AuditRecord] = []
        self.breaks = 0

    def take(self, record: ConsumerRecord) -> None:
        """Take one record; what is no audit record breaks the chain and is left out."""
        try:
            self.add(decode_record(record.value or b""))
        except ValueError as error:  # msgspec's errors are such
            self.breaks += 1
            log.warning("the audit trail has a record that is none", offset=record.offset, reason=str(error))

    def add(self, record: AuditRecord) -> None:
        """Take a record, each once."""
        if record.hash in self._seen:
            return
        self._seen[record.hash] = None
        if len(self._seen) > _REMEMBERED_HASHES:
            del self._seen[next(iter(self._seen))]
        # Retention takes the first ones: what the oldest that is left follows cannot be known.
        if self.end is not None and record.previous != self.end:
            self.breaks += 1
            log.error("the audit trail is broken", subject=record.subject, at=record.at, previous=record.previous)
        self.end = record.hash
        self.newest[record.subject] = record
        self.fresh.append(record)


class AuditTrail:
    """Give `on_order` to the reader of orders; `run` does the rest.

    problem: why orders are not audited now, None = they are.
    """

    def __init__(self, settings: Settings, store: AuditStore) -> None:
        self._settings = settings
        self._store = store
        self._orders: deque[Order] = deque()
        self._reader = AuditReader(settings)
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """See the class."""
        return self._problem or self._reader.problem

    @property
    def breaks(self) -> int:
        """How often a record does not follow the one before: somebody changed or removed something."""
        return self._reader.breaks

    def on_order(self, _: str, order: Order | None) -> None:
        """Take an order. A tombstone says neither who nor when: what is removed in order has a document of its own."""
        if order is not None:
            self._orders.append(order)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while self._reader.problem is not None:
                try:
                    await self._reader.start()
                except TimeoutError:
                    continue  # its `problem` says why
            pause = 0.0
            while True:
                await asyncio.sleep(pause)
                pause = await self._round()
        finally:
            await self._reader.stop()

    async def _round(self) -> float:
        """Write what is new; how long to wait before the next look."""
        try:
            if records := self._pending():
                await self._write(records)
                for record in records:
                    self._reader.add(record)
            await self._keep()
        except (KafkaError, SQLAlchemyError, OSError) as error:
            problem = f"orders cannot be audited: {str(error).partition(chr(10))[0] or repr(error)}"
            if problem != self._problem:
                log.warning("orders cannot be audited, trying again", error=repr(error))
            self._problem = problem
            return RETRY_SECONDS
        self._problem = None
        return POLL_SECONDS

    def _pending(self) -> list[AuditRecord]:
        """Records of the orders that are not audited yet, chained to each other."""
        records: list[AuditRecord] = []
        newest, end = dict(self._reader.newest), self._reader.end or BEGINNING
        for order in self._orders:
            before = newest.get(order.subject)
            if before is not None and order.at <= before.at:
                continue
            was = before.after if before is not None else None
            record = create_record(end, order.subject, order.by, order.at, was, order.document)
            newest[order.subject], end = record, record.hash
            records.append(record)
        if not records:
            self._orders.clear()
        return records

    async def _write(self, records: list[AuditRecord]) -> None:
        producer = create_producer(self._settings.kafka, "driftline-audit")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await producer.start()
                for record in records:
                    value, key = encode_record(record), record.subject.encode()
                    await producer.send_and_wait(self._settings.topic(AUDIT.name), value, key=key, partition=0)
        finally:
            await producer.stop()

    async def _keep(self) -> None:
        """Into SQL, for those who ask."""
        fresh = self._reader.fresh
        await self._store.add(fresh)
        self._reader.fresh = self._reader.fresh[len(fresh) :]

"""One queue a receiver: takes what is due from the outbox, sends it, records what came of it.

A slow or dead receiver delays only its own queue. The row is recorded after the receiver has answered: a process
that dies in between sends the same event with the same id again, and nothing is lost.

When a receiver was down while an alert fired and resolved, only the resolution is sent, which says from when to when
the alert was: what was tried in vain before it is superseded. What was never tried is sent, in order.
"""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from aiokafka.errors import KafkaError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from agents.metrics import NotifierMetrics
from agents.notifier.backoff import Backoff
from agents.notifier.dead_letters import DeadLetters
from agents.notifier.receivers.receiver import Message, Outcome, Receiver
from agents.notifier.trouble import DATABASE_TROUBLE, TROUBLE, TROUBLE_SECONDS, explain
from agents.storage import outbox
from agents.storage.database import begin, begin_read
from agents.storage.exclusive import ExclusiveNames
from agents.storage.outbox import Delivery

log = structlog.get_logger()

# Another process may have added a row for this queue.
POLL_SECONDS = 1.0
# `up` gives a role 4 s to stop.
STOP_SECONDS = 3.0

Clock = Callable[[], float]  # Unix seconds


class DeliveryQueue:
    """Everything for one receiver, one request at a time.

    problem: why it cannot work now, None = it can. A receiver that does not answer is no problem of ours.
    """

    def __init__(
        self,
        receiver: Receiver,
        max_age_ms: int,
        engine: AsyncEngine,
        names: ExclusiveNames,
        dead_letters: DeadLetters,
        metrics: NotifierMetrics,
        backoff: Backoff,
        clock: Clock = time.time,
    ) -> None:
        self.problem: str | None = None
        self._receiver = receiver
        self._max_age_ms = max_age_ms
        self._engine = engine
        self._names = names
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._backoff = backoff
        self._clock = clock
        self._paused_until_ms = 0
        # Since the latest delivery: alerts that failed, and whether the receiver was not even reached.
        self._failing: set[str] = set()
        self._unreached = False
        self._news = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Work until `stop`; the task fails when our own code does."""
        self._task = asyncio.create_task(self._run(), name=f"deliveries to {self._receiver.name}")
        return self._task

    def wake(self) -> None:
        """Look into the outbox now."""
        self._news.set()

    async def stop(self) -> None:
        """Finish the request that is under way, unless it takes too long: then it is repeated after the next start."""
        self._stopping = True
        self.wake()
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await self._receiver.close()

    async def _run(self) -> None:
        while not self._stopping:
            self._news.clear()
            wait_seconds = POLL_SECONDS
            try:
                next_ms = await self.work_off()
                self.problem = None
            except TROUBLE as error:
                self._report(error)
                wait_seconds = TROUBLE_SECONDS
            else:
                if next_ms is not None:
                    wait_seconds = min(POLL_SECONDS, max(0.0, next_ms / 1000 - self._clock()))
            if not self._stopping:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), wait_seconds)

    async def work_off(self) -> int | None:
        """Send everything that is due.

        Returns:
            when the next is due, Unix ms; None = nothing waits, or another process does it.

        Raises:
            SQLAlchemyError, OSError, KafkaError: what could not be done is done by the next call.
        """
        while not self._stopping:
            if not await self._names.hold(f"notifier/{self._receiver.name}"):
                return None
            await self._supersede()
            async with begin_read(self._engine) as connection:
                delivery = await outbox.next_delivery(connection, self._receiver.name)
            if delivery is None:
                return None
            due_ms = max(delivery.due_at, self._paused_until_ms)
            if due_ms > self._now_ms():
                return due_ms
            await self._attempt(delivery)
        return None

    async def _supersede(self) -> None:
        async with begin_read(self._engine) as connection:
            over = await outbox.superseded_by_resolution(connection, self._receiver.name)
        for delivery in over:
            reason = f"superseded by the alert's resolution after {delivery.attempts} attempts: {delivery.last_error}"
            await self._end(delivery, "superseded", delivery.last_status, reason)

    async def _attempt(self, delivery: Delivery) -> None:
        if self._now_ms() - delivery.event_at > self._max_age_ms:
            reason = f"not delivered before max_age, {delivery.attempts} attempts: {delivery.last_error or 'none made'}"
            await self._end(delivery, "dead", delivery.last_status, reason)
            return
        started = time.perf_counter()
        outcome = await self._send(delivery)
        self._metrics.attempt_seconds.labels(self._receiver.name).observe(time.perf_counter() - started)
        self._metrics.attempts.labels(self._receiver.name, outcome.verdict).inc()
        match outcome.verdict:
            case "delivered":
                await self._record_sent(delivery, outcome)
            case "retry":
                await self._record_retry(delivery, outcome)
            case "refused":
                await self._end(delivery, "dead", outcome.status, outcome.reason)

    async def _send(self, delivery: Delivery) -> Outcome:
        try:
            return await self._receiver.send(Message(delivery.event_id, delivery.body))
        except Exception as error:  # noqa: BLE001  the loop over deliveries: one event must not silence all others
            # Not the error's text: it may hold an address. The places in the code are what we need.
            places = "".join(traceback.format_tb(error.__traceback__)[-3:])
            log.error("a message could not be made", **self._facts(delivery), error=type(error).__name__, places=places)  # noqa: TRY400
            return Outcome("refused", reason=f"a message could not be made of it: {type(error).__name__}")

    async def _record_sent(self, delivery: Delivery, outcome: Outcome) -> None:
        now_ms = self._now_ms()
        # One alert that fails while others arrive is that alert's trouble; otherwise the receiver was away and is back.
        is_back = self._unreached or len(self._failing) > 1
        self._failing.clear()
        self._unreached = False

        async def write(connection: AsyncConnection) -> None:
            await outbox.record_sent(connection, delivery, now_ms, outcome.status)
            if is_back:
                await outbox.hasten(connection, self._receiver.name, now_ms)

        await self._write(write)
        self._metrics.finished.labels(self._receiver.name, "sent").inc()
        log.info("delivered", **self._facts(delivery), attempts=delivery.attempts + 1)

    async def _record_retry(self, delivery: Delivery, outcome: Outcome) -> None:
        now_ms = self._now_ms()
        self._failing.add(delivery.fingerprint)
        self._unreached = self._unreached or outcome.status is None
        wait_ms = self._backoff.wait_ms(delivery.attempts + 1)
        if outcome.retry_after_ms is not None:
            wait_ms = max(wait_ms, outcome.retry_after_ms)
            self._paused_until_ms = now_ms + outcome.retry_after_ms
        # Due in time to be given up in time.
        due_ms = min(now_ms + wait_ms, delivery.event_at + self._max_age_ms + 1)
        log.warning("not delivered, trying again", **self._facts(delivery), reason=outcome.reason, wait_ms=wait_ms)
        await self._write(
            lambda connection: outbox.record_attempt(
                connection, delivery, due_at=due_ms, status=outcome.status, error=outcome.reason
            )
        )

    async def _end(self, delivery: Delivery, state: outbox.Unsent, status: int | None, reason: str) -> None:
        """Give a delivery up: first where people look for it, then in the outbox, so that it cannot get lost."""
        log.warning("given up", **self._facts(delivery), state=state, reason=reason)
        while True:
            try:
                await self._dead_letters.add_delivery(delivery, reason)
                break
            except KafkaError as error:
                await self._wait_out(error)
        now_ms = self._now_ms()
        await self._write(
            lambda connection: outbox.record_end(
                connection, delivery, now_ms, state=state, status=status, reason=reason
            )
        )
        self._metrics.finished.labels(self._receiver.name, state).inc()

    async def _write(self, write: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """Record what has happened, however long it takes: asking the receiver again would repeat it."""
        while True:
            try:
                async with begin(self._engine) as connection:
                    await write(connection)
            except DATABASE_TROUBLE as error:
                await self._wait_out(error)
            else:
                return

    async def _wait_out(self, error: Exception) -> None:
        """Wait before the next try; the error itself when there is none, because we are stopping."""
        self._report(error)
        if self._stopping:
            raise error
        await asyncio.sleep(TROUBLE_SECONDS)

    def _report(self, error: Exception) -> None:
        self.problem = f"deliveries to {self._receiver.name} wait: {explain(error)}"
        log.warning("a queue waits", receiver=self._receiver.name, problem=self.problem)

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)

    def _facts(self, delivery: Delivery) -> dict[str, str]:
        return {"receiver": self._receiver.name, "event_id": delivery.event_id, "transition": delivery.transition}

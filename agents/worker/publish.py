"""Publishing of closed steps: events first, acknowledged, then the frame that says the step is done.

A frame on the indicators topic means that every event up to its step is on the alerts topic. So after a crash
the worker continues after the last frame, and what it repeats has the same ids and the same bytes.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.kafka.clients import close_producer
from agents.kafka.codecs import encode_alert
from agents.kafka.topics import ALERT_STATE, ALERTS, INDICATORS, ORDERS, STATES
from agents.settings import Settings
from agents.worker.partition import ClosedStep
from budgets.event import AlertEvent, parse_time
from budgets.explain.state import encode_states
from budgets.order import encode_order
from streams.frame import encode_frame

log = structlog.get_logger()

# Frames on their way: bounds memory and what is sent again after an outage.
MAX_UNACKED = 500
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Message:
    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


class Publisher:
    """Sends in order and does not give up: while Kafka is away it waits, with `problem` set.

    Not safe for concurrent use: one agent publishes at a time.
    """

    def __init__(self, settings: Settings, create_producer: Callable[[], AIOKafkaProducer]) -> None:
        self._settings = settings
        self._create_producer = create_producer
        self._producer: AIOKafkaProducer | None = None
        self._unacked: deque[tuple[_Message, asyncio.Future[object]]] = deque()
        self.problem: str | None = None

    async def start(self) -> None:
        """Connect; raises what aiokafka raises."""
        self._producer = self._create_producer()
        await self._producer.start()

    async def partition_count(self, topic: str) -> int:
        """How many partitions a topic has."""
        assert self._producer is not None
        return len(await self._producer.partitions_for(topic))

    async def stop(self) -> None:
        """Give what is on its way the chance to arrive."""
        if self._producer is not None:
            await self._producer.stop()

    async def publish(self, partition: int, step: ClosedStep) -> None:
        """Publish one step; returns when what it decided is acknowledged and its frame is on its way."""
        if step.events or step.baselines:
            for event in step.events:
                for message in self._messages_of(event):
                    await self._send(message)
            for order in step.baselines:
                topic, key = self._settings.topic(ORDERS.name), order.subject.encode()
                await self._send(_Message(topic, 0, key, encode_order(order), (), order.at))
            await self.flush()
        states = step.states
        if states is not None and states.points:
            topic = self._settings.topic(STATES.name)
            await self._send(_Message(topic, partition, None, encode_states(states), (), states.at))
        frame = step.frame
        await self._send(
            _Message(self._settings.topic(INDICATORS.name), partition, None, encode_frame(frame), (), frame.at)
        )
        while len(self._unacked) > MAX_UNACKED:
            await self._settle_oldest()

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: tuple[tuple[str, bytes], ...] = (),
        timestamp_ms: int,
    ) -> None:
        """Send one record and wait until it is acknowledged."""
        await self._send(_Message(topic, partition, key, value, headers, timestamp_ms))
        await self.flush()

    async def flush(self) -> None:
        """Return when everything sent so far is acknowledged."""
        while self._unacked:
            await self._settle_oldest()

    def _messages_of(self, event: AlertEvent) -> tuple[_Message, _Message]:
        record = encode_alert(event)
        at_ms = parse_time(event.at)
        state = None if event.status == "resolved" else record.value
        return (
            _Message(self._settings.topic(ALERTS.name), None, record.key, record.value, tuple(record.headers), at_ms),
            _Message(self._settings.topic(ALERT_STATE.name), None, record.key, state, (), at_ms),
        )

    async def _send(self, message: _Message) -> None:
        while True:
            try:
                self._unacked.append((message, await self._hand_over(message)))
            except KafkaError as error:
                await self._reconnect(error)
            else:
                return

    async def _hand_over(self, message: _Message) -> asyncio.Future[object]:
        if self._producer is None:
            await self.start()
        assert self._producer is not None
        return await self._producer.send(  # type: ignore[no-any-return]  # aiokafka is partly untyped
            message.topic,
            message.value,
            key=message.key,
            partition=message.partition,
            timestamp_ms=message.timestamp_ms,
            headers=list(message.headers),
        )

    async def _settle_oldest(self) -> None:
        try:
            await self._unacked[0][1]
        except KafkaError as error:
            await self._reconnect(error)
        else:
            self._unacked.popleft()
            self.problem = None

    async def _reconnect(self, error: KafkaError) -> None:
        """A fresh producer (an idempotent one can stick after an outage), and everything unacknowledged again."""
        self.problem = f"Kafka does not take what this worker publishes: {error!r}"
        log.warning("publishing failed, trying again", error=repr(error), unacknowledged=len(self._unacked))
        again = [message for message, _ in self._unacked]
        while True:
            for _, future in self._unacked:
                future.cancel()
            self._unacked.clear()
            try:
                if self._producer is not None:
                    stale, self._producer = self._producer, None
                    await close_producer(stale)
                for message in again:
                    self._unacked.append((message, await self._hand_over(message)))
            except KafkaError as retry_error:
                log.warning("Kafka is away", error=repr(retry_error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

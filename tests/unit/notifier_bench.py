"""What the notifier's tests share: a clock that is set, a receiver that says what it is told, a producer that keeps."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.metrics import NotifierMetrics
from agents.notifier.backoff import Backoff
from agents.notifier.dead_letters import DeadLetters
from agents.notifier.delivery import DeliveryQueue
from agents.notifier.intake import Arrival, Intake
from agents.notifier.receivers.receiver import Message, Outcome
from agents.settings import ReceiverSettings, Settings
from agents.storage.database import begin_read, open_database
from agents.storage.exclusive import ExclusiveNames
from agents.storage.outbox import Delivery, deliveries_of
from budgets.event import AlertEvent, encode_event, parse_time

DELIVERED = Outcome("delivered", 204)
HOUR_MS = 3_600_000


def retry(status: int | None = 503, retry_after_ms: int | None = None) -> Outcome:
    return Outcome("retry", status, f"HTTP {status}" if status else "connection refused", retry_after_ms)


@dataclass
class SetClock:
    """Stands still until it is moved."""

    seconds: float

    def __call__(self) -> float:
        return self.seconds

    @property
    def ms(self) -> int:
        return round(self.seconds * 1000)

    def move_to(self, ms: int) -> None:
        assert ms >= self.ms, "time does not go back"
        self.seconds = ms / 1000


@dataclass
class ToldReceiver:
    """Answers as it is told, then with `then`."""

    name: str
    answers: deque[Outcome | Exception] = field(default_factory=deque)
    then: Outcome = DELIVERED
    messages: list[Message] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    clock: SetClock | None = None

    async def send(self, message: Message) -> Outcome:
        self.messages.append(message)
        if self.clock is not None:
            self.times_ms.append(self.clock.ms)
        answer = self.answers.popleft() if self.answers else self.then
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        pass


@dataclass
class KeptRecord:
    topic: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]


@dataclass
class FakeProducer:
    """Remembers what it is given; `away`: how many of the next sends fail."""

    records: list[KeptRecord] = field(default_factory=list)
    away: int = 0
    starts: int = 0

    async def start(self) -> None:
        self.starts += 1

    async def flush(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def send_and_wait(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        if self.away:
            self.away -= 1
            raise KafkaConnectionError("nobody there")
        self.records.append(KeptRecord(topic, key, value, {name: text.decode() for name, text in headers}))


@dataclass
class Bench:
    """An outbox, an intake and a queue for one receiver."""

    engine: AsyncEngine
    options: ReceiverSettings
    receiver: ToldReceiver
    queue: DeliveryQueue
    intake: Intake
    names: ExclusiveNames
    clock: SetClock
    producer: FakeProducer
    registry: CollectorRegistry

    async def take(self, *events: AlertEvent) -> set[str]:
        """What the intake does with events."""
        return await self.intake.store([arrival_of(event, offset) for offset, event in enumerate(events)])

    async def rows(self, fingerprint: str) -> Sequence[Delivery]:
        async with begin_read(self.engine) as connection:
            return await deliveries_of(connection, fingerprint)

    async def states(self, fingerprint: str) -> list[tuple[str, str]]:
        return [(row.transition, row.state) for row in await self.rows(fingerprint)]

    async def close(self) -> None:
        await self.names.release()
        await self.engine.dispose()

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


def arrival_of(event: AlertEvent, offset: int = 0) -> Arrival:
    return Arrival(event, encode_event(event), parse_time(event.at), 0, offset)


async def create_bench(
    url: str, now_ms: int, options: ReceiverSettings | None = None, *, initial_ms: int = 1000, max_ms: int = 60_000
) -> Bench:
    options = options or ReceiverSettings(name="pager", type="webhook", url="http://127.0.0.1/")
    engine = await open_database(url)
    registry = CollectorRegistry()
    metrics, clock, producer = NotifierMetrics(registry), SetClock(now_ms / 1000), FakeProducer()
    receiver = ToldReceiver(options.name, clock=clock)
    letters = DeadLetters(Settings(), lambda: producer)
    names = ExclusiveNames(engine)
    # The largest wait there is: what comes back sooner comes back too soon.
    backoff = Backoff(initial_ms, max_ms, lambda: 1.0)
    queue = DeliveryQueue(receiver, options.max_age, engine, names, letters, metrics, backoff, clock)
    intake = Intake("driftline.alerts", lambda: None, [options], engine, letters, metrics, lambda _: None, clock)
    return Bench(engine, options, receiver, queue, intake, names, clock, producer, registry)


def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/driftline.db"

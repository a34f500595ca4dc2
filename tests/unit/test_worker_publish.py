"""What a worker publishes, in which order, and what it does when Kafka is away."""

import asyncio
from dataclasses import dataclass, field

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, OutOfOrderSequenceNumber

import agents.worker.publish
from agents.settings import Settings
from agents.worker.partition import ClosedStep
from agents.worker.publish import Publisher
from budgets.event import AlertEvent, Transition, decode_event
from streams.frame import IndicatorFrame, Points, decode_frame
from tests.servers.waiting import until
from tests.unit.alert_events import alert_event

Sent = tuple[str, bytes | None, bytes | None]


@dataclass
class FakeKafka:
    """Takes records in order; `acknowledge` answers the oldest ones that wait, `fail` refuses all of them.

    sent: every record that was handed over, repeats included. down: nobody can connect.
    """

    sent: list[Sent] = field(default_factory=list)
    waiting: list[asyncio.Future[object]] = field(default_factory=list)
    producers: int = 0
    down: bool = False
    at_once: bool = False

    def create(self) -> AIOKafkaProducer:
        self.producers += 1
        return FakeProducer(self)

    def acknowledge(self) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_result(None)
        self.waiting.clear()

    def fail(self, error: KafkaError) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_exception(error)
        self.waiting.clear()

    def topics(self) -> list[str]:
        return [topic.removeprefix("driftline.") for topic, _, _ in self.sent]


@dataclass
class FakeProducer:
    kafka: FakeKafka

    async def start(self) -> None:
        if self.kafka.down:
            raise KafkaConnectionError("nobody there")

    async def flush(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def send(self, topic: str, value: bytes | None, *, key: bytes | None, **_: object) -> asyncio.Future[object]:
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.kafka.sent.append((topic, key, value))
        if self.kafka.at_once:
            future.set_result(None)
        else:
            self.kafka.waiting.append(future)
        return future


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka()


async def started(kafka: FakeKafka) -> Publisher:
    publisher = Publisher(Settings(), kafka.create)
    await publisher.start()
    return publisher


def step(at: int, *events: AlertEvent) -> ClosedStep:
    return ClosedStep(IndicatorFrame(at, 15_000, Points(["s/i"], [1.0], [None])), list(events))


def events(*transitions: Transition) -> list[AlertEvent]:
    return [alert_event(transition, number) for number, transition in enumerate(transitions, 1)]


async def wait_for_sent(kafka: FakeKafka, count: int) -> None:
    await until(lambda: len(kafka.sent) >= count, 5, f"{count} records handed over")


async def test_a_frame_leaves_only_after_its_events_are_acknowledged(kafka: FakeKafka) -> None:
    publisher = await started(kafka)
    publishing = asyncio.create_task(publisher.publish(2, step(15_000, *events("pending", "firing"))))
    await wait_for_sent(kafka, 4)
    await asyncio.sleep(0)
    assert kafka.topics() == ["alerts", "alert-state", "alerts", "alert-state"]
    assert not publishing.done()
    kafka.acknowledge()
    await publishing
    assert kafka.topics()[4:] == ["indicators"]
    assert decode_frame(kafka.sent[4][2] or b"").at == 15_000


async def test_a_resolved_alert_leaves_a_tombstone_as_its_state(kafka: FakeKafka) -> None:
    kafka.at_once = True
    publisher = await started(kafka)
    firing, resolved = events("firing", "resolved")
    await publisher.publish(0, step(15_000, firing, resolved))
    states = [(key, value) for topic, key, value in kafka.sent if topic == "driftline.alert-state"]
    assert decode_event(states[0][1] or b"") == firing
    assert states[1] == (firing.fingerprint.encode(), None)


async def test_what_was_not_acknowledged_is_sent_again_in_order_by_a_new_producer(kafka: FakeKafka) -> None:
    publisher = await started(kafka)
    await publisher.publish(0, step(15_000))
    await publisher.publish(0, step(30_000))
    publishing = asyncio.create_task(publisher.publish(0, step(45_000, *events("firing"))))
    await wait_for_sent(kafka, 4)
    kafka.fail(OutOfOrderSequenceNumber())
    await wait_for_sent(kafka, 8)
    assert kafka.topics()[4:] == ["indicators", "indicators", "alerts", "alert-state"]
    assert kafka.sent[4:] == kafka.sent[:4]
    assert kafka.producers == 2
    assert publisher.problem is not None
    kafka.acknowledge()
    await publishing
    assert publisher.problem is None
    assert kafka.topics()[8:] == ["indicators"]


async def test_while_kafka_is_away_the_publisher_waits_and_says_so(
    kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.worker.publish, "RETRY_SECONDS", 0.01)
    publisher = await started(kafka)
    publishing = asyncio.create_task(publisher.publish(0, step(15_000, *events("firing"))))
    await wait_for_sent(kafka, 2)
    kafka.down = True
    kafka.fail(KafkaConnectionError())
    await until(lambda: kafka.producers > 3, 5, "several attempts")
    assert not publishing.done()
    assert publisher.problem is not None
    assert "Kafka" in publisher.problem
    kafka.down, kafka.at_once = False, True
    await asyncio.wait_for(publishing, 5)
    assert publisher.problem is None


async def test_frames_on_their_way_are_bounded(kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents.worker.publish, "MAX_UNACKED", 3)
    publisher = await started(kafka)
    for number in range(3):
        await publisher.publish(0, step(15_000 * number))
    fourth = asyncio.create_task(publisher.publish(0, step(45_000)))
    await wait_for_sent(kafka, 4)
    await asyncio.sleep(0)
    assert not fourth.done()
    kafka.acknowledge()
    await fourth


async def test_a_single_record_is_acknowledged_before_send_returns(kafka: FakeKafka) -> None:
    publisher = await started(kafka)
    sending = asyncio.create_task(publisher.send("driftline.dead-letter", b"bad", timestamp_ms=1))
    await wait_for_sent(kafka, 1)
    assert not sending.done()
    kafka.acknowledge()
    await sending

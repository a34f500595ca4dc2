"""The embedded broker remembers: over a stop, over `kill -9`, and what its small memory would forget."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from agents.kafka.admin import create_topics, list_topics
from agents.kafka.clients import create_consumer, create_producer, read_to_end
from agents.kafka.journal import read_frames
from agents.settings import KafkaSettings, Settings, SettingsError
from tests.servers.embedded import EmbeddedBroker


async def read(kafka: KafkaSettings, topic: str, partition: int = 0) -> list[ConsumerRecord]:
    consumer = create_consumer(kafka, "test")
    await consumer.start()
    try:
        return [record async for record in read_to_end(consumer, TopicPartition(topic, partition))]
    finally:
        await consumer.stop()


async def write(kafka: KafkaSettings, topic: str, partition: int, *pairs: tuple[bytes | None, bytes | None]) -> None:
    producer = create_producer(kafka, "test")
    await producer.start()
    try:
        for number, (key, value) in enumerate(pairs):
            headers = [("n", str(number).encode())]
            await producer.send_and_wait(
                topic, value, key=key, partition=partition, timestamp_ms=1_000 + number, headers=headers
            )
    finally:
        await producer.stop()


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_every_topic_is_there_with_its_partitions(embedded_broker: EmbeddedBroker) -> None:
    settings = Settings(kafka=embedded_broker.kafka)
    await create_topics(settings)
    states = await list_topics(settings)
    assert {state.name: state.partitions for state in states if state.partitions != state.wanted_partitions} == {}
    assert {state.partitions for state in states} == {1, 4}


async def test_a_second_run_on_the_data_directory_has_every_record_again(embedded_broker: EmbeddedBroker) -> None:
    pairs = [(b"k", b"v"), (None, b""), (b"k", None)]
    await write(embedded_broker.kafka, "driftline.alerts", 2, *pairs)
    first_log = embedded_broker.log_id
    embedded_broker.stop()
    assert embedded_broker.process is not None
    assert embedded_broker.process.returncode == 0
    embedded_broker.start()
    assert embedded_broker.log_id != first_log
    records = await read(embedded_broker.kafka, "driftline.alerts", 2)
    assert [(record.key, record.value) for record in records] == pairs
    assert [record.timestamp for record in records] == [1_000, 1_001, 1_002]
    assert [record.headers for record in records] == [(("n", str(number).encode()),) for number in range(3)]
    # And once more: what was played back is neither lost nor doubled.
    embedded_broker.stop()
    embedded_broker.start()
    assert len(await read(embedded_broker.kafka, "driftline.alerts", 2)) == 3


async def test_records_that_the_journal_had_survive_kill_9(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    await write(embedded_broker.kafka, "driftline.orders", 0, *((f"{n}".encode(), b"v") for n in range(100)))
    kept = embedded_broker.data_dir / "log" / "orders" / "0.log"

    async def written() -> bool:
        copy = tmp_path / "copy"
        copy.write_bytes(kept.read_bytes())
        return sum(len(frame) for frame in read_frames(copy)) == 100

    await eventually(written)
    await write(embedded_broker.kafka, "driftline.orders", 0, (b"last", b"v"))
    embedded_broker.kill()
    with kept.open("ab") as file:
        file.write(b"\xff\x00\x00\x00torn")
    embedded_broker.start()
    keys = [record.key for record in await read(embedded_broker.kafka, "driftline.orders")]
    assert keys[:100] == [f"{n}".encode() for n in range(100)]
    assert keys[100:] in ([], [b"last"])


async def test_a_compacted_topic_loses_no_key_to_the_brokers_small_memory(embedded_broker: EmbeddedBroker) -> None:
    await write(embedded_broker.kafka, "driftline.orders", 0, (b"budget/old", b"still in force"))
    noise = [(b"noise", os.urandom(100_000)) for _ in range(20)]
    for _ in range(8):  # 16 MB through 5 MiB, in steps that leave the journal a moment
        await write(embedded_broker.kafka, "driftline.orders", 0, *noise)

        async def present() -> bool:
            return b"budget/old" in [record.key for record in await read(embedded_broker.kafka, "driftline.orders")]

        await eventually(present)
        await asyncio.sleep(0.7)  # twice as long as the journal takes to look
    records = await read(embedded_broker.kafka, "driftline.orders")
    assert records[0].offset > 0, "the broker must have dropped something"
    latest = {record.key: record.value for record in records}
    assert latest == {b"budget/old": b"still in force", b"noise": noise[-1][1]}


async def test_another_number_of_partitions_is_refused(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.stop()
    other = EmbeddedBroker(embedded_broker.data_dir, partitions=8)
    with pytest.raises(RuntimeError, match="was written with 4 partitions, the settings say 8"):
        other.start()
    assert other.process is not None
    assert other.process.returncode == 2


async def test_topics_that_are_missing_are_an_operators_mistake(embedded_broker: EmbeddedBroker) -> None:
    kafka = embedded_broker.kafka.model_copy(update={"topic_prefix": "other."})
    with pytest.raises(SettingsError, match=r"no topic other\.samples"):
        await create_topics(Settings(kafka=kafka))

"""Everything that a real run puts on the topics, held to docs/asyncapi.yaml and docs/schemas.

The embedded broker, the real ingest and worker, budgets through their publisher: simulated traffic that breaks a
budget and recovers, a record that is no protobuf, and a budget file that becomes wrong.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from aiokafka import ConsumerRecord

from agents.budget_files import BudgetPublisher
from agents.demo.timelapse import play_history
from agents.demo.traffic import Floats, RequestService
from agents.kafka.clients import create_producer
from agents.kafka.partitions import partition_of
from agents.kafka.topics import TOPICS
from agents.settings import Settings, load_settings
from agents.stack import free_port
from agents.supervisor import Child, driftline_command, wait_ready
from streams.wire.request import split_series
from streams.wire.samples import read_samples
from tests.faults.stored import read_topic
from tests.servers.embedded import EmbeddedBroker

DOCS = Path(__file__).resolve().parents[2] / "docs"
PARTITIONS = 4
SERVICE = "auth-service"
BUDGET = {
    SERVICE: {
        "window": "1m",
        "for": "10s",
        "keep_firing_for": "10s",
        "response_time": {"p95": {"budget_ms": 200, "warning_threshold": 0.8, "critical_threshold": 1.0}},
        "error_rate": {"max_percentage": 1.0, "warning_threshold": 0.5, "critical_threshold": 0.8},
    }
}
WRONG_BUDGET = '{"auth-service": {"throughput": {"min_rps": "many"}}}'
HISTORY_SECONDS = 40 * 60
SLOW_FROM_SECONDS, SLOW_TO_SECONDS = 25 * 60, 32 * 60
NOT_PROTOBUF = b"\xffnot a WriteRequest"
# Declared for what comes later, or used elsewhere (test_ha_pairs.py, test_changes.py): nothing may be on them here.
SILENT = {"changes", "audit", "replicas"}

Records = dict[str, list[ConsumerRecord]]
Document = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What one run left on the topics."""

    settings: Settings
    records: Records

    def of(self, topic: str) -> list[ConsumerRecord]:
        return self.records[topic]


def slowed(start_s: float) -> Callable[[Floats], Floats]:
    def slowdown(seconds: Floats) -> Floats:
        since = seconds - start_s
        return np.where((since > SLOW_FROM_SECONDS) & (since < SLOW_TO_SECONDS), 4.0, 1.0)

    return slowdown


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(0.2)


async def read_all(settings: Settings, topic: str) -> list[ConsumerRecord]:
    partitions = next(PARTITIONS if found.partitions == "many" else 1 for found in TOPICS if found.name == topic)
    batches = [await read_topic(settings, topic, number) for number in range(partitions)]
    return [record for batch in batches for record in batch]


async def write_poison(settings: Settings) -> None:
    producer = create_producer(settings.kafka, "test")
    await producer.start()
    try:
        place = partition_of(SERVICE, PARTITIONS)
        topic = settings.topic("samples")
        at_ms = int(time.time() * 1000)
        await producer.send_and_wait(topic, NOT_PROTOBUF, SERVICE.encode(), partition=place, timestamp_ms=at_ms)
    finally:
        await producer.stop()


@asynccontextmanager
async def roles(environ: dict[str, str], settings: Settings, *names: str) -> AsyncIterator[None]:
    children = [
        Child(
            name,
            driftline_command(name),
            {**os.environ, **environ},
            f"http://{getattr(settings, name).listen}/-/ready",
        )
        for name in names
    ]
    try:
        for child in children:
            await child.start()
        await wait_ready(children, 60)
        yield
    finally:
        for child in reversed(children):
            await child.stop()


async def live(settings: Settings, environ: dict[str, str], publisher: BudgetPublisher, budget_file: Path) -> None:
    """The parts of a run that happen now: ticks of ingest, a dead letter, an alert about a budget file."""
    async with roles(environ, settings, "ingest"):
        await write_poison(settings)
        await asyncio.to_thread(budget_file.write_text, WRONG_BUDGET, encoding="utf-8")

        async def everything_is_there() -> bool:
            ticks = [record for record in await read_all(settings, "samples") if record.value == b""]
            alerts = [json.loads(record.value)["service"] for record in await read_all(settings, "alerts")]
            return bool(ticks and await read_all(settings, "dead-letter") and "driftline" in alerts)

        await until(everything_is_there, "ticks, a dead letter and an alert about the budget file")
    assert publisher.problems


@pytest.fixture
async def run(embedded_broker: EmbeddedBroker, tmp_path: Path) -> Run:
    environ = {
        "DRIFTLINE_DATA_DIR": str(tmp_path / "data"),
        "DRIFTLINE_STEP": "5s",
        "DRIFTLINE_EVALUATION_DELAY": "2s",
        "DRIFTLINE_KAFKA__BOOTSTRAP": embedded_broker.bootstrap,
        "DRIFTLINE_KAFKA__LOG_ID": embedded_broker.log_id,
        "DRIFTLINE_KAFKA__PARTITIONS": str(PARTITIONS),
        "DRIFTLINE_WORKER__SNAPSHOT_EVERY": "1s",
        "DRIFTLINE_WORKER__LISTEN": f"127.0.0.1:{free_port()}",
        "DRIFTLINE_INGEST__LISTEN": f"127.0.0.1:{free_port()}",
    }
    settings = load_settings(environ=environ)
    budget_file = tmp_path / "budget.json"
    budget_file.write_text(json.dumps(BUDGET), encoding="utf-8")
    publisher = BudgetPublisher(settings, [budget_file], effective_at_ms=0)
    await publisher.start()
    try:
        async with roles(environ, settings, "worker"):
            end_ms = int(time.time() * 1000)
            start_ms = end_ms - HISTORY_SECONDS * 1000
            service = RequestService(SERVICE, rate=2000.0, median_seconds=0.055, slowdown=slowed(start_ms / 1000))
            await play_history(settings, [service], start_ms, end_ms, np.random.default_rng(3), lambda _: None)
            await live(settings, environ, publisher, budget_file)
            return Run(settings, {topic.name: await read_all(settings, topic.name) for topic in TOPICS})
    finally:
        await publisher.stop()


def asyncapi() -> Document:
    document: Document = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
    return document


def resolve(document: Document, node: Any) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        reference = node["$ref"]
        if reference.startswith("#/"):
            node = document
            for part in reference.removeprefix("#/").split("/"):
                node = node[part]
        else:
            node = json.loads((DOCS / reference).read_text(encoding="utf-8"))
    return node


def check(document: object, schema: Document) -> None:
    jsonschema.validate(document, schema, jsonschema.Draft202012Validator, format_checker=jsonschema.FormatChecker())


def messages_of(document: Document, topic: str) -> list[Document]:
    return [resolve(document, message) for message in document["channels"][topic]["messages"].values()]


def check_record(record: ConsumerRecord, messages: Sequence[Document], document: Document) -> None:
    """A record is one of its channel's messages: key, headers and payload."""
    is_tombstone = record.value is None
    message = next(found for found in messages if (found["title"] == "Tombstone") is is_tombstone)
    key_schema = message.get("bindings", {}).get("kafka", {}).get("key")
    if key_schema is not None:
        check((record.key or b"").decode(), key_schema)
    if "headers" in message:
        check({name: value.decode() for name, value in record.headers}, resolve(document, message["headers"]))
    payload = resolve(document, message.get("payload", {}))
    if not is_tombstone and payload and "schemaFormat" not in payload:
        check(json.loads(record.value), payload)


def check_samples(records: Sequence[ConsumerRecord]) -> None:
    written = [record for record in records if record.value not in {b"", NOT_PROTOBUF}]
    assert written
    for record in written:
        assert record.key == SERVICE.encode()
        assert read_samples(split_series(record.value)).values.size
    assert all(record.key == b"" for record in records if record.value == b"")


def check_alerts(records: Sequence[ConsumerRecord]) -> None:
    events = [json.loads(record.value) for record in records]
    transitions = {(event["kind"], event["transition"]) for event in events if event["service"] == SERVICE}
    assert transitions >= {("budget", "pending"), ("budget", "firing"), ("budget", "resolved")}
    for record, event in zip(records, events, strict=True):
        headers = {name: value.decode() for name, value in record.headers}
        assert record.key.decode() == event["fingerprint"]
        assert headers["ce_id"] == event["id"]
        assert headers["ce_time"] == event["at"]
        assert headers["ce_type"] == f"io.driftline.alert.{event['transition']}.v1"


def check_state(records: Sequence[ConsumerRecord], alerts: Sequence[ConsumerRecord]) -> None:
    """The latest state of each fingerprint follows from the alerts: a tombstone once it is resolved."""
    latest = {record.key: record.value for record in records}
    expected = {}
    for record in alerts:
        resolved = json.loads(record.value)["transition"] == "resolved"
        expected[record.key] = None if resolved else record.value
    assert latest == expected
    assert None in latest.values()


def check_frames(records: Sequence[ConsumerRecord], step_ms: int) -> None:
    frames = [json.loads(record.value) for record in records]
    assert len(frames) > HISTORY_SECONDS * 1000 // step_ms * 0.9
    for frame in frames:
        points = frame["points"]
        assert frame["at"] % frame["step"] == 0
        assert len(points["id"]) == len(points["value"]) == len(points["weight"]) == len(set(points["id"]))


@pytest.mark.timeout(240)
async def test_every_record_of_a_run_is_as_it_is_described(run: Run) -> None:
    document = asyncapi()
    for topic, records in run.records.items():
        assert bool(records) is (topic not in SILENT), topic
        if topic == "samples":
            check_samples(records)
            continue
        for record in records:
            check_record(record, messages_of(document, topic), document)
    check_alerts(run.of("alerts"))
    check_state(run.of("alert-state"), run.of("alerts"))
    check_frames(run.of("indicators"), run.settings.step)
    (letter,) = run.of("dead-letter")
    assert (letter.key, letter.value) == (SERVICE.encode(), NOT_PROTOBUF)
    assert {record.key for record in run.of("orders")} == {f"budget/{SERVICE}".encode()}

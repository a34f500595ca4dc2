"""`kill -9` of each role at random moments under load: the same transitions, the same ids, nothing acknowledged lost.

python -m tests.faults.test_kill --kills 20      (the whole table; CI kills each role twice)
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agents.budget_files import BudgetPublisher
from agents.kafka.admin import create_topics
from agents.kafka.partitions import partition_of
from agents.settings import KafkaSettings, Settings, load_settings
from agents.stack import free_port
from agents.supervisor import Child, driftline_command, wait_ready
from budgets.event import decode_event, parse_time
from tests.faults.load import Sender, budgets_of, service_names
from tests.faults.oracle import (
    Events,
    FrameComparison,
    compare_frames,
    expected_events,
    last_step,
    published_events,
)
from tests.faults.stored import stored_samples
from tests.servers.embedded import EmbeddedBroker
from tests.servers.kafka import KafkaCluster, run_kafka
from tests.servers.waiting import until
from tests.servers.webhook_sink import WebhookSink

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(600)]

SERVICES = 8
PARTITIONS = 4
STEP_MS = 1000
# Long enough for a killed worker's partitions to move (session timeout) and their windows to be rebuilt.
SETTLE_SECONDS = (2.0, 7.0)
KILLED_ROLES = ("ingest", "worker", "notifier", "web")


@dataclass
class Cluster:
    """Roles as child processes on a Kafka: some workers, two ingests, one notifier, one web."""

    settings: Settings
    children: dict[str, Child] = field(default_factory=dict)
    ingest_urls: list[str] = field(default_factory=list)

    async def start(self, environ: dict[str, str], workers: int) -> None:
        others = ("notifier-0", "web-0", "ingest-0", "ingest-1")
        for name in (*(f"worker-{number}" for number in range(workers)), *others):
            role = name.partition("-")[0]
            listen = f"127.0.0.1:{free_port()}"
            variables = {**os.environ, **environ, f"DRIFTLINE_{role.upper()}__LISTEN": listen}
            child = Child(name, driftline_command(role), variables, f"http://{listen}/-/ready")
            self.children[name] = child
            if role == "ingest":
                self.ingest_urls.append(f"http://{listen}/api/v1/write")
            await child.start()
        await wait_ready(list(self.children.values()), 60)

    def running(self, role: str) -> list[Child]:
        """The role's processes that run now."""
        return [
            child
            for name, child in self.children.items()
            if name.startswith(role) and child.process is not None and child.process.returncode is None
        ]

    async def kill(self, role: str, rng: random.Random) -> str:
        """`kill -9` one of the role's processes; its keeper starts it again."""
        await until(lambda: bool(self.running(role)), 30, f"{role} runs again")
        child = rng.choice(self.running(role))
        assert child.process is not None
        child.process.send_signal(signal.SIGKILL)
        return child.name

    async def stop(self) -> None:
        for child in reversed(list(self.children.values())):
            await child.stop()


@dataclass(frozen=True)
class Outcome:
    """What a run of kills came to; events are those of steps up to the last one compared."""

    killed: list[str]
    restarts: int
    acknowledged: int
    lost: int
    expected: Events
    published: Events
    frames: FrameComparison
    delivered: set[str]

    @property
    def notifiable(self) -> set[str]:
        """What the receiver must hear of: everything about episodes that came to more than `pending`."""
        told = {event.episode for event in self.expected.values() if event.transition not in {"pending", "resolved"}}
        return {event.id for event in self.expected.values() if event.transition != "pending" and event.episode in told}

    def named(self, ids: set[str]) -> list[str]:
        """Events for people, oldest first."""
        found = sorted((self.expected[event_id] for event_id in ids), key=lambda event: event.at)
        return [f"{event.at} {event.service} {event.kind} {event.transition} {event.id}" for event in found]


def _environ(kafka: KafkaSettings, directory: str, sink_url: str) -> dict[str, str]:
    receiver = {
        "name": "sink",
        "type": "webhook",
        "url": sink_url,
        "secret": "whsec_MDEyMzQ1Njc4OWFi",
        "severities": ["info", "warning", "critical"],
    }
    return {
        "DRIFTLINE_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "DRIFTLINE_KAFKA__LOG_ID": kafka.log_id,
        "DRIFTLINE_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
        "DRIFTLINE_KAFKA__PARTITIONS": str(PARTITIONS),
        "DRIFTLINE_STEP": f"{STEP_MS}ms",
        "DRIFTLINE_EVALUATION_DELAY": "2s",
        "DRIFTLINE_DATA_DIR": directory,
        "DRIFTLINE_WORKER__SESSION_TIMEOUT": "3s",
        "DRIFTLINE_WORKER__SNAPSHOT_EVERY": "5s",
        "DRIFTLINE_NOTIFIER__RECEIVERS": json.dumps([receiver]),
    }


async def run_kills(kafka: KafkaSettings, workers: int, kills_per_role: int, seed: int) -> Outcome:
    """Load, kills, quiet, and the comparison with the oracle."""
    rng = random.Random(seed)
    sink = WebhookSink()
    await sink.start()
    with tempfile.TemporaryDirectory(prefix="driftline-kills-") as directory:
        budget_file = Path(directory) / "budgets.json"
        budget_file.write_text(budgets_of(SERVICES), encoding="utf-8")
        environ = _environ(kafka, directory, sink.url)
        settings = load_settings(environ=environ)
        await create_topics(settings)
        publisher = BudgetPublisher(settings, [budget_file])
        await publisher.start()
        await publisher.stop()
        cluster = Cluster(settings)
        await cluster.start(environ, workers)
        sender, stop = Sender(cluster.ingest_urls, SERVICES), asyncio.Event()
        sending = asyncio.create_task(sender.run(stop))
        try:
            await until(lambda: len(sink.deliveries) >= SERVICES, 60, "alerts come and go before the first kill")
            killed = []
            for role in rng.sample(KILLED_ROLES * kills_per_role, kills_per_role * len(KILLED_ROLES)):
                killed.append(await cluster.kill(role, rng))
                await asyncio.sleep(rng.uniform(*SETTLE_SECONDS))
            stop.set()
            await sending
            return await _settle(settings, cluster, sink, sender, killed)
        finally:
            stop.set()
            sending.cancel()
            await cluster.stop()
            await sink.stop()


async def _settle(
    settings: Settings, cluster: Cluster, sink: WebhookSink, sender: Sender, killed: list[str]
) -> Outcome:
    """Wait until every step with samples is published and its events are delivered, then compare."""
    last_ms = round(time.time() * 1000)
    await wait_ready(list(cluster.children.values()), 60)

    async def all_closed() -> bool:
        inhabited = {partition_of(name, PARTITIONS) for name in service_names(SERVICES)}
        return all([await last_step(settings, number) >= last_ms for number in inhabited])

    await until(all_closed, 90, "every partition has published the last step")
    expected = await expected_events(settings, PARTITIONS, last_ms)
    outcome = Outcome(
        killed,
        sum(child.restarts for child in cluster.children.values()),
        len(sender.acknowledged),
        len(sender.acknowledged - await stored_samples(settings, PARTITIONS)),
        expected,
        await published_events(settings, PARTITIONS, last_ms),
        await compare_frames(settings, PARTITIONS, last_ms),
        set(),
    )

    def delivered() -> set[str]:
        events = [decode_event(delivery.body) for delivery in sink.deliveries]
        return {event.id for event in events if parse_time(event.at) <= last_ms}

    with contextlib.suppress(AssertionError):  # the comparison says more about what is missing
        await until(lambda: delivered() >= outcome.notifiable, 60, "everything is delivered")
    return replace(outcome, delivered=delivered())


def assert_nothing_lost(outcome: Outcome) -> None:
    """The promise to subscribers, as far as one run can show it."""
    assert outcome.restarts >= len(outcome.killed)
    assert outcome.acknowledged > 1000
    assert outcome.lost == 0
    assert len(outcome.expected) > 5 * SERVICES, "the load must cause transitions"
    assert outcome.frames.published > SERVICES
    assert not outcome.frames.different, "windows that were rebuilt have other samples in them"
    assert not outcome.frames.missing
    assert set(outcome.published) == set(outcome.expected)
    assert outcome.published == outcome.expected
    assert outcome.delivered >= outcome.notifiable, (
        f"not delivered: {outcome.named(outcome.notifiable - outcome.delivered)}"
    )
    assert outcome.delivered <= outcome.notifiable


async def test_killing_every_role_twice_loses_and_invents_nothing(
    apache_kafka: KafkaCluster, topic_prefix: str
) -> None:
    kafka = KafkaSettings(bootstrap=apache_kafka.bootstrap, topic_prefix=topic_prefix)
    assert_nothing_lost(await run_kills(kafka, workers=2, kills_per_role=2, seed=1))


async def test_killing_every_role_on_the_embedded_broker_loses_and_invents_nothing(
    embedded_broker: EmbeddedBroker,
) -> None:
    # Its groups have one member each.
    assert_nothing_lost(await run_kills(embedded_broker.kafka, workers=1, kills_per_role=1, seed=2))


def main() -> None:
    """Print the figures of a longer run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20, help="kills of each role")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with run_kafka() as cluster:
        kafka = KafkaSettings(bootstrap=cluster.bootstrap)
        outcome = asyncio.run(run_kills(kafka, 2, options.kills, options.seed))
    expected, published = set(outcome.expected), set(outcome.published)
    figures = {
        "kills": len(outcome.killed),
        "acknowledged samples": outcome.acknowledged,
        "lost": outcome.lost,
        "transitions expected": len(expected),
        "missing": len(expected - published),
        "not in the oracle": len(published - expected),
        "frames": outcome.frames.published,
        "frames that differ": len(outcome.frames.different),
        "to deliver": len(outcome.notifiable),
        "delivered": len(outcome.delivered),
    }
    print("| " + " | ".join(figures) + " |")  # noqa: T201
    print("|" + "---|" * len(figures))  # noqa: T201
    print("| " + " | ".join(str(figure) for figure in figures.values()) + " |")  # noqa: T201
    assert_nothing_lost(outcome)


if __name__ == "__main__":
    main()

"""`kill -9` of each role at random moments under load: the same transitions, the same ids, nothing acknowledged lost.

python -m tests.faults.test_kill --kills 20      (the whole table; CI kills each role twice)
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.budget_files import BudgetPublisher
from agents.kafka.admin import create_topics
from agents.settings import Settings, load_settings
from agents.stack import free_port
from agents.supervisor import Child, driftline_command, wait_ready
from tests.faults.load import Sender, budgets_of
from tests.faults.oracle import expected_ids, published_ids, stored_samples
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
    """Roles as child processes on a Kafka: two workers, two ingests, one notifier, one web."""

    settings: Settings
    children: dict[str, Child] = field(default_factory=dict)
    ingest_urls: list[str] = field(default_factory=list)

    async def start(self, environ: dict[str, str]) -> None:
        for name in ("worker-0", "worker-1", "notifier-0", "web-0", "ingest-0", "ingest-1"):
            role = name.partition("-")[0]
            listen = f"127.0.0.1:{free_port()}"
            variables = {**os.environ, **environ, f"DRIFTLINE_{role.upper()}__LISTEN": listen}
            child = Child(name, driftline_command(role), variables, f"http://{listen}/-/ready")
            self.children[name] = child
            if role == "ingest":
                self.ingest_urls.append(f"http://{listen}/api/v1/write")
            await child.start()
        await wait_ready(list(self.children.values()), 60)

    def kill(self, role: str, rng: random.Random) -> str:
        """`kill -9` one of the role's processes that runs now; its keeper starts it again."""
        running = [
            child
            for name, child in self.children.items()
            if name.startswith(role) and child.process is not None and child.process.returncode is None
        ]
        child = rng.choice(running)
        assert child.process is not None
        child.process.send_signal(signal.SIGKILL)
        return child.name

    async def stop(self) -> None:
        for child in reversed(list(self.children.values())):
            await child.stop()


@dataclass(frozen=True)
class Outcome:
    """What a run of kills came to."""

    killed: list[str]
    acknowledged: int
    lost: int
    expected: set[str]
    published: set[str]
    delivered: set[str]
    deliverable: set[str]


async def run_kills(bootstrap: str, prefix: str, kills_per_role: int, seed: int) -> Outcome:
    """Load, kills, quiet, and the comparison with the oracle."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="driftline-kills-") as directory:
        budget_file = Path(directory) / "budgets.json"
        budget_file.write_text(budgets_of(SERVICES), encoding="utf-8")
        sink = WebhookSink()
        await sink.start()
        environ = {
            "DRIFTLINE_KAFKA__BOOTSTRAP": bootstrap,
            "DRIFTLINE_KAFKA__TOPIC_PREFIX": prefix,
            "DRIFTLINE_KAFKA__PARTITIONS": str(PARTITIONS),
            "DRIFTLINE_STEP": f"{STEP_MS}ms",
            "DRIFTLINE_EVALUATION_DELAY": "2s",
            "DRIFTLINE_DATA_DIR": directory,
            "DRIFTLINE_WORKER__SESSION_TIMEOUT": "3s",
            "DRIFTLINE_WORKER__SNAPSHOT_EVERY": "5s",
            "DRIFTLINE_NOTIFIER__RECEIVERS": f'[{{name: sink, type: webhook, url: "{sink.url}", secret: whsec_MDEyMzQ1Njc4OWFi}}]',
        }
        settings = load_settings(environ=environ)
        await create_topics(settings)
        publisher = BudgetPublisher(settings, [budget_file])
        await publisher.start()
        cluster = Cluster(settings)
        await cluster.start(environ)
        sender, stop = Sender(cluster.ingest_urls, SERVICES), asyncio.Event()
        sending = asyncio.create_task(sender.run(stop))
        killed = []
        try:
            await asyncio.sleep(10)
            for role in rng.sample(KILLED_ROLES * kills_per_role, kills_per_role * len(KILLED_ROLES)):
                killed.append(cluster.kill(role, rng))
                await asyncio.sleep(rng.uniform(*SETTLE_SECONDS))
            stop.set()
            await sending
            await wait_ready(list(cluster.children.values()), 60)
            outcome = await _settle(settings, sink, sender, killed)
        finally:
            stop.set()
            sending.cancel()
            await publisher.stop()
            await cluster.stop()
            await sink.stop()
        return outcome


async def _settle(settings: Settings, sink: WebhookSink, sender: Sender, killed: list[str]) -> Outcome:
    """Wait until what was decided has been published and delivered, then compare."""
    deadline = time.monotonic() + 60
    while True:
        expected = set(await expected_ids(settings, PARTITIONS))
        published = set(await published_ids(settings, PARTITIONS))
        delivered = {delivery.headers["webhook-id"] for delivery in sink.deliveries}
        deliverable = await expected_ids(settings, PARTITIONS)
        stored = await stored_samples(settings, PARTITIONS)
        lost = len(sender.acknowledged - stored)
        done = expected <= published and lost == 0
        if done or time.monotonic() > deadline:
            return Outcome(killed, len(sender.acknowledged), lost, expected, published, delivered, set(deliverable))
        await asyncio.sleep(1)


def assert_nothing_lost(outcome: Outcome) -> None:
    """What is promised of alert events, as far as one run can show it."""
    assert outcome.acknowledged > 100
    assert outcome.lost == 0
    assert len(outcome.expected) > 10, "the load must cause transitions"
    assert outcome.expected <= outcome.published, f"missing: {len(outcome.expected - outcome.published)}"
    # Steps that closed after the oracle read the frames may be on the topic already; nothing else may.
    assert outcome.delivered <= outcome.published


async def test_killing_every_role_twice_loses_and_invents_nothing(apache_kafka: object, topic_prefix: str) -> None:
    outcome = await run_kills(apache_kafka.bootstrap, topic_prefix, kills_per_role=2, seed=1)  # type: ignore[attr-defined]
    assert_nothing_lost(outcome)


def main() -> None:
    """Print the figures of a longer run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20, help="kills of each role")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    from tests.servers.kafka import run_kafka  # noqa: PLC0415

    with run_kafka() as kafka:
        outcome = asyncio.run(run_kills(kafka.bootstrap, f"kills-{options.seed}.", options.kills, options.seed))
    print(f"kills {len(outcome.killed)}, acknowledged samples {outcome.acknowledged}, lost {outcome.lost}")
    print(
        f"transitions: expected {len(outcome.expected)}, missing {len(outcome.expected - outcome.published)},"
        f" not in the oracle {len(outcome.published - outcome.expected)}, delivered {len(outcome.delivered)}"
    )
    assert_nothing_lost(outcome)


if __name__ == "__main__":
    sys.exit(main())

"""The embedded broker's process: librdkafka's broker in memory, its journal on disk, its address in a file.

`driftline up` starts it when no Kafka is given. Topics and records of the last run are back before anybody learns
the address. `broker.json` in the data directory: `{"bootstrap": "127.0.0.1:…", "log_id": "…"}`; offsets hold for one
`log_id` only.

SIGTERM loses nothing. `kill -9` of this process loses what was written in about the last tenth of a second; whoever
needs more uses a cluster.
"""

import asyncio
import time
import uuid
from pathlib import Path

import msgspec
import structlog

from agents.kafka.admin import partitions_of
from agents.kafka.follower import Follower
from agents.kafka.mock_cluster import MockCluster
from agents.kafka.topics import TOPICS
from agents.process import run_until_stopped
from agents.settings import Settings

log = structlog.get_logger()

ADDRESS_FILE = "broker.json"


class Address(msgspec.Struct, frozen=True):
    """Where the embedded broker listens, and which incarnation of the log it holds."""

    bootstrap: str
    log_id: str


def read_address(data_dir: Path) -> Address | None:
    """The running broker's address, None = not ready yet."""
    try:
        return msgspec.json.decode((data_dir / ADDRESS_FILE).read_bytes(), type=Address)
    except FileNotFoundError:
        return None


def _write_address(data_dir: Path, address: Address) -> None:
    """Whole or not at all."""
    unfinished = data_dir / (ADDRESS_FILE + ".new")
    unfinished.write_bytes(msgspec.json.encode(address))
    unfinished.replace(data_dir / ADDRESS_FILE)


async def run_embedded_broker(settings: Settings) -> None:
    """Run until SIGTERM; returns when everything that was acknowledged is on disk.

    Raises:
        SettingsError: the data directory was written with another number of partitions.
    """
    started = time.monotonic()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (settings.data_dir / ADDRESS_FILE).unlink(missing_ok=True)
    cluster = MockCluster()
    try:
        for topic in TOPICS:
            cluster.create_topic(settings.topic(topic.name), partitions_of(settings, topic))
        kafka = settings.kafka.model_copy(update={"bootstrap": cluster.bootstrap})
        follower = Follower(settings, kafka, settings.data_dir / "log")
        records = await follower.replay()
        stop = asyncio.Event()
        following = asyncio.create_task(follower.follow(stop), name="journal")
        address = Address(cluster.bootstrap, uuid.uuid4().hex)
        _write_address(settings.data_dir, address)
        log.info(
            "the embedded broker is ready",
            bootstrap=address.bootstrap,
            log_id=address.log_id,
            records_replayed=records,
            seconds=round(time.monotonic() - started, 3),
        )
        try:
            await run_until_stopped(following)
        finally:
            stop.set()
            await following
    finally:
        (settings.data_dir / ADDRESS_FILE).unlink(missing_ok=True)
        cluster.close()

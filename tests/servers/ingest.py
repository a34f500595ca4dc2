"""A real ingest process on a free port, as `driftline ingest` runs it, with budgets written for it."""

import asyncio
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agents.kafka.admin import create_topics
from agents.orders import write_orders
from agents.settings import KafkaSettings, Settings
from agents.stack import free_port
from agents.supervisor import driftline_command
from budgets.order import Order
from budgets.spec.model import ServiceBudget
from budgets.spec.resolve import document_of
from tests.servers.tools import Process, end, spawn, tail

START_SECONDS = 60.0


class Ingest:
    """One process; `url` is its root, without a slash at the end."""

    def __init__(self, kafka: KafkaSettings, directory: Path, environ: Mapping[str, str]) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.write_url = f"{self.url}/api/v1/write"
        self.log_file = directory / "ingest.log"
        self._environ = {
            "DRIFTLINE_KAFKA__BOOTSTRAP": kafka.bootstrap,
            "DRIFTLINE_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
            "DRIFTLINE_INGEST__LISTEN": self.url.removeprefix("http://"),
            **environ,
        }
        self.process: Process | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it; `wait_ready` waits for it."""
        self.process = spawn(driftline_command("ingest"), self.log_file, self._environ)

    def why_not_ready(self) -> str | None:
        """None = ready."""
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=2):
                return None
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode().strip()
        except OSError:
            return "does not answer"

    def wait_ready(self) -> None:
        """Return when it can take requests.

        Raises:
            RuntimeError: it ended, or does not become ready.
        """
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while (reason := self.why_not_ready()) is not None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"ingest is not ready: {reason}\n{tail(self.log_file)}")
            time.sleep(0.05)

    def log_text(self) -> str:
        """Everything that it has printed."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """Stop it in good order."""
        if self.process is not None:
            end(self.process, 10)


@contextmanager
def run_ingest(
    kafka: KafkaSettings, environ: Mapping[str, str] | None = None, *, ready: bool = True
) -> Iterator[Ingest]:
    """A running ingest process; with `ready`, one that can take requests."""
    with tempfile.TemporaryDirectory(prefix="driftline-ingest-") as directory:
        ingest = Ingest(kafka, Path(directory), environ or {})
        try:
            ingest.start()
            if ready:
                ingest.wait_ready()
            yield ingest
        finally:
            ingest.stop()


async def declare(kafka: KafkaSettings, budgets: list[ServiceBudget]) -> Settings:
    """Topics and budgets on a Kafka, as `topics create` and the publisher would; returns the settings for it."""
    settings = Settings(kafka=kafka)
    await create_topics(settings)
    await write_orders(
        settings, [Order(f"budget/{budget.service}", document_of(budget), "test", 0, 0) for budget in budgets]
    )
    return settings


def declare_now(kafka: KafkaSettings, budgets: list[ServiceBudget]) -> Settings:
    """`declare`, from outside a loop."""
    return asyncio.run(declare(kafka, budgets))

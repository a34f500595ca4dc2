"""The embedded broker as `driftline up` runs it: a process of its own on a data directory, that may be killed."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.kafka.embedded import read_address
from agents.settings import KafkaSettings
from tests.servers.tools import Process, end, spawn, tail

START_SECONDS = 30.0


class EmbeddedBroker:
    """One broker; every start gives another address and log id, as `kafka` says."""

    def __init__(self, data_dir: Path, partitions: int) -> None:
        self.data_dir = data_dir
        self._partitions = partitions
        self.log_file = data_dir / "broker.log"
        self.process: Process | None = None
        self.bootstrap = ""
        self.log_id = ""
        data_dir.mkdir(parents=True, exist_ok=True)

    @property
    def kafka(self) -> KafkaSettings:
        """How to connect to it now."""
        return KafkaSettings(bootstrap=self.bootstrap, log_id=self.log_id, partitions=self._partitions)

    def start(self) -> None:
        """Start it and return when it can be used.

        Raises:
            RuntimeError: it did not start.
        """
        environ = {"DRIFTLINE_DATA_DIR": str(self.data_dir), "DRIFTLINE_KAFKA__PARTITIONS": str(self._partitions)}
        command = [sys.executable, "-m", "agents.cli.main", "broker"]
        (self.data_dir / "broker.json").unlink(missing_ok=True)
        self.process = spawn(command, self.log_file, environ)
        deadline = time.monotonic() + START_SECONDS
        while (address := read_address(self.data_dir)) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the embedded broker did not start:\n{tail(self.log_file)}")
            time.sleep(0.02)
        self.bootstrap, self.log_id = address.bootstrap, address.log_id

    def stop(self) -> None:
        """Stop it in good order."""
        if self.process is not None:
            end(self.process, 10)

    def kill(self) -> None:
        """`kill -9`."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextmanager
def run_embedded_broker(data_dir: Path, partitions: int = 4) -> Iterator[EmbeddedBroker]:
    """A running broker on `data_dir`."""
    broker = EmbeddedBroker(data_dir, partitions)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()

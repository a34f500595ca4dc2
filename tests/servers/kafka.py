"""Apache Kafka for the tests: one node, or three, in KRaft's combined mode, from Maven Central's jars.

    python -m tests.servers.kafka [--nodes 3]      (what `make kafka` runs: by hand, until Ctrl-C)

Settings are those of a small cluster that fails over quickly. Ports stay the same over `stop` and `start`.
"""

import argparse
import base64
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from agents.stack import free_port
from tests.servers.tools import Process, end, find_kafka_jars, find_program, spawn, tail

START_SECONDS = 60.0
STOP_SECONDS = 20.0
START_ATTEMPTS = 3


def _java(heap_mb: int, *arguments: str | Path) -> list[str | Path]:
    options = [f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return [find_program("Java"), *options, "-cp", f"{find_kafka_jars()}/*", *arguments]


class Node:
    """One broker and controller.

    number: from 1. port: where clients connect.
    """

    def __init__(self, number: int, port: int, directory: Path, heap_mb: int) -> None:
        self.number = number
        self.port = port
        self.directory = directory
        self._heap_mb = heap_mb
        self._process: Process | None = None

    @property
    def log_file(self) -> Path:
        """What the node prints."""
        return self.directory / "server.log"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; it is not ready yet."""
        properties = self.directory / "server.properties"
        self._process = spawn(_java(self._heap_mb, "kafka.Kafka", properties), self.log_file)

    def check_alive(self) -> None:
        """Raise when it has ended by itself."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"Kafka ended with {self._process.returncode}:\n{tail(self.log_file)}")

    def stop(self) -> None:
        """Shut it down in good order."""
        if self._process is not None:
            end(self._process, STOP_SECONDS)

    def kill(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class KafkaCluster:
    """All nodes of one cluster; `bootstrap` as clients take it."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.bootstrap = ",".join(f"127.0.0.1:{node.port}" for node in nodes)

    def start(self) -> None:
        """Start every node and return when all of them take part.

        Raises:
            RuntimeError: a node ended, or it took too long.
        """
        for node in self.nodes:
            node.start()
        self.wait_for(len(self.nodes))

    def wait_for(self, brokers: int) -> None:
        """Return when `brokers` of them are in the cluster's metadata."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if len(admin.list_topics(timeout=1.0).brokers) >= brokers:
                    return
            except KafkaException:
                for node in self.nodes if brokers == len(self.nodes) else []:
                    node.check_alive()
        raise RuntimeError(f"Kafka did not start:\n{tail(self.nodes[0].log_file)}")

    def stop(self) -> None:
        """Shut every node down; data and ports are kept for the next `start`."""
        for node in self.nodes[1:]:
            node.kill()  # a controller that lost its quorum would wait for it
        self.nodes[0].kill() if len(self.nodes) > 1 else self.nodes[0].stop()

    def kill(self) -> None:
        """`kill -9` of every node: the end, or a power cut."""
        for node in self.nodes:
            node.kill()


def _properties(number: int, port: int, controller_ports: list[int], directory: Path) -> dict[str, object]:
    nodes = len(controller_ports)
    voters = ",".join(f"{n}@127.0.0.1:{controller}" for n, controller in enumerate(controller_ports, 1))
    return {
        "process.roles": "broker,controller",
        "node.id": number,
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_ports[number - 1]}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": directory / "data",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": nodes,
        "transaction.state.log.replication.factor": nodes,
        "transaction.state.log.min.isr": min(2, nodes),
        "min.insync.replicas": min(2, nodes),
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        "log.retention.check.interval.ms": 300_000,
        "log.cleaner.enable": "true",
    }


def _format(node: Node, cluster_id: str, controller_ports: list[int], heap_mb: int) -> None:
    node.directory.mkdir(parents=True)
    lines = [f"{k}={v}" for k, v in _properties(node.number, node.port, controller_ports, node.directory).items()]
    properties = node.directory / "server.properties"
    properties.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = _java(heap_mb, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", properties)
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def _start_cluster(nodes: int, ports: list[int], directory: Path) -> KafkaCluster:
    """A new cluster that runs; the caller kills it.

    Raises:
        RuntimeError: it did not start; nothing is left of it.
    """
    controller_ports = [free_port() for _ in range(nodes)]
    heap_mb = 512 if nodes == 1 else 384
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    members = [Node(n, ports[n - 1], directory / f"node-{n}", heap_mb) for n in range(1, nodes + 1)]
    for member in members:
        _format(member, cluster_id, controller_ports, heap_mb)
    cluster = KafkaCluster(members)
    try:
        cluster.start()
    except RuntimeError:
        cluster.kill()
        raise
    return cluster


@contextmanager
def run_kafka(nodes: int = 1, *, ports: list[int] | None = None) -> Iterator[KafkaCluster]:
    """A running cluster in a temporary directory.

    A port that was free may be taken by the time that Kafka listens: without `ports` it is tried again with others.

    Raises:
        MissingServerError: no Java, or no jars.
        RuntimeError: it did not start.
    """
    with tempfile.TemporaryDirectory(prefix="driftline-kafka-", ignore_cleanup_errors=True) as directory:
        for attempt in range(START_ATTEMPTS):
            try:
                cluster = _start_cluster(
                    nodes, ports or [free_port() for _ in range(nodes)], Path(directory, str(attempt))
                )
            except RuntimeError:
                if ports or attempt == START_ATTEMPTS - 1:
                    raise
            else:
                break
        try:
            yield cluster
        finally:
            cluster.kill()


def main() -> None:
    """Run one by hand."""
    parser = argparse.ArgumentParser(description="An Apache Kafka to try things with, until Ctrl-C.")
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3))
    parser.add_argument("--port", type=int, default=9092, help="of the first node")
    options = parser.parse_args()
    with run_kafka(options.nodes, ports=[options.port + n for n in range(options.nodes)]) as cluster:
        print(f"Kafka runs: {cluster.bootstrap}   (driftline up --kafka {cluster.bootstrap} …)", flush=True)  # noqa: T201
        stops = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, stops)
        signal.sigwait(stops)


if __name__ == "__main__":
    main()

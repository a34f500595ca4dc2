"""The orders topic on Apache Kafka: an outage under a running reader, and the web role's start with wrong files."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agents.kafka import topic_reader
from agents.kafka.admin import create_topics
from agents.metrics import OrdersMetrics
from agents.orders import OrderReader, read_orders, write_orders
from agents.settings import KafkaSettings, Settings
from budgets.order import Order
from tests.servers.embedded import EmbeddedBroker
from tests.servers.kafka import KafkaCluster

pytestmark = pytest.mark.integration


def silence(number: int) -> Order:
    return Order(f"silence/{number}", {"number": number}, "test", 1, 2)


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_reader_comes_through_an_outage_without_a_restart(
    own_kafka: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_reader, "CHECK_SECONDS", 0.5)
    monkeypatch.setattr(topic_reader, "ANSWER_SECONDS", 2.0)
    settings = Settings(kafka=KafkaSettings(bootstrap=own_kafka.bootstrap, partitions=2))
    await create_topics(settings)
    await write_orders(settings, [silence(1)])
    heard: list[str] = []
    reader = OrderReader(settings, lambda subject, _: heard.append(subject), OrdersMetrics(CollectorRegistry()))
    await reader.start()
    try:
        assert heard == ["silence/1"]
        own_kafka.stop()
        await until(lambda: reader.problem is not None)
        own_kafka.start()
        await until(lambda: reader.problem is None)
        await write_orders(settings, [silence(2), silence(1)])
        await until(lambda: len(heard) == 2)
        assert heard == ["silence/1", "silence/2"]  # the same order again is no news
        assert sorted(await read_orders(settings)) == ["silence/1", "silence/2"]
    finally:
        await reader.stop()


async def test_a_web_role_whose_files_are_wrong_at_its_first_start_exits_2(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    path = tmp_path / "api.yaml"
    path.write_text("api: {throughput: {min_rsp: 1}}\n", encoding="utf-8")
    environ = {
        **os.environ,
        "DRIFTLINE_KAFKA__BOOTSTRAP": embedded_broker.bootstrap,
        "DRIFTLINE_KAFKA__LOG_ID": embedded_broker.log_id,
        "DRIFTLINE_DATA_DIR": str(tmp_path / "data"),
        "DRIFTLINE_WEB__LISTEN": "127.0.0.1:0",
    }
    (tmp_path / "data").mkdir()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "agents.cli.main", "web", "--budgets", str(path)),
        env=environ,
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2, stderr.decode()
    assert f"{path}:1: api.throughput.min_rsp: unknown key, did you mean min_rps?" in stderr.decode()
